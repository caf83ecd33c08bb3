"""What readers might write for the exercises on pools and executors."""

from __future__ import annotations

from exercise_cases import Cases, Mutant

ANSWERS = (
    "    answers = []\n    for future in futures:\n        error = future.exception()\n"
    "        answers.append(type(error).__name__ if error else future.result())\n    return answers\n"
)
FUTURES = "    futures = [executor.submit(function, task) for task in tasks]\n"
IN_TIME = (
    "    done, _ = wait(futures.values(), timeout=seconds)\n"
    "    for worker in multiprocessing.active_children():\n        worker.terminate()\n"
    "    executor.shutdown()\n"
    "    return {\n        task: future.result()\n        for task, future in futures.items()\n"
    "        if future in done and not future.exception()\n    }\n"
)
REBUILDS = "return PriceError, (self.text, self.position)"
PREDICTED = '[3.5, "BrokenProcessPool", "BrokenProcessPool"]'
ENDING = "    for worker in multiprocessing.active_children():\n        worker.terminate()\n"
BROKEN = {
    "def known": (
        "def broken(done):\n    return {future for future in done if future.exception()}\n\n\ndef known"
    )
}

CASES = {
    "07.1": Cases(
        mutants={
            "map": Mutant(
                {FUTURES: "", ANSWERS: "    return list(executor.map(function, tasks))\n"},
                "Hint: the exception of a task is raised where its result is asked for",
                "return list(executor.map(function, tasks))",
            ),
            "one type alone": Mutant(
                {
                    ANSWERS: "    answers = []\n    for future in futures:\n        try:\n"
                    "            answers.append(future.result())\n        except ValueError:\n"
                    '            answers.append("ValueError")\n    return answers\n'
                },
                "Hint: the function may raise anything",
                "answers.append(future.result())",
            ),
            "one at a time": Mutant(
                {
                    FUTURES: "",
                    "for future in futures": "for task in tasks",
                    "        error = future": "        future = executor.submit(function, task)\n"
                    "        error = future",
                },
                "the first task ran alone: no other task was done while it was at work",
                "answers.append(type(error).__name__ if error else future.result())",
            ),
            "as they come": Mutant(
                {
                    "def run_all": "from concurrent.futures import as_completed\n\n\ndef run_all",
                    "in futures:": "in as_completed(futures):",
                },
                "the answers came in the order in which they were ready: ",
                "for future in as_completed(futures):",
            ),
            "calls the function itself": Mutant(
                {
                    FUTURES: "",
                    ANSWERS: "    answers = []\n    for task in tasks:\n        try:\n"
                    "            answers.append(executor.submit(function(task)).result())\n"
                    "        except Exception as error:\n"
                    "            answers.append(type(error).__name__)\n    return answers\n",
                },
                "the function was called in the process that has the executor. Hint: hand the function",
                "answers.append(executor.submit(function(task)).result())",
            ),
            "exceptions": Mutant(
                {"type(error).__name__ if error": "error if error"},
                "for 4, -1, 'nine' and 9 came 2.0, '<ValueError>', '<TypeError>', 3.0. Hint: return what",
                "error = future.exception()",
            ),
            "futures": Mutant(
                {ANSWERS: "    return futures\n"},
                "came '<Future>', '<Future>', '<Future>', '<Future>'",
                "futures = [executor.submit(function, task) for task in tasks]",
            ),
            "a dictionary": Mutant(
                {"return answers": "return dict(zip(tasks, answers))"},
                "the worker returned {4: 2.0, -1: 'ValueError'",
                "def run_all(executor, function, tasks):",
            ),
        },
        others={
            "result in a try": {
                ANSWERS: "    answers = []\n    for future in futures:\n        try:\n"
                "            answers.append(future.result(timeout=30))\n        except Exception as error:\n"
                "            answers.append(error.__class__.__name__)\n    return tuple(answers)\n"
            },
            "map with a function that catches": (
                "from functools import partial\n\n\ndef attempt(function, task):\n    try:\n"
                "        return function(task)\n    except Exception as error:\n"
                "        return type(error).__name__\n\n\ndef run_all(executor, function, tasks):\n"
                "    with executor:\n        return list(executor.map(partial(attempt, function), tasks))\n"
            ),
        },
    ),
    "07.2": Cases(
        mutants={
            "no global": Mutant(
                {"    global prices, finished\n": ""},
                "look_up raised NameError (name 'prices' is not defined). Hint: what prepare() makes is lost",
                "price = prices[item]",
            ),
            "no global, and None before": Mutant(
                {
                    "    global prices, finished\n": "",
                    "def prepare": "prices = finished = None\n\n\ndef prepare",
                },
                "look_up raised TypeError ('NoneType' object is not subscriptable). Hint: is it still None?",
                "price = prices[item]",
            ),
            "loads for each item": Mutant(
                {
                    "global prices, finished": "global get_prices, finished",
                    "prices, finished = load(), done": "get_prices, finished = load, done",
                    "prices[item]": "get_prices()[item]",
                },
                "load() was called 6 times, by 2 workers for 6 items. Hint: prepare() is called once",
                "def look_up(item):",
            ),
            "knows the prices": Mutant(
                {"load(), done": "{'pen': 2, 'book': 9, 'lamp': 30}, done"},
                "load() was never called",
                "def look_up(item):",
            ),
            "returns nothing": Mutant(
                {"    return price\n": ""},
                "for 'pen', 'lamp', 'pen', look_up() returned None, None, None. Hint: return the price",
                "def look_up(item):",
            ),
            "puts the price": Mutant(
                {"finished.put(item)": "finished.put(price)"},
                "out of the queue came '2', '2', '2', '30', '30', '9'. Hint: put each item itself",
                "finished.put(price)",
            ),
            "puts nothing": Mutant(
                {"    finished.put(item)\n": ""},
                "out of the queue came nothing. Hint: put each item into the queue",
                "def look_up(item):",
            ),
        },
        others={
            "a dictionary, and at the first item": (
                "kept = {}\n\n\ndef prepare(load, done):\n    kept.update(load=load, done=done)\n\n\n"
                "def look_up(item):\n    if 'prices' not in kept:\n        kept['prices'] = kept['load']()\n"
                "    try:\n        return kept['prices'][item]\n"
                "    finally:\n        kept['done'].put(item)\n"
            ),
            "attributes of the function": (
                "def prepare(load, done):\n    look_up.prices = load()\n    look_up.done = done\n\n\n"
                "def look_up(item):\n    look_up.done.put(item)\n    return look_up.prices[item]\n"
            ),
        },
    ),
    "07.3": Cases(
        mutants={
            "no __reduce__": Mutant(
                {"def __reduce__": "def rebuild"},
                "for '3,50' came BrokenProcessPool: the worker sent an exception that could not be rebuilt",
                "def __init__(self, text, position):",
            ),
            "another order": Mutant(
                {"(self.text, self.position)": "(self.position, self.text)"},
                "for '3,50' came a PriceError with the text 1, the position '3,50'",
                "def __reduce__(self):",
            ),
            "words alone": Mutant(
                {REBUILDS: "return ValueError, (str(self),)"},
                "for '3,50' came ValueError (3,50 is no price, see position 1). Hint: a PriceError",
                "def __reduce__(self):",
            ),
            "no words": Mutant(
                {
                    'super().__init__(f"{text} is no price, see position {position}")': (
                        "super().__init__(text, position)"
                    )
                },
                "and the words \"('3,50', 1)\". Hint: before its way through the pipe",
                "def __reduce__(self):",
            ),
            "no exception": Mutant(
                {'raise PriceError(text, text.index(","))': "return text"},
                "for '3,50' came no exception, but '3,50'",
                "def read_price(text):",
            ),
            "predicts one broken task": Mutant(
                {PREDICTED: '[3.5, "BrokenProcessPool", 4.0]'},
                "your prediction was [3.5, 'BrokenProcessPool', 4.0], and the program returned",
                "def predict():",
            ),
        },
        others={
            "arguments as they are, and __str__": {
                'super().__init__(f"{text} is no price, see position {position}")': (
                    "super().__init__(text, position)"
                ),
                "def __reduce__": "def __str__",
                REBUILDS: 'return f"{self.text} is no price, see position {self.position}"',
            },
            "a function that rebuilds, and a tuple": {
                PREDICTED: '(3.5, "BrokenProcessPool", "BrokenProcessPool")',
                REBUILDS: "return rebuild, (self.__dict__,)",
                "class PriceError": (
                    "def rebuild(facts):\n    return PriceError(**facts)\n\n\nclass PriceError"
                ),
            },
        },
    ),
    "07.4": Cases(
        mutants={
            "map": Mutant(
                {"imap_unordered": "map"},
                "no report came while the task 'a' was at work. Hint: map() and imap() keep the order",
                "for task, answer in pool.map(function, tasks):",
            ),
            "imap": Mutant(
                {"imap_unordered": "imap"},
                "the answers for 'b' and 'c' were ready, and no report came",
                "for task, answer in pool.imap(function, tasks):",
            ),
            "a chunk": Mutant(
                {"(function, tasks)": "(function, tasks, chunksize=len(tasks))"},
                "no report came while the task 'a' was at work",
                "for task, answer in pool.imap_unordered(function, tasks, chunksize=len(tasks)):",
            ),
            "counts from 0": Mutant(
                {"report(len(answers), len(tasks))": "report(len(answers) - 1, len(tasks))"},
                "report() was called with (0, 3), (1, 3), (2, 3). Hint: after each answer say how many",
                "report(len(answers) - 1, len(tasks))",
            ),
            "no total": Mutant(
                {"report(len(answers), len(tasks))": "report(len(answers))"},
                "collect raised TypeError",
                "report(len(answers))",
            ),
            "reports nothing": Mutant(
                {"        report(len(answers), len(tasks))\n": ""},
                "report() was never called",
                "def collect(pool, function, tasks, report):",
            ),
            "a list": Mutant(
                {"return answers": "return sorted(answers.items())"},
                "the worker returned [('a', 'A'), ('b', 'B'), ('c', 'C')]. Hint: return a dictionary",
                "def collect(pool, function, tasks, report):",
            ),
            "joins an open pool": Mutant(
                {"    return answers": "    pool.join()\n    return answers"},
                "collect raised ValueError (Pool is still running). Hint: a pool is closed before",
                "pool.join()",
            ),
            "after the block": Mutant(
                {
                    "    for task, answer in pool.imap_unordered(function, tasks):\n": (
                        "    with pool:\n        pairs = pool.imap_unordered(function, tasks)\n"
                        "    for task, answer in pairs:\n"
                    )
                },
                "collect waits in next() forever. Hint: a pool's workers end with its block",
                "for task, answer in pairs:",
            ),
        },
        others={
            "in its block, counted": (
                "def collect(pool, function, tasks, report):\n    pairs = []\n    with pool:\n"
                "        found = pool.imap_unordered(function, tasks, 1)\n        pool.close()\n"
                "        for done, pair in enumerate(found, start=1):\n            pairs.append(pair)\n"
                "            report(done, len(tasks))\n        pool.join()\n    return dict(pairs)\n"
            ),
            "callbacks": (
                "def collect(pool, function, tasks, report):\n    answers = {}\n\n"
                "    def keep(pair):\n        answers.update([pair])\n"
                "        report(len(answers), len(tasks))\n\n"
                "    results = [pool.apply_async(function, [task], callback=keep) for task in tasks]\n"
                "    for result in results:\n        result.get()\n    return answers\n"
            ),
        },
    ),
    "07.5": Cases(
        mutants={
            "waits for the end": Mutant(
                {ENDING: ""},
                "with 1.5 seconds for all tasks, a task came to its end that lasts 5. Hint: give all tasks",
                "executor.shutdown()",
            ),
            "the end of a block": Mutant(
                {
                    IN_TIME: "    with executor:\n"
                    "        done, _ = wait(futures, timeout=seconds)\n"
                    "    return {futures[future]: future.result() for future in done - broken(done)}\n",
                    "task: executor.submit(function, task) for": "executor.submit(function, task): task for",
                    **BROKEN,
                },
                "as shutdown() and the end of a with block do",
                "with executor:",
            ),
            "does not wait for the end": Mutant(
                {ENDING: "", "executor.shutdown()": "executor.shutdown(wait=False, cancel_futures=True)"},
                "2 workers still ran when the function returned. Hint: end the workers, and wait",
                "executor.shutdown(wait=False, cancel_futures=True)",
            ),
            "seconds for each": Mutant(
                {
                    "    done, _ = wait(futures.values(), timeout=seconds)\n": (
                        "    done = set()\n    for future in futures.values():\n"
                        "        wait([future], timeout=seconds)\n        if future.done():\n"
                        "            done.add(future)\n"
                    )
                },
                "a task came to its end that lasts 5. Hint: give all tasks one limit",
                "executor.shutdown()",
            ),
            "asks the broken": Mutant(
                {" and not future.exception()": ""},
                "known_in_time, with a task that kills its worker, raised BrokenProcessPool",
                "task: future.result()",
            ),
            "does not catch the time": Mutant(
                {
                    "import wait": "import as_completed",
                    "    done, _ = wait(futures.values(), timeout=seconds)\n": (
                        "    done = list(as_completed(futures.values(), timeout=seconds))\n"
                    ),
                },
                "known_in_time, with slow tasks, raised TimeoutError",
                "done = list(as_completed(futures.values(), timeout=seconds))",
            ),
            "stops at the first that is late": Mutant(
                {
                    "import wait": "import TimeoutError",
                    "    futures = {task: executor.submit(function, task) for task in tasks}\n": "",
                    IN_TIME: "    known = {}\n    try:\n"
                    "        for pair in zip(tasks, executor.map(function, tasks, timeout=seconds)):\n"
                    "            known.update([pair])\n    except Exception:\n        pass\n"
                    + ENDING
                    + "    executor.shutdown()\n    return known\n",
                },
                "with the slow tasks among them, 'b' had been answered, and the worker returned {'a': 'A'}",
                "for pair in zip(tasks, executor.map(function, tasks, timeout=seconds)):",
            ),
            "None for the others": Mutant(
                {
                    "        task: future.result()\n": (
                        "        task: future.result() if future in done - broken(done) else None\n"
                    ),
                    "        if future in done and not future.exception()\n": "",
                    **BROKEN,
                },
                "with the slow tasks, the worker returned {'a': 'A', 'slow 1': None",
                "def known_in_time(executor, function, tasks, seconds):",
            ),
            "a list": Mutant(
                {
                    "    return {\n        task: future": "    return [\n        future",
                    "    }\n": "    ]\n",
                },
                "with the slow tasks, the worker returned ['A', 'B']. Hint: return a dictionary",
                "def known_in_time(executor, function, tasks, seconds):",
            ),
        },
        others={
            "as they come, and killed": (
                "import time\nfrom concurrent.futures import as_completed\n\n\n"
                "def known_in_time(executor, function, tasks, seconds):\n"
                "    processes = executor._processes.values()\n    known = {}\n"
                "    futures = {executor.submit(function, task): task for task in tasks}\n    try:\n"
                "        for future in as_completed(futures, timeout=seconds):\n"
                "            if future.exception() is None:\n"
                "                known[futures[future]] = future.result()\n"
                "    except TimeoutError:\n        pass\n    for process in list(processes):\n"
                "        process.kill()\n    executor.shutdown(cancel_futures=True)\n    return known\n"
            ),
            "one end for all": (
                "import multiprocessing\nimport time\n\n\n"
                "def known_in_time(executor, function, tasks, seconds):\n"
                "    ends_at = time.monotonic() + seconds\n    with executor:\n"
                "        futures = {task: executor.submit(function, task) for task in tasks}\n"
                "        known = {}\n        for task, future in futures.items():\n            try:\n"
                "                left = max(0, ends_at - time.monotonic())\n"
                "                known[task] = future.result(left)\n            except Exception:\n"
                "                pass\n        for child in multiprocessing.active_children():\n"
                "            child.kill()\n            child.join()\n    return known\n"
            ),
            "the method of Python 3.14, where there is one": {
                ENDING: "    if hasattr(executor, 'kill_workers'):\n        executor.kill_workers()\n"
                "    else:\n        for worker in multiprocessing.active_children():\n"
                "            worker.kill()\n"
            },
        },
    ),
}
