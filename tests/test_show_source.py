"""The source that a chapter shows: whole, so that whoever pastes it into an empty file can run it."""

from __future__ import annotations

import ast
import builtins
import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ipc_helpers import show_source
from ipc_helpers.child import journey
from ipc_helpers.workers import (
    inside_queue_workers,
    pattern_workers,
    pipe_workers,
    pitfall_workers,
    process_workers,
    queue_workers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHOWN = [
    pytest.param(each, id=f"{module.__name__.rpartition('.')[2]}.{name}")
    for module in (
        inside_queue_workers,
        journey,
        pattern_workers,
        pipe_workers,
        pitfall_workers,
        process_workers,
        queue_workers,
    )
    for name, each in vars(module).items()
    if getattr(each, "__module__", None) == module.__name__
    and (inspect.isfunction(each) or inspect.isclass(each))
]


def unresolved(text: str) -> Iterator[str]:
    """Yield the global names that a program uses and does not define."""
    import symtable

    table = symtable.symtable(text, "pasted.py", "exec")
    defined = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned()}
    defined |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_imported()}
    tables = [table]
    while tables:
        one = tables.pop()
        tables += one.get_children()
        for symbol in one.get_symbols():
            if symbol.is_global() or one is table:
                name = symbol.get_name()
                if symbol.is_referenced() and name not in defined and not hasattr(builtins, name):
                    yield name


@pytest.mark.parametrize("shown", SHOWN)
def test_each_worker_can_be_pasted_into_an_empty_file(shown: Any) -> None:
    text = str(show_source(shown))
    compile(text, "pasted.py", "exec")
    assert list(unresolved(text)) == []
    assert inspect.getsource(shown).rstrip() in text
    assert "__future__" not in text


def test_names_that_do_not_resolve_are_found() -> None:
    """The test above can fail."""
    assert list(unresolved("def work(queue):\n    queue.put(sleep(1))\n")) == ["sleep"]


def test_what_is_shown_runs(tmp_path: Path) -> None:
    """With helpers of its module, a value that it changes, and a part of an import alone."""
    text = str(show_source(process_workers.count_up, queue_workers.get_one))
    assert text.splitlines()[:2] == ["import sys", "from queue import Empty"]
    assert "\n\n\ncounter = 0\n\n\ndef count_up():" in text
    file = tmp_path / "pasted.py"
    file.write_text(f"{text}\n\ncount_up()\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "-I", file], timeout=60, check=False)
    assert done.returncode == 1, "the counter's value"


def test_helpers_come_along_in_the_order_of_the_module() -> None:
    text = str(show_source(pitfall_workers.stop_consumer))
    names = [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    assert names == ["get_messages", "wait_until_inside_get", "stop_consumer"]
    assert str(show_source(pitfall_workers.get_messages, pitfall_workers.stop_consumer)) == text


def test_notebook_highlights_it() -> None:
    source = show_source(queue_workers.put_one)
    assert source._repr_markdown_() == f"```python\n{source}\n```"
    assert repr(source) == 'def put_one(queue, message):\n    """Put one message."""\n    queue.put(message)'


def test_what_has_no_source_is_refused() -> None:
    def inner() -> None:
        pass

    for wrong in (5, None, "put_one", queue_workers, len):
        with pytest.raises(TypeError, match=r"^show_source takes functions and classes, not "):
            show_source(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="at least one"):
        show_source()
    with pytest.raises(ValueError, match=r"at the top level of a module with a file, not .*inner"):
        show_source(inner)
    code = (
        "from ipc_helpers import show_source\ndef f(): pass\n"
        "try: show_source(f)\nexcept ValueError as e: print(e)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (
        done.stdout == "show_source takes what is defined at the top level of a module with a file, not f\n"
    )
