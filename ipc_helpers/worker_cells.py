"""Workers written in a cell: ``%%worker`` makes a module of the cell, which a spawned child can import.

A child finds a function by its module and its name, and a notebook's ``__main__`` is no file that it
could import. So the cell becomes a file of its own, in a temporary folder on ``sys.path``. The module's
name holds a hash of the text: another text is another module, so neither a cached module nor stale
bytecode can be taken for it, in the kernel or in a child, under any start method. The same text run again is
a new module as well, as a cell that is run again starts afresh; what was kept of the old one still works.
"""

from __future__ import annotations

import ast
import atexit
import contextlib
import hashlib
import importlib
import importlib.util
import itertools
import keyword
import linecache
import os
import re
import shutil
import stat
import symtable
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType, TracebackType

_PREFIX = "ipc_workers-"
_LOCK = "lock"
_SETTLES_WITHIN = 60.0  # seconds: a younger folder may be about to get its lock
# What the text of a cell that can't be read seems to define.
_DEFINES = re.compile(r"^(?:(?:async\s+)?def|class)\s+(\w+)|^(\w+)\s*(?::[^=\n]*)?=(?!=)", re.MULTILINE)
_FIRST_LINE = "# %%worker"


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
    name : str
        What other workers' cells import it by; may be empty.
    cell_id : str
        Which cell of the notebook it is; empty where that is not known.
    namespace : dict or None
        Where its names are put.
    imports : frozenset of str
        The modules that it imports.
    """

    source: str
    path: str
    module: ModuleType | None
    error: BaseException | None
    names: tuple[str, ...]
    name: str = ""
    cell_id: str = ""
    namespace: dict[str, object] | None = field(default=None, repr=False)
    imports: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def line(self) -> int | None:
        """The line that the error is in, as JupyterLab counts: the line of the magic is line 1."""
        if isinstance(self.error, SyntaxError) and self.error.filename == _shown_name(self.name):
            return self.error.lineno  # not one in another module, which the cell imports
        found = None
        trace = self.error.__traceback__ if self.error else None
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self.path:
                found = trace.tb_lineno
            trace = trace.tb_next
        return found


_cells: list[WorkerCell] = []  # the current ones, the latest last
_folder: Path | None = None
_lock: IO[bytes] | None = None
_owner = 0


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


def define(
    source: str, name: str = "", cell_id: str = "", namespace: dict[str, object] | None = None
) -> WorkerCell:
    """Make a module of a cell's text, and put its names into the notebook.

    The version before is forgotten: the same cell of the notebook, or the one of that name. All its names
    leave the notebook, whether or not the new text can be read, as do those names of other cells that this
    one defines too. What the notebook has given to something else meanwhile stays.

    Cells that import this one by its name are made again. One that can't be made any more loses its names,
    and gets them back with the edit that mends it.

    Parameters
    ----------
    source : str
        Python code, without the line of the magic.
    name : str
        What other workers' cells import it by; empty for none.
    cell_id : str
        Which cell of the notebook it is; empty where that is not known.
    namespace : dict, optional
        The notebook's names, which get those of the cell.

    Returns
    -------
    WorkerCell
        With the error in it when the text could not be made into a module.

    Raises
    ------
    ValueError
        For a name that can't be imported, or that belongs to another module.
    """
    _check_name(name)
    names = _names(source)
    changed = {name}
    imported = set()
    for cell in list(_cells):
        before = (cell_id and cell.cell_id == cell_id) or (name and cell.name == name)
        # Where the cell's id is not known, an edit is known by its names: it leaves none to this one.
        if before or (not cell.name and set(cell.names) <= set(names)):
            changed.add(cell.name)
            imported |= _forget(cell)
            _cells.remove(cell)
        else:
            _withdraw(cell, set(cell.names) & set(names))
    made = _make(source, name, cell_id, names, namespace)
    _put(made, {*made.names} | imported)
    _cells.append(made)
    for cell in _importers(changed - {""}, made):
        imported = _forget(cell)
        again = _make(cell.source, cell.name, cell.cell_id, cell.names, cell.namespace)
        # A later cell, or the notebook, may have given a name to something else meanwhile.
        _put(again, {key for key in again.names if key not in (again.namespace or ())} | imported)
        _cells[_cells.index(cell)] = again
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

        ``%%worker`` alone, or with a name: ``%%worker shapes`` lets other workers' cells ``import shapes``.
        The functions become names of the notebook. The cell is a module of its own: what it uses has to be
        imported or defined in it.
        """
        __tracebackhide__ = True  # IPython leaves this frame out
        try:
            made = define(cell, line.strip(), running_cell(ipython)[0], ipython.user_ns)
        except ValueError as error:
            raise _shown_alone(error) from None
        if made.error is not None:
            trace = _trace_in(made)
            raise made.error.with_traceback(trace) if trace else _shown_alone(made.error)

    ipython.register_magic_function(worker, "cell", "worker")
    if ipython.has_trait("exit_now"):  # a kernel is asked to end; with children, ipykernel runs no atexit
        ipython.observe(lambda change: _remove_folder(), "exit_now")


