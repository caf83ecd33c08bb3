"""What this Python and this machine lack of what the chapters need, in words."""

from __future__ import annotations

import html
import importlib.util
import multiprocessing
import os
import platform
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

from ipc_helpers.child.entry import frames_can_be_read

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

FINE, NOTE, PROBLEM = "fine", "note", "problem"
"""Verdicts: nothing to say; another platform has more; a cell will fail."""

_CHILD_SECONDS = 30.0  # until a child has to have answered: 0.05 s is usual, a virus scanner takes some
_NEEDED_FOR = {
    "ipywidgets": "there are no panels with sliders",
    "anywidget": "there are no panels with sliders",
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
class MachineReport:
    """What :func:`check_machine` found; a notebook shows it as a table.

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


def check_machine() -> MachineReport:
    """Look at what the chapters need: Python, the packages, start methods, a child that answers, semaphores.

    Starts one child process, and waits up to 30 seconds for it. Whatever is missing is in the
    result, in words; nothing is raised for it.

    Returns
    -------
    MachineReport
        Its ``problems`` are empty when every chapter will run.
    """
    start_methods = tuple(multiprocessing.get_all_start_methods())
    context = multiprocessing.get_context("spawn" if "spawn" in start_methods else start_methods[0])
    child = _child()
    findings = (_python(), *_packages(), _start_methods(start_methods), child, _semaphores(context))
    return MachineReport(findings, start_methods, child.verdict == FINE)


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
        What can't be had without them: "Panel" for example.

    Returns
    -------
    str
        With the versions that the installed ipc_helpers asks for; names alone where it is used but not
        installed.
    """
    requirements = _requirements() or [*_NEEDED_FOR]
    missing = [name for name in _NEEDED_FOR if importlib.util.find_spec(name) is None] or [*_NEEDED_FOR]
    wanted = " ".join(f'"{line}"' for line in requirements if _name(line) in missing)
    return f"{what} needs {', '.join(missing)}: python -m pip install {wanted}"


def _requirements() -> list[str]:
    """Return what the installed ipc_helpers asks for, each a name and its bounds; nothing where it is not."""
    try:
        lines = metadata.requires("ipc_helpers") or []
    except metadata.PackageNotFoundError:
        return []
    return [line.partition(";")[0].strip() for line in lines]


def _packages() -> list[Finding]:
    """Compare the packages with what the installed ipc_helpers asks for."""
    words = f"ipc_helpers is used but not installed, so what it needs is not known. {_README}."
    unknown = Finding("Packages", "not known", NOTE, words)
    return [_package(requirement) for requirement in _requirements()] or [unknown]


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _package(requirement: str) -> Finding:
    name = _name(requirement)
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
    # Wherever a package that can be too old is installed, JupyterLab or Matplotlib have brought this one.
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    allowed = Requirement(requirement).specifier
    if allowed.contains(version, prereleases=True):
        return Finding(name, version)
    bounds = {bound.operator: bound.version for bound in allowed}
    if SpecifierSet(f"<{bounds['>=']}").contains(version, prereleases=True):
        words = f"{name} {version} is too old: {bounds['>=']} or newer is needed. {install}"
        return Finding(name, version, PROBLEM, words)
    words = f"{name} is newer than what the chapters were tested with, which is below {bounds['<']}."
    return Finding(name, version, NOTE, words)


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
    try:
        # Imported late: where Python can't start processes, this import may be what fails.
        from ipc_helpers.group.worker_group import WorkerGroup

        with WorkerGroup(multiprocessing.get_context("spawn"), deadline=_CHILD_SECONDS) as group:
            group.start(os.getpid, name="the child")
    except Exception as exception:  # whatever it is, the reader gets words
        error = f"{type(exception).__name__}: {exception}".partition("\n")[0]
        words = (
            f"A child process did not answer ({error}), so most cells will fail. Restart the kernel. If it "
            "stays so, something keeps Python from starting processes: a security tool, a container's limit, "
            "or a Python that runs in the browser."
        )
        return Finding("A child process", "did not answer", PROBLEM, words)
    return Finding("A child process", "answered")


def _semaphores(context: BaseContext) -> Finding:
    """Make a Queue, which takes semaphores of the system."""
    try:
        from multiprocessing.synchronize import SEM_VALUE_MAX  # type: ignore[attr-defined]

        context.Queue().close()
    except (ImportError, OSError) as error:
        words = (
            f"No semaphore can be made ({type(error).__name__}: {error}), and a Queue needs some: the cells "
            "with a Queue will fail. In a container, make a /dev/shm that may be written to."
        )
        return Finding("Semaphores", "not working", PROBLEM, words)
    return Finding("Semaphores", f"count up to {SEM_VALUE_MAX:,}, the largest maxsize of a Queue")


def _row(finding: Finding) -> str:
    what, found, verdict, words = map(html.escape, finding)
    end = f"<strong>{verdict}</strong>: {words}" if words else verdict
    return f'<tr><th scope="row" {_STYLE}>{what}</th><td {_STYLE}>{found}</td><td {_STYLE}>{end}</td></tr>'
