"""What the check of chapter 00 says: here, on machines that lack something, and to a new user in a kernel."""

from __future__ import annotations

import errno
import importlib.util
import multiprocessing
import os
import platform
import sys
from functools import partial
from importlib import metadata
from multiprocessing import synchronize, util
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
import refresh_outputs
from nbclient import NotebookClient

from ipc_helpers import DeadlineError, WorkerGroup
from ipc_helpers.ui.check_machine import (
    NOTE,
    PROBLEM,
    Finding,
    MachineReport,
    check_machine,
    what_to_install,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nbformat import NotebookNode

    RunAll = Callable[..., tuple[NotebookNode, str]]

CHAPTER = refresh_outputs.ROOT / "notebooks" / "00-start-here.ipynb"


def finding(found: MachineReport, what: str) -> Finding:
    return next(item for item in found.findings if item.what == what)


# Here, where everything works.


@pytest.mark.usefixtures("nothing_left")
def test_here_nothing_is_missing() -> None:
    found = check_machine()
    assert found.problems == ()
    assert found.child_answered
    assert found.start_methods == tuple(multiprocessing.get_all_start_methods())
    for name in ("jupyterlab", "ipywidgets", "matplotlib", "numpy"):
        assert finding(found, name).found == metadata.version(name)


# How a finding is shown.


def test_a_table_and_its_text_have_every_finding() -> None:
    findings = (
        Finding("CPUs", "<2>"),
        Finding("Queue", "none", NOTE, "A & B."),
        Finding("x", "y", PROBLEM, "C."),
    )
    found = MachineReport(findings, ("spawn",), child_answered=True)
    assert (found.notes, found.problems) == (("A & B.",), ("C.",))
    assert repr(found) == "CPUs: <2> (fine)\nQueue: none (note)\n    A & B.\nx: y (problem)\n    C."
    shown = found._repr_html_()
    assert ">&lt;2&gt;</td>" in shown
    assert "<strong>note</strong>: A &amp; B.</td>" in shown
    assert "<strong>problem</strong>: C.</td>" in shown
    assert shown.count("<tr>") == 1 + len(findings)


# On machines that lack something.


def refuse(kind: type[Exception], *arguments: Any) -> Callable[..., Any]:
    def raise_it(*_: Any, **__: Any) -> Any:
        raise kind(*arguments)

    return raise_it


def installed(name: str, version: str) -> tuple[object, str, Callable[[str], str]]:
    real = metadata.version
    return metadata, "version", lambda asked: version if asked == name else real(asked)


def without(name: str) -> tuple[object, str, Callable[..., Any]]:
    real = importlib.util.find_spec
    return importlib.util, "find_spec", lambda asked, *rest: None if asked == name else real(asked, *rest)


NOT_INSTALLED = metadata, "requires", refuse(metadata.PackageNotFoundError, "ipc_helpers")
NOT_ALLOWED = refuse(PermissionError, errno.EPERM, "not allowed")
CASES = [
    ("numpy", installed("numpy", "1.3"), PROBLEM, "numpy 1.3 is too old: 1.23.2 or newer"),
    ("numpy", installed("numpy", "99.0rc1"), NOTE, "newer than what the chapters"),
    ("numpy", installed("numpy", "1.9"), PROBLEM, "numpy 1.9 is too old"),
    ("matplotlib", without("matplotlib"), PROBLEM, "so there are no figures"),
    ("ipywidgets", without("ipywidgets"), PROBLEM, f"is not in {sys.executable}. "),
    ("ipywidgets", without("ipywidgets"), PROBLEM, '%pip install "ipywidgets'),
    (
        "ipywidgets",
        (metadata, "version", refuse(metadata.PackageNotFoundError, "ipywidgets")),
        PROBLEM,
        "ipywidgets is missing",
    ),
    ("jupyterlab", without("jupyterlab"), NOTE, "something else shows you"),
    ("Packages", NOT_INSTALLED, NOTE, "used but not installed"),
    (
        "A child process",
        (util, "spawnv_passfds", NOT_ALLOWED),
        PROBLEM,
        "did not answer (StartError: the child could not be started: PermissionError",
    ),
    (
        "A child process",
        (WorkerGroup, "start", refuse(DeadlineError, 30, {"the child": "its stack"})),
        PROBLEM,
        "did not answer (DeadlineError: the child was still running after 30 s), so",
    ),
    ("Semaphores", (synchronize.SemLock, "__init__", NOT_ALLOWED), PROBLEM, "a Queue needs some"),
    ("Python", (platform, "python_implementation", lambda: "PyPy"), NOTE, "tested with CPython alone"),
    (
        "Start methods",
        (multiprocessing, "get_all_start_methods", lambda: ["spawn", "fork"]),
        NOTE,
        "no forkserver here. Every cell works",
    ),
]


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    ("what", "change", "verdict", "words"), CASES, ids=[f"{case[0]}, {case[2]}" for case in CASES]
)
def test_what_is_missing_is_said_in_words(
    what: str, change: tuple[Any, str, Any], verdict: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if change[0] is util and os.name == "nt":
        monkeypatch.setattr("_winapi.CreateProcess", change[2])
    else:
        monkeypatch.setattr(*change)
    found = check_machine()
    assert finding(found, what).verdict == verdict
    assert words in finding(found, what).words
    assert found.child_answered == (what != "A child process")
    assert finding(found, what).words in (found.problems if verdict == PROBLEM else found.notes)


def test_where_the_package_is_used_but_not_installed_names_of_packages_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(*NOT_INSTALLED)
    monkeypatch.setattr(*without("matplotlib"))
    expected = 'Panel needs matplotlib: python -m pip install "matplotlib"'
    assert what_to_install("Panel") == expected


def test_a_child_is_tried_where_processes_can_not_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipc_helpers.group.worker_group", None)  # as in a browser's Python
    found = check_machine()
    assert not found.child_answered
    assert "ModuleNotFoundError" in finding(found, "A child process").words


def test_a_free_threaded_python_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    found = check_machine()
    assert finding(found, "Python").found.endswith("free-threaded")
    assert "diagnose refuses to run, and chapter 06 and the checks of the exercises fail" in found.problems[0]
    assert found.child_answered, "processes, queues and pipes work there"


# As a new user: run all cells in a kernel, in a Python that lacks something.

HIDE = """
from importlib import machinery

find_spec = machinery.PathFinder.find_spec


def find_others(name, path=None, target=None):
    return None if name == {name!r} else find_spec(name, path, target)


machinery.PathFinder.find_spec = staticmethod(find_others)
"""
LIMIT = """
import multiprocessing
from multiprocessing import context

context._concrete_contexts = {{name: context._concrete_contexts[name] for name in {names!r}}}
context._default_context._default_context = context._concrete_contexts[{names!r}[0]]
multiprocessing.get_all_start_methods = lambda: [*{names!r}]
"""


@pytest.fixture
def run_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunAll:
    def run_all(startup: str, chapter: Path = CHAPTER) -> tuple[NotebookNode, str]:
        """Run a chapter in a Python that runs some code first; return it, and how it failed ("" if not)."""
        (tmp_path / "sitecustomize.py").write_text(startup, encoding="utf-8")
        paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
        notebook = refresh_outputs.tidy(nbformat.read(chapter, as_version=4))
        for cell in refresh_outputs.code_cells(notebook):
            cell.outputs = []
        # A kernel that ends by itself first waits for the resource tracker, which does not heed its SIGTERM.
        at_once = partial(NotebookClient, shutdown_kernel="immediate")
        monkeypatch.setattr(refresh_outputs, "NotebookClient", at_once)
        try:
            refresh_outputs.run(notebook, chapter.parent)
        except refresh_outputs.NotRefreshedError as error:
            return notebook, str(error)
        return refresh_outputs.tidy(notebook), ""

    return run_all


def shown(notebook: NotebookNode) -> list[str]:
    """Return what each code cell shows: what it printed, and its value in all forms."""
    return [
        "".join(output.get("text") or "".join(output.get("data", {}).values()) for output in cell.outputs)
        for cell in refresh_outputs.code_cells(notebook)
    ]


def first(texts: Sequence[str], words: str) -> str:
    return next((text for text in texts if words in text), f"{words!r} is nowhere in {texts}")


@pytest.mark.parametrize(
    ("name", "last_words"),
    [
        ("matplotlib", 'no panel: Panel needs matplotlib: python -m pip install "matplotlib'),
        ("ipywidgets", 'no panel: Panel needs ipywidgets: python -m pip install "ipywidgets'),
    ],
)
def test_new_user_with_a_package_missing(name: str, last_words: str, run_all: RunAll) -> None:
    notebook, failure = run_all(HIDE.format(name=name))
    texts = shown(notebook)
    words = first(texts, "Missing: ")
    assert f"Missing: {name}\n" in words
    assert f"This kernel runs in: {sys.executable}\n" in words
    assert '%pip install --editable "..[notebooks]"' in words
    assert f"problems: {name} is missing, so there are no" in first(texts, "problems: ")
    assert "a child process answered: True" in first(texts, "a child process answered")
    assert "got: 100" in first(texts, "got: "), "whatever needs no panel runs"
    assert last_words in first(texts, "no panel: ")
    assert failure == ""
    assert f"problems: {name} is missing" in texts[-1]


def test_new_user_in_a_python_without_the_project(run_all: RunAll) -> None:
    notebook, failure = run_all(HIDE.format(name="ipc_helpers"))
    assert "Missing: ipc_helpers\n" in first(shown(notebook), "Missing: ")
    assert "ModuleNotFoundError: No module named 'ipc_helpers'" in failure


FEW_SLOTS = """
from multiprocessing import synchronize

synchronize.SEM_VALUE_MAX = 32_767
"""


def test_new_user_whose_queues_have_no_more_slots_than_on_macos(run_all: RunAll) -> None:
    """There a queue without maxsize takes 32,767 messages, and the next put waits."""
    chapter = CHAPTER.with_name("04-inside-the-queue.ipynb")
    notebook, failure = run_all(FEW_SLOTS, chapter)
    assert failure == ""
    stored = nbformat.read(chapter, as_version=4)
    assert refresh_outputs.matters(notebook) == refresh_outputs.matters(stored)


def test_new_user_with_spawn_alone(run_all: RunAll) -> None:
    notebook, failure = run_all(LIMIT.format(names=("spawn",)))
    assert failure == ""
    assert "There is no fork and no forkserver here." in first(shown(notebook), "Start methods")
    stored = nbformat.read(CHAPTER, as_version=4)
    assert refresh_outputs.matters(notebook) == refresh_outputs.matters(stored)


@pytest.mark.parametrize("name", ["01-processes", "02-queue", "03-pipe", "06-pitfalls"])
def test_chapter_with_spawn_alone(name: str, run_all: RunAll, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows the same as on Windows, but for what its lines say is different there."""
    chapter = CHAPTER.with_name(f"{name}.ipynb")
    notebook, failure = run_all(LIMIT.format(names=("spawn",)), chapter)
    assert failure == ""
    elsewhere = refresh_outputs.SANITIZE.with_name("nbval_sanitize_elsewhere.cfg")
    monkeypatch.setattr(refresh_outputs, "SANITIZE", elsewhere)
    stored = nbformat.read(chapter, as_version=4)
    assert refresh_outputs.matters(notebook) == refresh_outputs.matters(stored)


@pytest.mark.skipif(multiprocessing.get_all_start_methods() == ["spawn"], reason="this platform has no other")
def test_new_user_without_spawn(run_all: RunAll) -> None:
    notebook, failure = run_all(LIMIT.format(names=("fork",)))
    texts = shown(notebook)
    assert "problems: The start method spawn is missing, and every chapter" in first(texts, "problems: ")
    assert "spawn is here: False" in first(texts, "spawn is here: ")
    assert "ValueError: cannot find context for 'spawn'" in failure
