"""Do tasks in a worker; after Ctrl-C or SIGTERM, finish what has been given, and end."""

import multiprocessing
import os
import signal
from threading import Thread


def work(tasks, results):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # leave Ctrl-C to the parent; a thread awaits its end:
    Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()
    for task in iter(tasks.get, None):
        results.put(task * task)
    results.put(None)  # the end, for the parent


if __name__ == "__main__":  # each child imports this file, and must not start children of its own
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a spawned worker begins like that, except on Windows
    ctx = multiprocessing.get_context("spawn")
    tasks, results, stopped = ctx.Queue(2), ctx.Queue(), []  # 2: few tasks are ahead of the sentinel
    worker = ctx.Process(target=work, args=(tasks, results), daemon=True)  # a failing parent does not wait
    worker.start()
    for number in (signal.SIGINT, signal.SIGTERM):  # only note it, and let a second one end the program:
        signal.signal(number, lambda number, frame: stopped.append(signal.signal(number, signal.SIG_DFL)))
    for task in range(6):
        if not stopped:
            tasks.put(task, timeout=30)  # limits, longer than any task takes: the worker may be dead
    tasks.put(None, timeout=20)
    print("done:", list(iter(lambda: results.get(timeout=20), None)))  # get first, then join
    worker.join(timeout=20)
