"""What readers might write for the exercises on programs that start and stop."""

from __future__ import annotations

from exercise_cases import Cases, Mutant

LOOKS = "        if stop.is_set():\n            break\n"
PUTS = "    try:\n        for task in tasks:\n            queue.put(task)\n"
SENTINELS = "        for _ in workers:\n            queue.put(None)\n"
JOINS = "        for worker in workers:\n            worker.join()\n"
ENDS = SENTINELS + JOINS
FINALLY = "    finally:\n" + ENDS
ADDS = (
    "    if not any(isinstance(handler, logging.handlers.QueueHandler) for handler in root.handlers):\n"
    "        root.addHandler(logging.handlers.QueueHandler(queue))\n"
)
MAKES_ONE = "        self.lock = threading.Lock()\n"
LEAVES_OUT = '        state = self.__dict__.copy()\n        del state["lock"]\n        return state\n'
WAITS = "    while parent.sentinel not in wait([connection, parent.sentinel]):\n"

CASES = {
    "08.1": Cases(
        mutants={
            "never looks": Mutant(
                {LOOKS: ""},
                "the event was set during step 3, and 3 more steps began. Hint: ask the event before each",
                "results.append(function(step))",
            ),
            "the event itself": Mutant(
                {"stop.is_set()": "stop"},
                "the event was not set, and no step was done. Hint: an event counts as true",
                "def work_until(stop, function, steps):",
            ),
            "waits": Mutant(
                {"stop.is_set()": "stop.wait()"},
                "work_until waits in wait() forever. Hint: nobody may ever set the event: ask is_set()",
                "if stop.wait():",
            ),
            "drops the step under way": Mutant(
                {
                    "results.append(function(step))": (
                        "result = function(step)\n        if not stop.is_set():\n"
                        "            results.append(result)"
                    )
                },
                "the event was set during step 3, and what this step returned is missing. Hint: a step",
                "results.append(result)",
            ),
            "looks after the step": Mutant(
                {
                    LOOKS: "",
                    "        results.append(function(step))\n": (
                        "        results.append(function(step))\n" + LOOKS
                    ),
                },
                "the event was set before the first step, and 1 step began. Hint: ask the event before a",
                "if stop.is_set():",
            ),
            "returns nothing": Mutant(
                {"break": "return"},
                "the worker returned None. Hint: return a list of what the function returned, also when",
                "def work_until(stop, function, steps):",
            ),
            "clears the event": Mutant(
                {"break": "stop.clear()\n            break"},
                "the event was no longer set when the worker had returned. Hint: other workers look",
                "stop.clear()",
            ),
        },
        others={
            "a generator": (
                "from itertools import takewhile\n\n\ndef work_until(stop, function, steps):\n"
                "    return [function(step) for step in takewhile(lambda _: not stop.is_set(), steps)]\n"
            ),
            "waits a moment": {"stop.is_set()": "stop.wait(timeout=0.01)"},
            "while, and a tuple": (
                "def work_until(stop, function, steps):\n    results = ()\n"
                "    while len(results) < len(steps) and not stop.is_set():\n"
                "        results += (function(steps[len(results)]),)\n    return results\n"
            ),
        },
    ),
    "08.2": Cases(
        mutants={
            "no finally": Mutant(
                {
                    PUTS + FINALLY: "    for task in tasks:\n        queue.put(task)\n"
                    + ENDS.replace("        ", "    ")
                },
                "2 workers still ran when feed() ended with KeyboardInterrupt. Hint: put the sentinels and",
                "queue.put(None)",
            ),
            "except Exception": Mutant(
                {FINALLY: f"    except Exception:\n{ENDS}        raise\n    else:\n{ENDS}"},
                "2 workers still ran when feed() ended with KeyboardInterrupt. Hint: put the sentinels and",
                "queue.put(None)",
            ),
            "the interrupt alone": Mutant(
                {FINALLY: f"    except KeyboardInterrupt:\n{ENDS}        raise\n    else:\n{ENDS}"},
                "2 workers still ran when feed() ended with the exception of the tasks",
                "queue.put(None)",
            ),
            "swallows it": Mutant(
                {"    finally:\n": "    except BaseException:\n        pass\n    finally:\n"},
                "KeyboardInterrupt did not reach the caller of feed(). Hint: a finally block",
                "def feed(ctx, work, tasks, count):",
            ),
            "terminates": Mutant(
                {SENTINELS: "        for worker in workers:\n            worker.terminate()\n"},
                "had been done. Hint: a worker that is terminated leaves its task half done",
                "worker.terminate()",
            ),
            "one sentinel": Mutant(
                {SENTINELS: "        queue.put(None)\n"},
                "feed, interrupted, waits in join() forever. Hint: a worker ends when it gets None, and",
                "worker.join()",
            ),
            "does not join": Mutant(
                {JOINS: ""},
                "still ran when feed() ended with KeyboardInterrupt. Hint: after the sentinels, wait for",
                "queue.put(None)",
            ),
            "a list first": Mutant(
                {"for task in tasks": "for task in list(tasks)"},
                "the tasks 'a', 'b', 'c', 'd' came, and when feed() ended with KeyboardInterrupt, nothing",
                "queue.put(task)",
            ),
            "queue alone": Mutant(
                {"args=(queue,)": "args=queue"},
                "feed, interrupted, raised TypeError ('Queue' object is not iterable). Hint: args takes",
                "workers = [ctx.Process(target=work, args=queue) for _ in range(count)]",
            ),
        },
        others={
            "raises again": {
                FINALLY: "    except BaseException:\n        end(queue, workers)\n        raise\n"
                "    end(queue, workers)\n",
                "def feed": "def end(queue, workers):\n    for _ in workers:\n        queue.put(None)\n"
                "    for worker in workers:\n        worker.join()\n\n\ndef feed",
            },
            "a context manager": (
                "from contextlib import contextmanager\n\n\n@contextmanager\ndef workers(ctx, work, count):\n"
                "    queue = ctx.Queue(1)\n"
                "    running = [ctx.Process(target=work, args=(queue,)) for _ in range(count)]\n"
                "    for worker in running:\n        worker.start()\n    try:\n        yield queue\n"
                "    finally:\n        for worker in running:\n            queue.put(None)\n"
                "        for worker in running:\n            worker.join()\n\n\n"
                "def feed(ctx, work, tasks, count):\n    with workers(ctx, work, count) as queue:\n"
                "        for task in tasks:\n            queue.put(task)\n"
            ),
            "an exit stack": (
                "from contextlib import ExitStack\n\n\ndef feed(ctx, work, tasks, count):\n"
                "    queue = ctx.Queue()\n    with ExitStack() as stack:\n"
                "        for _ in range(count):\n"
                "            worker = ctx.Process(target=work, args=(queue,), daemon=True)\n"
                "            worker.start()\n            stack.callback(worker.join)\n"
                "        for _ in range(count):\n            stack.callback(queue.put, None)\n"
                "        for task in tasks:\n            queue.put(task)\n"
            ),
        },
    ),
    "08.3": Cases(
        mutants={
            "adds at each call": Mutant(
                {ADDS: "    root.addHandler(logging.handlers.QueueHandler(queue))\n"},
                "after the second call, one record came 2 times. Hint: a logger keeps the handlers",
                "root.addHandler(logging.handlers.QueueHandler(queue))",
            ),
            "no level": Mutant(
                {"    root.setLevel(level)\n": ""},
                "an INFO record did not come, and the level was INFO. Hint: in a spawned child, the root",
                "root.addHandler(logging.handlers.QueueHandler(queue))",
            ),
            "all levels": Mutant(
                {"setLevel(level)": "setLevel(logging.DEBUG)"},
                "a DEBUG record came, and the level was INFO",
                "root.setLevel(logging.DEBUG)",
            ),
            "one logger": Mutant(
                {"getLogger()": 'getLogger("shop")'},
                "a record of the root logger did not come. Hint: records go up to the root logger's",
                "root.addHandler(logging.handlers.QueueHandler(queue))",
            ),
            "a listener": Mutant(
                {
                    ADDS: "    listener = logging.handlers.QueueListener(queue, logging.StreamHandler())\n"
                    "    listener.start()\n"
                },
                "no record came. Hint: the child needs a QueueHandler at its root logger; a QueueListener is",
                "listener = logging.handlers.QueueListener(queue, logging.StreamHandler())",
            ),
            "a format": Mutant(
                {
                    "    root.setLevel(level)\n": "    handlers = [logging.handlers.QueueHandler(queue)]\n",
                    ADDS: "    logging.basicConfig(level=level, handlers=handlers)\n",
                },
                "the text 'open' was logged, and 'INFO:shop:open' came. Hint: basicConfig() gives a handler",
                "logging.basicConfig(level=level, handlers=handlers)",
            ),
            "a handler of its own": Mutant(
                {
                    "def log_to": "class ToQueue(logging.Handler):\n    def __init__(self, queue):\n"
                    "        super().__init__()\n        self.queue = queue\n\n"
                    "    def emit(self, record):\n        self.queue.put(record)\n\n\ndef log_to",
                    "isinstance(handler, logging.handlers.QueueHandler)": "isinstance(handler, ToQueue)",
                    "addHandler(logging.handlers.QueueHandler(queue))": "addHandler(ToQueue(queue))",
                },
                "a record with an argument that can't be pickled did not come. Hint: a QueueHandler makes",
                "self.queue.put(record)",
            ),
            "texts": Mutant(
                {
                    "def log_to": "class ToQueue(logging.handlers.QueueHandler):\n"
                    "    def enqueue(self, record):\n"
                    "        self.queue.put(self.format(record))\n\n\ndef log_to",
                    "addHandler(logging.handlers.QueueHandler(queue))": "addHandler(ToQueue(queue))",
                },
                "out of the queue came 'open', which is no record. Hint: a QueueHandler puts the whole",
                "self.queue.put(self.format(record))",
            ),
        },
        others={
            "basicConfig": (
                "import logging\nfrom logging.handlers import QueueHandler\n\n\ndef log_to(queue, level):\n"
                "    handlers = [QueueHandler(queue)]\n    logging.basicConfig(\n"
                "        handlers=handlers, level=level, format='%(message)s', force=True\n    )\n"
            ),
            "the handlers replaced": {ADDS: "    root.handlers = [logging.handlers.QueueHandler(queue)]\n"},
            "a level of the handler, too": (
                "import logging\nimport logging.handlers\n\nhandlers = {}\n\n\ndef log_to(queue, level):\n"
                "    root = logging.getLogger()\n    root.setLevel(logging.NOTSET)\n    if not handlers:\n"
                "        handlers[0] = logging.handlers.QueueHandler(queue)\n"
                "        handlers[0].setLevel(level)\n    root.addHandler(handlers[0])\n"
            ),
        },
    ),
    "08.4": Cases(
        mutants={
            "with the lock": Mutant(
                {'        del state["lock"]\n': ""},
                "start() raised TypeError (cannot pickle '_thread.lock' object). Hint: with a method, its",
                "def __getstate__(self):",
            ),
            "not from a copy": Mutant(
                {"self.__dict__.copy()": "self.__dict__"},
                "after the start of the child, note() raised AttributeError ('SentLogbook' object has no",
                "def __getstate__(self):",
            ),
            "no new lock": Mutant(
                {MAKES_ONE: ""},
                "in the child, note() raised AttributeError ('SentLogbook' object has no attribute 'lock')",
                "def __setstate__(self, state):",
            ),
            "no texts": Mutant(
                {"self.__dict__.update(state)": "self.__init__()"},
                "the logbook in the child had 'started', and not 'opened', 'started'. Hint: all but the lock",
                "def __setstate__(self, state):",
            ),
            "a lock that is none": Mutant(
                {"import threading": "import contextlib", "threading.Lock()": "contextlib.nullcontext()"},
                "in the child, note() did not wait while another thread held the lock. Hint: make a lock",
                "def __setstate__(self, state):",
            ),
            "from the state": Mutant(
                {MAKES_ONE: '        self.lock = state["lock"]\n'},
                "the child failed before note() was called, as its logbook was made. Hint: look at what",
                "def __setstate__(self, state):",
            ),
            "predicts both": Mutant(
                {'return ["opened"]': 'return ["opened", "started"]'},
                "your prediction was ['opened', 'started'], and the logbook here has 'opened'. Hint: the",
                "def predict():",
            ),
            "__getstate__ alone": Mutant(
                {
                    LEAVES_OUT: "        ...\n",
                    "    def __getstate__(self):\n": "    def written(self):\n",
                    "        self.__dict__.update(state)\n"
                    + MAKES_ONE: "        raise NotImplementedError\n",
                },
                "start() raised TypeError (cannot pickle '_thread.lock' object)",
                "class SentLogbook(Logbook):",
            ),
        },
        others={
            "begins again": {
                LEAVES_OUT: '        return {"texts": self.texts}\n',
                "        self.__dict__.update(state)\n" + MAKES_ONE: (
                    '        self.__init__()\n        self.texts = state["texts"]\n'
                ),
            },
            "__reduce__, and a tuple": (
                "from ipc_helpers.workers.process_workers import Logbook\n\n\ndef predict():\n"
                "    return ('opened',)\n\n\nclass SentLogbook(Logbook):\n    def __reduce__(self):\n"
                "        return SentLogbook, (), {'texts': self.texts}\n"
            ),
            "a lock that is made when it is needed": (
                "import threading\n\n\ndef predict():\n    return ['opened']\n\n\nclass SentLogbook:\n"
                "    def __init__(self):\n        self.texts = []\n        self._lock = None\n\n"
                "    @property\n    def lock(self):\n        if self._lock is None:\n"
                "            self._lock = threading.Lock()\n        return self._lock\n\n"
                "    def note(self, text):\n        with self.lock:\n            self.texts.append(text)\n\n"
                "    def __getstate__(self):\n        return {**self.__dict__, '_lock': None}\n"
            ),
        },
    ),
    "08.5": Cases(
        mutants={
            "receives alone": Mutant(
                {WAITS: "    while True:\n"},
                "4 seconds after its parent was killed, the worker was still running. Hint: nobody sends",
                "task = connection.recv()",
            ),
            "receives in any case": Mutant(
                {WAITS: "    while wait([connection, parent.sentinel]):\n"},
                "the worker was still running. Hint: receive only if the connection is among those that",
                "task = connection.recv()",
            ),
            "a short patience": Mutant(
                {WAITS: "    while connection.poll(0.5):\n"},
                "for 1.2 seconds no task came, and the worker ended while its parent lived. Hint: a pause is",
                "while connection.poll(0.5):",
            ),
            "another parent": Mutant(
                {
                    "import multiprocessing\n": "import os\n",
                    "    parent = multiprocessing.parent_process()\n": "    parent = os.getppid()\n",
                    WAITS: "    while os.getppid() == parent:\n        if not connection.poll(0.5):\n"
                    "            continue\n",
                },
                "the worker was still running. Hint: ask parent_process(), which works on all systems",
                "task = connection.recv()",
            ),
            "the parent alone": Mutant(
                {"wait([connection, parent.sentinel])": "wait([parent.sentinel])"},
                "the task -1 had no answer after 4 seconds. Hint: wait for the connection and for the parent",
                "connection.send(function(task))",
            ),
            "sends nothing back": Mutant(
                {"connection.send(function(task))": "function(task)"},
                "the task -1 had no answer after 4 seconds. Hint: wait for the connection and for the parent",
                "while parent.sentinel not in wait([connection, parent.sentinel]):",
            ),
            "None is a task": Mutant(
                {"        if task is None:\n            break\n": ""},
                "serve raised TypeError (bad operand type for abs(): 'NoneType'). Hint: None says that no",
                "connection.send(function(task))",
            ),
            "goes on after None": Mutant(
                {"            break\n": "            continue\n"},
                "4 seconds after None, the worker was still running. Hint: no task comes after None",
                "task = connection.recv()",
            ),
            "a thread that stays": Mutant(
                (
                    "import os\nimport threading\nfrom multiprocessing import parent_process\n\n\n"
                    "def watch():\n    parent_process().join()\n    os._exit(1)\n\n\n"
                    "def serve(connection, function):\n    threading.Thread(target=watch).start()\n"
                    "    for task in iter(connection.recv, None):\n"
                    "        connection.send(function(task))\n"
                ),
                "4 seconds after None, the worker was still running. Hint: no task comes after None",
                "def serve(connection, function):",
            ),
            "asks at the import": Mutant(
                {
                    "    parent = multiprocessing.parent_process()\n": "",
                    "def serve": "parent = multiprocessing.parent_process()\n\n\ndef serve",
                },
                "serve raised AttributeError ('NoneType' object has no attribute 'sentinel'). Hint: call",
                "while parent.sentinel not in wait([connection, parent.sentinel]):",
            ),
        },
        others={
            "asks while it waits": {
                WAITS: "    while parent.is_alive():\n        if not connection.poll(0.5):\n"
                "            continue\n"
            },
            "a thread that ends the process": (
                "import os\nimport threading\nfrom multiprocessing import parent_process\n\n\ndef watch():\n"
                "    parent_process().join()\n    os._exit(1)\n\n\ndef serve(connection, function):\n"
                "    threading.Thread(target=watch, daemon=True).start()\n"
                "    for task in iter(connection.recv, None):\n        connection.send(function(task))\n"
            ),
            "the parent first": {
                WAITS: "    while True:\n        ready = wait([connection, parent.sentinel])\n"
                "        if parent.sentinel in ready:\n            break\n"
            },
        },
    ),
}
