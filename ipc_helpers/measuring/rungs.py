"""The rungs of the ladder: ways to hand a message to another process, and the limits beside them."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from multiprocessing.managers import SyncManager
from typing import TYPE_CHECKING, Any, Literal

from ipc_helpers.child import turns
from ipc_helpers.child.entry import end_with_parent
from ipc_helpers.group.child_handle import KILLED_WITHIN
from ipc_helpers.group.starting import sigint_blocked, start_helpers
from ipc_helpers.measuring import openings
from ipc_helpers.workers import ladder_workers as workers
from ipc_helpers.workers import peer_workers as peers
from ipc_helpers.workers.ring import Ring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from ipc_helpers.group.child_handle import Child
    from ipc_helpers.group.worker_group import WorkerGroup


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


def start_turns(group: WorkerGroup, rung: Rung, ends: tuple[Any, Any], plan: turns.Plan) -> list[Child]:
    """Start the processes of a rung: the receiver, then the sender; or the only one.

    Parameters
    ----------
    group : WorkerGroup
        Whose children they become.
    rung : Rung
        What they run.
    ends : tuple
        The sender's end and the receiver's, as the rung opens them.
    plan : Plan
        The turns.

    Returns
    -------
    list of Child
    """
    sending, receiving = ends
    if rung.receive is None:
        return [group.start(turns.exchange, rung.send, sending, plan, name="its process", alone=True)]
    context: Any = group.context
    ready = context.Semaphore(0)
    late = None if sys.platform == "linux" else context.Semaphore(0)
    receiver = group.start(
        turns.receive, rung.receive, receiving, plan, ready, late, name="its receiver", alone=True
    )
    late = late or receiver.pid
    sender = group.start(turns.send, rung.send, sending, plan, ready, late, name="its sender", alone=True)
    return [receiver, sender]


def _on_posix() -> str | None:
    if os.name == "posix":
        return None
    return "on Windows, a spawned process can't be handed the ends of an os.pipe"


@contextlib.contextmanager
def open_queue(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Open a Queue."""
    with contextlib.closing(context.Queue()) as queue:
        yield queue, queue


