"""Hand large messages over in slots of shared memory: the queues carry the numbers of the slots."""

import multiprocessing
import os
import signal
from multiprocessing.shared_memory import SharedMemory
from threading import Thread


def produce(memory, free, filled):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # leave Ctrl-C to the parent; a thread awaits its end:
    Thread(target=lambda: (multiprocessing.parent_process().join(), os._exit(1)), daemon=True).start()
    for number in range(4):
        slot = number if number < 2 else free.get()  # at first, both are free; then wait for one
        memory.buf[slot * 1000 : slot * 1000 + 1000] = bytes([number]) * 1000
        filled.put(slot)


if __name__ == "__main__":  # each child imports this file, and must not start children of its own
    ctx = multiprocessing.get_context("spawn")
    free, filled, memory = ctx.SimpleQueue(), ctx.Queue(), SharedMemory(create=True, size=2000)
    try:
        ctx.Process(target=produce, args=(memory, free, filled), daemon=True).start()
        for _ in range(4):
            slot = filled.get(timeout=30)  # a limit: the producer may have died
            print(f"slot {slot}: the bytes add up to", sum(memory.buf[slot * 1000 : slot * 1000 + 1000]))
            free.put(slot)  # after the last look: now the slot may be filled again
    finally:  # close, then unlink, or the resource tracker has to do it, and warns
        memory.close()
        memory.unlink()
