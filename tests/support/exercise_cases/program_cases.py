"""What readers might write for the exercises on programs that start and stop."""

from __future__ import annotations

from exercise_cases import Cases, Mutant

LOOKS = "        if stop.is_set():\n            break\n"
FINALLY = (
    "    finally:\n        for _ in workers:\n            queue.put(None)\n"
    "        for worker in workers:\n            worker.join()\n"
)
PUTS = "    try:\n        for task in tasks:\n            queue.put(task)\n"
SENTINELS = "        for _ in workers:\n            queue.put(None)\n"
JOINS = "        for worker in workers:\n            worker.join()\n"
ADDS = (
    "    if not any(isinstance(handler, logging.handlers.QueueHandler) for handler in root.handlers):\n"
    "        root.addHandler(logging.handlers.QueueHandler(queue))\n"
)
MAKES_ONE = "        self.__dict__.update(state)\n        self.lock = threading.Lock()\n"
LEAVES_OUT = '        state = self.__dict__.copy()\n        del state["lock"]\n        return state\n'
WAITS = "    while connection in wait([connection, parent.sentinel]):\n"

CASES = {
    "08.1": Cases(
        mutants={
            "never looks": Mutant(
                {LOOKS: ""},
                "the event was set during step 3, and 3 more steps began. Hint: ask the event before each",
                "results.append(function(step))",
            ),
            "looks once": Mutant(
                {
                    LOOKS: "",
                    "    results = []\n": "    results = []\n    if stop.is_set():\n        return results\n",
                },
                "the event was set during step 3, and 3 more steps began",
                "if stop.is_set():",
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
            "pairs": Mutant(
                {"results.append(function(step))": "results.append((step, function(step)))"},
                "without the event, the worker returned (1, 1), (2, 4)",
                "results.append((step, function(step)))",
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
                    "    for _ in workers:\n        queue.put(None)\n"
                    "    for worker in workers:\n        worker.join()\n"
                },
                "2 workers still ran when feed() ended with KeyboardInterrupt. Hint: put the sentinels and",
                "queue.put(None)",
            ),
            "except Exception": Mutant(
                {
                    FINALLY: "    except Exception:\n"
                    + SENTINELS
                    + JOINS
                    + "        raise\n    else:\n"
                    + SENTINELS
                    + JOINS
                },
                "2 workers still ran when feed() ended with KeyboardInterrupt. Hint: put the sentinels and",
                "queue.put(None)",
            ),
            "the interrupt alone": Mutant(
                {
                    FINALLY: "    except KeyboardInterrupt:\n"
                    + SENTINELS
                    + JOINS
                    + "        raise\n"
                    + (SENTINELS + JOINS).replace("        ", "    ")
                },
                "2 workers still ran when feed() ended with the exception of the tasks",
                "queue.put(None)",
            ),
            "swallows it": Mutant(
                {"    finally:\n": "    except BaseException:\n        pass\n    finally:\n"},
                "KeyboardInterrupt did not reach the caller of feed(). Hint: a finally block",
                "def feed(ctx, work, tasks, count):",
            ),
            "returns in finally": Mutant(
                {JOINS: JOINS + "        return\n"},
                "KeyboardInterrupt did not reach the caller of feed()",
                "def feed(ctx, work, tasks, count):",
            ),
            "terminates": Mutant(
                {SENTINELS: "        for worker in workers:\n            worker.terminate()\n"},
                "had been done when feed() ended with KeyboardInterrupt. Hint: a worker that is terminated",
                "worker.terminate()",
            ),
            "one sentinel": Mutant(
                {SENTINELS: "        queue.put(None)\n"},
                "feed, interrupted, waits in join() forever. Hint: a worker ends when it gets None, and",
                "worker.join()",
            ),
            "joins first": Mutant(
                {SENTINELS + JOINS: JOINS + SENTINELS},
                "waits in join() forever. Hint: a worker ends when it gets None",
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
            "level of the handler": Mutant(
                {
                    "    root.setLevel(level)\n": "    handler = logging.handlers.QueueHandler(queue)\n"
                    "    handler.setLevel(level)\n",
                    "root.addHandler(logging.handlers.QueueHandler(queue))": "root.addHandler(handler)",
                    "handler in root.handlers": "known in root.handlers",
                    "isinstance(handler,": "isinstance(known,",
                },
                "an INFO record did not come, and the level was INFO. Hint: in a spawned child, the root",
                "handler.setLevel(level)",
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
            "basicConfig alone": Mutant(
                {ADDS: "", "root.setLevel(level)": "logging.basicConfig(level=level)"},
                "no record came. Hint: the child needs a QueueHandler",
                "logging.basicConfig(level=level)",
            ),
            "a listener": Mutant(
                {
                    ADDS: "    listener = logging.handlers.QueueListener(queue, logging.StreamHandler())\n"
                    "    listener.start()\n"
                },
                "no record came. Hint: the child needs a QueueHandler at its root logger; a QueueListener is",
                "listener = logging.handlers.QueueListener(queue, logging.StreamHandler())",
            ),
            "returns a handler": Mutant(
                {ADDS: "    return logging.handlers.QueueHandler(queue)\n"},
                "log_to() returned '<QueueHandler>', and no record came. Hint: add a QueueHandler to the",
                "def log_to(queue, level):",
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
            "imports logging alone": Mutant(
                {
                    "import logging.handlers\n": "",
                    "QueueHandler) for": "StreamHandler) for",
                    "isinstance(handler, logging.handlers.": "isinstance(handler, logging.",
                    "addHandler(logging.handlers.": "addHandler(logging.handler.",
                },
                "log_to raised AttributeError",
                "root.addHandler(logging.handler.QueueHandler(queue))",
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
                "lock' object). Hint: with a method, its whole object is sent to the child, and a lock can't",
                "child.start()",
            ),
            "not from a copy": Mutant(
                {"self.__dict__.copy()": "self.__dict__"},
                "add_in_child raised AttributeError ('Counter' object has no attribute 'lock'). Hint: where",
                "with self.lock:",
            ),
            "no new lock": Mutant(
                {MAKES_ONE: "        self.__dict__.update(state)\n"},
                "work raised AttributeError ('Counter' object has no attribute 'lock'). Hint: where is the",
                "with self.lock:",
            ),
            "the copy's total": Mutant(
                {"counter.total = totals.get()": "totals.get()"},
                "the child had to add 1, 2, 3 to 11, and counter.total is still 11 here. Hint: the child has",
                "totals.get()",
            ),
            "reads its own": Mutant(
                {
                    "    counter.total = totals.get()\n": "",
                    "child.join()": "child.join()\n    return counter.total",
                },
                "and counter.total is still 11 here. Hint: the child has a copy of the counter",
                "child.start()",
            ),
            "adds the total": Mutant(
                {"counter.total = totals": "counter.total += totals"},
                "to 11, and counter.total is 28 here. Hint: the total that the child puts is the new one",
                "counter.total += totals.get()",
            ),
            "calls the method": Mutant(
                {"target=counter.work, args=(numbers, totals)": "target=counter.work(numbers, totals)"},
                "add_in_child raised RuntimeError (the method was called in the parent). Hint: target takes",
                "self.total += number",
            ),
            "no lock any more": Mutant(
                {
                    "total = total\n        self.lock = threading.Lock()\n": "total = total\n",
                    "        with self.lock:\n            self": "        self",
                    LEAVES_OUT: "        return self.__dict__\n",
                    MAKES_ONE: "        self.__dict__.update(state)\n",
                },
                "two threads added 1 each at the same time, and the total rose by 1. Hint: one thread has to",
                "def add(self, number):",
            ),
        },
        others={
            "__reduce__": {
                "def __getstate__": "def __reduce__",
                LEAVES_OUT: "        return Counter, (self.total,)\n",
            },
            "begins again": {
                LEAVES_OUT: '        return {"total": self.total}\n',
                MAKES_ONE: ('        self.__init__(state["total"])\n'),
            },
            "one lock for all counters of a process, and a pipe of its own": (
                "import threading\n\nlock = threading.Lock()\n\n\nclass Counter:\n"
                "    def __init__(self, total):\n        self.total = total\n\n"
                "    def add(self, number):\n        with lock:\n            self.total += number\n\n"
                "    def work(self, numbers, sender):\n        for number in numbers:\n"
                "            self.add(number)\n        sender.send(self.total)\n\n\n"
                "def add_in_child(ctx, counter, numbers):\n"
                "    receiver, sender = ctx.Pipe(duplex=False)\n"
                "    ctx.Process(target=counter.work, args=(numbers, sender)).start()\n"
                "    counter.total = receiver.recv()\n"
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
            "asks between tasks": Mutant(
                {WAITS: "    while parent.is_alive():\n"},
                "4 seconds after its parent was killed, the worker was still running. Hint: nobody sends",
                "task = connection.recv()",
            ),
            "the end of file": Mutant(
                {
                    WAITS: "    while True:\n",
                    "task = connection.recv()": "try:\n            task = connection.recv()\n"
                    "        except EOFError:\n            break",
                },
                "the worker was still running. Hint: nobody sends, and no end of file comes: wait for",
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
                "while connection in wait([connection, parent.sentinel]):",
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
                "while connection in wait([connection, parent.sentinel]):",
            ),
            "sends the task": Mutant(
                {"connection.send(function(task))": "connection.send((task, function(task)))"},
                "for -1, -2, -3 came (-1, 1), (-2, 2), (-3, 3). Hint: send what the function returns",
                "connection.send((task, function(task)))",
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