@contextlib.contextmanager
def open_simple_queue(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Open a SimpleQueue."""
    with contextlib.closing(context.SimpleQueue()) as queue:
        yield queue, queue


@contextlib.contextmanager
def open_joinable_queue(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Open a JoinableQueue."""
    with contextlib.closing(context.JoinableQueue()) as queue:
        yield queue, queue


@contextlib.contextmanager
def open_manager_queue(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Open a Queue of a Manager, whose process ends with this one, also where this one is killed."""
    start_helpers(context)
    manager = SyncManager(ctx=context)
    try:
        with sigint_blocked():
            manager.start(end_with_parent)
        queue = manager.Queue()
        yield queue, queue
    finally:
        process = getattr(manager, "_process", None)
        if hasattr(manager, "shutdown"):  # it has one once it is started
            manager.shutdown()
        elif process is not None and process.pid is not None:
            process.kill()
            process.join(KILLED_WITHIN)


@contextlib.contextmanager
def open_pipe(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Open a one-way Pipe; on POSIX that is an os.pipe."""
    receiver, sender = context.Pipe(duplex=False)
    with receiver, sender:
        yield sender, receiver


@contextlib.contextmanager
def open_duplex_pipe(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Open a duplex Pipe."""
    receiver, sender = context.Pipe()
    with receiver, sender:
        yield sender, receiver


@contextlib.contextmanager
def open_ring(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Make a ring, of slots for whole batches."""
    with Ring(context, size * batch) as ring:
        openings.check_room(ring.memory.size)
        yield ring, ring


@contextlib.contextmanager
def open_nothing(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Open nothing, for what happens in one process."""
    yield None, None


@contextlib.contextmanager
def open_ring_of_pieces(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Make a ring of four slots, for pieces of messages: as much as the caches of a processor hold."""
    with Ring(context, min(size, 2**20), slots=4) as ring:
        openings.check_room(ring.memory.size)
        yield ring, ring


_OBJECTS = workers.send_messages, workers.receive_messages
_BYTES = workers.send_bytes, workers.receive_bytes
_INTO_BUFFER = workers.send_bytes, workers.receive_into_buffer
_JOINED = workers.send_joined, workers.receive_joined
_PUT = workers.put_messages, workers.get_messages
_OUT_OF_BAND = workers.send_out_of_band, workers.receive_out_of_band
_SEGMENTS = workers.send_segments, workers.receive_segments
_SOCKETS = workers.send_through_socket, workers.receive_from_socket
_ZMQ = peers.push_messages, peers.pull_messages
_RAW = workers.write_messages, workers.read_messages
_ONE_BUFFER: dict[str, Any] = {"reuses_buffer": True, "arrays": "buffers"}
_LIMIT = {**_ONE_BUFFER, "limit": True}

_ALL = (
    Rung("Manager().Queue", *_PUT, open_manager_queue),
    Rung("Queue", *_PUT, open_queue),
    Rung("SimpleQueue", *_PUT, open_simple_queue),
    Rung("JoinableQueue", workers.put_messages, workers.get_and_tell, open_joinable_queue),
    Rung("Pipe, send", *_OBJECTS, open_pipe),
    Rung("Pipe, send, duplex", *_OBJECTS, open_duplex_pipe),
    Rung("Pipe, send_bytes", *_BYTES, open_pipe, arrays="buffers"),
    Rung("Pipe, send_bytes, duplex", *_BYTES, open_duplex_pipe, arrays="buffers"),
    Rung("Pipe, recv_bytes_into", *_INTO_BUFFER, open_pipe, **_ONE_BUFFER),
    Rung("Queue, batches", workers.put_batches, workers.get_batches, open_queue, batched=True),
    Rung("Pipe, send_bytes, batches", *_JOINED, open_pipe, batched=True, arrays="buffers"),
    Rung("pickle 5, out of band", *_OUT_OF_BAND, open_duplex_pipe, reuses_buffer=True),
    Rung("SharedMemory, one each", *_SEGMENTS, openings.open_segments, arrays="buffers"),
    Rung("ring", workers.put_into_ring, workers.get_from_ring, open_ring, arrays="buffers"),
    Rung("ring, into a buffer", workers.put_into_ring, workers.get_into_buffer, open_ring, **_ONE_BUFFER),
    Rung("ring, batches", workers.put_joined, workers.get_joined, open_ring, batched=True, arrays="buffers"),
    Rung("ring, in pieces", workers.put_pieces, workers.get_pieces, open_ring_of_pieces, **_ONE_BUFFER),
    Rung(
        "interpreters queue",
        workers.put_for_interpreter,
        None,
        open_nothing,
        arrays=False,  # NumPy can't be imported into another interpreter of a process
        why_missing=openings.interpreters_are_missing,
    ),
    Rung("pyzmq", *_ZMQ, openings.open_zmq, arrays="buffers", why_missing=openings.zmq_is_missing),
    Rung("faster-fifo", *_PUT, openings.open_faster_fifo, why_missing=openings.faster_fifo_is_missing),
    Rung(
        "faster-fifo, batches",
        peers.put_all_at_once,
        peers.get_all_there_are,
        openings.open_faster_fifo,
        batched=True,
        why_missing=openings.faster_fifo_is_missing,
    ),
    Rung(
        "iceoryx2",
        peers.publish_messages,
        peers.take_published,
        openings.open_iceoryx,
        **_ONE_BUFFER,
        why_missing=openings.iceoryx_is_missing,
    ),
    Rung("os.pipe", *_RAW, open_pipe, **_LIMIT, why_missing=_on_posix),
    Rung("socketpair", *_SOCKETS, openings.open_sockets, **_LIMIT, why_missing=openings.sockets_are_missing),
    Rung("memcpy", workers.copy_messages, None, open_nothing, **_LIMIT),
)

RUNGS: dict[str, Rung] = {rung.name: rung for rung in _ALL}
"""Every rung, by its name: first the ways, then the limits."""
