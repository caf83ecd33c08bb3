"""What every chapter keeps to, and proof that strict nbval sees a changed output."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
import refresh_outputs
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from prose import broken_links, headings, images, without_code
from refresh_outputs import as_python, code_cells, find_chapters, find_solutions, is_compared

import ipc_helpers
from ipc_helpers import show_source
from ipc_helpers.child import journey
from ipc_helpers.workers import pipe_workers, queue_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import ModuleType
    from typing import TypeGuard

CHAPTERS = find_chapters()
SOLUTIONS = find_solutions()
FOLDER = refresh_outputs.ROOT / "notebooks"
QUEUE_CHAPTER = FOLDER / "02-queue.ipynb"
QUEUE_METHODS = (
    *("put", "get", "put_nowait", "get_nowait", "qsize", "full", "empty"),
    *("close", "join_thread", "cancel_join_thread"),
)
PIPE_CHAPTER = QUEUE_CHAPTER.with_name("03-pipe.ipynb")
CONNECTION_METHODS = (
    *("send", "recv", "fileno", "close", "poll", "send_bytes", "recv_bytes", "recv_bytes_into"),
)
CONNECTION_PROPERTIES = ("closed", "readable", "writable")
OPENING = ("What you'll do", "What you'll learn", "What you'll need", "Time")
CLOSING = ("Recap", "Check yourself", "Next")
LONGEST_CELL = 15  # lines of code: what a reader takes in at once
# A call of the method with these arguments may wait for ever. (A poll or a wait before it bounds a recv.)
UNBOUNDED = {
    "get": {"", "True", "block=True", "timeout=None"},
    "join": {"", "None", "timeout=None"},
    "poll": {"None", "timeout=None"},
}
BOUNDING = {"poll", "wait"}
RECEIVING = {"recv", "recv_bytes", "recv_bytes_into"}
# In parts, so that no search for these names finds this file.
MACHINE = ["/".join(("", name, "")) for name in ("home", "root", "tmp", "work", "Users")]
MACHINE += ["C:\\", "site-" + "packages"]


@dataclass(frozen=True)
class Chapter:
    """A notebook, and the file that it was read from."""

    path: Path
    notebook: NotebookNode

    @property
    def code(self) -> list[tuple[str, NotebookNode]]:
        """The code cells, each with the number that a reader sees beside it."""
        return [(f"cell [{number}]", cell) for number, cell in enumerate(code_cells(self.notebook), 1)]

    @property
    def outputs(self) -> list[tuple[str, NotebookNode]]:
        return [(name, output) for name, cell in self.code for output in cell.outputs]

    @property
    def markdown(self) -> list[str]:
        return [cell.source for cell in self.notebook.cells if cell.cell_type == "markdown"]


def read(path: Path) -> Chapter:
    return Chapter(path, nbformat.read(path, as_version=4))


def calls(source: str) -> list[tuple[str, str]]:
    """Return the name and the arguments of each call of a method, or of a function in a module."""
    return [
        (node.func.attr, ", ".join(ast.unparse(argument) for argument in (*node.args, *node.keywords)))
        for node in ast.walk(ast.parse(as_python(source)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]


# The checks: each takes a chapter, and yields what is wrong with it.


def runs_as_a_whole(chapter: Chapter) -> Iterator[str]:
    for number, (name, cell) in enumerate(chapter.code, 1):
        if cell.execution_count is None:
            yield f"{name} was never run, so nbval compares nothing"
        elif cell.execution_count != number:
            yield f"{name} was run as number {cell.execution_count}"


def compares_its_outputs(chapter: Chapter) -> Iterator[str]:
    ignored = [name for name, cell in chapter.code if not is_compared(cell)]
    if 10 * len(ignored) > len(chapter.code):
        yield f"{len(ignored)} of {len(chapter.code)} are not compared: {', '.join(ignored)}"


def is_as_refreshed(chapter: Chapter) -> Iterator[str]:
    notebook = chapter.notebook
    if refresh_outputs.hash_of_outputs(notebook) != refresh_outputs.code_hash(notebook):
        yield "the code changed since its outputs were stored: run tests/tools/refresh_outputs.py"
    elif refresh_outputs.as_text(notebook) != refresh_outputs.as_text(tidy_copy(notebook)):
        yield "something differs by machine or by run: run tests/tools/refresh_outputs.py"


def fails_only_where_it_says_so(chapter: Chapter) -> Iterator[str]:
    for name, cell in chapter.code:
        if any(output.get("name") == "stderr" for output in cell.outputs):
            yield f"{name} wrote to stderr"
        fails = any(output.output_type == "error" for output in cell.outputs)
        tagged = "raises-exception" in cell.metadata.get("tags", [])
        if fails and not tagged:
            yield f"{name} fails without the tag raises-exception"
        if tagged and not fails:
            yield f"{name} has the tag raises-exception, but no stored error"


def stores_no_widgets(chapter: Chapter) -> Iterator[str]:
    if "widgets" in chapter.notebook.metadata:
        yield "widget state is stored"
    for name, output in chapter.outputs:
        if refresh_outputs.VIEW in output.get("data", {}):
            yield f"{name} stores a widget's view, which shows an error where no kernel runs"


def describes_its_pictures(chapter: Chapter) -> Iterator[str]:
    for text in chapter.markdown:
        if any(not alt for alt, _ in images(text)):
            yield f"a picture in the text has no alt text: {text[:40]!r}"
    for name, output in chapter.outputs:
        data = output.get("data", {})
        shown = images(data.get("text/html", ""))
        if any(not alt for alt, _ in shown):
            yield f"{name} shows a picture without alt text"
        if any(kind.startswith("image/") for kind in data) and not shown:
            yield f"{name} shows a bare image: wrap it in <figure><img alt=…>"


def nests_its_headings(chapter: Chapter) -> Iterator[str]:
    found = [heading for text in chapter.markdown for heading in headings(text)]
    first = chapter.notebook.cells[0]
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        yield "the first cell does not start with the title"
    titles = sum(level == 1 for level, _ in found)
    if titles != 1:
        yield f"{titles} headings of level 1"
    for (above, _), (level, words) in pairwise(found):
        if level > above + 1:
            yield f"{words!r} is a heading of level {level} under one of level {above}"


def opens_and_closes_as_every_chapter(chapter: Chapter) -> Iterator[str]:
    text = "\n".join(chapter.markdown)
    start = 0
    for words in OPENING + CLOSING:
        match = re.compile(rf"^[#*\s]*{words}\b", re.MULTILINE).search(text, start)
        if match is None:
            yield f"{words!r} is missing, or not in its place"
        else:
            start = match.end()


def leaves_no_child(chapter: Chapter) -> Iterator[str]:
    last = chapter.code[-1][1].source
    checked = [ast.unparse(node) for node in ast.walk(ast.parse(last)) if isinstance(node, ast.Assert)]
    if not any("active_children" in text for text in checked):
        yield "the last code cell does not assert that active_children() is empty"


def keeps_cells_short(chapter: Chapter) -> Iterator[str]:
    for name, cell in chapter.code:
        lines = [
            line for line in cell.source.splitlines() if not re.match(r"import |from |%%|\s*(###.*)?$", line)
        ]
        if len(lines) > LONGEST_CELL:
            yield f"{name} has {len(lines)} lines of code, more than {LONGEST_CELL}"


def bounds_every_wait(chapter: Chapter) -> Iterator[str]:
    for name, cell in chapter.code:
        made = calls(cell.source)
        for method, arguments in made:
            if arguments in UNBOUNDED.get(method, ()):
                yield f"{name} calls {method}({arguments}), which has no time limit"
        methods = {method for method, _ in made}
        if methods & RECEIVING and not methods & BOUNDING:
            yield f"{name} receives without a poll(timeout) before it"


def calls_nothing_easy(chapter: Chapter) -> Iterator[str]:
    for text in chapter.markdown:
        for word in re.findall(r"\b(?:simply|just)\b", without_code(text), re.IGNORECASE):
            yield f"the text says {word!r}: {text[:40]!r}"


def names_no_machine(chapter: Chapter) -> Iterator[str]:
    for cell in chapter.notebook.cells:
        outputs = json.dumps(cell.get("outputs", []))
        text = cell.source + re.sub(r'data:image/[^"\\]+|"image/[^"]+": "[^"]+"', "", outputs)
        for needle in MACHINE:
            if needle in text:
                yield f"{needle!r} in {cell.source[:40]!r} or its outputs"


def links_to_what_is_there(chapter: Chapter) -> Iterator[str]:
    for text in chapter.markdown:
        for address in broken_links(text, chapter.path.parent):
            yield f"no file for the link {address!r}"


def shows_each_worker_first(chapter: Chapter) -> Iterator[str]:
    """What a cell names of a module of workers, or starts as an experiment, a cell before it has shown."""
    shown: set[object] = set()
    modules = workers_in(chapter)
    for name, cell in chapter.code:
        tree = ast.parse(as_python(cell.source))
        in_shows = [node for call in ast.walk(tree) if is_show(call) for node in ast.walk(call)]
        for node in in_shows:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = modules[node.value.id]
                text = str(show_source(getattr(module, node.attr)))
                shown |= {getattr(module, part.name, None) for part in ast.parse(text).body if is_def(part)}
        for node in ast.walk(tree):
            started: list[Any] = []
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                started = [getattr(modules.get(node.value.id), node.attr, None)]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                kind = getattr(ipc_helpers, node.func.id, None)
                started = [role.worker for role in getattr(kind, "roles", {}).values()]
            for worker in started:
                if (inspect.isfunction(worker) or inspect.isclass(worker)) and worker not in shown:
                    yield f"{name} starts {worker.__name__}, which no cell before it shows"


def workers_in(chapter: Chapter) -> dict[str, ModuleType]:
    """Return the modules of workers that a chapter imports, by their names."""
    modules = {}
    for _, cell in chapter.code:
        for node in ast.walk(ast.parse(as_python(cell.source))):
            if isinstance(node, ast.ImportFrom):
                names = {alias.name for alias in node.names}
                if node.module == "ipc_helpers.workers":
                    modules |= {name: importlib.import_module(f"{node.module}.{name}") for name in names}
                if "journey" in names:
                    modules["journey"] = journey
    return modules


def is_show(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "show_source"


def is_def(node: ast.AST) -> TypeGuard[ast.FunctionDef | ast.ClassDef]:
    return isinstance(node, ast.FunctionDef | ast.ClassDef)


CHECKS: tuple[Callable[[Chapter], Iterator[str]], ...] = (
    runs_as_a_whole,
    compares_its_outputs,
    is_as_refreshed,
    fails_only_where_it_says_so,
    stores_no_widgets,
    describes_its_pictures,
    nests_its_headings,
    opens_and_closes_as_every_chapter,
    leaves_no_child,
    keeps_cells_short,
    bounds_every_wait,
    calls_nothing_easy,
    names_no_machine,
    links_to_what_is_there,
    shows_each_worker_first,
)
OF_SOLUTIONS = tuple(
    check for check in CHECKS if check not in (opens_and_closes_as_every_chapter, shows_each_worker_first)
)


def uses_in_compared_cells(
    chapter: Chapter, workers: ModuleType, methods: Sequence[str], properties: Sequence[str] = ()
) -> Iterator[str]:
    """A call counts in a cell that is compared, and in a worker that such a cell names."""
    compared = [cell.source for _, cell in chapter.code if is_compared(cell)]
    module = workers.__name__.rpartition(".")[2]
    named = [
        inspect.getsource(worker)
        for name, worker in inspect.getmembers(workers, inspect.isfunction)
        if any(re.search(rf"\b{module}\.{name}\b", source) for source in compared)
    ]
    called = {method for source in (*compared, *named) for method, _ in calls(source)}
    read = {
        node.attr
        for source in (*compared, *named)
        for node in ast.walk(ast.parse(as_python(source)))
        if isinstance(node, ast.Attribute)
    }
    yield from (f"{name} is not called in a compared cell" for name in methods if name not in called)
    yield from (f"{name} is not read in a compared cell" for name in properties if name not in read)


# The chapters themselves.


def test_there_are_chapters() -> None:
    assert QUEUE_CHAPTER in CHAPTERS


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_chapter(check: Callable[[Chapter], Iterator[str]], path: Path) -> None:
    assert list(check(read(path))) == []


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
@pytest.mark.parametrize("check", OF_SOLUTIONS, ids=lambda check: check.__name__)
def test_solutions(check: Callable[[Chapter], Iterator[str]], path: Path) -> None:
    assert list(check(read(path))) == []


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_each_check_of_a_solution_says_right(path: Path) -> None:
    checks = [cell for _, cell in read(path).code if cell.source.startswith("check(")]
    assert len(checks) >= 4
    said = [output.data["text/plain"] for cell in checks for output in cell.outputs]
    assert [text for text in said if not text.startswith("Right: ")] == []
    assert len(said) == len(checks)


def test_each_chapter_but_the_first_has_exercises() -> None:
    assert [path.name for path in SOLUTIONS] == [path.name for path in CHAPTERS[1:]]


def test_the_queue_chapter_calls_every_method() -> None:
    assert list(uses_in_compared_cells(read(QUEUE_CHAPTER), queue_workers, QUEUE_METHODS)) == []


def test_the_pipe_chapter_calls_every_method_and_reads_every_property() -> None:
    missing = uses_in_compared_cells(
        read(PIPE_CHAPTER), pipe_workers, CONNECTION_METHODS, CONNECTION_PROPERTIES
    )
    assert list(missing) == []


def test_the_notebooks_are_small_to_fetch() -> None:
    files = [file for file in FOLDER.rglob("*") if file.is_file() and ".ipynb_checkpoints" not in file.parts]
    assert sum(file.stat().st_size for file in files) < 3_000_000


# The checks, on a notebook that breaks every rule.


def tidy_copy(notebook: NotebookNode) -> NotebookNode:
    return refresh_outputs.tidy(nbformat.from_dict(notebook))


def chapter_of(*sources: str, **first: Any) -> Chapter:
    """Return a chapter with a title and these code cells; the first has these outputs or tags."""
    cells = [new_code_cell(source, **({} if number else first)) for number, source in enumerate(sources)]
    text = f"Simply see {MACHINE[0]} ![](absent.png)\n\n### A heading"
    return Chapter(QUEUE_CHAPTER, new_notebook(cells=[new_markdown_cell(text), *cells]))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_check_finds_what_breaks_its_rule(check: Callable[[Chapter], Iterator[str]]) -> None:
    wrong = chapter_of(
        "pass\n" * 16 + "queue.get()\nPanel(QueueFlow())",
        metadata={"tags": ["nbval-skip"]},
        outputs=[
            new_output("stream", name="stderr"),
            new_output("display_data", {refresh_outputs.VIEW: "{}", "image/png": "aGVsbG8="}),
        ],
    )
    assert list(check(wrong))


def test_a_method_that_is_not_called_in_a_compared_cell_is_found_out() -> None:
    ignored = {"metadata": {"tags": ["nbval-ignore-output"]}}
    cells = "box.put(1)", "handler = box.get; print(end.closed)", "group.start(queue_workers.get_one, box, 1)"
    found = uses_in_compared_cells(
        chapter_of(*cells, **ignored), queue_workers, ["put", "get"], ["closed", "readable"]
    )
    assert list(found) == ["put is not called in a compared cell", "readable is not read in a compared cell"]


# Strict nbval, in a pytest of its own.


def nbval(path: Path) -> list[str]:
    """Run strict nbval on a notebook; return the outcome of each cell."""
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=120"]
    command += [f"--nbval-sanitize-with={refresh_outputs.SANITIZE}", f"--rootdir={path.parent}"]
    command += ["-p", "no:xdist", "-p", "no:cacheprovider", "-o", "addopts=", "-rA"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        command, cwd=path.parent, env=environment, capture_output=True, encoding="utf-8", timeout=300
    )
    found = re.findall(rf"^(PASSED|FAILED) {path.name}::Cell (\d+)", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    outcomes = [outcome for outcome, _ in sorted(found, key=lambda each: int(each[1]))]
    assert done.returncode == int("FAILED" in outcomes), done.stdout + done.stderr
    return outcomes


def altered(text: str) -> str:
    """Return a text with one character changed: the first letter or digit."""
    place = re.search(r"[A-Za-z0-9]", text)
    assert place, text
    other = "y" if place.group() == "x" else "x"
    return text[: place.start()] + other + text[place.end() :]


def alter(cell: NotebookNode) -> None:
    output = cell.outputs[0]
    if output.output_type == "error":
        output.evalue = altered(output.evalue)
    elif output.output_type == "stream":
        output.text = altered(output.text)
    else:
        kind = "text/html" if "text/html" in output.data else "text/plain"
        output.data[kind] = altered(output.data[kind])


KINDS = {
    "stream": "print('hello')",
    "execute_result": "6 * 7",
    "display_data": "from IPython.display import HTML\ndisplay(HTML('<p>words</p>'))",
    "error": "raise ValueError('no')",
}


def test_nbval_finds_one_altered_character_of_each_kind(tmp_path: Path) -> None:
    """Each kind of output that nbval compares is there twice, altered and as it was; at last, one ignored."""
    path = tmp_path / "kinds.ipynb"
    cells = [
        new_code_cell(source, metadata={"tags": ["raises-exception"]} if kind == "error" else {})
        for kind, source in KINDS.items()
        for _ in range(2)
    ]
    cells.append(new_code_cell(KINDS["stream"], metadata={"tags": ["nbval-ignore-output"]}))
    nbformat.write(new_notebook(cells=cells), path)
    assert refresh_outputs.refresh(path)
    notebook = read(path).notebook
    assert [cell.outputs[0].output_type for cell in notebook.cells[:8:2]] == list(KINDS)
    for cell in notebook.cells[::2]:
        alter(cell)
    nbformat.write(notebook, path)
    assert nbval(path) == [*["FAILED", "PASSED"] * 4, "PASSED"]