# A cell's module.


def _make(
    source: str, name: str, cell_id: str, names: tuple[str, ...], namespace: dict[str, object] | None
) -> WorkerCell:
    """Make the module of a cell, and have its name stand for it."""
    imports = _imports(source)
    # One that could not be made is not bound: importing it fails in the line that does so.
    imported = {cell.name: cell.module for cell in _cells if cell.module and cell.name in imports}
    bound = {name: module.__name__ for name, module in sorted(imported.items())}
    for run in itertools.count():  # each run is a module of its own, with state of its own
        digest = hashlib.sha256(ascii((name, source, bound, run)).encode()).hexdigest()
        module_name = f"worker_{digest[:16]}"
        if module_name not in sys.modules:
            break
    path = _own_folder() / f"{module_name}.py"
    module, error = None, None
    try:
        if circle := _circle(name, imports):
            raise ImportError(f"workers' cells import each other in a circle: {' imports '.join(circle)}")
        with _quiet():
            text = _text(source, bound)
            compile(text, _shown_name(name), "exec", dont_inherit=True)  # an error names no temporary file
        if not path.exists():
            new = path.with_suffix(f".{os.getpid()}")
            new.write_text(text, encoding="utf-8")
            os.replace(new, path)  # whole or not at all
        linecache.checkcache(str(path))
        importlib.invalidate_caches()
        module = importlib.import_module(module_name)
        names = tuple(key for key in names if hasattr(module, key))
        if name:
            sys.modules[name] = module
    except (Exception, SystemExit) as raised:
        error = raised
    return WorkerCell(source, str(path), module, error, names, name, cell_id, namespace, imports)


def _text(source: str, bound: dict[str, str]) -> str:
    """Return the text of the module: its lines have the numbers that they have in the cell."""
    if not bound:
        return f"{_FIRST_LINE}\n{source}"
    pairs = ", ".join(f'"{name}": __import__("{module}")' for name, module in bound.items())
    # So each version of a cell imports the very version of the other that it was made with.
    binding = f'__import__("sys").modules.update({{{pairs}}})'
    future = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    if not future:
        return f"{binding}\n{source}"
    # Nothing may stand before such an import, and a comment may stand after it. Columns are in bytes.
    lines = source.split("\n")
    row, column = (future[-1].end_lineno or 1) - 1, future[-1].end_col_offset or 0
    line = lines[row].encode()
    lines[row] = (line[:column] + f"; {binding}".encode() + line[column:]).decode()
    return "\n".join([_FIRST_LINE, *lines])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave it to the import of the module, which reads the text last, to warn of it once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        yield


def _names(source: str) -> tuple[str, ...]:
    """Return what a cell defines at its top level, or seems to when it can't be read."""
    try:
        with _quiet():
            table = symtable.symtable(source, "worker cell", "exec")
        found = [
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_assigned() and not symbol.is_imported()
        ]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = [name for pair in _DEFINES.findall(source) for name in pair if not keyword.iskeyword(name)]
    return tuple(name for name in dict.fromkeys(found) if name and not name.startswith("_"))


def _imports(source: str) -> frozenset[str]:
    """Return the names of the modules that a cell imports."""
    try:
        with _quiet():
            nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return frozenset(
        names | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    )


def _circle(name: str, imports: Iterable[str]) -> tuple[str, ...]:
    """Return the way from a cell's name along imports back to it; empty when there is none."""
    known = {cell.name: cell.imports for cell in _cells if cell.name}
    ways: list[tuple[str, ...]] = [(name, other) for other in sorted(imports)] if name else []
    seen: set[str] = set()
    for way in ways:  # which grows
        if way[-1] == name:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [(*way, other) for other in sorted(known.get(way[-1], ()))]
    return ()


