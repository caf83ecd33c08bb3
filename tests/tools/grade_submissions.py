"""Grade five submissions of the exercises on queues with nbgrader, from the hand-out to the scores.

    .uv/bin/uv run --isolated --no-default-groups --group classroom python tests/tools/grade_submissions.py

Makes a course in a temporary folder, runs nbgrader's own commands in it, and says how long each took. Fails
when a score is not the expected one, or when a process is left. TEACHING.md says what a teacher does by hand.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
SOLUTIONS = ROOT / "notebooks" / "solutions"
CHAPTER = "02-queue"
ASSIGNMENT = "queue"
COMMAND_SECONDS = 300
MARK = "IPC_GRADED"  # an environment variable: tells the processes of this run from others
MAGIC = "%%worker\n"

CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "queues"
c.ExecutePreprocessor.timeout = 120  # seconds for a cell; a check ends by itself long before
"""


def replace(old: str, new: str) -> Callable[[str], str]:
    def change(source: str) -> str:
        assert old in source, f"{old!r} is not in {source!r}"
        return source.replace(old, new)

    return change


# For each submission: by the number of the exercise, what the student changed in a right answer.
SUBMISSIONS: dict[str, dict[int, Callable[[str], str]]] = {
    "right": {},
    "empty": {},
    "hanging": {
        0: replace("    queue.put(None)\n", "    queue.put(None)\n    while True:\n        pass\n"),
        1: replace("is not None", "!= 'never'"),  # adds None: raises, and then nothing comes any more
        2: replace("    producer.start()\n", "    producer.start()\n    producer.join()\n"),
    },
    "wrong": {0: replace("    queue.put(None)\n", ""), 3: replace("return (3, 2)", "return (3, 3)")},
    "syntax error": {0: replace("for number in range(count):", "for number in range(count)")},
}
POINTS = {"right": 6, "empty": 0, "hanging": 3, "wrong": 4, "syntax error": 5}
"""Of 6: each of five exercises has one, the starred one has two."""


def nbgrader(course: Path, *arguments: str) -> None:
    """Run a command of nbgrader in a course, and say how long it took."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=course,
        env={**os.environ, MARK: str(course)},
        capture_output=True,
        encoding="utf-8",
        timeout=COMMAND_SECONDS,
        check=False,
    )
    print(f"nbgrader {' '.join(arguments)}: {time.monotonic() - begun:.0f} s", flush=True)
    if done.returncode:
        sys.exit(f"it failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")


def workers(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.source.startswith(MAGIC)]


def submit(course: Path, student: str) -> None:
    """Put a student's notebook where nbgrader's collect would."""
    name = f"{CHAPTER}.ipynb"
    notebook = nbformat.read(course / "release" / ASSIGNMENT / name, as_version=4)
    solution = nbformat.read(SOLUTIONS / name, as_version=4)
    if student != "empty":
        for number, (cell, solved) in enumerate(zip(workers(notebook), workers(solution), strict=True)):
            change = SUBMISSIONS[student].get(number, str)
            cell.source = change(solved.source)
    folder = course / "submitted" / student / ASSIGNMENT
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / name)


def left_over(course: Path) -> list[psutil.Process]:
    """Return the processes that a command of this run started, and that still run."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(course):
                found.append(process)
        except (psutil.Error, OSError):  # somebody else's, or gone
            continue
    return found


def main() -> int:
    course = Path(tempfile.mkdtemp(prefix="course-")).resolve()
    try:
        (course / "nbgrader_config.py").write_text(CONFIG)
        source = course / "source" / ASSIGNMENT
        source.mkdir(parents=True)
        shutil.copy(SOLUTIONS / f"{CHAPTER}.ipynb", source)
        nbgrader(course, "generate_assignment", ASSIGNMENT)
        for student in SUBMISSIONS:
            submit(course, student)
        nbgrader(course, "autograde", ASSIGNMENT)
        nbgrader(course, "generate_feedback", ASSIGNMENT)
        nbgrader(course, "export")
        with (course / "grades.csv").open(newline="") as file:
            scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
        left = left_over(course)
        feedback = {path.parent.parent.name for path in (course / "feedback").glob(f"*/*/{CHAPTER}.html")}
    finally:
        shutil.rmtree(course, ignore_errors=True)
    for student, points in POINTS.items():
        print(f"{student}: {scores.get(student)} of 6, expected {points}")
    if left:
        print("left running:", *left)
    if feedback != set(SUBMISSIONS):
        print("no feedback for:", *sorted(set(SUBMISSIONS) - feedback))
    return int(scores != POINTS or bool(left) or feedback != set(SUBMISSIONS))


if __name__ == "__main__":
    sys.exit(main())
