"""Trials for the exercises on pipes, chapter 03."""

from __future__ import annotations

import time
from contextlib import suppress

from ipc_helpers.trials import Around, Trial
from ipc_helpers.workers.pipes import send_blobs, send_nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Worker = Callable[..., Any]

MESSAGES = ("a", None, "b")
REQUESTS = tuple(letter * 2_000_000 for letter in "abc")  # more than a pipe holds, of either kind
BLOB = "x" * 100_000
BLOBS = 4
PARTS = (b"abc", b"abcdef", b"", b"xy")
ROOM = 4
SENT = {"a": ["a"], "b": [BLOB, "b"], "c": [BLOB]}
RECEIVES_AFTER_END = 100
SPINS = "(received again and again after the end)"


def receive_to_the_end(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Send three messages, one of them None and the first one late, and close the sending end."""
    receiver, sender = ctx.Pipe(duplex=False)
    begun = ctx.Event()
    trial = Trial(ctx, Around(_after_telling, worker, begun), receiver)
    begun.wait()
    early = trial.is_back(0.3)  # who takes a pipe without a message for the end is back by now
    for message in MESSAGES:
        sender.send(message)
    sender.close()
    trial.is_back(None)
    return {"returned": trial.returned, "early": early}


def ask(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Answer each request with its text in capitals, until the other end is closed."""
    end, theirs = ctx.Pipe()
    trial = Trial(ctx, Around(_then_closed, worker), theirs, list(REQUESTS))
    theirs.close()
    requests = []
    with suppress(EOFError, OSError):  # OSError: it went without its reply
        while True:
            request = end.recv()
            requests.append(brief(request))
            time.sleep(0.1)  # who does not wait for the reply is seen
            end.send(str(request).upper())
    trial.is_back(None)
    returned, closed = _pair(trial.returned)
    return {"requests": requests, "returned": returned, "closed": closed}


def collect(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker start a producer of large messages and, beside it, one that sends none."""
    some = Trial(ctx, Around(_briefly, worker), ctx, send_blobs)
    none = Trial(ctx, Around(_briefly, worker, about=" (no messages)"), ctx, send_nothing)
    some.is_back(None)
    none.is_back(None)
    return {"some": some.returned, "none": none.returned, "alive": some.children}


def receive_into(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Send four messages of bytes, one longer than the room for it and one empty."""
    receiver, sender = ctx.Pipe(duplex=False)
    trial = Trial(ctx, Around(_with_room, worker), receiver)
    for part in PARTS:
        sender.send_bytes(part)
    sender.close()
    predicted = Trial(ctx, predict)
    trial.is_back(None)
    predicted.is_back(None)
    returned, room = _pair(trial.returned)
    return {"returned": returned, "room": room, "predicted": predicted.returned}


def gather(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a worker a pipe that stays open; and three pipes, where the first waits for the second."""
    receivers, senders = _pipes(ctx, SENT)
    trial = Trial(ctx, Around(_counting_ends, worker), receivers, 10.0)
    two_receivers, two_senders = _pipes(ctx, "ab")
    two_senders["a"].send("a")
    two_senders["a"].close()
    around = Around(_counting_ends, worker, about=" (one pipe stays open)")
    with_open_end = Trial(ctx, around, two_receivers, 0.3)
    for receiver in receivers.values():
        receiver.close()
    with suppress(OSError):  # it did not go on to the end
        senders["b"].send(BLOB)
        time.sleep(0.2)  # who does not wait is seen
        senders["a"].send("a")
        senders["a"].close()
        senders["c"].send(BLOB)  # who has stopped at the end of "a" gets no more
        senders["b"].send("b")
    for sender in senders.values():
        sender.close()
    trial.is_back(None)
    with_open_end.is_back(None)
    return {"all": trial.returned, "open": with_open_end.returned}


def _pipes(ctx: Any, names: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    ends = {name: ctx.Pipe(duplex=False) for name in names}
    return {name: pair[0] for name, pair in ends.items()}, {name: pair[1] for name, pair in ends.items()}


# What runs around a worker, in its process.


def _after_telling(worker: Worker, begun: Any, receiver: Any) -> Any:
    begun.set()
    return worker(receiver)


def _briefly(worker: Worker, *args: Any) -> Any:
    return brief(worker(*args))


def _then_closed(worker: Worker, connection: Any, requests: list[str]) -> tuple[Any, bool]:
    return brief(worker(connection, requests)), connection.closed


def _with_room(worker: Worker, receiver: Any) -> tuple[Any, bytes]:
    room = bytearray(ROOM)
    return brief(worker(receiver, room)), bytes(room)


def _counting_ends(worker: Worker, receivers: dict[str, Any], seconds: float) -> Any:
    for receiver in receivers.values():
        receiver.recv = _CountingEnds(receiver.recv)
    try:
        return brief(worker(receivers, seconds))
    except _SpinsError:
        return SPINS


class _SpinsError(BaseException):
    """Raised in a loop that receives from a pipe which has ended, and would do so for ever."""


class _CountingEnds:
    def __init__(self, recv: Callable[[], Any]) -> None:
        self.recv = recv
        self.ends = 0

    def __call__(self) -> Any:
        try:
            return self.recv()
        except EOFError:
            self.ends += 1
            if self.ends > RECEIVES_AFTER_END:
                raise _SpinsError from None
            raise


def _pair(value: Any) -> tuple[Any, Any]:
    """Return what a worker returned, and what was seen after it; the first alone when it did not return."""
    return value if isinstance(value, tuple) and len(value) == 2 else (value, None)


def brief(value: Any) -> Any:
    """Return a value that can be pickled: long texts by a letter and their length, objects by their types."""
    if isinstance(value, dict):
        return {brief(key): brief(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(brief, value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        return value if len(value) < 1_000 else f"{value[0]} × {len(value):,}"
    if hasattr(value, "__iter__"):
        return list(map(brief, value))
    return value if value is None or isinstance(value, (int, float)) else f"<{type(value).__name__}>"