def _importers(changed: set[str], made: WorkerCell) -> list[WorkerCell]:
    """Return the cells, without the one made, that import such a name or each other, in the order to make."""
    todo: list[WorkerCell] = []
    while more := [cell for cell in _cells if cell not in (made, *todo) and cell.imports & changed]:
        todo += more
        changed = changed | {cell.name for cell in more} - {""}
    order: list[WorkerCell] = []
    while todo:
        waits_for = {cell.name for cell in todo}
        # In a circle each waits for the other; making them says so.
        ready = [cell for cell in todo if not cell.imports & waits_for] or todo
        order += ready
        todo = [cell for cell in todo if cell not in ready]
    return order


def _given(cell: WorkerCell) -> dict[str, object]:
    """Return what a cell can give the notebook: its names, and its module by the name to import it by."""
    if cell.module is None:
        return {}
    given = {name: getattr(cell.module, name) for name in cell.names if hasattr(cell.module, name)}
    return {cell.name: cell.module, **given}


def _put(cell: WorkerCell, names: Iterable[str]) -> None:
    """Put these of a cell's names into the notebook."""
    given = _given(cell)
    if cell.namespace is not None:
        cell.namespace.update({name: given[name] for name in names if name in given})


def _withdraw(cell: WorkerCell, names: Iterable[str]) -> set[str]:
    """Remove these of a cell's names from the notebook, where they are still its own; return those."""
    given, held = _given(cell), cell.namespace if cell.namespace is not None else {}
    own = {name for name in names if name in given and held.get(name) is given[name]}
    for name in own:
        del held[name]
    return own


def _forget(cell: WorkerCell) -> set[str]:
    """Remove all that is a cell's own; return its module's name if the notebook had imported that."""
    _withdraw(cell, cell.names)
    if cell.module is not None and sys.modules.get(cell.name) is cell.module:
        del sys.modules[cell.name]
    return _withdraw(cell, {cell.name})


def _check_name(name: str) -> None:
    if not name:
        return
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"a worker's name must be an identifier, such as shapes, not {name!r}")
    if any(cell.name == name for cell in _cells):
        return
    if name in sys.modules or name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None:
        raise ValueError(f"a worker's name must not be that of another module, and {name!r} is")


# Errors, as a notebook shows them.


def _shown_name(name: str) -> str:
    """Return what stands for the file of a cell that Python can't read."""
    return f"worker cell {name}".strip()


def _shown_alone(error: BaseException) -> Exception:
    """Return an exception that IPython shows as it shows a syntax error of any cell: without frames.

    Of an error that a magic raises, it would show those of its own, four for a syntax error.
    """
    kind = type(error)
    text = "".join(traceback.format_exception_only(kind, error))
    alone: type[Exception] = type(
        kind.__name__, (Exception,), {"_render_traceback_": lambda self: text.splitlines()}
    )
    return alone(str(error))


def _trace_in(cell: WorkerCell) -> TracebackType | None:
    """Return the part of an error's traceback that is in the cell, without the import system's own."""
    trace = cell.error.__traceback__ if cell.error else None
    while trace is not None and trace.tb_frame.f_code.co_filename != cell.path:
        trace = trace.tb_next
    return trace


# The folder of this process.


def _own_folder() -> Path:
    """Return the folder for this process's modules; on first use make it, and sweep those of dead ones."""
    global _folder, _lock, _owner
    if _folder is None or not _folder.is_dir():
        _sweep(Path(tempfile.gettempdir()))
        _folder, _owner = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve(), os.getpid()
        _lock = (_folder / _LOCK).open("wb")
        _take(_lock)  # where a file system has no locks, nobody takes one, and nobody sweeps
        sys.path.append(str(_folder))
        atexit.register(_remove_folder)
    return _folder


def _remove_folder() -> None:
    if _folder is not None and os.getpid() == _owner:  # a forked child has it as well
        if _lock is not None:
            _lock.close()
        shutil.rmtree(_folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove the folders of processes that were killed: their locks are free."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, or gone meanwhile
            status = folder.lstat()  # a link may lead anywhere
            if not stat.S_ISDIR(status.st_mode) or time.time() - status.st_mtime < _SETTLES_WITHIN:
                continue
            with (folder / _LOCK).open("ab") as lock:
                if not _take(lock):
                    continue
            shutil.rmtree(folder, ignore_errors=True)


def _take(lock: IO[bytes]) -> bool:
    """Take the lock of a folder, for as long as the file is open; say whether it was free."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
