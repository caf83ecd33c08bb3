"""Measure a class on one server: many kernels at once, each runs a chapter and its exercises.

    .uv/bin/uv run python tests/tools/measure_classroom.py [--students 30]

Runs one student alone, then all at once, and prints the time of each and the memory a student: the figures
in TEACHING.md. Fails when a cell of anybody's does, when a check does not say "Right", or a process is left.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import nbformat
import psutil
import refresh_outputs

CHAPTER = refresh_outputs.ROOT / "notebooks" / "02-queue.ipynb"
EXERCISES = refresh_outputs.ROOT / "notebooks" / "solutions" / "02-queue.ipynb"
MARK = "IPC_CLASSROOM"
SAMPLES_EVERY = 1.0  # seconds
CELL_SECONDS = 600
MIB = 1024 * 1024


def study(number: int) -> tuple[float, str]:
    """Do as one student does; return the seconds that it took, and what went wrong."""
    started = time.monotonic()
    for path in (CHAPTER, EXERCISES):
        notebook = nbformat.read(path, as_version=4)
        try:
            refresh_outputs.run(notebook, path.parent)
        except refresh_outputs.NotRefreshedError as error:
            return time.monotonic() - started, f"student {number}, {path.name}: {error}"
        for cell in notebook.cells:
            if cell.source.startswith("check("):
                (output,) = cell.outputs
                if not output.data["text/plain"].startswith("Right: "):
                    return time.monotonic() - started, f"student {number}: {output.data['text/plain']}"
    return time.monotonic() - started, ""


class Memory:
    """Samples the memory of all processes of the class; what they share is divided among them (PSS)."""

    def __init__(self) -> None:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLES_EVERY):
            self.peak = max(self.peak, sum(map(_memory, processes())))

    def stop(self) -> int:
        """Return the largest sum of all samples, in bytes."""
        self._stop.set()
        self._thread.join()
        return self.peak


def processes() -> list[psutil.Process]:
    """Return the kernels and all processes below them, without this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK):
                found.append(process)
        except (psutil.Error, OSError):  # somebody else's, or gone
            continue
    return found


def _memory(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.uss))
    except (psutil.Error, OSError):
        return 0


def measure(students: int) -> tuple[float, float, list[str]]:
    """Return the seconds that the slowest student took, the MiB a student, and what went wrong."""
    memory = Memory()
    with ThreadPoolExecutor(students) as pool:
        results = list(pool.map(study, range(1, students + 1)))
    peak = memory.stop()
    problems = [problem for _, problem in results if problem]
    return max(seconds for seconds, _ in results), peak / students / MIB, problems


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure many students on one machine.")
    parser.add_argument("--students", type=int, default=30, help="how many at once")
    students = parser.parse_args().students
    os.environ[MARK] = "1"
    refresh_outputs.CELL_SECONDS = CELL_SECONDS
    alone, memory_alone, problems = measure(1)
    print(f"alone: {alone:.0f} s, {memory_alone:.0f} MiB", flush=True)
    together, memory, more = measure(students)
    print(f"{students} at once, {os.cpu_count()} processors: {together:.0f} s, {memory:.0f} MiB a student")
    print(f"ratio of the times: {together / alone:.1f}")
    print(*problems, *more, sep="\n")
    time.sleep(2)
    left = processes()
    print("left running:", *left or ["nothing"])
    return int(bool(problems or more or left))


if __name__ == "__main__":
    sys.exit(main())
