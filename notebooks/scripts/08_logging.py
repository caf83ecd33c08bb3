"""Log from several processes: one has the handler, and the others send it their records."""

import logging
import multiprocessing
import os
import signal
import sys
from logging.handlers import QueueHandler, QueueListener
from threading import Thread


def work(records, count):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # leave Ctrl-C to the parent; a thread awaits its end:
    Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()
    logging.basicConfig(level="INFO", format="%(processName)s: %(message)s", handlers=[QueueHandler(records)])
    logging.info("counted to %d", count)


if __name__ == "__main__":  # each child imports this file, and must not start children of its own
    ctx = multiprocessing.get_context("spawn")
    records = ctx.Queue()
    listener = QueueListener(records, logging.StreamHandler(sys.stdout))  # one handler, for whole lines
    listener.start()  # starts a thread that gets records
    try:
        for count in (1, 2, 3):  # daemon=True: a parent that fails does not wait for them
            ctx.Process(target=work, args=(records, count), daemon=True).start()
        for worker in multiprocessing.active_children():
            worker.join(timeout=30)
    finally:
        listener.stop()  # handles what has come: at its end, the program would not wait for the thread
