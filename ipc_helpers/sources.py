"""The source of workers, as a chapter shows it: whole, so that it can be pasted into an empty file."""

from __future__ import annotations

import ast
import inspect
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
    imports: list[str] = []
    definitions: list[str] = []
    for module, names in wanted.items():
        parts = _Parts(module)
        for name in names:
            if name not in parts.definitions:
                raise ValueError(
                    f"show_source takes what is defined at the top level of a module with a file, not {name}"
                )
        needed = parts.needed_by(names)
        imports += [line for line in parts.imports_of(needed) if line not in imports]
        definitions += parts.sources_of(needed)
    imports.sort(key=lambda line: (line.startswith("from"), line))
    return Source("\n\n\n".join(["\n".join(imports)] * bool(imports) + definitions))


class _Parts:
    """What stands at the top level of a module."""

    def __init__(self, module: str) -> None:
        try:
            self._source = inspect.getsource(sys.modules[module])
        except (KeyError, OSError, TypeError):  # a notebook's __main__ has no file
            self._source = ""
        self._imports: dict[str, tuple[ast.Import | ast.ImportFrom, ast.alias]] = {}
        self.definitions: dict[str, ast.stmt] = {}
        for node in ast.parse(self._source).body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for alias in node.names:
                    self._imports[alias.asname or alias.name.partition(".")[0]] = node, alias
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                self.definitions[node.name] = node
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        self.definitions[target.id] = node

    def needed_by(self, names: list[str]) -> set[str]:
        """Return the names that some names need, and what those need."""
        needed: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name not in needed:
                needed.add(name)
                if name in self.definitions:
                    left += _names_in(self.definitions[name])
        return needed

    def imports_of(self, names: set[str]) -> Iterator[str]:
        """Yield the lines that import some names."""
        nodes = {id(node): node for node, _ in self._imports.values()}
        for node in nodes.values():
            used = [alias for name, (of, alias) in self._imports.items() if of is node and name in names]
            if isinstance(node, ast.ImportFrom) and used:
                yield ast.unparse(ast.ImportFrom(node.module, used, node.level))
            else:
                yield from (ast.unparse(ast.Import([alias])) for alias in used)

    def sources_of(self, names: set[str]) -> Iterator[str]:
        """Yield the source of each definition among some names."""
        nodes = {id(node): node for name, node in self.definitions.items() if name in names}
        for node in nodes.values():
            start = min(each.lineno for each in (node, *getattr(node, "decorator_list", ())))
            yield "\n".join(
                self._source.splitlines()[start - 1 : node.end_lineno]
            )  # with a comment at the end


def _names_in(node: ast.stmt) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
