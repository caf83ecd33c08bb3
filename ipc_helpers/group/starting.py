"""What a start of a child needs of the system, and of the processes that multiprocessing starts beside it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

from ipc_helpers.child import entry as child_side

if os.name == "posix":
    from multiprocessing import forkserver, resource_tracker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext

_MOST_WAITED_FOR = 60 if os.name == "nt" else None  # Windows waits for 63 objects at most


def start_helpers(context: BaseContext) -> None:
    """Start the standard library's helper processes: while SIGINT is blocked they would inherit the block."""
    method = context.get_start_method()
    if os.name == "posix" and method != "fork":
        resource_tracker.ensure_running()
        if method == "forkserver":
            # Once for all children, unless somebody has asked for other modules or started the server before.
            if getattr(forkserver._forkserver, "_preload_modules", None) == ["__main__"]:
                forkserver.set_forkserver_preload(["__main__", child_side.__name__])
            forkserver.ensure_running()


def send_and_close(sender: Connection, data: bytes) -> None:
    """Send a child its call, and close the end."""
    with sender, contextlib.suppress(OSError):  # the child was killed: its end says so
        sender.send_bytes(data)


def wait_for(objects: list[Any], seconds: float) -> None:
    """Wait until one of some objects is ready, as ``connection.wait`` does, or the time is over."""
    connection.wait(objects[:_MOST_WAITED_FOR], seconds)


@contextlib.contextmanager
def sigint_blocked() -> Iterator[None]:
    """Keep an interrupt from a child that is starting and does not ignore it yet."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_methods() -> tuple[str, ...]:
    """Return the start methods that this platform has, "spawn" first."""
    return tuple(sorted(multiprocessing.get_all_start_methods(), key=lambda method: method != "spawn"))
