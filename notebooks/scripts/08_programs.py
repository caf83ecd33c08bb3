"""Do tasks in a worker; after Ctrl-C or SIGTERM, finish what is under way, and end."""

import multiprocessing
import os
import signal
import sys
from threading import Thread


def work(tasks, results):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # leave Ctrl-C to the parent; a thread awaits its end:
    Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()
    for task in iter(tasks.get, None):
        results.put(task * task)


if __name__ == "__main__":  # each child imports this file, and must not start children of its own
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # SystemExit runs the finally
    ctx = multiprocessing.get_context("spawn")
    tasks, results, given = ctx.Queue(2), ctx.Queue(), 0  # 2: few tasks are ahead of the sentinel
    worker = ctx.Process(target=work, args=(tasks, results), daemon=True)  # a failing parent does not wait
    worker.start()  # until its first line has run, Ctrl-C ends it, and the finally waits for its limit
    try:
        for task in range(6):
            tasks.put(task, timeout=30)  # a limit: the worker may have died
            given += 1
    finally:  # at the end, after Ctrl-C, after SIGTERM: a second one ends the program at once
        tasks.put(None, timeout=20)
        print("done:", [results.get(timeout=20) for _ in range(given)])  # get first, then join
        worker.join(timeout=20)
