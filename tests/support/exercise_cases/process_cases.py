"""Workers for the exercises on processes."""

from __future__ import annotations

from exercise_cases import Cases, Mutant

START_AND_JOIN = (
    "    for child in children:\n        child.start()\n    for child in children:\n        child.join()\n"
)

CASES = {
    "01.1": Cases(
        mutants={
            "returned instead of left": Mutant(
                {"sys.exit(len(text.split()))": "return len(text.split())"},
                "the worker returned 6, and the exit code was 0. Hint: a process throws away",
                "def count_words(text):",
            ),
            "printed": Mutant(
                {"sys.exit(len(text.split()))": "print(len(text.split()))"},
                "the worker printed something, and the exit code was 0",
                "print(len(text.split()))",
            ),
            "leaves without a number": Mutant(
                {"sys.exit(len(text.split()))": "count = len(text.split())\n    sys.exit()"},
                "for a text of 6 words, the exit code was 0. Hint: give sys.exit()",
                "sys.exit()",
            ),
            "leaves with a text": Mutant(
                {"sys.exit(len(text.split()))": "sys.exit(str(len(text.split())))"},
                "the exit code was 1 for each text. Hint: sys.exit() takes a number",
                "sys.exit(str(len(text.split())))",
            ),
            "counts letters": Mutant(
                {"text.split()": "text"}, "for a text of 6 words, the exit code was 21", "sys.exit(len(text))"
            ),
            "splits at each blank": Mutant(
                {"text.split()": "text.split(' ')"},
                "for a text of 6 words, the exit code was 7. Hint: words are what split() finds",
                "sys.exit(len(text.split(' ')))",
            ),
            "counts one word of an empty text": Mutant(
                {"len(text.split())": "max(1, len(text.split()))"},
                "for an empty text, the exit code was 1",
                "sys.exit(max(1, len(text.split())))",
            ),
        },
        others={
            "raises SystemExit": (
                "def count_words(text):\n    count = 0\n    for _ in text.split():\n        count += 1\n"
                "    raise SystemExit(count)\n"
            ),
            "returns from an empty text": {
                "    sys.exit(": "    if not text:\n        return 'nothing'\n    sys.exit("
            },
        },
    ),
    "01.2": Cases(
        mutants={
            "starts first": Mutant(
                {
                    "    numbers.append(0)\n": "",
                    "    child.join()\n": "    numbers.append(0)\n    child.join()\n",
                },
                "the child's exit code was 4: it got its copy of the list before you had appended",
                "child.start()",
            ),
            "does not join": Mutant(
                {"    child.join()\n": ""}, "prove() returned None for the exit code", "child.start()"
            ),
            "calls it": Mutant(
                {"target=append_one, args=(numbers,)": "target=append_one(numbers)"},
                "prove() returned nothing, and left with exit code 4: append_one ran in your own process",
                "child = ctx.Process(target=append_one(numbers))",
            ),
            "runs it": Mutant(
                {"child.start()": "child.run()"},
                "prove() returned nothing, and left with exit code 5: append_one ran in your own process",
                "child.run()",
            ),
            "joins what was not started": Mutant(
                {"    child.start()\n": ""},
                "prove raised AssertionError (can only join a started process)",
                "child.join()",
            ),
            "appends nothing": Mutant(
                {"    numbers.append(0)\n": ""}, "nothing was appended to the list here", "child.start()"
            ),
            "always the same": Mutant(
                {"return (child.exitcode, len(numbers))": "return predict()"},
                "for a list of five numbers, prove() returned (5, 4)",
                "def prove(ctx, numbers):",
            ),
            "takes memory for shared": Mutant(
                {"return (5, 4)": "return (5, 5)"},
                "your prediction was (5, 5), and it was (5, 4). Hint: the child appends to a copy",
                "def predict():",
            ),
            "takes the making for the copy": Mutant(
                {"return (5, 4)": "return 4, 4"},
                "your prediction was (4, 4), and it was (5, 4). Hint: the child got a copy. Was it made",
                "def predict():",
            ),
        },
        others={
            "lists, and a daemon": {
                "return (5, 4)": "return [5, 4]",
                "args=(numbers,))": "args=[numbers], daemon=True)",
                "child.join()": "while child.is_alive():\n        child.join(timeout=0.05)",
                "return (child.exitcode, len(numbers))": "return [child.exitcode, len(numbers)]",
            }
        },
    ),
    "01.3": Cases(
        mutants={
            "one after the other": Mutant(
                {START_AND_JOIN: "    for child in children:\n        child.start()\n        child.join()\n"},
                "count_all waits in join() forever. Hint: these children wait for each other",
                "child.join()",
            ),
            "does not join": Mutant(
                {START_AND_JOIN: "    for child in children:\n        child.start()\n"},
                "count_all() returned None, None, None while children still ran",
                "child.start()",
            ),
            "takes what join returns": Mutant(
                {
                    "    for child in children:\n        child.join()\n": "",
                    "[child.exitcode for": "[child.join() for",
                },
                "count_all() returned None, None, None. Hint: join() returns None in any case",
                "return [child.join() for child in children]",
            ),
            "without the comma": Mutant(
                {"args=(text,)": "args=(text)"},
                "a child was called with 14 arguments, and not with one text. Hint: args is a tuple",
                "children = [ctx.Process(target=worker, args=(text)) for text in texts]",
            ),
            "without the text": Mutant(
                {", args=(text,)": ""},
                "a child was called with no argument, and not with one text",
                "children = [ctx.Process(target=worker) for text in texts]",
            ),
            "all texts": Mutant(
                {"args=(text,)": "args=(texts,)"},
                "a child was called with 1 argument, and not with one text",
                "children = [ctx.Process(target=worker, args=(texts,)) for text in texts]",
            ),
            "calls it": Mutant(
                {"target=worker, args=(text,)": "target=worker(text)"},
                "count_all raised RuntimeError (count_words was called in the parent). Hint: target takes",
                "children = [ctx.Process(target=worker(text)) for text in texts]",
            ),
            "a list of the parent": Mutant(
                {"return [child.exitcode for child in children]": "return list(process_workers.counts)"}
                | {"def count_all(": "from ipc_helpers.workers import process_workers\n\n\ndef count_all("},
                "count_all() returned an empty list",
                "def count_all(ctx, worker, texts):",
            ),
            "counts here": Mutant(
                {"[child.exitcode for child in children]": "[len(text.split()) for text in texts]"}
                | {START_AND_JOIN: ""},
                "count_all() returned the right numbers, and 0 children had counted",
                "def count_all(ctx, worker, texts):",
            ),
            "another order": Mutant(
                {"for child in children]": "for child in reversed(children)]"},
                "the exit codes came in another order than the texts: 3, 2, 4",
                "def count_all(ctx, worker, texts):",
            ),
            "the children themselves": Mutant(
                {"[child.exitcode for child in children]": "children"},
                "'<SpawnProcess>', '<SpawnProcess>'. Hint: return the exitcode of each child",
                "def count_all(ctx, worker, texts):",
            ),
        },
        others={
            "loops, and a look now and then": (
                "import time\n\n\ndef count_all(ctx, worker, texts):\n    children = {}\n"
                "    for text in texts:\n"
                "        children[text] = ctx.Process(target=worker, kwargs={'text': text}, daemon=True)\n"
                "        children[text].start()\n"
                "    while any(child.is_alive() for child in children.values()):\n        time.sleep(0.01)\n"
                "    return tuple(child.exitcode for child in children.values())\n"
            ),
            "joins from the last one on": {
                "    for child in children:\n        child.join()\n": (
                    "    for child in children[::-1]:\n        child.join(timeout=60)\n"
                )
            },
        },
    ),
    "01.4": Cases(
        mutants={
            "without a limit": Mutant(
                {"process.join(timeout=seconds)": "process.join()"},
                "wait_or_end waits in join() forever. Hint: this process does not end by itself",
                "process.join()",
            ),
            "takes what join returns": Mutant(
                {
                    "    process.join(timeout=seconds)\n": "",
                    "if process.exitcode is not None:": "if process.join(timeout=seconds) is not None:",
                },
                "a process ended by itself, in time, and wait_or_end() returned False. Hint: join() returns",
                "if process.join(timeout=seconds) is not None:",
            ),
            "takes 0 for none": Mutant(
                {"if process.exitcode is not None:": "if process.exitcode:"},
                "a process ended by itself with exit code 0, and wait_or_end() returned False",
                "process.join(timeout=seconds)",
            ),
            "0 alone": Mutant(
                {"process.exitcode is not None": "process.exitcode == 0"},
                "a process left by itself with exit code 3, and wait_or_end() returned False",
                "def wait_or_end(process, seconds):",
            ),
            "does not wait": Mutant(
                {"    process.join(timeout=seconds)\n": ""},
                "a process that ends after a moment had 60 seconds, and was not given them",
                "process.terminate()",
            ),
            "does not end it": Mutant(
                {"    process.terminate()\n    process.join()\n": ""},
                "a process that does not end by itself still ran when wait_or_end() returned",
                "process.join(timeout=seconds)",
            ),
            "does not join again": Mutant(
                {"    process.join()\n": ""},
                "wait_or_end() ended a process, and did not wait until it had ended",
                "process.terminate()",
            ),
            "the wrong answer": Mutant(
                {"return False": "return True"},
                "a process had to be ended, and wait_or_end() returned True",
                "process.terminate()",
            ),
            "no answer": Mutant(
                {"    return False\n": ""},
                "wait_or_end() returned None",
                "def wait_or_end(process, seconds):",
            ),
        },
        others={
            "a look now and then, and kill": (
                "import time\n\n\ndef wait_or_end(process, seconds):\n"
                "    ends_at = time.monotonic() + seconds\n"
                "    while process.is_alive() and time.monotonic() < ends_at:\n        time.sleep(0.02)\n"
                "    ended = not process.is_alive()\n    if not ended:\n        process.kill()\n"
                "        while process.is_alive():\n            process.join(timeout=1)\n    return ended\n"
            ),
            "looks at the code, and closes": (
                "from multiprocessing.connection import wait\n\n\ndef wait_or_end(process, seconds):\n"
                "    by_itself = bool(wait([process.sentinel], seconds))\n    process.terminate()\n"
                "    process.join(10)\n    process.close()\n    return by_itself\n"
            ),
        },
    ),
    "01.5": Cases(
        mutants={
            "catches nothing": Mutant(
                {
                    "    try:\n        return function(argument)\n    except Exception as error:\n"
                    "        return repr(error)\n": "    return function(argument)\n"
                },
                "try_all raised WorkerError (attempt 2 raised ValueError: 3 is odd). Hint: an exception",
                "with WorkerGroup(ctx, deadline=60) as group:",
            ),
            "starts the function": Mutant(
                {"group.start(attempt, function, argument)": "group.start(function, argument)"},
                "try_all raised WorkerError (halve 2 raised ValueError: 3 is odd)",
                "with WorkerGroup(ctx, deadline=60) as group:",
            ),
            "too early": Mutant(
                {"    return [child.result": "        return [child.result"},
                "Hint: a result is there once the block of the group has ended",
                "return [child.result for child in children]",
            ),
            "a lambda": Mutant(
                {
                    "group.start(attempt, function, argument)": (
                        "group.start(lambda: attempt(function, argument))"
                    )
                },
                "try_all raised StartError",
                "children = [group.start(lambda: attempt(function, argument)) for argument in arguments]",
            ),
            "calls it": Mutant(
                {"group.start(attempt, function, argument)": "group.start(attempt(function, argument))"},
                "try_all raised TypeError",
                "children = [group.start(attempt(function, argument)) for argument in arguments]",
            ),
            "in the parent": Mutant(
                {"[child.result for child in children]": "[attempt(function, item) for item in arguments]"},
                "the function ran in the parent",
                "children = [group.start(attempt, function, argument) for argument in arguments]",
            ),
            "the exception": Mutant(
                {"return repr(error)": "return error"},
                "for 3, which raises ValueError('3 is odd'), came '<ValueError>'. Hint: return the repr()",
                "def attempt(function, argument):",
            ),
            "its text alone": Mutant(
                {"return repr(error)": "return str(error)"},
                "for 3, which raises ValueError('3 is odd'), came '3 is odd'",
                "return str(error)",
            ),
            "catches in the parent": Mutant(
                "from ipc_helpers import WorkerGroup, WorkerError\n\n\n"
                "def attempt(function, argument):\n    return function(argument)\n\n\n"
                "def try_all(ctx, function, arguments):\n    results = []\n    for argument in arguments:\n"
                "        try:\n            with WorkerGroup(ctx, deadline=20) as group:\n"
                "                child = group.start(attempt, function, argument)\n"
                "            results.append(child.result)\n        except WorkerError as error:\n"
                "            results.append(repr(error))\n    return results\n",
                "Hint: catch it in attempt, in the child",
                "def attempt(function, argument):",
            ),
            "drops what is 0": Mutant(
                {"for child in children]": "for child in children if child.result]"},
                "for three numbers, try_all() returned [4,",
                "def try_all(ctx, function, arguments):",
            ),
            "the children": Mutant(
                {"[child.result for child in children]": "children"},
                "try_all() returned the children, and not what ran in them returned",
                "def try_all(ctx, function, arguments):",
            ),
        },
        others={
            "a loop, and a group for each": {
                "    with WorkerGroup(ctx, deadline=60) as group:\n"
                "        children = [group.start(attempt, function, argument) for argument in arguments]\n"
                "    return [child.result for child in children]\n": (
                    "    results = []\n    for argument in arguments:\n"
                    "        with WorkerGroup(ctx, deadline=20) as group:\n"
                    "            child = group.start(attempt, function, argument, name='one')\n"
                    "        results.append(child.result)\n    return tuple(results)\n"
                )
            },
            "waits in the block": {
                "    return [child.result": "        group.wait()\n        return [child.result",
                "except Exception as error:": "except (ValueError, TypeError) as error:",
            },
        },
    ),
}
