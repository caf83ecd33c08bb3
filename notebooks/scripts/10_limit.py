"""Hand messages over in a ring of slots: one shared memory segment, two semaphores, and a pipe that tells."""

import multiprocessing
import os
import signal
from contextlib import AbstractContextManager, contextmanager, suppress
from multiprocessing.connection import wait
from multiprocessing.shared_memory import SharedMemory
from time import monotonic


class Ring(AbstractContextManager):
    """Slots in shared memory. Who makes a ring keeps it, in a with-statement; two processes open its ends."""

    def __init__(self, ctx, size, slots=None):
        if size < 1:
            raise ValueError(f"the size of a slot has to be at least 1 byte, and is {size}")
        slots = slots or min(1024, max(4, 65_536 // size))  # small messages: about as many as in a pipe
        self.free, self.filled = ctx.Semaphore(slots), ctx.Semaphore(0)
        self.ends = ctx.Pipe()  # for a farewell, or the end of file where a process was killed
        table, stride = -(-slots * 8 // 4096) * 4096, -(-size // 64) * 64  # full pages and cache lines
        self.size, self.starts = size, range(table, table + slots * stride, stride)
        self.memory = SharedMemory(create=True, size=self.starts.stop)

    def producer(self):
        """Open the producer's end in this process, and close the consumer's here."""
        return Producer(self, *self.ends, self.free, self.filled)

    def consumer(self):
        """Open the consumer's end in this process, and close the producer's here."""
        return Consumer(self, *reversed(self.ends), self.filled, self.free)

    def close_ends(self):
        """Close both ends here: a copy that stays open would hide the death of the process that uses it."""
        for end in self.ends:
            end.close()

    def __exit__(self, *_):
        self.close_ends()
        with suppress(BufferError):  # where an end is still in use
            self.memory.close()
        self.memory.unlink()


class End(AbstractContextManager):
    """What both ends have: their place in the ring, and a wait that notices when the other process ends."""

    def __init__(self, ring, end, other_end, ready, done):
        if end.closed:
            raise OSError("this process has closed this end of the ring")
        other_end.close()
        self._end, self._farewell, self._acquire, self._release = end, b"", ready.acquire, done.release
        self._memory, self._size, self._starts = ring.memory.buf, ring.size, tuple(ring.starts)
        self._lengths = self._memory.cast("Q")  # a table at the beginning: how long each slot's message is
        self._index, self._slots, self._mine = 0, len(ring.starts), False

    def _take(self, timeout, length=0):
        """Wait until the next slot is this end's; return where it starts."""
        if length > self._size:
            raise ValueError(f"{length} bytes do not fit into a slot of {self._size}")
        if not (self._mine or self._acquire(False)):  # the short way
            getattr(os, "sched_yield", int)()  # a turn for the other process costs less than each wake-up
            ends_at = monotonic() + timeout
            while not self._acquire(True, min(0.1, ends_at - monotonic())):
                ended = wait([self._end], 0)
                if self._acquire(False):  # what the other process had done before its end counts
                    break
                if ended:
                    with suppress(EOFError, OSError):
                        self._farewell = self._end.recv_bytes()
                    error, how = self._closed if self._farewell else (ConnectionResetError, "has ended early")
                    raise error(f"the {self._other} {how}")
                if monotonic() >= ends_at:
                    raise TimeoutError(f"{self._lacks} within {timeout} s")
        self._mine = True  # until it is passed on, also if what is done with it fails
        return self._starts[self._index]

    def _pass_on(self):
        self._mine, self._index = False, (self._index + 1) % self._slots
        self._release()  # only now does the other process look at the slot

    @contextmanager
    def slot(self, length=None, timeout=30):
        """Lend the next slot: to a producer for a message of this length, to a consumer with the message."""
        start = self._take(timeout, length or 0)
        if length is not None:
            self._lengths[self._index] = length
        with self._memory[start : start + self._lengths[self._index]] as view:  # not to be used after
            yield view
        self._pass_on()

    def close(self, error=None, *_):
        """Close this end; a consumer still gets what has been put. Without a farewell after an error."""
        with suppress(OSError):  # the other process may have ended, or this end be closed already
            self._end.send_bytes(b"" if error else b"closed")
        self._end.close()
        self._lengths.release()
        self._mine, self._acquire = False, self._end.poll  # which raises OSError from now on

    __exit__ = close


class Producer(End):
    """The end that puts messages into the ring, each bytes or an object like it."""

    _lacks, _other, _closed = "no free slot", "consumer", (BrokenPipeError, "has closed the ring")

    def put(self, message, timeout=30):
        """Copy a message into the next slot, as soon as this is free."""
        start = self._take(timeout, length := len(message))
        self._memory[start : start + length] = message
        self._lengths[self._index] = length
        self._pass_on()


class Consumer(End):
    """The end that gets messages out of the ring; after the last one, EOFError."""

    _lacks, _other, _closed = "no message", "producer", (EOFError, "has closed the ring")

    def get(self, timeout=30):
        """Return the next message as bytes, as soon as it is there."""
        start = self._take(timeout)
        message = self._memory[start : start + self._lengths[self._index]].tobytes()
        self._pass_on()
        return message

    def get_into(self, buffer, timeout=30):
        """Copy the next message to the beginning of a buffer; return how many bytes it has."""
        start = self._take(timeout)
        length = self._lengths[self._index]
        memoryview(buffer).cast("B")[:length] = self._memory[start : start + length]
        self._pass_on()
        return length


def produce(ring):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # leave Ctrl-C to the parent
    with suppress(ConnectionError), ring.producer() as producer:  # the parent may have ended: so end, too
        for number in range(5):
            producer.put(bytes([number]) * 1000 * number)


if __name__ == "__main__":  # each child imports this file, and must not start children of its own
    ctx = multiprocessing.get_context("spawn")
    with Ring(ctx, size=4000, slots=2) as ring:
        ctx.Process(target=produce, args=(ring,), daemon=True).start()
        with ring.consumer() as consumer, suppress(EOFError):  # after the last message
            for message in iter(consumer.get, None):
                print(len(message), "bytes that add up to", sum(message))
