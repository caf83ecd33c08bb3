"""Workers for the exercises on what is inside a queue."""

from __future__ import annotations

from exercise_cases import Cases, Mutant

CASES = {
    "04.1": Cases(
        mutants={
            "puts the list itself": Mutant(
                {"queue.put(list(state))": "queue.put(state)"},
                "three messages came, and each was ['a', 'b', 'c'], the list as it was at the end",
                "queue.put(state)",
            ),
            "puts it before": Mutant(
                {
                    "        state.append(letter)\n": "",
                    "queue.put(list(state))\n": "queue.put(list(state))\n        state.append(letter)\n",
                },
                "the first message was an empty list",
                "queue.put(list(state))",
            ),
            "puts the letter": Mutant(
                {"queue.put(list(state))": "queue.put(letter)"},
                "each message was a letter alone",
                "queue.put(letter)",
            ),
            "puts once": Mutant(
                {"        queue.put(list(state))": "    queue.put(list(state))"},
                "one message came, ['a', 'b', 'c']",
                "queue.put(list(state))",
            ),
            "returned instead of put": Mutant(
                {"        queue.put(list(state))": "    return state"},
                "the worker returned ['a', 'b', 'c'], and put nothing",
                "def send_states(queue, letters):",
            ),
            "put after close": Mutant(
                {"queue.put(list(state))\n": "queue.put(list(state))\n        queue.close()\n"},
                "is closed). Hint: after close() this process puts no more",
                "queue.put(list(state))",
            ),
        },
        others={
            "a new list each time": (
                "def send_states(queue, letters):\n    state = []\n    for letter in letters:\n"
                "        state = [*state, letter]\n        queue.put(state)\n"
            ),
            "tuples, and waits for its feeder thread": (
                "def send_states(queue, letters):\n    for number in range(len(letters)):\n"
                "        queue.put_nowait(tuple(letters[: number + 1]))\n"
                "    queue.close()\n    queue.join_thread()\n"
            ),
        },
    ),
    "04.2": Cases(
        mutants={
            "tries the put": Mutant(
                "def put_or_describe(queue, values):\n    for value in values:\n        try:\n"
                "            queue.put(value)\n        except Exception:\n"
                "            queue.put(repr(value))\n",
                "put() took a value that can't be pickled, and the feeder thread dropped it",
                "queue.put(value)",
            ),
            "catches one type": Mutant(
                {"except Exception": "except pickle.PicklingError"},
                "put_or_describe raised TypeError",
                "pickle.dumps(value)",
            ),
            "leaves them out": Mutant(
                {"value = repr(value)": "continue"},
                "the two values that can't be pickled were left out",
                "queue.put(value)",
            ),
            "puts the pickle": Mutant(
                {"pickle.dumps(value)": "value = pickle.dumps(value)"},
                "the consumer got bytes",
                "queue.put(value)",
            ),
            "describes all": Mutant(
                {"queue.put(value)": "queue.put(repr(value))", "value = repr(value)": "pass"},
                "out of the queue came '1', '<a lock>'",
                "queue.put(repr(value))",
            ),
            "returns": Mutant(
                {"        queue.put(value)": "    return 4"},
                "the worker returned 4, and put nothing",
                "def put_or_describe(queue, values):",
            ),
        },
        others={
            "a function of its own": (
                "import pickle\n\n\ndef is_taken(value):\n    try:\n        pickle.dumps(value)\n"
                "    except (TypeError, AttributeError, pickle.PicklingError):\n        return False\n"
                "    return True\n\n\n"
                "def put_or_describe(queue, values):\n    for value in values:\n"
                "        queue.put(value if is_taken(value) else repr(value))\n    queue.close()\n"
            ),
            "with the pickler of multiprocessing": {
                "import pickle": "from multiprocessing.reduction import ForkingPickler",
                "pickle.dumps(value)": "ForkingPickler.dumps(value)",
                "except Exception:\n            value = repr(value)\n        queue.put(value)": (
                    "except Exception:\n            queue.put(repr(value))\n"
                    "        else:\n            queue.put(value)"
                ),
            },
        },
    ),
    "04.3": Cases(
        mutants={
            "always waits": Mutant(
                {"    if not waits:\n        queue.cancel_join_thread()\n": "    queue.close()\n"},
                "leave can't end: its messages are still to be got. Hint: with waits=False",
                "queue.put(number)",
            ),
            "never waits": Mutant(
                {"    if not waits:\n        queue": "    queue"},
                "with waits=True, 0 of the messages 1, 2 and 3 came",
                "queue.cancel_join_thread()",
            ),
            "a wrong prediction": Mutant(
                {"return (3, 0)": "return (3, 3)"},
                "your prediction was (3, 3), and (3, 0) came",
                "def predict():",
            ),
            "counts from 0": Mutant(
                {"(1, 2, 3)": "range(3)"},
                "with waits=True, 0, 1, 2 came out of the queue",
                "queue.put(number)",
            ),
            "join_thread without close": Mutant(
                {"        queue.cancel_join_thread()\n": "        queue.join_thread()\n"},
                "leave raised AssertionError (Queue <multiprocessing.queues.Queue object> not closed). "
                "Hint: join_thread() is allowed after close() only",
                "queue.join_thread()",
            ),
        },
        others={
            "first cancels, or waits itself": (
                "def predict():\n    return [3, 0]\n\n\ndef leave(queue, waits):\n    if not waits:\n"
                "        queue.cancel_join_thread()\n    for number in range(1, 4):\n"
                "        queue.put_nowait(number)\n    queue.close()\n    queue.join_thread()\n"
            )
        },
    ),
    "04.4": Cases(
        mutants={
            "forgets the sentinel": Mutant(
                {"    tasks.task_done()\n    return": "    return"},
                "one message is unfinished when the worker has returned: the sentinel",
                "tasks.task_done()",
            ),
            "never calls it": Mutant(
                {"        finally:\n            tasks.task_done()\n    tasks.task_done()\n": ""},
                "task_done() was never called: a join() would wait for 5 messages",
                "def do_tasks(tasks, work):",
            ),
            "only where nothing raised": Mutant(
                {"        finally:\n": "        else:\n"},
                "task_done() was not called for the task -1",
                "tasks.task_done()",
            ),
            "before the work": Mutant(
                {
                    "            work(task)\n": "            tasks.task_done()\n            work(task)\n",
                    "        finally:\n            tasks.task_done()\n": "",
                },
                "task_done() was called for the task 4 before its work was done",
                "tasks.task_done()",
            ),
            "does not catch": Mutant(
                {"        except ValueError:\n            refused.append(task)\n": ""},
                "do_tasks raised ValueError (can't do -1). Hint: work() raises it",
                "work(task)",
            ),
            "once too often": Mutant(
                {"    return refused": "    tasks.task_done()\n    return refused"},
                "do_tasks raised ValueError (task_done() called too many times)",
                "tasks.task_done()",
            ),
            "never stops": Mutant(
                "def do_tasks(tasks, work):\n    refused = []\n    while True:\n        task = tasks.get()\n"
                "        try:\n            if task is not None:\n                work(task)\n"
                "        except ValueError:\n            refused.append(task)\n        tasks.task_done()\n"
                "    return refused\n",
                "do_tasks waits in get() forever. Hint: after None, the sentinel, no message comes",
                "task = tasks.get()",
            ),
            "joins": Mutant(
                {"    tasks.task_done()\n    return": "    tasks.join()\n    return"},
                "do_tasks waits in join() forever. Hint: you are the one who calls task_done()",
                "tasks.join()",
            ),
            "returns nothing": Mutant(
                {"    return refused\n": ""},
                "the worker returned None, and the task that raised was -1",
                "def do_tasks(tasks, work):",
            ),
        },
        others={
            "a break in a loop": (
                "def do_tasks(tasks, work):\n    refused = ()\n    while True:\n"
                "        task = tasks.get(timeout=10)\n"
                "        if task is None:\n            tasks.task_done()\n            break\n"
                "        try:\n            work(task)\n        except Exception:\n"
                "            refused += (task,)\n        tasks.task_done()\n    return refused\n"
            )
        },
    ),
    "04.5": Cases(
        mutants={
            "stops at one sentinel": Mutant(
                {"producers -= 1": "break"},
                "the worker got 3 of 6 messages, and stopped",
                "if (message := queue.get()) is None:",
            ),
            "passes on as they come": Mutant(
                {"            waiting[message[0]] = message[1]\n": ("            results.put(message[1])\n")},
                "the values came in the order in which they had arrived: a, d, e, b, c, f",
                "results.put(message[1])",
            ),
            "sorts at the end": Mutant(
                {"        while number in waiting": "    while number in waiting"}
                | {
                    "            results.put(waiting.pop(number))\n            number += 1": (
                        "        results.put(waiting.pop(number))\n        number += 1"
                    )
                },
                "when message 3 was got, 0 values had been passed on, and 1 could have been",
                "results.put(waiting.pop(number))",
            ),
            "one at each get": Mutant(
                {"while number in waiting": "if number in waiting"},
                "out of the queue for the results came 'a', 'b', 'c', 'd', 'e', None",
                "results.put(waiting.pop(number))",
            ),
            "no sentinel": Mutant(
                {"    results.put(None)\n": ""},
                "the values came, and no sentinel",
                "results.put(waiting.pop(number))",
            ),
            "a sentinel for each": Mutant(
                {"producers -= 1": "results.put(None)\n            producers -= 1"},
                "the values came, and 3 sentinels",
                "results.put(None)",
            ),
            "pairs": Mutant(
                {"= message[1]": "= message"},
                "(5, 'f'), None. Hint: put a, b, c, d, e, f, each alone",
                "results.put(waiting.pop(number))",
            ),
            "never stops": Mutant(
                {"while producers": "while True"},
                "in_order waits in get() forever. Hint: each producer ends with None",
                "if (message := queue.get()) is None:",
            ),
            "returns": Mutant(
                {"results.put(waiting.pop(number))": "waiting.pop(number)", "results.put(None)": "return 6"},
                "the worker returned 6, and put nothing",
                "def in_order(queue, results, producers):",
            ),
        },
        others={
            "a heap": (
                "import heapq\n\n\ndef in_order(queue, results, producers):\n"
                "    heap, due, ended = [], 0, 0\n"
                "    while ended < producers:\n        message = queue.get(timeout=10)\n"
                "        if message is None:\n            ended += 1\n            continue\n"
                "        heapq.heappush(heap, message)\n        while heap and heap[0][0] == due:\n"
                "            results.put_nowait(heapq.heappop(heap)[1])\n            due += 1\n"
                "    results.put_nowait(None)\n    results.close()\n    results.join_thread()\n"
            )
        },
    ),
}
