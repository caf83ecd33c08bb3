"""Start processes, wait for each with a limit, and learn from its exit code how it ended."""

import multiprocessing
import os
import signal
import sys
import time
from threading import Thread


def work(seconds, code):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # leave Ctrl-C to the parent; a thread awaits its end:
    Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()
    time.sleep(seconds)
    sys.exit(code)


if __name__ == "__main__":  # each child imports this file, and must not start children of its own
    ctx = multiprocessing.get_context("spawn")
    works = ((0, 0), (0, 3), (60, 0))  # seconds, exit code
    children = [ctx.Process(target=work, args=args, daemon=True) for args in works]
    for child in children:  # daemon=True: a parent that fails does not wait for them
        child.start()
    for child, limit in zip(children, (30, 30, 2), strict=True):
        child.join(timeout=limit)  # returns None in any case: the exit code says whether the child has ended
        if child.exitcode is None:
            child.terminate()  # it takes too long
        child.join(timeout=30)
        print(f"{child.name}: exit code {child.exitcode}")
