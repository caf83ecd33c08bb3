"""Make the notebooks in notebooks/exercises from those in notebooks/solutions.

    .uv/bin/uv run python tests/tools/make_student_copies.py [--check]

What stands between the lines ``### BEGIN SOLUTION`` and ``### END SOLUTION`` becomes the line that a check
takes for "not yet written", as nbgrader does; outputs are cleared. All else is the same, so the same
solutions give the same bytes. With --check, nothing is written: the command says which copies are out of
date, and fails if there are any.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING

import nbformat
from refresh_outputs import METADATA, ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SOLUTIONS = ROOT / "notebooks" / "solutions"
EXERCISES = ROOT / "notebooks" / "exercises"
# The two lines are nbgrader's own, so that its copies and these agree.
_SOLUTION = re.compile(
    r"^(?P<indent>[ ]*)### BEGIN SOLUTION\n.*?^(?P=indent)### END SOLUTION$", re.MULTILINE | re.DOTALL
)
_STUB = r"\g<indent># YOUR CODE HERE\n\g<indent>raise NotImplementedError()"


def student_copy(solution: Path) -> str:
    """Return the text of the student's copy of a notebook."""
    notebook = nbformat.read(solution, as_version=4)
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = _SOLUTION.sub(_STUB, cell.source)
            cell.outputs, cell.execution_count = [], None
            if "SOLUTION" in cell.source:
                raise ValueError(f"{solution.name}: a solution without its end, or its begin: {cell.source}")
    return nbformat.writes(notebook) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make the students' notebooks from the solutions.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a copy is out of date")
    options = parser.parse_args(arguments)
    texts = {EXERCISES / path.name: student_copy(path) for path in sorted(SOLUTIONS.glob("*.ipynb"))}
    stale = [path for path in EXERCISES.glob("*.ipynb") if path not in texts]
    for path, text in texts.items():
        if not path.exists() or path.read_bytes() != text.encode():
            stale.append(path)
            if not options.check:
                path.write_bytes(text.encode())
    for path in stale:
        print("out of date" if options.check else "changed" if path in texts else "no solution", path.name)
    return int(bool(stale) and options.check)


if __name__ == "__main__":
    sys.exit(main())
