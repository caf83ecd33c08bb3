"""%%worker: children run the cell as it stands, errors name its lines, and no folder outlives its kernel."""

from __future__ import annotations

import gc
import multiprocessing
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import refresh_outputs
from kernels import Kernel
from nbformat.v4 import new_code_cell, new_notebook

from ipc_helpers import WorkerError, WorkerGroup, diagnose
from ipc_helpers.group.starting import start_methods
from ipc_helpers.ui import worker_cells
from ipc_helpers.ui.worker_cells import define, find

if TYPE_CHECKING:
    from collections.abc import Iterator

METHODS = start_methods()
SECONDS = 60  # for a script, with room for a busy machine


@pytest.fixture(autouse=True)
def own_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the cells of one test apart from those of the next."""
    monkeypatch.setattr(worker_cells, "_cells", [])


@pytest.fixture
def names() -> dict[str, Any]:
    """Names as of a notebook."""
    return {}


def result_of(function: Any, *args: Any, start_method: str = "spawn") -> Any:
    with WorkerGroup(multiprocessing.get_context(start_method), deadline=SECONDS) as group:
        child = group.start(function, *args)
    return child.result


# Children run the last text.

EDITS = """
    import multiprocessing, os, pathlib, sys
    from ipc_helpers import WorkerGroup
    from ipc_helpers.ui import worker_cells

    assert not sys.dont_write_bytecode
    if __name__ == "__main__":
        names = {}
        ctx = multiprocessing.get_context(sys.argv[1])
        for edit in range(20):
            digit = edit % 3  # there and back
            cell = worker_cells.define(f"def work():\\n    return {digit}\\n", namespace=names)
            with WorkerGroup(ctx, deadline=60) as group:
                child = group.start(names["work"])
            assert (child.result, names["work"]()) == (digit, digit), (edit, child.result)
        print("compiled:", any(pathlib.Path(cell.path).parent.rglob("*.pyc")))
"""


def printed(program: str, folder: Path, *arguments: str) -> str:
    """Run a program as a script, with compiled modules kept; return what it printed."""
    script = folder / "program.py"
    script.write_text(textwrap.dedent(program))
    unwanted = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    done = subprocess.run(
        [sys.executable, script, *arguments],
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.stderr == ""
    assert list(folder.glob("ipc_workers-*")) == []
    return done.stdout


@pytest.mark.parametrize("start_method", METHODS)
def test_children_run_the_last_of_twenty_edits(start_method: str, tmp_path: Path) -> None:
    """Of equal length, within a second, compiled modules kept: that fools a file that is written anew."""
    assert printed(EDITS, tmp_path, start_method) == "compiled: True\n"


def test_a_function_that_was_kept_runs_its_own_text(names: dict[str, Any]) -> None:
    define("def work():\n    return 1\n", namespace=names)
    kept = names["work"]
    define("def work():\n    return 2\n", namespace=names)
    assert (result_of(kept), result_of(names["work"])) == (1, 2)


def test_the_same_text_run_again_starts_afresh(names: dict[str, Any]) -> None:
    text = "seen = []\n\n\ndef work():\n    seen.append(1)\n    return len(seen)\n"
    define(text, namespace=names)
    kept = names["work"]
    assert (kept(), kept()) == (1, 2)
    define(text, namespace=names)
    assert names["work"]() == 1
    assert [result_of(kept), result_of(names["work"])] == [1, 1], "one of them can't be pickled any more"


FORKSERVER = """
    import multiprocessing
    from ipc_helpers import WorkerGroup
    from ipc_helpers.ui import worker_cells

    if __name__ == "__main__":
        ctx = multiprocessing.get_context("forkserver")
        with WorkerGroup(ctx, deadline=60) as group:
            group.start(abs, -3)
        assert worker_cells._folder is None
        cell = worker_cells.define("def work():\\n    return 'found'\\n")
        with WorkerGroup(ctx, deadline=60) as group:
            child = group.start(cell.module.work)
        print(child.result)
