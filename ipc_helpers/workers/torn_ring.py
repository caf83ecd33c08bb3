"""For exercise 10.4: a ring whose two functions have mistakes, for the reader to find."""


class SlotRing:
    """What a process has of a ring: slots in shared memory, two semaphores, and a count of its own."""

    def __init__(self, ctx, slots, size):
        self.slots, self.size = slots, size
        self.free, self.filled = ctx.Semaphore(slots), ctx.Semaphore(0)
        self.count = 0  # messages that this process has put or got
        self._array = ctx.RawArray("B", slots * size)
        self.memory = memoryview(self._array).cast("B")

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "memory"}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.memory = memoryview(self._array).cast("B")


def put_wrongly(ring, message):
    """Put a message into the next slot of a ring."""
    start = ring.count % ring.slots * ring.size
    ring.free.acquire()
    ring.filled.release()
    ring.memory[start : start + ring.size] = message
    ring.count += 1


def get_wrongly(ring):
    """Get the next message out of its slot."""
    start = ring.count % ring.slots * ring.size
    ring.filled.acquire()
    message = ring.memory[start : start + ring.size]
    ring.free.release()
    ring.count += 1
    return message
