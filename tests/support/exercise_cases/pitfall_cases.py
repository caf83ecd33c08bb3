"""Workers for the exercises on pitfalls."""

from __future__ import annotations

from exercise_cases import Cases, Mutant

CASES = {
    "06.1": Cases(
        mutants={
            "catches another": Mutant(
                {"queue.Empty": "TimeoutError"},
                "get_or raised Empty. Hint: a queue has an exception of its own",
                "return messages.get(timeout=seconds)",
            ),
            "the seconds as block": Mutant(
                {"timeout=seconds": "seconds"},
                "get_or waits in get() forever. Hint: give get() its timeout by name",
                "return messages.get(seconds)",
            ),
            "does not wait": Mutant(
                {"messages.get(timeout=seconds)": "messages.get_nowait()"},
                "the worker had left before",
                "return messages.get_nowait()",
            ),
            "asks empty": Mutant(
                "def get_or(messages, seconds, default):\n    if messages.empty():\n"
                "        return default\n    return messages.get()\n",
                "the worker had left before",
                "if messages.empty():",
            ),
            "looks at the truth of it": Mutant(
                {"messages.get(timeout=seconds)": "messages.get(timeout=seconds) or default"},
                "the message 0 came, and the worker returned 'no news'. Hint: a message may be 0",
                "return messages.get(timeout=seconds) or default",
            ),
            "forgets the default": Mutant(
                {"        return default\n": "        pass\n"},
                "nothing came in time, and the worker returned None",
                "def get_or(messages, seconds, default):",
            ),
        },
        others={
            "by position": {"timeout=seconds": "True, seconds"},
            "any exception": {"except queue.Empty": "except Exception"},
            "in small steps": (
                "import time\nfrom queue import Empty\n\n\ndef get_or(messages, seconds, default):\n"
                "    ends_at = time.monotonic() + seconds\n    while time.monotonic() < ends_at:\n"
                "        try:\n            return messages.get(timeout=0.01)\n"
                "        except Empty:\n            continue\n    return default\n"
            ),
        },
    ),
    "06.2": Cases(
        mutants={
            "by a signal": Mutant(
                {"messages.put(None)": "consumer.terminate()"},
                "took the read lock of the queue along",
                "consumer.terminate()",
            ),
            "by another signal": Mutant(
                {"messages.put(None)": "consumer.kill()"},
                "and took the read lock of the queue along",
                "consumer.kill()",
            ),
            "no sentinel": Mutant(
                {"    messages.put(None)\n": ""},
                "dismiss waits in join() forever. Hint: the consumer waits for a message",
                "consumer.join()",
            ),
            "does not join": Mutant(
                {"    consumer.join()\n": ""},
                "the consumer still ran when the worker returned None",
                "messages.put(None)",
            ),
            "returns nothing": Mutant(
                {"    return consumer.exitcode\n": ""},
                "the consumer ended with exit code 0, and the worker returned None",
                "def dismiss(messages, consumer):",
            ),
            "put after close": Mutant(
                {"    messages.put(None)\n": "    messages.close()\n    messages.put(None)\n"},
                "dismiss raised ValueError",
                "messages.put(None)",
            ),
        },
        others={
            "with a limit": {"consumer.join()": "consumer.join(timeout=60)"},
            "by its sentinel, and closed": (
                "from multiprocessing.connection import wait\n\n\ndef dismiss(messages, consumer):\n"
                "    messages.put_nowait(None)\n    wait([consumer.sentinel])\n    consumer.join()\n"
                "    code = consumer.exitcode\n    consumer.close()\n    return code\n"
            ),
        },
    ),
    "06.3": Cases(
        mutants={
            "no limit": Mutant(
                {"process.join(seconds)": "process.join(timeout=None)"},
                "exit_codes waits in join() forever. Hint: one of the processes never ends",
                "process.join(timeout=None)",
            ),
            "does not wait": Mutant(
                {"    for process in processes:\n        process.join(seconds)\n": ""},
                "a process that ends in half a second had 5, and",
                "process.join()",
            ),
            "reads them too late": Mutant(
                {
                    "    codes = [process.exitcode for process in processes]\n": "",
                    "    return codes\n": "    return [process.exitcode for process in processes]\n",
                },
                "for get_word, which still ran, exit_codes() returned -15",
                "process.terminate()",
            ),
            "leaves one": Mutant(
                {
                    "    codes = [process.exitcode for process in processes]\n"
                    "    for process in processes:\n        process.terminate()\n        process.join()\n"
                    "    return codes\n": "    return [process.exitcode for process in processes]\n"
                },
                "'get_word' still ran when exit_codes() returned",
                "def exit_codes(processes, seconds):",
            ),
            "leaves out what runs": Mutant(
                {"for process in processes]": "for process in processes if not process.is_alive()]"},
                "the None is missing, or not in its place",
                "def exit_codes(processes, seconds):",
            ),
            "a wrong prediction": Mutant(
                {"(0, None, 0, 1)": "(0, None, 1, 1)"},
                "your prediction was (0, None, 1, 1), and the exit codes are (0, None, 0, 1)",
                "def predict():",
            ),
        },
        others={
            "one after the other, and lists": (
                "def predict():\n    return [0, None, 0, 1]\n\n\ndef exit_codes(processes, seconds):\n"
                "    codes = []\n    for process in processes:\n        process.join(timeout=seconds)\n"
                "        codes.append(process.exitcode)\n        if process.is_alive():\n"
                "            process.kill()\n            process.join()\n        process.close()\n"
                "    return tuple(codes)\n"
            ),
            "a sleep": {
                "    for process in processes:\n        process.join(seconds)\n": "    time.sleep(seconds)\n",
                "def predict():": "import time\n\n\ndef predict():",
            },
        },
    ),
    "06.4": Cases(
        mutants={
            "no except": Mutant(
                {
                    "        try:\n            results.put((task, function(task)))\n"
                    "        except Exception as error:\n            results.put((task, repr(error)))\n": (
                        "        results.put((task, function(task)))\n"
                    )
                },
                "Hint: the function may raise: catch that",
                "results.put((task, function(task)))",
            ),
            "ends with the first": Mutant(
                {"results.put((task, repr(error)))": "return results.put((task, repr(error)))"},
                "after the task that raised, the worker ended",
                "results.put((task, function(task)))",
            ),
            "hides it": Mutant(
                {"results.put((task, repr(error)))": "continue", " as error": ""},
                "for the task that raised, no result came",
                "results.put((task, function(task)))",
            ),
            "the exception itself": Mutant(
                {"repr(error)": "error"},
                "'3,50'\")). Hint: put the task, and the repr of the exception",
                "results.put((task, function(task)))",
            ),
            "its text": Mutant(
                {"repr(error)": "str(error)"},
                "for the task that raised came ('3,50', \"could not convert",
                "results.put((task, function(task)))",
            ),
            "no timeout": Mutant(
                {"timeout=seconds": ""},
                "serve, left without tasks, waits in get() forever. Hint: no task comes any more",
                "task = tasks.get()",
            ),
            "no patience": Mutant(
                {"timeout=seconds": "timeout=0.05"},
                "one of three tasks was answered",
                "task = tasks.get(timeout=0.05)",
            ),
            "the sentinel as a task": Mutant(
                {"        if task is None:\n            return\n": ""},
                "the sentinel None was taken for a task",
                "task = tasks.get(timeout=seconds)",
            ),
            "goes on after None": Mutant(
                {"            return\n        try:": "            continue\n        try:"},
                "after None, a task was answered",
                "task = tasks.get(timeout=seconds)",
            ),
            "one try for both": Mutant(
                {
                    "        except Empty:\n            return\n": "",
                    "        try:\n            results.put": "            results.put",
                    "        if task is None:\n            return\n": (
                        "            if task is None:\n                return\n"
                    ),
                },
                "after the last task nothing came, and out of the results came ('1', 1.0), ('1', 'Empty()')",
                "results.put((task, function(task)))",
            ),
            "no catch of Empty": Mutant(
                {
                    "        try:\n            task = tasks.get(timeout=seconds)\n"
                    "        except Empty:\n            return\n": (
                        "        task = tasks.get(timeout=seconds)\n"
                    )
                },
                "serve, left without tasks, raised Empty. Hint: no task came in time",
                "task = tasks.get(timeout=seconds)",
            ),
            "returns them": Mutant(
                {
                    "    while True:\n": "    found = []\n    while True:\n",
                    "        if task is None:\n            return\n": (
                        "        if task is None:\n            return found\n"
                    ),
                    "results.put((task, function(task)))": "found.append((task, function(task)))",
                    "results.put((task, repr(error)))": "found.append((task, repr(error)))",
                },
                "and put nothing. Hint: put a result for each task",
                "def serve(tasks, results, function, seconds):",
            ),
            "results alone": Mutant(
                {"(task, function(task))": "function(task)"},
                ", 4.0. Hint: for each task put a pair: the task, and what",
                "results.put(function(task))",
            ),
        },
        others={
            "one try outside, one inside": (
                "import queue\n\n\ndef serve(tasks, results, function, seconds):\n    try:\n"
                "        for task in iter(lambda: tasks.get(True, seconds), None):\n            try:\n"
                "                outcome = function(task)\n            except Exception as error:\n"
                "                outcome = repr(error)\n            results.put([task, outcome])\n"
                "    except queue.Empty:\n        pass\n    results.close()\n    results.join_thread()\n"
            )
        },
    ),
    "06.5": Cases(
        mutants={
            "keeps its copy": Mutant(
                {"        sender.close()\n": ""},
                "supervise waits in recv() forever. Hint: no message comes, and a pipe ends once",
                "messages.append(receiver.recv())",
            ),
            "closes before the start": Mutant(
                {
                    "        producer.start()\n        sender.close()\n": (
                        "        sender.close()\n        producer.start()\n"
                    )
                },
                "supervise raised OSError",
                "producer.start()",
            ),
            "joins first": Mutant(
                {
                    "        sender.close()\n": "        sender.close()\n        producer.join()\n",
                    "        producer.join()\n        if": "        if",
                },
                "supervise waits in join() forever. Hint: the process that it joins sends more",
                "producer.join()",
            ),
            "does not catch the end": Mutant(
                {"suppress(EOFError, OSError)": "suppress(OSError)"},
                "supervise raised EOFError. Hint: this is the end of a run",
                "messages.append(receiver.recv())",
            ),
            "no look at the exit code": Mutant(
                {"        if producer.exitcode == 0:\n            return": "        return"},
                "a message of a run that failed is among those that were returned. Hint: the pipe ends when",
                "messages.append(receiver.recv())",
            ),
            "keeps a part": Mutant(
                {
                    "        messages = []\n": "",
                    "    for run in range(tries):\n": "    messages = []\n    for run in range(tries):\n",
                },
                "a message of a run that failed is among those",
                "messages.append(receiver.recv())",
            ),
            "looks too early": Mutant(
                {
                    "        producer.join()\n        if producer.exitcode == 0:\n": (
                        "        code = producer.exitcode\n        producer.join()\n        if code == 0:\n"
                    )
                },
                "the third run ended well, and the worker returned None after 4 runs",
                "producer.join()",
            ),
            "does not join": Mutant(
                {
                    "        producer.join()\n        if producer.exitcode == 0:\n": (
                        "        if not producer.exitcode and len(messages) > 1:\n"
                    )
                },
                "a producer still ran when the worker returned. Hint: join each producer",
                "producer.start()",
            ),
            "one try": Mutant(
                {"range(tries)": "range(1)"},
                "with tries=4, the worker gave up after 1 of them",
                "def supervise(ctx, produce, tries):",
            ),
            "one try too many": Mutant(
                {"range(tries)": "range(tries + 1)"},
                "with tries=2, a producer that always fails was started 3 times",
                "def supervise(ctx, produce, tries):",
            ),
            "an empty list": Mutant(
                {"    return None\n": "    return []\n"},
                "each run failed, and the worker returned []",
                "def supervise(ctx, produce, tries):",
            ),
            "counted from 1": Mutant(
                {"args=(sender, run)": "args=(sender, run + 1)"},
                "produce was started for these runs: 1, 2. Hint: start a process for each run; the first",
                "producer = ctx.Process(target=produce, args=(sender, run + 1))",
            ),
        },
        others={
            "a helper, and a limit for each wait": (
                "def supervise(ctx, produce, tries):\n    run = 0\n    while run < tries:\n"
                "        ours, theirs = ctx.Pipe()\n"
                "        process = ctx.Process(target=produce, args=(theirs, run), daemon=True)\n"
                "        with theirs:\n            process.start()\n        messages = [*receive_all(ours)]\n"
                "        process.join(60)\n        if not process.exitcode:\n"
                "            return tuple(messages)\n        process.close()\n        run += 1\n\n\n"
                "def receive_all(connection):\n    try:\n"
                "        while connection.poll(60):\n            yield connection.recv()\n"
                "    except EOFError:\n        connection.close()\n"
            ),
            "looks at the process instead": {
                "        sender.close()\n": "",
                "        with suppress(EOFError, OSError):  # OSError: it ended within a message\n"
                "            while True:\n": (
                    "        while receiver.poll(0.05) or producer.is_alive():\n"
                    "            if receiver.poll():\n"
                ),
            },
        },
    ),
}
