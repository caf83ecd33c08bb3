"""What the trials of chapter 09 hand to a worker, and what runs around it: what is bad luck, made certain."""

from __future__ import annotations

import threading
import time
from queue import Empty, Full

from ipc_helpers.exercises.trial_process import brief

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ipc_helpers.exercises import Worker

PATIENCE = 3  # seconds that pass until somebody who should be back by now is taken to be late
MANY = 100  # attempts to put, one after the other, in a queue that stays full
MOMENT = 0.05  # seconds that nobody has to call a wait
OFTEN = 5  # ticks
LIMIT = 0.5  # seconds


class Gate:
    """The lock of a shared number, which takes 1 from the number each time after it was released.

    Another process might do that at each of these moments, if it came in time.

    Parameters
    ----------
    ctx : multiprocessing.context.BaseContext
        Of the processes that share the number.

    Attributes
    ----------
    low : int
        The lowest number that was there when this process acquired the lock; to be set before each call.
    """

    def __init__(self, ctx: Any) -> None:
        self._sold, self._unlocked, self._last, self._lowest = (ctx.RawValue("q", 0) for _ in range(4))
        self._lock = ctx.RLock()
        self._number: Any = None
        self.low = 0

    def watch(self, tickets: Any) -> None:
        """Say whose lock this is, before anybody uses it."""
        self._number = tickets.get_obj()
        self._last.value = self._lowest.value = self._number.value

    def acquire(self, *args: Any, **kwargs: Any) -> bool:
        """Acquire the lock, and see whether the number is still the same."""
        got = bool(self._lock.acquire(*args, **kwargs))
        if got and self._lock._semlock._count() == 1:
            self.low = min(self.low, self._number.value)
            if self._number.value != self._last.value:
                self._unlocked.value += 1
                self._last.value = self._number.value
        return got

    def release(self) -> None:
        """Release the lock, and take 1 if this process does not hold it any more."""
        self._note()
        self._lock.release()
        if not self.is_held():
            with self._lock:
                if self._number.value > 0:
                    self._number.value -= 1
                    self._sold.value += 1
                self._note()

    __enter__ = acquire

    def __exit__(self, *args: object) -> None:
        self.release()

    def is_held(self) -> bool:
        """Say whether this process holds the lock."""
        return bool(self._lock._semlock._count() > 0)

    def number(self) -> int:
        """Return the number."""
        with self._lock:
            return int(self._number.value)

    def facts(self) -> dict[str, int]:
        """Return what is left, the lowest number, what this lock took, and how often it was not held."""
        unlocked = self._unlocked.value + (self._number.value != self._last.value)
        facts = {"left": self._number, "lowest": self._lowest, "sold": self._sold}
        return {**{name: number.value for name, number in facts.items()}, "unlocked": unlocked}

    def _note(self) -> None:
        self._last.value = number = self._number.value
        self._lowest.value = min(self._lowest.value, number)


def tickets_with_gate(ctx: Any, count: int) -> tuple[Any, Gate]:
    """Return a shared number, and the gate that is its lock."""
    gate = Gate(ctx)
    tickets = ctx.Value("i", count, lock=gate)
    gate.watch(tickets)
    return tickets, gate


