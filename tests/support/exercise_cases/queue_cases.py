"""Workers for the exercises on queues."""

from __future__ import annotations

from exercise_cases import Cases, Mutant

CASES = {
    "02.1": Cases(
        mutants={
            "no sentinel": Mutant(
                {"    queue.put(None)\n": ""}, "the numbers came, but no sentinel", "queue.put(number)"
            ),
            "returned instead of put": Mutant(
                "def send_numbers(queue, count):\n    return [*range(count), None]\n",
                "the worker returned [0, 1, 2, 3, 4, None], and put nothing",
                "def send_numbers(queue, count):",
            ),
            "all in one": Mutant(
                "def send_numbers(queue, count):\n    queue.put(list(range(count)))\n    queue.put(None)\n",
                "all numbers came in one message",
                "queue.put(list(range(count)))",
            ),
            "a sentinel after each": Mutant(
                {"    queue.put(None)\n": "        queue.put(None)\n"},
                "a sentinel came before the last number",
                "queue.put(number)",
            ),
            "counted from 1": Mutant(
                {"range(count)": "range(1, count)"},
                "out of the queue came 1, 2, 3, 4, None",
                "queue.put(number)",
            ),
            "put after close": Mutant(
                {"    queue.put(None)\n": "    queue.close()\n    queue.put(None)\n"},
                "Hint: after close() this process puts no more",
                "queue.put(None)",
            ),
        },
        others={
            "a while loop, and close": (
                "def send_numbers(queue, count):\n    number = 0\n    while number < count:\n"
                "        queue.put(number, timeout=5)\n        number += 1\n    queue.put_nowait(None)\n"
                "    queue.close()\n    queue.join_thread()\n"
            )
        },
    ),
    "02.2": Cases(
        mutants={
            "empty": Mutant(
                "def add_up(numbers, results):\n    total = 0\n    while not numbers.empty():\n"
                "        total += numbers.get()\n    results.put(total)\n",
                "took a queue that was empty for a moment for the end",
                "while not numbers.empty():",
            ),
            "never stops": Mutant(
                "def add_up(numbers, results):\n    total = 0\n    while True:\n"
                "        number = numbers.get()\n        if number is not None:\n"
                "            total += number\n    results.put(total)\n",
                "add_up waits in get() forever. Hint: after None, the sentinel, no message comes",
                "number = numbers.get()",
            ),
            "adds the sentinel": Mutant(
                "def add_up(numbers, results):\n    total = 0\n    while True:\n"
                "        total += numbers.get()\n    results.put(total)\n",
                "where it may be None, the sentinel, look for that first",
                "total += numbers.get()",
            ),
            "returns": Mutant(
                {"results.put(total)": "return total"},
                "the worker returned 10, and put nothing. Hint: put the sum",
                "def add_up(numbers, results):",
            ),
            "puts each time": Mutant(
                {"        total += number\n    results": "        total += number\n        results"},
                "4 results came",
                "results.put(total)",
            ),
        },
        others={
            "iter with a sentinel": (
                "def add_up(numbers, results):\n    results.put(sum(iter(numbers.get, None)))\n"
            ),
            "a break": (
                "def add_up(numbers, results):\n    got = []\n    while True:\n"
                "        got.append(numbers.get())\n"
                "        if got[-1] is None:\n            break\n"
                "    results.put(sum(got[:-1]))\n    results.close()\n"
            ),
        },
    ),
    "02.3": Cases(
        mutants={
            "joins first": Mutant(
                {
                    "    producer.join()\n": "",
                    "    producer.start()\n": "    producer.start()\n    producer.join()\n",
                },
                "collect waits in join() forever. Hint: the process that it joins sends more",
                "producer.join()",
            ),
            "does not join": Mutant(
                {"    producer.join()\n": ""},
                "the producer still ran when the worker returned",
                "producer.start()",
            ),
            "gets one message": Mutant(
                {
                    "    while (message := queue.get()) is not None:\n        total += len(message)\n": (
                        "    total += len(queue.get())\n"
                    ),
                    "producer.join()": "producer.join(timeout=1)",
                },
                "put_blobs can't end: its messages are still to be got",
                "producer.join(timeout=1)",
            ),
            "does not start it": Mutant(
                {"    producer.start()\n": ""},
                "collect waits in get() forever",
                "while (message := queue.get()) is not None:",
            ),
        },
        others={
            "a list, and a daemon": {
                "args=(queue,))": "args=(queue,), daemon=True)",
                "    total = 0\n    while (message := queue.get()) is not None:\n": (
                    "    total = len(b''.join(iter(queue.get, None)))\n"
                ),
                "        total += len(message)\n": "",
            }
        },
    ),
    "02.4": Cases(
        mutants={
            "waits": Mutant(
                {"queue.put_nowait(count)": "queue.put(count)"},
                "fill waits in put() forever. Hint: put() waits for room",
                "queue.put(count)",
            ),
            "catches another": Mutant(
                {"from queue import Full": "from queue import Empty", "except Full": "except Empty"},
                "fill raised Full. Hint: catch queue.Full",
                "queue.put_nowait(count)",
            ),
            "counts what was refused": Mutant(
                {"return count": "return count + 1"},
                "fill() returned 4 for an empty queue of maxsize=3, and 3 after two gets",
                "def fill(queue):",
            ),
            "a wrong prediction": Mutant(
                {"return (3, 2)": "return (3, 3)"},
                "your prediction was (3, 3), and the queue took (3, 2)",
                "def predict():",
            ),
            "without its import": Mutant(
                {"from queue import Full\n": ""}, "fill raised NameError", "except Full:"
            ),
        },
        others={
            "put with a timeout of 0, and a list": {
                "return (3, 2)": "return [3, 2]",
                "queue.put_nowait(count)": "queue.put('x', timeout=0)",
            }
        },
    ),
    "02.5": Cases(
        mutants={
            "no timeout": Mutant(
                {"queue.put(message, timeout=seconds)": "queue.put(message)"},
                "send_or_give_up waits in put() forever. Hint: give put() a timeout",
                "queue.put(message)",
            ),
            "loses one": Mutant(
                {"messages[number:]": "messages[number + 1 :]"},
                "of a, b, c and d, two fitted; the worker returned ['d']. Hint: return a list of all",
                "queue.put(message, timeout=seconds)",
            ),
            "no patience": Mutant(
                {"queue.put(message, timeout=seconds)": "queue.put_nowait(message)"},
                "a consumer that was slow, but came in time, did not get all messages",
                "queue.put_nowait(message)",
            ),
            "no list at the end": Mutant(
                {"    return []\n": ""},
                "all was sent in time, and the worker returned None",
                "def send_or_give_up(queue, messages, seconds):",
            ),
        },
        others={
            "takes from the front": (
                "import queue as threads_queue\n\n\ndef send_or_give_up(queue, messages, seconds):\n"
                "    left = list(messages)\n    while left:\n        try:\n"
                "            queue.put(left[0], True, seconds)\n        except threads_queue.Full:\n"
                "            break\n        del left[0]\n    return left\n"
            )
        },
    ),
}
