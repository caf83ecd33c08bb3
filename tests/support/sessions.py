"""A script in a session of its own, so that a test finds all processes that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
from kernels import is_running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

AMPLE = 30.0  # seconds: usual is a tenth of one


@contextlib.contextmanager
def started(text: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a script in a folder and a session of its own; in the end, kill what a failed test left."""
    file = folder / "script.py"
    file.write_text(text, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-I", file.name],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if still_there(process):
                os.killpg(process.pid, signal.SIGKILL)


def still_there(leader: subprocess.Popen[str]) -> list[str]:
    """Return the processes of the session that a script leads."""
    return [
        f"{process.pid}: {process.info['name']}"
        for process in psutil.process_iter(["name"])
        if session_of(process.pid) == leader.pid and is_running(process)
    ]


def has_child(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(pid).children()
        return any("spawn_main" in " ".join(child.cmdline()) for child in children)
    return False


def session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:  # it has ended, or is another user's
        return None


def wait_until(holds: Callable[[], object], words: str) -> None:
    ends_at = time.monotonic() + AMPLE
    while not holds():
        assert time.monotonic() < ends_at, words
        time.sleep(0.02)
