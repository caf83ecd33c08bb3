"""Workers written in a cell: ``%%worker`` makes a module of the cell, which a spawned child can import.

A child finds a function by its module and its name, and a notebook's ``__main__`` is no file that it
could import. So the cell becomes a file of its own, in a temporary folder on ``sys.path``. Each run of a cell
gets a name of its own, so neither a cached module nor stale bytecode can be taken for it, in the kernel or in
a child, under any start method; and what was kept of an earlier run still works.
"""

from __future__ import annotations

import atexit
import contextlib
import glob
import hashlib
import importlib
import itertools
import keyword
import os
import platform
import re
import shutil
import symtable
import sys
import tempfile
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType, TracebackType

    from ipc_helpers.group.errors import WorkerError

# What the text of a cell that can't be read seems to define.
_DEFINES = re.compile(r"^(?:(?:async\s+)?def|class)\s+(\w+)|^(\w+)\s*(?::[^=\n]*)?=(?!=)", re.MULTILINE)
_SHOWN = "worker cell"  # stands for the file of a cell that Python can't read


@dataclass(frozen=True, eq=False)
class WorkerCell:
    """A cell that was made into a module, or could not be.

    Attributes
    ----------
    source : str
        Its text, without the line of the magic.
    path : str
        The module's file.
    module : module or None
        None when it could not be made.
    error : BaseException or None
        What stopped it: a SyntaxError, or what importing raised.
    names : tuple of str
        The functions, classes and other values that the cell defines at its top level; no imports, and none
        with a leading underscore.
    cell_id : str
        Which cell of the notebook it is; empty where that is not known.
    """

    source: str
    path: str
    module: ModuleType | None
    error: BaseException | None
    names: tuple[str, ...]
    cell_id: str = ""

    @property
    def line(self) -> int | None:
        """The line that the error is in, as JupyterLab counts: the line of the magic is line 1."""
        if isinstance(self.error, SyntaxError) and self.error.filename == _SHOWN:
            return self.error.lineno  # not one in another module, which the cell imports
        frames = traceback.extract_tb(self.error.__traceback__) if self.error else []
        return next((frame.lineno for frame in reversed(frames) if frame.filename == self.path), None)


_cells: list[WorkerCell] = []  # the current ones, the latest last
_numbers = itertools.count()
_folder: Path | None = None


def find(name: str) -> WorkerCell | None:
    """Return the worker's cell that defines a name, or tried to; the latest if there are several.

    Parameters
    ----------
    name : str
        Of a function, a class or another value.

    Returns
    -------
    WorkerCell or None
    """
    return next((cell for cell in reversed(_cells) if name in cell.names), None)


def define(source: str, cell_id: str = "", namespace: dict[str, object] | None = None) -> WorkerCell:
    """Make a module of a cell's text, and put its names into the notebook.

    The version before is forgotten. All its names leave the notebook, whether or not the new text can be
    read, as do those names of other cells that this one defines too. What the notebook has given to something
    else meanwhile stays.

    Parameters
    ----------
    source : str
        Python code, without the line of the magic.
    cell_id : str
        Which cell of the notebook it is; empty where that is not known: then an edit is known by its names.
    namespace : dict, optional
        The notebook's names, which get those of the cell.

    Returns
    -------
    WorkerCell
        With the error in it when the text could not be made into a module.
    """
    held = {} if namespace is None else namespace
    made = _make(source, cell_id)
    for cell in list(_cells):
        is_before = (cell_id and cell.cell_id == cell_id) or set(cell.names) <= set(made.names)
        for name, value in _given(cell).items():
            if (is_before or name in made.names) and held.get(name) is value:
                del held[name]
        if is_before:
            _cells.remove(cell)
    _cells.append(made)
    held.update(_given(made))
    return made


def running_cell(ipython: Any) -> tuple[str, str]:
    """Return the id of the notebook's cell that runs, and that of this run of it; empty where not known."""
    parent: dict[str, Any] = getattr(ipython, "get_parent", dict)() or {}
    cell_id = (parent.get("metadata") or {}).get("cellId") or ""
    return cell_id, (parent.get("header") or {}).get("msg_id") or ""


def load(ipython: Any) -> None:
    """Register the magic ``%%worker`` with an IPython shell."""

    def worker(line: str, cell: str) -> None:
        """Make a module of this cell, so that child processes can import its functions.

        The functions become names of the notebook. The cell is a module of its own: what it uses has to be
        imported or defined in it.
        """
        __tracebackhide__ = True  # IPython leaves this frame out
        if line.strip():
            raise _shown_alone(ValueError(f"%%worker stands alone in its line, without {line.strip()!r}"))
        made = define(cell, running_cell(ipython)[0], ipython.user_ns)
        if made.error is not None:
            trace = _trace_in(made)
            raise made.error.with_traceback(trace) if trace else _shown_alone(made.error)

    ipython.register_magic_function(worker, "cell", "worker")
    if ipython.has_trait("exit_now"):  # a kernel is asked to end; with children, ipykernel runs no atexit
        ipython.observe(lambda change: _remove_folder(), "exit_now")