"""


@pytest.mark.skipif("forkserver" not in METHODS, reason="no forkserver here")
def test_a_forkserver_that_was_there_before_finds_it(tmp_path: Path) -> None:
    assert printed(FORKSERVER, tmp_path) == "found\n"


# Names.


def test_the_names_of_the_version_before_leave_the_notebook() -> None:
    names: dict[str, Any] = {"mine": 1}
    define("import os\nLIMIT = 3\ndef work():\n    return LIMIT\n\nclass Box:\n    pass\n", "a", names)
    assert set(names) == {"mine", "LIMIT", "work", "Box"}
    define("def other():\n    pass\n", "a", names)
    assert set(names) == {"mine", "other"}
    define("def other():\n    return 2\ndef more():\n    pass\n", "b", names)
    assert set(names) == {"mine", "other", "more"}


def test_a_name_that_the_notebook_has_given_to_something_else_stays(names: dict[str, Any]) -> None:
    define("def work():\n    pass\n", "a", names)
    names["work"] = "mine"
    define("def work(:\n", "a", names)
    assert names == {"work": "mine"}


def test_a_broken_edit_leaves_no_old_function(names: dict[str, Any]) -> None:
    define("def work():\n    return 1\n", namespace=names)
    broken = define("def work(number:\n    return 1\n", namespace=names)
    assert isinstance(broken.error, SyntaxError)
    assert names == {}
    assert find("work") is broken
    define("def work():\n    return 3\n", namespace=names)
    assert result_of(names["work"]) == 3


def test_two_cells_that_share_a_constant_both_keep_their_functions(names: dict[str, Any]) -> None:
    define("LAST = 1\ndef produce():\n    return LAST\n", namespace=names)
    define("LAST = 2\ndef consume():\n    return LAST\n", namespace=names)
    assert (names["LAST"], names["produce"](), names["consume"]()) == (2, 1, 2)


def test_names_are_those_of_the_top_level_without_imports_and_private_ones() -> None:
    cell = define(
        "import os\nfrom sys import path as where\n_own = 1\nsquares = [n * n for n in range(3)]\n"
        "if os:\n    def work():\n        inner = 1\n        return inner\n"
    )
    assert cell.names == ("squares", "work")
    broken = define("try:\n    x = 1\nelse:\n    x = 2\nLIMIT: int = 3\nasync def work(:\n")
    assert broken.names == ("LIMIT", "work")


def test_find_says_which_cell_is_the_latest() -> None:
    first = define("def one():\n    pass\n\nasync def two():\n    pass\n")
    second = define("three = 3\nclass Four:\n    pass\n")
    found = [find(name) for name in ("one", "two", "three", "Four", "five")]
    assert found == [first, first, second, second, None]


# Errors, and where they are.


@pytest.mark.parametrize(
    ("source", "error", "line"),
    [
        ("def work():\n    for n in range(3)\n        pass\n", SyntaxError, 3),
        ("import os\nimport nothing_of_that_name\n", ModuleNotFoundError, 3),
        ("def broken():\n    return 1 / 0\n\nbroken()\n", ZeroDivisionError, 3),
        ("import sys\nsys.exit(3)\n", SystemExit, 3),
    ],
)
def test_an_error_names_the_line_as_jupyterlab_counts(
    source: str, error: type[BaseException], line: int
) -> None:
    cell = define(source)
    assert (type(cell.error), cell.line, cell.module) == (error, line, None)


def test_a_syntax_error_in_an_imported_module_is_in_the_line_that_imports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unreadable_of_test.py").write_text("\n" * 9 + "def (")
    monkeypatch.syspath_prepend(tmp_path)
    cell = define("import os\nimport unreadable_of_test\n")
    assert (type(cell.error), cell.line) == (SyntaxError, 3)


def test_a_warning_about_the_text_comes_once() -> None:
    with pytest.warns(SyntaxWarning) as caught:
        define("same = 1 is 1\n")
    assert len(caught) == 1


def test_text_that_python_does_not_take_at_all_is_the_cells_error() -> None:
    cell = define("def work():\n    return '\0'\n")
    assert isinstance(cell.error, (SyntaxError, ValueError))
    assert find("work") is cell


@pytest.mark.parametrize("start_method", METHODS)
def test_the_traceback_of_a_child_shows_the_cells_line(start_method: str) -> None:
    cell = define("def work(number):\n    half = number / 0  # no\n    return half\n")
    with pytest.raises(WorkerError) as caught:
        result_of(cell.module.work, 3, start_method=start_method)
    assert "line 3, in work\n    half = number / 0  # no" in str(caught.value)


def test_a_stuck_worker_is_shown_in_its_cells_line() -> None:
    cell = define("def work(ctx):\n    queue = ctx.Queue()\n    queue.get()\n")
    (process,) = diagnose(cell.module.work, multiprocessing.get_context("spawn")).processes
    assert process.words == "stuck in Queue.get, waiting for a message, in the line  queue.get()"
    assert process.lines == [(cell.path, 4)]


# In kernels.


def run(folder: Path, *sources: str) -> list[str]:
    """Run cells in a kernel whose folder this is; return what each printed, or the error that ended it."""
    raises = {"tags": ["raises-exception"]}
    notebook = new_notebook(cells=[new_code_cell(source, metadata=raises) for source in sources])
    refresh_outputs.run(notebook, folder)
    said = []
    for cell in notebook.cells:
        outputs = [
            output.get("text") or f"{output.get('ename')}: {output.get('evalue')}" for output in cell.outputs
        ]
        said.append("".join(outputs).strip())
    return said


START = """
import multiprocessing
from ipc_helpers import WorkerGroup
%load_ext ipc_helpers

