"""Put large messages into a queue with two slots, for a child that gets them, or does not."""

import multiprocessing
import os
import queue
import signal
from threading import Thread


def consume(messages):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # leave Ctrl-C to the parent; a thread awaits its end:
    Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()
    sum(len(message) for message in iter(messages.get, None))  # gets until the sentinel comes


if __name__ == "__main__":  # the child imports this file, and must not start children of its own
    ctx = multiprocessing.get_context("spawn")
    messages = ctx.Queue(maxsize=2)  # a bound: put waits for the consumer, and does not fill the deque
    messages.cancel_join_thread()  # the parent does not wait for its feeder thread: it joins the consumer
    consumer = ctx.Process(target=consume, args=(messages,), daemon=True)  # a failing parent does not wait
    consumer.start()
    try:
        for number in range(1, 6):
            messages.put(bytes(1_000_000), timeout=30)  # a limit: the consumer may have failed
            print("put message", number)
        messages.put(None, timeout=30)  # the sentinel: the consumer ends
    except queue.Full:
        print("nobody gets")
    consumer.join(timeout=20)  # then exit code 0 says that all was got
    print("exit code of the consumer:", consumer.exitcode)
