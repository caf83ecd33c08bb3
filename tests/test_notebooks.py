"""The chapters keep to their rules, and strict nbval compares their outputs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
import refresh_outputs
from chapter_rules import (
    CHAPTERS,
    CHECKS,
    CONNECTION_METHODS,
    CONNECTION_PROPERTIES,
    FOLDER,
    MACHINE,
    OF_SOLUTIONS,
    PIPE_CHAPTER,
    QUEUE_CHAPTER,
    QUEUE_METHODS,
    SOLUTIONS,
    Chapter,
    keeps_to_its_hour,
    read,
    uses_in_compared_cells,
)
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbval import kernel as nbval_kernel
from nbval.kernel import RunningKernel
from nbval.plugin import get_sanitize_patterns
from prose import broken_links

from ipc_helpers.workers import pipe_workers, queue_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ELSEWHERE = refresh_outputs.SANITIZE.with_name("nbval_sanitize_elsewhere.cfg")

# The chapters themselves.


def test_there_are_chapters() -> None:
    assert QUEUE_CHAPTER in CHAPTERS


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_chapter(check: Callable[[Chapter], Iterator[str]], path: Path) -> None:
    assert list(check(read(path))) == []


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
@pytest.mark.parametrize("check", OF_SOLUTIONS, ids=lambda check: check.__name__)
def test_solutions(check: Callable[[Chapter], Iterator[str]], path: Path) -> None:
    assert list(check(read(path))) == []


@pytest.mark.parametrize(
    ("here", "there", "same"),
    [
        ("waiting: 983 of 1000 (differs)", "waiting: 991 of 1000 (differs)", "both"),
        ("waiting: 983 (differs)", "arrived: 983 (differs)", "neither"),
        ("waiting: 983", "waiting: 991", "neither"),
        ("fork: ['hello'] (None on Windows)", "fork: None (None on Windows)", "elsewhere"),
    ],
)
def test_line_that_says_so_may_differ(here: str, there: str, same: str) -> None:
    for file, system in ((refresh_outputs.SANITIZE, "Linux"), (ELSEWHERE, "elsewhere")):
        rules = get_sanitize_patterns(file.read_text(encoding="ascii"))
        first, second = (refresh_outputs._sanitized(line, rules) for line in (here, there))
        assert (first == second) == (same in ("both", system)), system


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_each_check_of_a_solution_says_right(path: Path) -> None:
    checks = [cell for _, cell in read(path).code if cell.source.startswith("check(")]
    assert len(checks) >= 4
    said = [output.data["text/plain"] for cell in checks for output in cell.outputs]
    assert [text for text in said if not text.startswith("Right: ")] == []
    assert len(said) == len(checks)


def test_each_chapter_but_the_first_has_exercises() -> None:
    assert [path.name for path in SOLUTIONS] == [path.name for path in CHAPTERS[1:]]


def test_the_queue_chapter_calls_every_method() -> None:
    assert list(uses_in_compared_cells(read(QUEUE_CHAPTER), queue_workers, QUEUE_METHODS)) == []


def test_the_pipe_chapter_calls_every_method_and_reads_every_property() -> None:
    missing = uses_in_compared_cells(
        read(PIPE_CHAPTER), pipe_workers, CONNECTION_METHODS, CONNECTION_PROPERTIES
    )
    assert list(missing) == []


def test_the_notebooks_are_small_to_fetch() -> None:
    files = [file for file in FOLDER.rglob("*") if file.is_file() and ".ipynb_checkpoints" not in file.parts]
    assert sum(file.stat().st_size for file in files) < 3_000_000


def chapter_of(*sources: str, **first: Any) -> Chapter:
    """Return a chapter with a title and these code cells; the first has these outputs or tags."""
    cells = [new_code_cell(source, **({} if number else first)) for number, source in enumerate(sources)]
    text = f"Simply see {MACHINE[0]} ![](absent.png)\n\n### A heading"
    text += "\n\n| The fact | Shown under |\n| --- | --- |\n| One | Another heading |\n"
    return Chapter(QUEUE_CHAPTER, new_notebook(cells=[new_markdown_cell(text), *cells]))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_check_finds_what_breaks_its_rule(check: Callable[[Chapter], Iterator[str]]) -> None:
    wrong = chapter_of(
        "pass\n" * 16 + "queue.get()\nPanel(QueueFlow())",
        metadata={"tags": ["nbval-skip"]},
        outputs=[
            new_output("stream", name="stderr"),
            new_output("display_data", {refresh_outputs.VIEW: "{}", "image/png": "aGVsbG8="}),
        ],
    )
    assert list(check(wrong))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("**Time.** 2 minutes to read." + " word" * 355, 0),
        ("**Time.** 9 minutes to read." + " word" * 355, 1),
        ("**Time.** 45 minutes to read." + " **Predict.** word" * 88, 1),
        (
            "**Time.** 45 minutes. **You may stop here for today.** You can now read." + " **Predict.**" * 89,
            0,
        ),
        ("**Time.** 16 minutes to read." + " word" * 2_796, 1),
        (
            "**Time.** 46 minutes. **You may stop here for today.** You can now read." + " **Predict.**" * 91,
            1,
        ),
    ],
)
def test_a_chapter_is_read_within_its_hour(text: str, wrong: int) -> None:
    chapter = Chapter(QUEUE_CHAPTER, new_notebook(cells=[new_markdown_cell(text)]))
    assert len(list(keeps_to_its_hour(chapter))) == wrong


@pytest.mark.parametrize(
    ("address", "broken"),
    [
        ("02-queue.ipynb", False),
        ("02-queue.ipynb#Join-after-you-get", False),
        ("02-queue.ipynb#Join-before-you-get", True),
        ("#Next", False),
        ("#Previous", True),
        ("../README.md#when-something-goes-wrong", False),
        ("../README.md#When-something-goes-wrong", True),
        ("absent.ipynb", True),
        ("https://docs.python.org/3/#absent", False),
    ],
)
def test_a_link_leads_to_a_heading_that_is_there(address: str, broken: bool) -> None:
    assert bool(broken_links(f"[words]({address})", QUEUE_CHAPTER)) == broken


def test_a_method_that_is_not_called_in_a_compared_cell_is_found_out() -> None:
    ignored = {"metadata": {"tags": ["nbval-ignore-output"]}}
    cells = "box.put(1)", "handler = box.get; print(end.closed)", "group.start(queue_workers.get_one, box, 1)"
    found = uses_in_compared_cells(
        chapter_of(*cells, **ignored), queue_workers, ["put", "get"], ["closed", "readable"]
    )
    assert list(found) == ["put is not called in a compared cell", "readable is not read in a compared cell"]


# Strict nbval, in a pytest of its own.


def nbval(path: Path) -> list[str]:
    """Run strict nbval on a notebook; return the outcome of each cell."""
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=120"]
    command += [f"--nbval-sanitize-with={refresh_outputs.SANITIZE}", f"--rootdir={path.parent}"]
    command += ["-p", "no:xdist", "-p", "no:cacheprovider", "-o", "addopts=", "-rA"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        command, cwd=path.parent, env=environment, capture_output=True, encoding="utf-8", timeout=300
    )
    found = re.findall(rf"^(PASSED|FAILED) {path.name}::Cell (\d+)", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    outcomes = [outcome for outcome, _ in sorted(found, key=lambda each: int(each[1]))]
    assert done.returncode == int("FAILED" in outcomes), done.stdout + done.stderr
    return outcomes


def altered(text: str) -> str:
    """Return a text with one character changed: the first letter or digit."""
    place = re.search(r"[A-Za-z0-9]", text)
    assert place, text
    other = "y" if place.group() == "x" else "x"
    return text[: place.start()] + other + text[place.end() :]


def alter(cell: NotebookNode) -> None:
    output = cell.outputs[0]
    if output.output_type == "error":
        output.evalue = altered(output.evalue)
    elif output.output_type == "stream":
        output.text = altered(output.text)
    else:
        kind = "text/html" if "text/html" in output.data else "text/plain"
        output.data[kind] = altered(output.data[kind])


KINDS = {
    "stream": "print('hello')",
    "execute_result": "6 * 7",
    "display_data": "from IPython.display import HTML\ndisplay(HTML('<p>words</p>'))",
    "error": "raise ValueError('no')",
}


def test_nbval_finds_one_altered_character_of_each_kind(tmp_path: Path) -> None:
    """Each kind of output that nbval compares is there twice, altered and as it was; at last, one ignored."""
    path = tmp_path / "kinds.ipynb"
    cells = [
        new_code_cell(source, metadata={"tags": ["raises-exception"]} if kind == "error" else {})
        for kind, source in KINDS.items()
        for _ in range(2)
    ]
    cells.append(new_code_cell(KINDS["stream"], metadata={"tags": ["nbval-ignore-output"]}))
    nbformat.write(new_notebook(cells=cells), path)
    assert refresh_outputs.refresh(path)
    notebook = read(path).notebook
    assert [cell.outputs[0].output_type for cell in notebook.cells[:8:2]] == list(KINDS)
    for cell in notebook.cells[::2]:
        alter(cell)
    nbformat.write(notebook, path)
    assert nbval(path) == [*["FAILED", "PASSED"] * 4, "PASSED"]


def test_kernel_of_nbval_that_dies_at_its_start_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = []

    def start_or_die(*args: object, **options: object) -> object:
        starts.append(time.monotonic())
        if len(starts) == 1:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return start_new_kernel(*args, **options)

    start_new_kernel = nbval_kernel.start_new_kernel
    monkeypatch.setattr(nbval_kernel, "start_new_kernel", start_or_die)
    kernel = RunningKernel("python3", str(tmp_path))
    try:
        kernel.await_reply(kernel.execute_cell_input("1 + 1"), timeout=60)
    finally:
        kernel.stop()
    assert len(starts) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, semaphores have no files to look for")
def test_kernel_of_nbval_takes_its_semaphores_along(tmp_path: Path) -> None:
    prefix = f"mp-kept{os.getpid()}"
    source = f"""import multiprocessing
multiprocessing.current_process()._config["semprefix"] = "/{prefix}"
kept = multiprocessing.get_context("spawn").Queue()"""
    kernel = RunningKernel("python3", str(tmp_path))
    try:
        kernel.await_reply(kernel.execute_cell_input(source), timeout=60)
        assert list(Path("/dev/shm").glob(f"sem.{prefix}-*"))
    finally:
        kernel.stop()
    assert list(Path("/dev/shm").glob(f"sem.{prefix}-*")) == []
