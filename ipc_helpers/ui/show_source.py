"""The source of workers, as a chapter shows it: whole, so that it can be pasted into an empty file."""

from __future__ import annotations

import ast
import inspect
import sys
from symtable import symtable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from symtable import SymbolTable


class Source:
    """Python source, shown by a notebook with its syntax highlighted.

    Parameters
    ----------
    text : str
        The source.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.text}\n```"

    def __repr__(self) -> str:
        return self.text


def show_source(*objects: Callable[..., Any]) -> Source:
    """Return the source of functions and classes, with all that they need from their modules.

    That is imports, and other functions, classes and values of the same module that they name, and those that
    these name.

    Parameters
    ----------
    *objects : function or class
        Each defined at the top level of a module, which has a file.

    Returns
    -------
    Source
        In the order of each module; a notebook shows it when it is the last expression of a cell.

    Raises
    ------
    TypeError
        For none, or for something that is no function and no class.
    ValueError
        For what is not defined at the top level of a module with a file, but in a notebook for example.
    """
    if not objects:
        raise TypeError("show_source takes at least one function or class")
    wanted: dict[str, list[str]] = {}
    for each in objects:
        if not (inspect.isfunction(each) or inspect.isclass(each)):
            raise TypeError(f"show_source takes functions and classes, not {each!r}")
        wanted.setdefault(each.__module__, []).append(each.__qualname__)
    imports: set[str] = set()
    definitions: list[str] = []
    for module, names in wanted.items():
        source = _source_of(module)
        statements = {name: node for node in ast.parse(source).body for name in _defined_by(node)}
        for name in names:
            if name not in statements:
                raise ValueError(
                    f"show_source takes what is defined at the top level of a module with a file, not {name}"
                )
        needed = _needed_by(names, statements)
        nodes = {statements[name] for name in needed}
        for node in sorted(nodes, key=lambda node: node.lineno):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                imports.update(_import_lines(node, needed))
            else:
                first = min(each.lineno for each in (node, *getattr(node, "decorator_list", ())))
                lines = source.splitlines()[first - 1 : node.end_lineno]  # with a comment at the end
                definitions.append("\n".join(lines))
    head = "\n".join(sorted(imports, key=lambda line: (line.startswith("from"), line)))
    return Source("\n\n\n".join(filter(None, (head, *definitions))))


def _source_of(module: str) -> str:
    try:
        return inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError):  # a notebook's __main__ has no file
        return ""


def _defined_by(node: ast.stmt) -> list[str]:
    """Return the names that a statement at the top level of a module defines."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [_name_of(alias) for alias in node.names]
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _name_of(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _needed_by(names: list[str], statements: dict[str, ast.stmt]) -> set[str]:
    """Return some names with those of the module that they need, and what those need."""
    needed: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in statements and name not in needed:
            needed.add(name)
            left += _global_names(symtable(ast.unparse(statements[name]), "<statement>", "exec"))
    return needed


def _global_names(table: SymbolTable) -> Iterator[str]:
    """Yield the names that a statement looks up in its module: a parameter, for one, is none of them."""
    top = table.get_type() == "module"
    yield from (name.get_name() for name in table.get_symbols() if top or name.is_global())
    for inner in table.get_children():
        yield from _global_names(inner)


def _import_lines(node: ast.Import | ast.ImportFrom, names: set[str]) -> list[str]:
    """Return the lines that import what some of the names stand for."""
    used = [alias for alias in node.names if _name_of(alias) in names]
    if isinstance(node, ast.ImportFrom):
        return [ast.unparse(ast.ImportFrom(node.module, used, node.level))]
    return [ast.unparse(ast.Import([alias])) for alias in used]