def _make(source: str, cell_id: str) -> WorkerCell:
    """Make the module of a cell."""
    text = f"# %%worker\n{source}"  # its lines have the numbers that they have in the cell
    digest = hashlib.sha256(ascii((next(_numbers), source)).encode()).hexdigest()
    path = _own_folder() / f"worker_{digest[:16]}.py"
    module, error = None, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # the import warns of the text, once
            names = _names(text)
            compile(text, _SHOWN, "exec", dont_inherit=True)  # whose error names no temporary file
        path.write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        module = importlib.import_module(path.stem)
        names = tuple(key for key in names if hasattr(module, key))
    except (Exception, SystemExit) as raised:
        error = raised
    return WorkerCell(source, str(path), module, error, names, cell_id)


def _names(text: str) -> tuple[str, ...]:
    """Return what a cell defines at its top level, or seems to when it can't be read."""
    try:
        found = [
            symbol.get_name()
            for symbol in symtable.symtable(text, _SHOWN, "exec").get_symbols()
            if symbol.is_assigned() and not symbol.is_imported()
        ]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = [name for pair in _DEFINES.findall(text) for name in pair if not keyword.iskeyword(name)]
    return tuple(name for name in dict.fromkeys(found) if name and not name.startswith("_"))


def _given(cell: WorkerCell) -> dict[str, object]:
    """Return what a cell gives the notebook."""
    return {name: getattr(cell.module, name) for name in cell.names if hasattr(cell.module, name)}


def _shown_alone(error: BaseException) -> Exception:
    """Return an exception that IPython shows as it shows a syntax error of any cell: without frames.

    Of an error that a magic raises, it would show those of its own, four for a syntax error.
    """
    lines = "".join(traceback.format_exception_only(error)).splitlines()
    shown = {"_render_traceback_": lambda self: lines}
    alone: type[Exception] = type(type(error).__name__, (Exception,), shown)
    return alone(str(error))


def _trace_in(cell: WorkerCell) -> TracebackType | None:
    """Return the part of an error's traceback that is in the cell, without the import system's own."""
    trace = cell.error.__traceback__ if cell.error else None
    while trace is not None and trace.tb_frame.f_code.co_filename != cell.path:
        trace = trace.tb_next
    return trace


# What a panel runs and tells.


def latest(worker: Any) -> Any:
    """Return a worker as its cell defines it now; raise ValueError when the cell could not be run again."""
    cell = find(getattr(worker, "__name__", ""))
    if cell is None or os.path.dirname(cell.path) != os.path.dirname(_path_of(worker)):  # not from a cell
        return worker
    if cell.module is None:
        raise ValueError(
            f"the cell that defines {worker.__name__} has an error: correct it, and run it again"
        )
    return getattr(cell.module, worker.__name__, worker)


def _path_of(worker: Any) -> str:
    """Return the file of a function; empty where it has none."""
    return str(getattr(getattr(worker, "__code__", None), "co_filename", ""))


def line_that_raised(error: WorkerError, workers: dict[str, Any]) -> str:
    """Say at which line of a worker's own file an exception was raised, if it was."""
    for worker in workers.values():
        path, cell = _path_of(worker), find(getattr(worker, "__name__", ""))
        lines = re.findall(rf'File "{re.escape(path)}", line (\d+)', error.traceback) if path else []
        if lines:
            where = "its cell" if cell is not None and cell.path == path else os.path.basename(path)
            return f", at line {lines[-1]} of {where}"
    return ""


# The folder of this process, which has the computer's name and its own number in its name.

_PREFIX = f"ipc_workers-{platform.node()}-"


def _own_folder() -> Path:
    """Return the folder for this process's modules; on first use make it, and sweep those of dead ones."""
    global _folder
    own = f"{_PREFIX}{os.getpid()}-"
    if _folder is None or not _folder.is_dir() or not _folder.name.startswith(own):
        _sweep(Path(tempfile.gettempdir()))
        _folder = Path(tempfile.mkdtemp(prefix=own)).resolve()
        sys.path.append(str(_folder))
        atexit.register(_remove_folder)
    return _folder


def _remove_folder() -> None:
    if _folder is not None and _folder.name.startswith(f"{_PREFIX}{os.getpid()}-"):  # not in a forked child
        shutil.rmtree(_folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove the folders of this user's processes that were killed; where a kernel runs, there is psutil."""
    with contextlib.suppress(ImportError):
        import psutil

        for folder in parent.glob(f"{glob.escape(_PREFIX)}*"):
            number = folder.name.removeprefix(_PREFIX).partition("-")[0]
            with contextlib.suppress(OSError):  # somebody else's, or gone meanwhile
                mine = folder.lstat().st_uid == getattr(os, "getuid", int)()
                if mine and number.isdecimal() and not psutil.pid_exists(int(number)):
                    shutil.rmtree(folder, ignore_errors=True)  # which follows no link
