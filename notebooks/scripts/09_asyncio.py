"""Await the messages of a child process in asyncio, where other tasks go on meanwhile."""

import asyncio
import multiprocessing
import os
import signal
from contextlib import suppress
from queue import Empty
from threading import Thread


def work(box):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # leave Ctrl-C to the parent; a thread awaits its end:
    Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()
    for message in ("one", "two", "three"):
        box.put(message)


async def main(box):
    messages = []
    while len(messages) < 3:
        with suppress(Empty):  # look again; a thread waits briefly, because nothing can cancel it
            messages.append(await asyncio.to_thread(box.get, True, 0.2))
    print(messages)


if __name__ == "__main__":  # each child imports this file, and must not start children of its own
    ctx = multiprocessing.get_context("spawn")
    ctx.Process(target=work, args=(box := ctx.Queue(),), daemon=True).start()
    asyncio.run(asyncio.wait_for(main(box), timeout=30))  # a limit for all of it: the child may have died
