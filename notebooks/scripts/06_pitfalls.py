"""Get a price that a child looks up, and notice when the child has failed (lab 15 without its mistake)."""

import multiprocessing
import queue
import signal
import time


def put_price(messages, fruit):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # leave Ctrl-C to the parent
    messages.put({"apples": 3}[fruit])  # a small message: the child ends even without its parent


if __name__ == "__main__":  # each child imports this file, and must not start children of its own
    ctx = multiprocessing.get_context("spawn")
    for fruit in ("apples", "pears"):
        messages = ctx.Queue()
        # daemon=True: a parent that fails does not wait for its child
        child = ctx.Process(target=put_price, args=(messages, fruit), daemon=True)
        child.start()
        price, ends_at = None, time.monotonic() + 30  # a limit: the child may be stuck
        while price is None and time.monotonic() < ends_at:
            had_ended = child.exitcode is not None  # before the get: what it put is there by then
            try:
                price = messages.get(timeout=0.1)  # a moment: then look at the child again
            except queue.Empty:
                if had_ended:
                    price = f"no price, exit code {child.exitcode}"
        print(f"{fruit}: {price}")