def result_of(function):
    with WorkerGroup(multiprocessing.get_context("spawn"), deadline=60) as group:
        child = group.start(function)
    return child.result
"""


def test_the_magic_in_a_folder_that_cannot_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, temporary = tmp_path / "notebooks", tmp_path / "tmp"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    folder.chmod(0o500)
    try:
        said = run(
            folder,
            START,
            "%%worker\ndef work():\n    return 1",
            "print(result_of(work), work())",
            "%%worker\ndef work():\n    return 2",
            "print(result_of(work), work())",
            "%%worker\ndef work()\n    return 3",
            "print(work)",
        )
    finally:
        folder.chmod(0o700)
    assert said[:5] == ["", "", "1 1", "", "2 2"]
    assert said[5].startswith("SyntaxError: ")
    assert "(worker cell, line 2)" in said[5]
    assert said[6] == "NameError: name 'work' is not defined"
    assert list(folder.iterdir()) == []  # as root, it could be written to
    assert list(temporary.glob("ipc_workers-*")) == []


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with Kernel() as kernel:
        kernel.run("%load_ext ipc_helpers")
        yield kernel


def test_an_edit_that_renames_a_function_leaves_no_old_one(kernel: Kernel) -> None:
    kernel.show("%%worker\ndef before():\n    pass", "cell 1")
    kernel.show("%%worker\ndef after():\n    pass", "cell 1")
    kernel.show("%%worker\ndef other():\n    pass", "cell 2")
    there = "print([name in globals() for name in ('before', 'after', 'other')])"
    assert kernel.show(there, "cell 3") == "[False, True, True]\n"
    kernel.show("%%worker\ndef (", "cell 1")
    assert kernel.show(there, "cell 3") == "[False, False, True]\n"


def test_an_error_is_shown_without_frames_of_the_package(kernel: Kernel) -> None:
    shown = kernel.show("%%worker\ndef work()\n    return 3")
    assert shown.startswith('  File "worker cell", line 2\n    def work()\n')
    assert shown.splitlines()[-1].startswith("SyntaxError: ")
    shown = kernel.show("%%worker shapes\ndef work():\n    return 3")
    assert shown == "ValueError: %%worker stands alone in its line, without 'shapes'"
    shown = kernel.show("%%worker\nwork = 1 / 0")
    assert "----> 2 work = 1 / 0" in shown
    assert shown.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "worker_cells.py" not in shown


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
def test_a_kernel_that_was_killed_and_restarted_sweeps_its_old_folder(kernel: Kernel) -> None:
    where = "import ipc_helpers.ui.worker_cells as w; print(w._folder)"
    kernel.show("%%worker\ndef work():\n    return 1")
    old = Path(kernel.run(where).strip())
    kernel.manager.restart_kernel(now=True)  # kills it
    assert old.exists()
    kernel.wait_until_ready()
    kernel.run("%load_ext ipc_helpers")
    kernel.show("%%worker\ndef work():\n    return 1")
    new = Path(kernel.run(where).strip())
    assert [old.exists(), new.exists()] == [False, True]


OWNER = """
import sys
from ipc_helpers.ui import worker_cells
print(worker_cells.define("def work():\\n    return 1\\n").path, flush=True)
sys.stdin.readline()
"""


def test_a_later_kernel_sweeps_the_folder_of_one_that_was_killed(tmp_path: Path) -> None:
    """Two processes, as kernels are, with a worker's cell each of the same text."""
    start = partial(
        subprocess.Popen[str],
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)},
    )
    with start() as dead, start() as alive:  # whose input has an end when the block has
        folders = [Path(process.stdout.readline()).parent for process in (dead, alive) if process.stdout]
        assert len(set(folders)) == 2, "two notebooks share a folder"
        dead.kill()
        dead.wait(SECONDS)
        worker_cells._sweep(tmp_path)
        assert [folder.exists() for folder in folders] == [False, True]
    assert not folders[1].exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows gives few users the right to make links")
def test_a_link_to_another_folder_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(SECONDS)
    (tmp_path / f"{worker_cells._PREFIX}{gone.pid}-link").symlink_to(folder)
    worker_cells._sweep(tmp_path)
    assert list(folder.iterdir()) == []


def test_two_notebooks_at_once_run_their_own_cells(tmp_path: Path) -> None:
    def notebook(number: int) -> str:
        cell = f"%%worker\ndef work():\n    return {number}"
        return run(tmp_path, START, cell, "print(result_of(work))")[-1]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(notebook, (1, 2))) == ["1", "2"]
    gc.collect()  # what they left open is this test's own warning


def test_child_of_a_cell_loads_no_notebook_packages() -> None:
    cell = define("import sys\n\n\ndef work():\n    return sorted(sys.modules)\n")
    assert {"IPython", "ipywidgets", "ipc_helpers.ui.worker_cells"}.isdisjoint(result_of(cell.module.work))
