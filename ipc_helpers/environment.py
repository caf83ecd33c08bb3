"""What this Python and this machine give the chapters, and what they lack, in words."""

from __future__ import annotations

import html
import importlib.util
import multiprocessing
import os
import platform
import re
import sys
import sysconfig
import time
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

from ipc_helpers.child import frames_can_be_read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.context import BaseContext

FINE, NOTE, PROBLEM = "fine", "note", "problem"
"""Verdicts: nothing to say; another platform has more; a cell will fail."""

_CHILD_SECONDS = 30.0  # until a child has to have answered: 0.05 s is usual, a virus scanner takes some
_USUAL_OPEN_FILES = 1024  # macOS: 256
_NEEDED_FOR = {
    "ipywidgets": "there are no panels with sliders",
    "matplotlib": "there are no figures, and no panels",
    "numpy": "there are no figures, and no panels",
}
_README = "Start JupyterLab with the command in the README"
_STYLE = 'style="text-align:left;vertical-align:top"'


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes
    ----------
    what : str
        What was looked at, "Start methods" for example.
    found : str
        What is there.
    verdict : {"fine", "note", "problem"}
        "problem" when a cell of the chapters will fail; "note" for what another platform has, or
        what may matter later.
    words : str
        What that means for the reader and what to do; empty when there is nothing to say.
    """

    what: str
    found: str
    verdict: str = FINE
    words: str = ""


@dataclass(frozen=True)
class Environment:
    """What :func:`check_environment` found; a notebook shows it as a table.

    Attributes
    ----------
    findings : tuple of Finding
        All that was looked at.
    start_methods : tuple of str
        The start methods that this Python has, in the order in which it names them.
    child_answered : bool
        Whether a child process, started with spawn, ran and answered.
    """

    findings: tuple[Finding, ...]
    start_methods: tuple[str, ...]
    child_answered: bool

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence or two for each thing that makes cells fail: what, and what to do."""
        return self._words(PROBLEM)

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence or two for each thing that is good to know; no cell fails for it."""
        return self._words(NOTE)

    def _words(self, verdict: str) -> tuple[str, ...]:
        return tuple(finding.words for finding in self.findings if finding.verdict == verdict)

    def __repr__(self) -> str:
        lines = []
        for what, found, verdict, words in self.findings:
            lines.append(f"{what}: {found} ({verdict})")
            if words:
                lines.append(f"    {words}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col" {_STYLE}>{name}</th>' for name in ("Looked at", "Here", "Verdict"))
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(map(_row, self.findings))}</tbody></table>"
        )


def check_environment() -> Environment:
    """Look at what the chapters need: Python, the packages, start methods, semaphores, a child that answers.

    Starts one child process, and waits up to 30 seconds for it. Whatever is missing is in the
    result, in words; nothing is raised for it.

    Returns
    -------
    Environment
        Its ``problems`` are empty when every chapter will run.
    """
    start_methods = tuple(multiprocessing.get_all_start_methods())
    context = multiprocessing.get_context("spawn" if "spawn" in start_methods else start_methods[0])
    child = _child()
    findings = (
        _python(),
        Finding("Platform", sysconfig.get_platform()),
        *_packages(),
        _cpus(),
        _start_methods(start_methods),
        child,
        *_queue(context),
        _pipe(),
        *_open_files(),
    )
    return Environment(findings, start_methods, child.verdict == FINE)


def _python() -> Finding:
    found = f"{platform.python_implementation()} {platform.python_version()}"
    if platform.python_implementation() != "CPython":
        return Finding("Python", found, NOTE, "The chapters were tested with CPython alone.")
    if not frames_can_be_read():
        words = (
            "This Python is free-threaded: it does not let a thread read where another one is. So diagnose "
            "refuses to run, and chapter 06 and the checks of the exercises fail with it; and a process that "
            "is stuck at a deadline is named, but can't be shown. Take the usual build of Python."
        )
        return Finding("Python", f"{found}, free-threaded", PROBLEM, words)
    return Finding("Python", found)


def what_to_install(what: str) -> str:
    """Return the words of an ImportError: which packages are missing, and the command that brings them.

    Parameters
    ----------
    what : str
        What can't be had without them: "panels" for example.

    Returns
    -------
    str
        With the versions that the installed ipc_helpers asks for; names alone where it is used but not
        installed.
    """
    try:
        requirements = _requirements()
    except metadata.PackageNotFoundError:
        requirements = tuple(_NEEDED_FOR)
    missing = [name for name in _NEEDED_FOR if importlib.util.find_spec(name) is None] or [*_NEEDED_FOR]
    wanted = " ".join(f'"{line}"' for line in requirements if _parsed(line)[0] in missing)
    return f"{what} need {', '.join(missing)}: python -m pip install {wanted}"


def _requirements() -> tuple[str, ...]:
    """Return what the installed ipc_helpers asks for, each a name and its bounds, without markers."""
    lines = metadata.requires("ipc_helpers") or []
    return tuple(line.partition(";")[0].strip() for line in lines)


def _packages() -> Iterator[Finding]:
    """Compare the packages with what the installed ipc_helpers asks for."""
    try:
        requirements = _requirements()
    except metadata.PackageNotFoundError:
        words = f"ipc_helpers is used but not installed, so what it needs is not known. {_README}."
        yield Finding("Packages", "not known", NOTE, words)
        return
    for requirement in requirements:
        yield _package(requirement)


def _package(requirement: str) -> Finding:
    name, bounds = _parsed(requirement)
    try:
        version = metadata.version(name) if importlib.util.find_spec(name) else None
    except metadata.PackageNotFoundError:
        version = None
    install = f'{_README}; or run %pip install "{requirement}" in a cell, then restart the kernel.'
    if version is None and name not in _NEEDED_FOR:
        words = f"This Python has no {name}. That is fine: something else shows you this notebook."
        return Finding(name, "missing", NOTE, words)
    if version is None:
        words = f"{name} is missing, so {_NEEDED_FOR[name]}. It is not in {sys.executable}. {install}"
        return Finding(name, "missing", PROBLEM, words)
    if _numbers(version) < _numbers(bounds[">="]):
        words = f"{name} {version} is too old: {bounds['>=']} or newer is needed. {install}"
        return Finding(name, version, PROBLEM, words)
    if _numbers(version) >= _numbers(bounds["<"]):
        words = f"{name} is newer than what the chapters were tested with, which is below {bounds['<']}."
        return Finding(name, version, NOTE, words)
    return Finding(name, version)


def _parsed(requirement: str) -> tuple[str, dict[str, str]]:
    """Return the name and the two bounds, by ">=" and "<", of a requirement as pyproject.toml has them."""
    match = re.match(r"[\w.-]+", requirement)
    assert match
    return match.group(), dict(re.findall(r"(>=|<)\s*([\d.]+)", requirement))


def _numbers(version: str) -> tuple[int, ...]:
    """Return the first four numbers of a version; the rest, as of "1.0rc1", is not looked at."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    numbers = map(int, match.group().split(".")) if match else ()
    return (*numbers, 0, 0, 0, 0)[:4]


