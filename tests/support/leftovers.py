"""What this process holds that a test must give back: children, descriptors, semaphores, stack files."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path

import psutil

_SETTLES_WITHIN = 5.0  # seconds: the kernel closes what an ended process held a moment after its end
_LIBRARY_PROCESSES = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
_LINUX = sys.platform == "linux"


def name_semaphores() -> str:
    """Give the semaphores of this process, and of scripts it starts, names that no other process gives."""
    config = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    config["semprefix"] = f"/mp{os.getpid()}"
    return str(config["semprefix"])


def start_library_processes(start_method: str) -> None:
    """Start the resource tracker and the forkserver if need be: what they hold is not what a test left."""
    if os.name == "posix" and start_method != "fork":
        from multiprocessing import forkserver, resource_tracker

        resource_tracker.ensure_running()
        if start_method == "forkserver":
            forkserver.ensure_running()


def held() -> set[str]:
    """Return, in words, what this process holds now. Off Linux: its children and stack files."""
    held = {f"child {child.name}, process {child.pid}" for child in multiprocessing.active_children()}
    held |= {str(path) for path in Path(tempfile.gettempdir()).glob("ipc_helpers-*")}
    if _LINUX:
        held |= _descendants() | _descriptors() | _shared_memory()
    return held


def left_since(before: set[str]) -> set[str]:
    """Return what this process holds and did not hold before, once it has had time to go."""
    ends_at = time.monotonic() + _SETTLES_WITHIN
    while True:
        left = held() - before
        if not left or time.monotonic() > ends_at:
            return left
        gc.collect()  # an exception that a test caught and the frame that caught it hold each other
        time.sleep(0.02)


def library_processes(pid: int) -> list[psutil.Process]:
    """Return the resource tracker and the forkserver of a process, as far as there are any."""
    found = []
    for process in psutil.Process(pid).children():  # a child of the forkserver has its command line
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(name in " ".join(process.cmdline()) for name in _LIBRARY_PROCESSES):
                found.append(process)
    return found


def _descendants() -> set[str]:
    """Return all processes below this one; of the standard library's own only what they started."""
    library = library_processes(os.getpid())
    found = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process not in library:
                command = process.as_dict(["cmdline"])["cmdline"]
                found.add(f"process {process.pid}: {' '.join(command or ['ended, not joined'])[:200]}")
    return found


def _descriptors() -> set[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"descriptor {name}: {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:  # the one that listed the folder
            continue
    return found


def _shared_memory() -> set[str]:
    """Return semaphores and segments that are mapped here, and semaphores of this process by name."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    found = {f"mapped {line.split(maxsplit=5)[5]}" for line in maps if "/dev/shm/" in line}
    prefix = multiprocessing.current_process()._config["semprefix"]  # type: ignore[attr-defined]
    return found | {str(path) for path in Path("/dev/shm").glob(f"sem.{prefix[1:]}-*")}