class Slot:
    """A queue for one message, to which something happens while the worker is at it.

    Parameters
    ----------
    queue : multiprocessing.Queue
        With maxsize=1. This process alone uses it.
    event : {"empty", "old", "taken", "unwritten"}
        "taken": a consumer is quicker than the worker's first get. "unwritten": no get finds the old message
        at first, as if the feeder thread had it still to write.
    """

    def __init__(self, queue: Any, event: str) -> None:
        self._queue, self._event = queue, event
        self._full_for = 0  # attempts without a get in between
        self._early = 3 if event == "unwritten" else 0  # attempts to get that find nothing
        self.waited = 0.0
        self.again = False
        self._count = 0
        if event != "empty":
            self.put("old")
            queue._reader.poll(None)  # until it is written

    def put(self, obj: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put, as a queue does; after many attempts, a consumer comes."""
        try:
            self._queue.put(obj, block, timeout)
        except Full:
            self.waited = max(self.waited, (block and timeout) or 0.0)
            if self._stays_full():
                raise
            self._queue.put(obj)
        self._count += 1

    def put_nowait(self, obj: Any) -> None:
        """Put, or raise queue.Full."""
        self.put(obj, False)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Get, as a queue does, once what is to happen has happened."""
        self._full_for = 0
        if self._event == "taken":
            self._event = ""
            self._consume()
        if self._early and not (block and timeout is None):
            self._early -= 1
            raise Empty
        message = self._queue.get(block, timeout)
        self._count -= 1
        return message

    def get_nowait(self) -> Any:
        """Get, or raise queue.Empty."""
        return self.get(False)

    def full(self) -> bool:
        """Say whether it is full; after many calls, a consumer comes."""
        return self._count > 0 and self._stays_full()

    def drain(self) -> list[Any]:
        """Return what is in it in the end."""
        return [self._queue.get() for _ in range(self._count)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def _stays_full(self) -> bool:
        self._full_for += 1
        if self._full_for < MANY:
            return True
        self.again = True
        self._consume()
        return False

    def _consume(self) -> None:
        if self._count:
            self._queue.get()
            self._count -= 1


class Inbox:
    """A queue that notes who waits in its get().

    Parameters
    ----------
    queue : multiprocessing.Queue
        From which is got.
    """

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self._loop_thread = threading.get_ident()
        self._calls = [0, 0]  # begun and ended
        self._lock = threading.Lock()
        self.blocked = False

    @property
    def waiting(self) -> int:
        """How many calls of get() have not ended."""
        return self._calls[0] - self._calls[1]

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Get, as a queue does, but in the thread of the event loop without any wait."""
        if block and (timeout is None or timeout > MOMENT) and threading.get_ident() == self._loop_thread:
            self.blocked = True
            return None
        self._note(0)
        try:
            return self._queue.get(block, timeout)
        finally:
            self._note(1)

    def get_nowait(self) -> Any:
        """Get, or raise queue.Empty."""
        return self.get(False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def _note(self, end: int) -> None:
        with self._lock:
            self._calls[end] += 1


# What runs around a worker, in its process.


def at_counter(worker: Worker, tickets: Any, orders: list[int]) -> tuple[Any, dict[str, Any]]:
    """Call a worker for each order, and release the lock if it did not: another process waits for it."""
    gate = tickets.get_lock()
    calls, held = [], False
    try:
        for wanted in orders:
            gate.low = gate.number()
            calls.append((wanted, worker(tickets, wanted), gate.low))
    finally:
        while gate.is_held():
            held = True
            gate.release()
    return None, {"calls": calls, "held": held}


def noting_memory(worker: Worker, *given: Any) -> tuple[Any, dict[str, Any]]:
    """Run a worker, and count what it attached to, closed itself, and unlinked; unlink nothing."""
    from multiprocessing.shared_memory import SharedMemory

    known: dict[str, Callable[..., Any]] = {
        name: getattr(SharedMemory, name) for name in ("__init__", "close", "__del__")
    }
    collected: set[int] = set()
    noted = {"attached": 0, "closed": 0, "unlinked": 0}

    def attach(memory: Any, *args: Any, **kwargs: Any) -> None:
        known["__init__"](memory, *args, **kwargs)
        if memory.name == given[0]:
            memory.noted_open = True
            noted["attached"] += 1

    def close(memory: Any) -> None:
        known["close"](memory)
        if getattr(memory, "noted_open", False) and id(memory) not in collected:
            memory.noted_open = False
            noted["closed"] += 1

    def collect(memory: Any) -> None:
        collected.add(id(memory))  # its close() is not the worker's
        try:
            known["__del__"](memory)
        finally:
            collected.discard(id(memory))

    def unlink(memory: Any) -> None:
        noted["unlinked"] += 1

    for name, function in (("__init__", attach), ("close", close), ("__del__", collect), ("unlink", unlink)):
        setattr(SharedMemory, name, function)
    worker(*given)
    return None, {**noted, "open": noted["attached"] - noted["closed"]}


def with_slot(worker: Worker, ctx: Any, event: str) -> tuple[Any, dict[str, Any]]:
    """Have a worker put into a queue to which something happens meanwhile."""
    slot = Slot(ctx.Queue(maxsize=1), event)
    returned = brief(worker(slot, "new"))
    return None, {"returned": returned, "waited": slot.waited, "again": slot.again, "left": slot.drain()}


def three_times(worker: Worker, messages: Any) -> tuple[Any, dict[str, Any]]:
    """Have a worker put into a real queue, faster than its feeder thread writes."""
    return None, {"returned": [worker(messages, message) for message in "abc"]}


def in_a_loop(worker: Worker, queue: Any, seconds: float, told: Any) -> tuple[Any, dict[str, Any]]:
    """Run a coroutine beside a ticker, and see to it that nobody waits in the end, however it waits."""
    import asyncio  # other trials' children do not need it
    import inspect

    inbox, is_back = Inbox(queue), threading.Event()
    begun = time.monotonic()
    noted: dict[str, Any] = {"awaitable": True, "ticks": 0, "late": False, "threads": 0}

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.02)
            noted["ticks"] += 1
            if noted["ticks"] == OFTEN and told is not None:
                told.send(None)

    def free() -> None:
        """Have a coroutine that is late, and threads that are left, get something."""
        if not is_back.wait(seconds + PATIENCE):
            noted["late"] = True
        while not is_back.wait(LIMIT):
            queue.put(None)

    async def run() -> Any:
        ticker = asyncio.create_task(tick())
        try:
            answer = worker(inbox, seconds)
            noted["awaitable"] = inspect.isawaitable(answer)
            return brief(await answer if noted["awaitable"] else answer)
        finally:
            noted["took"] = time.monotonic() - begun
            is_back.set()
            ticker.cancel()
            ends_at = time.monotonic() + PATIENCE  # a thread with a limit of its own is about to end
            while inbox.waiting and time.monotonic() < ends_at:
                await asyncio.sleep(MOMENT)
            noted["threads"] = inbox.waiting
            for _ in range(inbox.waiting):
                queue.put(None)  # or the end of the loop would wait for them

    freeing = threading.Thread(target=free, daemon=True)
    freeing.start()
    returned = asyncio.run(run())
    freeing.join()
    if told is not None:
        told.close()
    return None, {**noted, "returned": returned, "blocked": inbox.blocked}
