"""Send messages through a queue, from a child to its parent, until a sentinel comes."""

import multiprocessing
import os
import signal
from threading import Thread


def produce(messages):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # leave Ctrl-C to the parent; a thread awaits its end:
    Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()
    for number in (1, 2, 3):
        messages.put((number, bytes(1_000_000)))
    messages.put(None)  # the sentinel: a queue has no end by itself


if __name__ == "__main__":  # the child imports this file, and must not start children of its own
    ctx = multiprocessing.get_context("spawn")
    messages = ctx.Queue()
    producer = ctx.Process(target=produce, args=(messages,), daemon=True)  # a failing parent does not wait
    producer.start()
    while (message := messages.get(timeout=30)) is not None:  # a limit: the producer may have failed
        number, payload = message
        print(f"message {number}: {len(payload):,} bytes")
    producer.join(timeout=30)  # after the last get: it can't end before its messages are read
    print("exit code of the producer:", producer.exitcode)
