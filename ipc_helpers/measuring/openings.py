"""Opens what the larger rungs and those of other packages need, and leaves nothing of it behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import sys
import tempfile
from importlib.util import find_spec
from multiprocessing import heap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipc_helpers.workers import peer_workers

if os.name == "posix":
    import _posixshmem  # type: ignore[import-not-found] # in no stub
    from multiprocessing import resource_tracker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MIB = 2**20
_SEGMENTS = Path("/dev/shm")  # where Linux shows segments of shared memory as files
_WAITING = 64 * _MIB  # bytes of messages that ZeroMQ may keep until somebody takes them


# A segment of shared memory for each message


@contextlib.contextmanager
def open_segments(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Open a duplex Pipe, with the names of the segments of which one is made for each message.

    Names come from here, so that the parent finds what is left when a process is killed: it removes the
    segments, and has the resource tracker forget them. Where the parent itself is killed, the tracker removes
    them, but for one that is being made at that moment: it learns of each a little later.
    """
    places = 4 if size <= _MIB else 2
    check_room(places * size)
    if os.name == "posix":
        resource_tracker.ensure_running()  # before a child is forked: each would start one of its own
    names = [f"ipc{secrets.token_hex(4)}_{place}" for place in range(places)]  # macOS allows no long ones
    free = context.Semaphore(places)
    sender, receiver = context.Pipe()
    try:
        with sender, receiver:
            yield (sender, free, names), (receiver, free, names)
    finally:
        remove_segments(names)


def check_room(size: int) -> None:
    """Raise OSError where so many bytes of shared memory do not fit: to write them would kill a process."""
    if _SEGMENTS.is_dir() and (free := shutil.disk_usage(_SEGMENTS).free) < size:
        raise OSError(
            f"{size / _MIB:.0f} MiB of shared memory are needed, and {_SEGMENTS} has {free / _MIB:.0f} MiB: "
            "choose a smaller size, or give the container more (docker run --shm-size)"
        )


def remove_segments(names: Sequence[str]) -> None:
    """Remove those of some segments that are still there, however their processes ended.

    On Windows, the last process that has a segment open takes it along.
    """
    for name in names if os.name == "posix" else ():
        with contextlib.suppress(FileNotFoundError):
            # Not by SharedMemory, which can't open what was made and not yet given its size.
            _posixshmem.shm_unlink(f"/{name}")
        # What a process had told the tracker, and could no longer take back.
        resource_tracker.register(f"/{name}", "shared_memory")
        resource_tracker.unregister(f"/{name}", "shared_memory")


# Limits, and queues between interpreters


@contextlib.contextmanager
def open_sockets(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Open two connected sockets."""
    sender, receiver = socket.socketpair()
    with sender, receiver:
        yield sender, receiver


def sockets_are_missing() -> str | None:
    """Return None; or that this system has no sockets that connect processes alone."""
    return None if hasattr(socket, "AF_UNIX") else "this system has such sockets for TCP alone"


def interpreters_are_missing() -> str | None:
    """Return None; or that this Python has no queues between interpreters."""
    return None if sys.version_info >= (3, 14) else "concurrent.interpreters is new in Python 3.14"


# Peers: what others have made for the same purpose


def zmq_is_missing() -> str | None:
    """Return None, or how to get pyzmq."""
    return _is_missing("zmq", "pyzmq")


@contextlib.contextmanager
def open_zmq(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Open a folder for the name of a socket, and a Pipe on which the receiver tells its address."""
    waiting = max(2, min(1000, _WAITING // size))  # 1000 is what ZeroMQ allows by itself
    sender_takes, receiver_tells = context.Pipe(duplex=False)
    with _folder() as folder, sender_takes, receiver_tells:
        address = "tcp://127.0.0.1:*" if os.name == "nt" else f"ipc://{folder}/socket"
        yield (sender_takes, waiting), (address, receiver_tells, waiting)


def faster_fifo_is_missing() -> str | None:
    """Return None, or how to get faster-fifo."""
    if os.name == "nt":
        return "it needs Linux or macOS"
    if sys.version_info >= (3, 14) and not find_spec("faster_fifo"):
        return "not installed, and 1.5.2 has no wheel for this Python"
    return _is_missing("faster_fifo", "faster-fifo")


@contextlib.contextmanager
def open_faster_fifo(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Open a queue of faster-fifo, in which several messages, or two batches, have room."""
    each = size + 256  # pickled
    with _heap_of_its_own():
        queue = peer_workers.make_fast_queue(max(_MIB, 4 * each, 2 * batch * each))
    yield queue, queue


@contextlib.contextmanager
def _heap_of_its_own() -> Iterator[None]:
    """Have what is shared by ctypes come from memory that goes with it: others would keep it for the next."""
    wrapper: Any = heap.BufferWrapper
    usual, wrapper._heap = wrapper._heap, heap.Heap()
    try:
        yield
    finally:
        wrapper._heap = usual


def iceoryx_is_missing() -> str | None:
    """Return None; or how to get iceoryx2, or why that would not do.

    It leaves segments behind, also when nobody is killed. Linux alone shows which there are.
    """
    if sys.platform != "linux":
        return "measured on Linux alone, where the segments that it leaves can be found and removed"
    return _is_missing("iceoryx2", "iceoryx2")


@contextlib.contextmanager
def open_iceoryx(context: Any, size: int, batch: int) -> Iterator[tuple[Any, Any]]:
    """Open a folder for the files of iceoryx2, with a name that all its segments begin with.

    Both processes have ended when the files and segments are removed here. Where the parent itself is killed,
    they stay, in the temporary directory and in /dev/shm.
    """
    check_room(9 * size)  # as many as the publisher prepares
    prefix = f"ipc{secrets.token_hex(4)}_"
    receiver_waits, sender_tells = context.Pipe(duplex=False)
    with _folder() as folder, receiver_waits, sender_tells:
        try:
            yield (f"{folder}/", prefix, sender_tells), (f"{folder}/", prefix, receiver_waits)
        finally:
            for segment in _SEGMENTS.glob(f"{prefix}*"):
                segment.unlink(missing_ok=True)


def _is_missing(module: str, package: str) -> str | None:
    return None if find_spec(module) else f"not installed: uv sync --group peers, or pip install {package}"


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="ipc_helpers-", ignore_cleanup_errors=True)
