"""Send tasks to a pool of workers through one queue, and get a result for each through another."""

import multiprocessing
import os
import signal
from threading import Thread


def work(tasks, results):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # leave Ctrl-C to the parent; a thread awaits its end:
    Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()
    for task in iter(tasks.get, None):
        try:
            results.put((task, 12 / task))  # the task beside its result: they come in any order
        except Exception as error:  # is a result, too; the worker goes on
            results.put((task, type(error).__name__))


if __name__ == "__main__":  # each child imports this file, and must not start children of its own
    ctx = multiprocessing.get_context("spawn")
    tasks, results = ctx.Queue(), ctx.Queue()
    tasks.cancel_join_thread()  # after Ctrl-C in a put, its thread may sleep on: don't wait for it
    workers = [ctx.Process(target=work, args=(tasks, results), daemon=True) for _ in range(2)]
    for worker in workers:  # daemon=True: a parent that fails does not wait for them
        worker.start()
    for task in (1, 0, 4, None, None):  # the tasks, then a sentinel for each worker
        tasks.put(task)
    print(sorted(results.get(timeout=30) for _ in range(3)))  # as many as tasks; a worker may have died
    codes = [worker.join(timeout=20) or worker.exitcode for worker in workers]  # after the last get
    print("ended well:", codes.count(0))
