"""The exercises: each mistake gets its sentence, each correct way passes, and nothing is left behind."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Any

import make_student_copies
import nbformat
import psutil
import pytest
import refresh_outputs
from exercise_cases.facts import FACTS
from make_student_copies import EXERCISES, SOLUTIONS

from ipc_helpers.ui import check_exercise, worker_cells

if TYPE_CHECKING:
    from pathlib import Path

    from exercise_cases import Cases, Changes

    from ipc_helpers.ui.check_exercise import Verdict

MODULES = {path.stem: path for path in sorted(SOLUTIONS.glob("*.ipynb"))}
COPIES = sorted(EXERCISES.glob("*.ipynb"))
KNOWN = check_exercise.exercises()
CASES: dict[str, Cases] = {}
for chapter in check_exercise.CHAPTERS:
    CASES |= import_module(f"exercise_cases.{chapter}_cases").CASES
MAGIC = "%%worker\n"
AT_ONCE = 6  # trials that run beside each other: they wait more than they compute


def worker_sources(path: Path) -> list[str]:
    """Return the workers' cells of a notebook, without their first lines."""
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source.removeprefix(MAGIC) for cell in cells if cell.source.startswith(MAGIC)]


def keys(path: Path) -> list[str]:
    """Return the exercises that a notebook checks, in its order."""
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source.split('"')[1] for cell in cells if cell.source.startswith("check(")]


SOLVED = {
    key: source
    for path in MODULES.values()
    for key, source in zip(keys(path), worker_sources(path), strict=True)
}
UNSOLVED = {
    key: source for path in COPIES for key, source in zip(keys(path), worker_sources(path), strict=True)
}


def cell_of(key: str, changes: Changes) -> str:
    """Return the text of a cell, made of the solution's where parts of it are to be changed."""
    if isinstance(changes, str):
        return changes
    source = SOLVED[key]
    for old, new in changes.items():
        assert source.count(old) == 1, f"{old!r} is there {source.count(old)} times"
        source = source.replace(old, new)
    return source


MUTANTS = {
    f"{key} {name}": (key, mutant) for key, cases in CASES.items() for name, mutant in cases.mutants.items()
}
OTHERS = {f"{key} {name}": (key, cell) for key, cases in CASES.items() for name, cell in cases.others.items()}


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Verdict]:
    """What the checks say of each mutant, and of each other way to write a worker."""
    cells = {name: (key, cell_of(key, mutant.cell)) for name, (key, mutant) in MUTANTS.items()}
    cells |= {name: (key, cell_of(key, cell)) for name, (key, cell) in OTHERS.items()}
    todo = [(name, KNOWN[key], worker_cells.define(source)) for name, (key, source) in cells.items()]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = pool.map(lambda item: check_exercise.run(item[1], item[2]), todo)
        return {name: verdict for (name, _, _), verdict in zip(todo, said, strict=True)}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mistake_gets_its_sentence_and_its_line(name: str, verdicts: dict[str, Verdict]) -> None:
    key, mutant = MUTANTS[name]
    verdict = verdicts[name]
    assert mutant.says in verdict.text
    assert not verdict.right
    lines = [line.strip() for line in cell_of(key, mutant.cell).splitlines()]
    assert verdict.line is not None, verdict.text
    assert lines[verdict.line - 2] == mutant.at, verdict.text  # the line above the first is %%worker
    assert f"line {verdict.line}" in verdict.text


@pytest.mark.parametrize("name", OTHERS)
def test_another_correct_way_passes(name: str, verdicts: dict[str, Verdict]) -> None:
    assert verdicts[name].right, verdicts[name].text


@pytest.mark.parametrize(("key", "facts", "says"), FACTS)
def test_plain_facts_get_their_sentence(key: str, facts: dict[str, Any], says: str) -> None:
    verdict = check_exercise.judged(KNOWN[key], SOLVED[key], facts)
    assert says in verdict.text
    assert not verdict.right
    assert verdict.line is not None