def _cpus() -> Finding:
    if sys.version_info >= (3, 13):
        count = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    if count == 1:
        words = "With one CPU, processes take turns. Every cell works; rates and timelines look different."
        return Finding("CPUs this process may use", "1", NOTE, words)
    return Finding("CPUs this process may use", str(count))


def _start_methods(names: tuple[str, ...]) -> Finding:
    found = ", ".join(names)
    if "spawn" not in names:
        words = (
            "The start method spawn is missing, and every chapter starts its processes with it: most cells "
            f"will fail. {_README}, on Linux, macOS or Windows."
        )
        return Finding("Start methods", found, PROBLEM, words)
    lacking = [name for name in ("fork", "forkserver") if name not in names]
    if lacking:
        words = (
            f"There is no {' and no '.join(lacking)} here. Every cell works all the same: the chapters use "
            "spawn, and where they compare it with the others, they skip what is missing."
        )
        return Finding("Start methods", found, NOTE, words)
    return Finding("Start methods", found)


def _child() -> Finding:
    started = time.perf_counter()
    try:
        # Imported late: where Python can't start processes, this import may be what fails.
        from ipc_helpers.processes import ProcessGroup

        with ProcessGroup(multiprocessing.get_context("spawn"), deadline=_CHILD_SECONDS) as group:
            child = group.start(os.getpid, name="the child")
        answered = child.result != os.getpid()
        error = "it ran in this process"
    except Exception as exception:  # whatever it is, the reader gets words
        answered = False
        error = f"{type(exception).__name__}: {exception}".partition("\n")[0]
    if answered:
        return Finding("A child process", f"answered after {time.perf_counter() - started:.2f} seconds")
    words = (
        f"A child process did not answer ({error}), so most cells will fail. Restart the kernel. If it stays "
        "so, something keeps Python from starting processes: a security tool, a container's limit, or a "
        "Python that runs in the browser."
    )
    return Finding("A child process", "did not answer", PROBLEM, words)


def _queue(context: BaseContext) -> Iterator[Finding]:
    """Make a Queue, which takes semaphores of the system."""
    try:
        from multiprocessing.synchronize import SEM_VALUE_MAX  # type: ignore[attr-defined]

        queue = context.Queue()
    except (ImportError, OSError) as error:
        words = (
            f"No semaphore can be made ({type(error).__name__}: {error}), and a Queue needs some: the cells "
            "with a Queue will fail. In a container, make a /dev/shm that may be written to."
        )
        yield Finding("Semaphores", "not working", PROBLEM, words)
        return
    yield Finding("Semaphores", f"count up to {SEM_VALUE_MAX:,}, the largest maxsize of a Queue")
    try:
        queue.qsize()
    except NotImplementedError:
        words = "The size of a Queue can't be asked for here, as on macOS. The chapters skip it."
        yield Finding("Queue.qsize()", "missing", NOTE, words)
    else:
        yield Finding("Queue.qsize()", "works")
    finally:
        queue.close()


def _pipe() -> Finding:
    what = "Room in a pipe"
    try:
        import fcntl
    except ImportError:
        command = None
    else:
        command = getattr(fcntl, "F_GETPIPE_SZ", None)
    if command is None:
        words = "Only Linux says how much fits into a pipe. The chapters then compare small and very large."
        return Finding(what, "not told", NOTE, words)
    ends = os.pipe()
    try:
        return Finding(what, f"{fcntl.fcntl(ends[1], command):,} bytes")
    finally:
        for end in ends:
            os.close(end)


def _open_files() -> Iterator[Finding]:
    what = "Files a process may open"
    try:
        import resource
    except ImportError:  # Windows has no such limit to look at
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        yield Finding(what, "no limit")
    elif limit < _USUAL_OPEN_FILES:
        words = (
            "These are few, and the ends of queues and pipes count. At 'Too many open files', restart the "
            f"kernel; or enter ulimit -n {_USUAL_OPEN_FILES} in a terminal and start JupyterLab from there."
        )
        yield Finding(what, f"{limit:,}", NOTE, words)
    else:
        yield Finding(what, f"{limit:,}")


def _row(finding: Finding) -> str:
    what, found, verdict, words = map(html.escape, finding)
    end = f"<strong>{verdict}</strong>: {words}" if words else verdict
    return f'<tr><th scope="row" {_STYLE}>{what}</th><td {_STYLE}>{found}</td><td {_STYLE}>{end}</td></tr>'
