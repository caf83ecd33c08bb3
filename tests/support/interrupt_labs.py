"""Interrupt each failing lab of chapter 06 at some moment; print what is left after each.

Run by tests/test_diagnosis.py, since an interrupt reaches the main thread of a process alone.
"""

from __future__ import annotations

import _thread
import multiprocessing
import random
import sys
import threading

import leftovers
from test_pitfalls import FAILING

from ipc_helpers import diagnose


def interrupt_each(start_method: str, moments: random.Random) -> None:
    ctx = multiprocessing.get_context(start_method)
    interrupted = 0
    for case in FAILING:
        before = leftovers.held()
        timer = threading.Timer(moments.uniform(0.02, 0.8), _thread.interrupt_main)
        try:
            timer.start()
            diagnose(case.program, ctx, *case.args, deadline=30)
            while timer.is_alive():  # it ended by itself before
                timer.join(0.1)
        except KeyboardInterrupt:
            interrupted += 1
        for what in sorted(leftovers.left_since(before)):
            print(f"{case}: {what}")
    print(f"interrupted: {interrupted} of {len(FAILING)}")


if __name__ == "__main__":
    leftovers.name_semaphores()
    leftovers.start_library_processes("spawn")
    leftovers.start_library_processes(sys.argv[1])
    interrupt_each(sys.argv[1], random.Random(int(sys.argv[2])))