@pytest.mark.parametrize("key", KNOWN)
def test_an_unwritten_worker_is_told_before_anything_starts(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a process was to be started")

    monkeypatch.setattr(check_exercise, "diagnose", start)
    verdict = check_exercise.run(KNOWN[key], worker_cells.define(UNSOLVED[key]))
    assert verdict.text.startswith("Not yet written: line ")
    assert verdict.line is not None
    assert "NotImplementedError" in UNSOLVED[key].splitlines()[verdict.line - 2]


# What there has to be.


@pytest.mark.parametrize("key", KNOWN)
def test_an_exercise_has_enough_cases(key: str) -> None:
    assert len(CASES[key].mutants) >= 3
    assert len({mutant.says for mutant in CASES[key].mutants.values()}) >= 3
    assert CASES[key].others


def test_each_exercise_is_in_one_notebook() -> None:
    assert list(SOLVED) == list(UNSOLVED) == list(KNOWN) == list(CASES)


def test_student_copies_are_up_to_date() -> None:
    assert make_student_copies.main(["--check"]) == 0, "run tests/tools/make_student_copies.py"


# The students' copies, run as they are.


@pytest.mark.parametrize("path", COPIES, ids=lambda path: path.stem)
def test_each_check_of_a_student_copy_says_that_nothing_is_written(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("IPC_STUDENT_COPY", path.stem)
    notebook = nbformat.read(path, as_version=4)
    started = time.monotonic()
    refresh_outputs.run(notebook, path.parent)  # fails if a cell does
    assert time.monotonic() - started < 60  # a few seconds; with room for a busy machine
    said = [cell.outputs for cell in notebook.cells if cell.source.startswith("check(")]
    assert [output.data["text/plain"].startswith("Not yet written: line ") for (output,) in said] == [
        True for _ in keys(path)
    ]
    assert left_over("IPC_STUDENT_COPY", path.stem) == []
    assert list(tmp_path.iterdir()) == []


def left_over(mark: str, value: str) -> list[psutil.Process]:
    """Return the processes that have this in their environment, once they have had time to end."""
    ends_at = time.monotonic() + 10
    while found := [process for process in psutil.process_iter() if environment(process).get(mark) == value]:
        if time.monotonic() > ends_at:
            break
        time.sleep(0.05)
    return found


def environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):  # somebody else's, or gone
        return {}


# A cell that can't be tried.


@pytest.mark.parametrize(
    ("source", "says", "line"),
    [
        ("def send_numbers(queue, count):\n    for n in range(count)\n", "Python can't read the cell", 3),
        (
            "import nothing_of_that_name\ndef send_numbers(queue, count):\n    return 1\n",
            "ModuleNotFoundError",
            2,
        ),
        ("send_numbers = 3\n", "the cell defines no function send_numbers", None),
        ("def send_numbers(queue, count):\n    ...\n", "Not yet written: line 2", 2),
        ('def send_numbers(queue, count):\n    """Put."""\n    pass\n', "Not yet written: line 2", 2),
    ],
)
def test_a_cell_that_cannot_be_tried_is_told_why(source: str, says: str, line: int | None) -> None:
    verdict = check_exercise.run(KNOWN["02.1"], worker_cells.define(source))
    assert says in verdict.text
    assert (verdict.right, verdict.line) == (False, line)


def test_a_cell_that_was_not_run() -> None:
    assert check_exercise.run(KNOWN["02.1"], None).text == (
        "Not yet run: no cell has defined send_numbers. Run the exercise's worker cell, then this one."
    )


@pytest.mark.parametrize(("key", "error"), [("2.1", ValueError), ("02.9", ValueError), (2.1, TypeError)])
def test_an_unknown_exercise_is_refused(key: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"key must be .*not"):
        check_exercise.check(key)


# Under nbgrader.


def test_a_wrong_answer_raises_under_nbgrader_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = worker_cells.define(UNSOLVED["02.1"])
    assert not check_exercise.run(KNOWN["02.1"], cell).right
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    with pytest.raises(check_exercise.NotRightError, match="Not yet written"):
        check_exercise.run(KNOWN["02.1"], cell)


# Nothing is left.


@pytest.mark.parametrize("name", ["right", "stuck", "raises"])
def test_a_check_leaves_nothing(name: str, nothing_left: Path) -> None:
    key = "02.3"
    change: Changes = {
        "right": {},
        "stuck": CASES[key].mutants["joins first"].cell,
        "raises": {"    return total": "    return total / 0"},
    }[name]
    verdict = check_exercise.run(KNOWN[key], worker_cells.define(cell_of(key, change)))
    assert verdict.right is (name == "right"), verdict.text
