"""The command that refreshes stored outputs: what it writes, and what it leaves alone."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
import refresh_outputs
from nbformat.v4 import new_code_cell, new_notebook

if TYPE_CHECKING:
    from pathlib import Path

# A picture that differs in each run, as a figure with measured times does.
PICTURE = """
import os, time
class Picture:
    def __repr__(self):
        return "<Picture>"
    def _repr_png_(self):
        return os.urandom(30)
    def _repr_html_(self):
        return f"<figure><img alt='The time is {time.time_ns()}'></figure>"
Picture()
"""
PRINTS = "print('one')\nprint('two', flush=True)\nprint('three')"
IGNORED = {"tags": ["nbval-ignore-output"]}
RAISES = {"tags": ["raises-exception"]}


def store(path: Path, *cells: Any) -> Path:
    nbformat.write(new_notebook(cells=[*cells], metadata={"widgets": {"state": {}}}), path)
    return path


def refresh(path: Path) -> int:
    return refresh_outputs.main([str(path)])


def cells_of(path: Path) -> list[Any]:
    return nbformat.read(path, as_version=4).cells


def edit(path: Path, number: int, **changes: Any) -> bytes:
    """Change a cell as an author would, and return what the file then holds."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[number].update(nbformat.from_dict(changes))
    nbformat.write(notebook, path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file that the command wrote, with its three usual kinds of cell."""
    path = store(
        tmp_path_factory.mktemp("refreshed") / "usual.ipynb",
        new_code_cell(PRINTS),
        new_code_cell("6 * 7"),
        new_code_cell(PICTURE, metadata=IGNORED),
    )
    assert refresh(path) == 0
    return path.read_bytes()


@pytest.fixture
def usual(refreshed: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "usual.ipynb"
    path.write_bytes(refreshed)
    return path


def test_a_second_run_of_the_command_keeps_every_byte(usual: Path, refreshed: bytes) -> None:
    command = [sys.executable, refresh_outputs.__file__, str(usual)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120)
    assert (done.returncode, done.stdout.strip().split(maxsplit=1)) == (0, ["unchanged", str(usual)]), (
        done.stderr
    )
    assert usual.read_bytes() == refreshed
    assert [file.name for file in usual.parent.iterdir()] == [usual.name]


def test_the_file_holds_nothing_that_differs_by_machine_or_run(refreshed: bytes) -> None:
    text = refreshed.decode()
    notebook = json.loads(text)
    code = notebook["metadata"].pop("ipc_helpers")
    assert list(code) == ["outputs_of"]
    assert notebook["metadata"] == refresh_outputs.METADATA
    assert [cell["execution_count"] for cell in notebook["cells"]] == [1, 2, 3]
    assert "execution" not in notebook["cells"][0]["metadata"]
    streams = [output["text"] for output in notebook["cells"][0]["outputs"]]
    assert streams == [["one\n", "two\n", "three\n"]]
    assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def test_a_stored_output_that_changed_is_refreshed(usual: Path, refreshed: bytes) -> None:
    before = cells_of(usual)
    edit(usual, 0, outputs=[{"output_type": "stream", "name": "stdout", "text": "zero\n"}])
    assert refresh(usual) == 0
    after = cells_of(usual)
    assert after[0].outputs[0].text == "one\ntwo\nthree\n"
    assert after[2].outputs != before[2].outputs, "outputs of two runs in one file"


def test_prose_is_kept_with_the_outputs_of_the_stored_run(usual: Path) -> None:
    before = cells_of(usual)
    edit(
        usual, 1, metadata={"tags": ["lesson"], "execution": {"iopub.status.busy": "now"}}, execution_count=9
    )
    assert refresh(usual) == 0
    after = cells_of(usual)
    assert after[1].metadata == {"tags": ["lesson"]}
    assert after[1].execution_count == after[1].outputs[0].execution_count == 2
    assert after[2] == before[2]
    assert [cell.id for cell in after] == [cell.id for cell in before]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("1 / 0", "cell [2]: ZeroDivisionError: division by zero"),
        ("import sys\nprint('oh', file=sys.stderr)", "cell [2] wrote to stderr: oh"),
        ("import os\nos._exit(1)", "cell [2]: the kernel died"),
    ],
    ids=["error", "stderr", "dead kernel"],
)
def test_a_failing_notebook_is_left_as_it_was(
    usual: Path, capsys: pytest.CaptureFixture[str], source: str, words: str
) -> None:
    edit(usual, 0, outputs=[])  # would be written, if the next cell did not fail
    before = edit(usual, 1, source=source)
    assert refresh(usual) == 1
    assert words in capsys.readouterr().out
    assert usual.read_bytes() == before


def test_one_failure_does_not_keep_the_others_from_their_turn(
    usual: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = tmp_path / "absent.ipynb"
    broken = tmp_path / "broken.ipynb"
    broken.write_text("{", encoding="utf-8")
    assert refresh_outputs.main([str(absent), str(broken), str(usual)]) == 1
    lines = capsys.readouterr().out.splitlines()
    starts = [f"FAILED    {absent} ", f"FAILED    {broken} ", f"unchanged {usual}"]
    assert [line[: len(start)] for line, start in zip(lines, starts, strict=True)] == starts


def test_a_widget_is_stored_without_its_view_and_an_error_without_its_frames(tmp_path: Path) -> None:
    path = store(
        tmp_path / "shows.ipynb",
        new_code_cell("from ipywidgets import IntSlider\nIntSlider()", metadata=IGNORED),
        new_code_cell("import json\njson.loads('')", metadata=RAISES),
        new_code_cell("   "),
    )
    assert refresh(path) == 0
    widget, error, blank = cells_of(path)
    assert list(widget.outputs[0].data) == ["text/plain"]
    assert error.outputs[0].traceback == ["JSONDecodeError: Expecting value: line 1 column 1 (char 0)"]
    assert blank.execution_count is None


def test_a_file_that_was_saved_meanwhile_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = store(tmp_path / "saves.ipynb", new_code_cell("open('saves.ipynb', 'a').write(' ');"))
    assert refresh(path) == 1
    assert "somebody saved the file while it ran" in capsys.readouterr().out
    assert path.read_bytes().endswith(b" ")
