"""Hand tasks to a pool of workers; get a result or an error for each, by its name and within a limit."""

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor, wait
from threading import Thread


def prepare():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # leave Ctrl-C to the parent; a thread awaits its end:
    Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()


if __name__ == "__main__":  # each child imports this file, and must not start children of its own
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), prepare) as executor:
        futures = {}
        try:
            futures.update((number, executor.submit(divmod, 12, number)) for number in (5, 0, 4))
            wait(futures.values(), timeout=30)  # a limit for all of them together
            for number, future in futures.items():
                try:
                    print(f"{number}: {future.result(timeout=0)}")
                except Exception as error:  # its own, TimeoutError, or BrokenProcessPool: a worker died
                    print(f"{number}: {type(error).__name__}")
        finally:
            if not all(future.done() for future in futures.values()):  # too long, or Ctrl-C
                for worker in multiprocessing.active_children():  # or the block would wait for them
                    worker.kill()
