"""Run notebooks in a fresh kernel and store their outputs.

    .uv/bin/uv run python tests/tools/refresh_outputs.py [--all] [NOTEBOOK ...]

Without a name, every chapter and every notebook of solutions is run. All outputs in a file come from one
run of the code in that file. A file is written when its code changed since that run, or when an output that
nbval compares did. Otherwise it keeps every byte: pictures, timings and widgets differ in each run, and
would bury a real change. To tell whether the code changed, the file holds one key of its own in the
notebook's metadata: a hash of its code cells. So a picture is drawn anew after an edit to its cell or to a
cell above it; after an edit to the package, ask for it with --all.

A cell that writes to stderr, or fails without the tag raises-exception, leaves the file as it was.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import re
import sys
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, NbvalKernelspecManager
from nbval.plugin import coalesce_streams, find_comment_markers, find_metadata_tags, get_sanitize_patterns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
SANITIZE = ROOT / "tests" / "nbval_sanitize.cfg"
VIEW = "application/vnd.jupyter.widget-view+json"
CELL_SECONDS = 120

# What no two machines agree on (the version of Python, say) stays out of the file.
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class NotRefreshedError(Exception):
    """Why a notebook was left as it was."""


def find_chapters() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def find_solutions() -> list[Path]:
    return sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))


def as_python(source: str) -> str:
    """Return the code of a cell that the kernel itself runs: no magic, and no worker's cell."""
    if source.startswith("%%"):
        return ""
    return re.sub(r"^[%!].*$", "", source, flags=re.MULTILINE)


def is_code(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip())


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells that a kernel runs; counted from 1, they have the numbers that a reader sees."""
    return [cell for cell in notebook.cells if is_code(cell)]


def is_compared(cell: NotebookNode) -> bool:
    """Say whether nbval compares the cell's outputs."""
    options = dict(find_metadata_tags(cell.metadata)) | dict(find_comment_markers(cell.source))
    return bool(options.get("check", True)) and "skip" not in options


def code_hash(notebook: NotebookNode) -> str:
    code = "\0".join(cell.source for cell in code_cells(notebook))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def hash_of_outputs(notebook: NotebookNode) -> str | None:
    """Return the hash of the code that the outputs were made with, as the file says."""
    return notebook.metadata.get("ipc_helpers", {}).get("outputs_of")


def run(notebook: NotebookNode, folder: Path) -> None:
    """Run every cell, in the kernel that nbval would start, and keep the outputs in the notebook."""
    # In an event loop that is closed at the end: of those that nbclient makes, each thread leaves one open.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(_run(notebook, folder))


async def _run(notebook: NotebookNode, folder: Path) -> None:
    client = NotebookClient(
        notebook, timeout=CELL_SECONDS, extra_arguments=["--log-level=ERROR"], record_timing=False
    )
    client.km = client.kernel_manager_class(
        kernel_name=CURRENT_ENV_KERNEL_NAME, kernel_spec_manager=NbvalKernelspecManager()
    )
    async with client.async_setup_kernel(cwd=str(folder)):
        number = 0
        for index, cell in enumerate(notebook.cells):
            if not is_code(cell):
                continue
            number += 1
            try:
                await client.async_execute_cell(cell, index)
            except CellExecutionError as error:
                raise NotRefreshedError(f"cell [{number}]: {error.ename}: {error.evalue}") from error
            except CellTimeoutError as error:
                raise NotRefreshedError(f"cell [{number}]: not done after {CELL_SECONDS} seconds") from error
            except DeadKernelError as error:
                raise NotRefreshedError(f"cell [{number}]: the kernel died") from error
            for output in cell.outputs:
                if output.get("name") == "stderr":
                    raise NotRefreshedError(f"cell [{number}] wrote to stderr: {output.text.strip()}")


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Remove from the notebook what differs by machine or by run, and number its cells."""
    own = {key: notebook.metadata[key] for key in ["ipc_helpers"] if key in notebook.metadata}
    notebook.metadata = nbformat.from_dict(METADATA | own)
    for cell in notebook.cells:
        cell.source = cell.source.rstrip()
        for timing in ("execution", "ExecuteTime"):
            cell.metadata.pop(timing, None)
    for number, cell in enumerate(code_cells(notebook), 1):
        cell.execution_count = number
        cell.outputs = list(_tidy_outputs(cell.outputs, number))
    return notebook


def _tidy_outputs(outputs: list[NotebookNode], number: int) -> Iterator[NotebookNode]:
    stream = None  # the output before this one, if it was a stream
    for output in outputs:
        if output.output_type == "stream" and stream is not None and stream.name == output.name:
            stream.text += output.text
            continue
        stream = output if output.output_type == "stream" else None
        if output.output_type == "execute_result":
            output.execution_count = number
        if output.output_type == "error":  # the lines above name files of this machine
            output.traceback = [f"{output.ename}: {output.evalue}"]
        if "data" in output:  # without a kernel, a view shows an error instead of the text beside it
            output.data.pop(VIEW, None)
        yield output


def matters(notebook: NotebookNode) -> list[Any]:
    """Return what nbval compares, and for each other cell whether it has outputs at all."""
    rules = get_sanitize_patterns(SANITIZE.read_text(encoding="ascii"))
    return [
        _sanitized(coalesce_streams(cell.outputs), rules) if is_compared(cell) else bool(cell.outputs)
        for cell in code_cells(deepcopy(notebook))
    ]


def _sanitized(value: Any, rules: list[tuple[str, str]]) -> Any:
    if isinstance(value, list):
        return [_sanitized(part, rules) for part in value]
    if isinstance(value, dict):
        never = ("metadata", "image/png", "image/jpeg")
        return {key: _sanitized(part, rules) for key, part in value.items() if key not in never}
    if isinstance(value, str):
        for pattern, replacement in rules:
            value = re.sub(pattern, replacement, value)
    return value


def as_text(notebook: NotebookNode) -> str:
    return nbformat.writes(notebook) + "\n"


def refresh(path: Path, everything: bool = False) -> bool:
    """Run one notebook and store its outputs; say whether the file changed."""
    before = path.read_bytes()
    stored = tidy(nbformat.reads(before.decode(), as_version=4))
    fresh = deepcopy(stored)
    run(fresh, path.parent)
    tidy(fresh)
    code = code_hash(stored)
    keep = not everything and hash_of_outputs(stored) == code and matters(stored) == matters(fresh)
    notebook = stored if keep else fresh
    notebook.metadata["ipc_helpers"] = {"outputs_of": code}
    after = as_text(notebook).encode()
    if after == before:
        return False
    if path.read_bytes() != before:
        raise NotRefreshedError("somebody saved the file while it ran; refresh it again")
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_bytes(after)
        os.replace(new, path)  # whole or not at all
    finally:
        new.unlink(missing_ok=True)
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run notebooks and store their outputs.")
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--all", action="store_true", help="store all outputs, changed or not")
    options = parser.parse_args(arguments)
    paths = options.notebooks or find_chapters() + find_solutions()
    if not paths:
        parser.error("there is no notebook")
    failed = False
    for path in paths:
        try:
            print("changed  " if refresh(path, options.all) else "unchanged", path)
        except (NotRefreshedError, OSError, ValueError) as error:
            failed = True
            print("FAILED   ", path, error)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
