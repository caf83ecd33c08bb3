"""Workers for the exercises on programs of queues and pipes."""

from __future__ import annotations

from exercise_cases import Cases, Mutant

CASES = {
    "05.1": Cases(
        mutants={
            "one sentinel": Mutant(
                {"    for _ in range(consumers):\n        queue.put(None)\n": "    queue.put(None)\n"},
                "1 sentinel came for 3 consumers. Hint: put None once for each",
                "queue.put(None)",
            ),
            "no sentinel": Mutant(
                {"    for _ in range(consumers):\n        queue.put(None)\n": ""},
                "no sentinel came for 3 consumers",
                "queue.put(message)",
            ),
            "a sentinel after each": Mutant(
                {
                    "    for _ in range(consumers):\n        queue.put(None)\n": "",
                    "        queue.put(message)\n": "        queue.put(message)\n        queue.put(None)\n",
                },
                "a sentinel came before the last message",
                "queue.put(None)",
            ),
            "a list of sentinels": Mutant(
                {
                    "    for _ in range(consumers):\n        queue.put(None)\n": (
                        "    queue.put([None] * consumers)\n"
                    )
                },
                "a list came in one message",
                "queue.put([None] * consumers)",
            ),
            "returned instead of put": Mutant(
                "def send_to_all(queue, messages, consumers):\n    return messages + [None] * consumers\n",
                "the worker returned ['a', 'b', 'c', 'd', None, None, None], and put nothing",
                "def send_to_all(queue, messages, consumers):",
            ),
            "everything for each": Mutant(
                {
                    "    for message in messages:\n        queue.put(message)\n": "",
                    "        queue.put(None)\n": (
                        "        for message in [*messages, None]:\n            queue.put(message)\n"
                    ),
                },
                "out of the queue came 'a', 'b', 'c', 'd', None, 'a'",
                "queue.put(message)",
            ),
        },
        others={
            "one loop, and close": (
                "def send_to_all(queue, messages, consumers):\n"
                "    for message in [*messages, *[None] * consumers]:\n"
                "        queue.put(message, timeout=10)\n    queue.close()\n    queue.join_thread()\n"
            )
        },
    ),
    "05.2": Cases(
        mutants={
            "keeps the sentinel": Mutant(
                {"    outbox.put(None)\n": ""},
                "no sentinel came out of a stage of 2 workers",
                "outbox.put(number)",
            ),
            "never returns": Mutant(
                {
                    "    for number in iter(inbox.get, None):\n        if number": (
                        "    while True:\n        number = inbox.get()\n        if number is None or number"
                    ),
                    "    outbox.put(None)\n": "",
                },
                "keep_even waits in get() forever. Hint: after None, no message comes",
                "number = inbox.get()",
            ),
            "a sentinel for each worker": Mutant(
                {"    outbox.put(None)\n": "    outbox.put(None)\n    outbox.put(None)\n"},
                "4 sentinels came out of a stage of 2 workers",
                "outbox.put(None)",
            ),
            "the odd ones": Mutant(
                {"% 2 == 0": "% 2"},
                "of the numbers 1 to 6, 1, 3, 5 came out of the stage",
                "outbox.put(number)",
            ),
            "back into the first queue": Mutant(
                {"outbox.put(number)": "inbox.put(number)", "    outbox.put(None)\n": ""},
                "of the numbers 1 to 6, nothing came out of the stage",
                "inbox.put(number)",
            ),
            "returned instead of put": Mutant(
                {
                    "    for number in iter(inbox.get, None):\n        if number % 2 == 0:\n"
                    "            outbox.put(number)\n    outbox.put(None)\n": (
                        "    return len(list(iter(inbox.get, None)))\n"
                    )
                },
                "and put nothing. Hint: nobody sees what a process returns",
                "def keep_even(inbox, outbox):",
            ),
            "predicts one sentinel": Mutant(
                {"(5, 2)": "(4, 1)"},
                "your prediction was (4, 1), and 5 messages came, 2 of them None",
                "def predict():",
            ),
        },
        others={
            "a while loop, a list and close": {
                "(5, 2)": "[5, 2]",
                "    for number in iter(inbox.get, None):\n        if": (
                    "    while (number := inbox.get()) is not None:\n        if"
                ),
                "    outbox.put(None)\n": "    outbox.put(None)\n    outbox.close()\n",
            },
            "all at the end": {
                "    for number in iter(inbox.get, None):\n        if number % 2 == 0:\n"
                "            outbox.put(number)\n    outbox.put(None)\n": (
                    "    for number in [n for n in iter(inbox.get, None) if not n % 2] + [None]:\n"
                    "        outbox.put(number)\n"
                )
            },
        },
    ),
    "05.3": Cases(
        mutants={
            "no finally": Mutant(
                {
                    "        finally:\n            tasks.task_done()\n": "",
                    "function(task)))\n": "function(task)))\n            tasks.task_done()\n",
                },
                "task_done() was not called for the task -1. Hint: call it for a task that raised, too",
                "tasks.task_done()",
            ),
            "not for the sentinel": Mutant(
                {
                    "        try:\n            if task is None:\n                return\n": (
                        "        if task is None:\n            return\n        try:\n"
                    )
                },
                "one message is unfinished when the worker has returned: the sentinel",
                "tasks.task_done()",
            ),
            "too early": Mutant(
                {
                    "        finally:\n            tasks.task_done()\n": "",
                    "tasks.get()\n": "tasks.get()\n        tasks.task_done()\n",
                },
                "task_done() was called for the task 4 before its work was done",
                "tasks.task_done()",
            ),
            "never": Mutant(
                {"        finally:\n            tasks.task_done()\n": ""},
                "task_done() was never called: a join() would wait for 5 messages",
                "def answer(tasks, results, function):",
            ),
            "one type alone": Mutant(
                {"except Exception": "except ValueError"},
                "Hint: the function may raise anything",
                "results.put((task, function(task)))",
            ),
            "twice": Mutant(
                {"function(task)))\n": "function(task)))\n            tasks.task_done()\n"},
                "Hint: did the function raise it, or task_done()",
                "tasks.task_done()",
            ),
            "never returns": Mutant(
                {"                return\n": "                continue\n"},
                "answer waits in get() forever. Hint: after None, the sentinel, no message comes",
                "task = tasks.get()",
            ),
            "joins": Mutant(
                {"                return\n": "                return tasks.join()\n"},
                "Hint: you are the one who calls task_done()",
                "return tasks.join()",
            ),
            "answers alone": Mutant(
                {"results.put((task, function(task)))": "results.put(function(task))"},
                "out of the results came",
                "results.put(function(task))",
            ),
        },
        others={
            "no finally, a call at each way": (
                "def answer(tasks, results, function):\n    for task in iter(tasks.get, None):\n"
                "        try:\n            found = function(task)\n        except Exception as error:\n"
                "            found = error.__class__.__name__\n        results.put([task, found])\n"
                "        tasks.task_done()\n    tasks.task_done()\n"
            )
        },
    ),
    "05.4": Cases(
        mutants={
            "as they come": Mutant(
                {
                    "dict(results.get() for _ in todo)": "[results.get()[1] for _ in todo]",
                    "[answers[task] for task in todo]": "answers",
                },
                "the answers came in the order in which they were ready: ",
                "answers = [results.get()[1] for _ in todo]",
            ),
            "one sentinel": Mutant(
                {"*[None] * workers": "None"},
                "run_tasks waits in join() forever. Hint: a worker ends when it got a None of its own",
                "child.join()",
            ),
            "join before get": Mutant(
                {
                    "    answers = dict(results.get() for _ in todo)\n": "",
                    "    return [": "    answers = dict(results.get() for _ in todo)\n    return [",
                },
                "run_tasks waits in join() forever. Hint: a worker ends when",
                "child.join()",
            ),
            "no sentinel and no join": Mutant(
                {", *[None] * workers": "", "    for child in crew:\n        child.join()\n": ""},
                "nobody is left who puts a message or a sentinel",
                "def run_tasks(ctx, worker, todo, workers):",
            ),
            "sentinels and no join": Mutant(
                {"    for child in crew:\n        child.join()\n": ""},
                "still ran when the function returned",
                "child.start()",
            ),
            "daemons and no sentinel": Mutant(
                {
                    ", *[None] * workers": "",
                    "    for child in crew:\n        child.join()\n": "",
                    "results))": "results), daemon=True)",
                },
                "2 workers did not get a sentinel",
                "tasks.put(message)",
            ),
            "waits for a sentinel": Mutant(
                {"dict(results.get() for _ in todo)": "dict(iter(results.get, None))"},
                "run_tasks waits in get() forever. Hint: one result comes for each task",
                "answers = dict(iter(results.get, None))",
            ),
            "until it is empty": Mutant(
                {
                    "    answers = dict(results.get() for _ in todo)\n": (
                        "    answers = []\n    while not results.empty():\n"
                        "        answers.append(results.get()[1])\n"
                    ),
                    "[answers[task] for task in todo]": "answers",
                    "    for child in crew:\n        child.join()\n": "",
                    "results))": "results), daemon=True)",
                },
                "for the tasks a, b, c and d, nothing came back",
                "while not results.empty():",
            ),
            "looks up what did not come": Mutant(
                {
                    "    answers = dict(results.get() for _ in todo)\n": (
                        "    answers = {}\n    while not results.empty():\n"
                        "        answers.update([results.get()])\n"
                    ),
                    "    for child in crew:\n        child.join()\n": "",
                },
                "run_tasks raised KeyError ('a'). Hint: an answer is missing",
                "return [answers[task] for task in todo]",
            ),
            "one worker": Mutant(
                {"range(workers)": "range(1)"}, "2 workers were to be started, and 1 did", "child.start()"
            ),
            "a dictionary": Mutant(
                {"[answers[task] for task in todo]": "answers"},
                "}. Hint: return a list: look up the answer of each task",
                "def run_tasks(ctx, worker, todo, workers):",
            ),
            "pairs": Mutant(
                {"[answers[task] for task in todo]": "sorted(answers.items())"},
                "pairs came back",
                "def run_tasks(ctx, worker, todo, workers):",
            ),
        },
        others={
            "sentinels at the end, sorted": (
                "def run_tasks(ctx, worker, todo, workers):\n    tasks, results = ctx.Queue(), ctx.Queue()\n"
                "    crew = []\n    for _ in range(workers):\n"
                "        crew.append(ctx.Process(target=worker, args=(tasks, results), daemon=True))\n"
                "        crew[-1].start()\n    for task in todo:\n        tasks.put(task)\n"
                "    pairs = [results.get(timeout=30) for _ in todo]\n    for _ in crew:\n"
                "        tasks.put(None)\n    for child in crew:\n        child.join(30)\n"
                "    pairs.sort(key=lambda pair: todo.index(pair[0]))\n"
                "    return [answer for _, answer in pairs]\n"
            ),
            "bounded queues, few under way": (
                "def run_tasks(ctx, worker, todo, workers):\n"
                "    tasks, results = ctx.Queue(workers), ctx.SimpleQueue()\n"
                "    crew = [ctx.Process(target=worker, args=(tasks, results)) for _ in range(workers)]\n"
                "    [child.start() for child in crew]\n    answers = {}\n    left = list(todo)\n"
                "    for task in left[:workers]:\n        tasks.put(task)\n    left = left[workers:]\n"
                "    while len(answers) < len(todo):\n        task, answer = results.get()\n"
                "        answers[task] = answer\n        if left:\n            tasks.put(left.pop(0))\n"
                "    for child in crew:\n        tasks.put(None)\n    for child in crew:\n"
                "        child.join()\n        child.close()\n"
                "    return tuple(map(answers.get, todo))\n"
            ),
        },
    ),
    "05.5": Cases(
        mutants={
            "receives without a look": Mutant(
                {
                    "        connection.wait([end, child.sentinel])\n        if not end.poll():\n"
                    "            spare.send(request)\n            end = spare\n"
                    "        answers[request] = end.recv()\n": (
                        "        try:\n            answers[request] = end.recv()\n"
                        "        except EOFError:\n            spare.send(request)\n"
                        "            answers[request] = spare.recv()\n"
                    )
                },
                "finish waits in recv() forever. Hint: nothing comes from a worker that died",
                "answers[request] = end.recv()",
            ),
            "waits for the pipe alone": Mutant(
                {"[end, child.sentinel]": "[end]"},
                "forever. Hint: one worker answers and lives on",
                "connection.wait([end])",
            ),
            "waits for the end alone": Mutant(
                {"connection.wait([end, child.sentinel])": "child.join()"},
                "finish waits in join() forever. Hint: a worker that has answered waits",
                "child.join()",
            ),
            "does not wait": Mutant(
                {"        connection.wait([end, child.sentinel])\n": ""},
                "the worker of 'b' was alive and at work, and spare was asked for 'b' as well",
                "spare.send(request)",
            ),
            "the sentinel first": Mutant(
                {
                    "        connection.wait": "        ready = connection.wait",
                    "if not end.poll():": "if child.sentinel in ready:",
                },
                "the worker of 'a' had answered and ended, and spare was asked for 'a' again",
                "spare.send(request)",
            ),
            "leaves out the dead": Mutant(
                {
                    "        if not end.poll():\n            spare.send(request)\n            end = spare\n"
                    "        answers": "        if end.poll():\n            answers"
                },
                "the worker returned {'a': 'A', 'b': 'B'}. Hint: return a dictionary, from each request",
                "def finish(crew, spare):",
            ),
            "does not ask the spare one": Mutant(
                {"            spare.send(request)\n": ""},
                "finish waits in recv() forever",
                "answers[request] = end.recv()",
            ),
            "a list": Mutant(
                {"return answers": "return list(answers.values())"},
                "the worker returned ['A', 'B', 'C']",
                "def finish(crew, spare):",
            ),
        },
        others={
            "all at once": (
                "from multiprocessing.connection import wait\n\n\ndef finish(crew, spare):\n"
                "    answers, open_requests = {}, dict(crew)\n    while open_requests:\n"
                "        ready = wait([x for end, child in open_requests.values()\n"
                "                      for x in (end, child.sentinel)])\n"
                "        for request, (end, child) in list(open_requests.items()):\n"
                "            if end in ready or child.sentinel in ready:\n"
                "                del open_requests[request]\n                if not end.poll():\n"
                "                    spare.send(request)\n                    end = spare\n"
                "                answers[request] = end.recv()\n                child.join(0)\n"
                "    spare.send(None)\n    return answers\n"
            ),
            "polls": (
                "def finish(crew, spare):\n    answers = {}\n    for request, (end, child) in crew.items():\n"
                "        while not end.poll(0.05) and child.is_alive():\n            pass\n"
                "        if not end.poll():\n            spare.send(request)\n"
                "        answers[request] = (end if end.poll() else spare).recv()\n"
                "        end.close()\n    return answers\n"
            ),
        },
    ),
}
