"""The rungs of the ladder: ways to hand a message to another process, and the limits beside them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ipc_helpers.workers import ladder_workers as workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


def _is_here() -> str | None:
    return None


@dataclass(frozen=True)
class Rung:
    """A way to hand a message to another process: a name, and a pair of plain functions.

    Parameters
    ----------
    name : str
        What a reader sees.
    send : callable
        Called in one child as ``send(end, turns)``; each turn is a list of messages to send.
    receive : callable or None
        Called in another child as ``receive(end, turns)``; each turn is how many messages come, and what to
        call with each of them. None where all of it happens in one process: each turn that ``send`` gets is
        then a list of messages, and what to call with each.
    open : callable
        Called in the parent as ``open(context, size, batch)``, bytes of a message and messages in a batch; a
        context manager of the sender's end and the receiver's, which cleans up whatever happens.
    limit : bool
        Whether it is no way to hand over a message, but a limit of the machine.
    reuses_buffer : bool
        Whether ``receive`` hands out one buffer again and again, so that what is kept has to be copied.
    batched : bool
        Whether it sends ``turns.batch`` messages at once.
    arrays : {"objects", "buffers", False}
        What it does with NumPy arrays: takes them as objects; takes the buffer of each and gives back bytes,
        of which the receiver makes an array without copying; or takes none.
    why_missing : callable
        Returns None, or why this machine has it not.
    """

    name: str
    send: Callable[[Any, Any], object]
    receive: Callable[[Any, Any], object] | None
    open: Callable[[Any, int, int], AbstractContextManager[tuple[Any, Any]]]
    limit: bool = False
    reuses_buffer: bool = False
    batched: bool = False
    arrays: Literal["objects", "buffers", False] = "objects"
    why_missing: Callable[[], str | None] = _is_here


@contextlib.contextmanager
def open_queue(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Open a Queue."""
    queue = context.Queue()
    try:
        yield queue, queue
    finally:
        queue.close()


@contextlib.contextmanager
def open_pipe(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Open a one-way Pipe."""
    receiver, sender = context.Pipe(duplex=False)
    with receiver, sender:
        yield sender, receiver


RUNGS: dict[str, Rung] = {
    rung.name: rung
    for rung in (
        Rung("Queue", workers.put_messages, workers.get_messages, open_queue),
        Rung("Pipe, send", workers.send_messages, workers.receive_messages, open_pipe),
    )
}
"""Every rung, by its name: first the ways, from the slowest to the fastest, then the limits."""
