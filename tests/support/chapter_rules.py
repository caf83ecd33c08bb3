"""The rules that chapters keep to: each takes a chapter, and yields what is wrong with it."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import nbformat
import refresh_outputs
from nbformat import NotebookNode
from prose import broken_links, headings, images, without_code
from refresh_outputs import as_python, code_cells, find_chapters, find_solutions, is_compared

import ipc_helpers
from ipc_helpers import show_source
from ipc_helpers.child import journey

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
LONGEST_CHAPTER = 45  # minutes, counted
MOST_WORDS = 2_700
FOR_LOOKING_UP = {"06-pitfalls"}  # nobody reads it from end to end: it has no bound


# A call of the method with these arguments may wait forever. (A poll or a wait before it bounds a recv.)
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
        for address in broken_links(text, chapter.path):
            yield f"nothing is there for the link {address!r}"


def recaps_what_it_has(chapter: Chapter) -> Iterator[str]:
    """A table that says where each fact was shown names headings of this chapter."""
    words = {words for text in chapter.markdown for _, words in headings(text)}
    for text in chapter.markdown:
        for table in re.findall(r"^\|.*\| Shown under \|\n\|.*\|\n((?:\|.*\|\n?)+)", text, re.MULTILINE):
            for row in table.splitlines():
                for name in row.strip("| ").rpartition(" | ")[2].split("; "):
                    lab = re.match(r"Labs? \d+", name)
                    if not lab and "](" not in name and name not in words:
                        yield f"no heading {name!r}, where a fact is said to be shown"


def keeps_to_its_hour(chapter: Chapter) -> Iterator[str]:
    """Words are read at 180 a minute; a cell that is run, and a prediction, take half a minute each."""
    text = "\n".join(chapter.markdown)
    words = len(text.split())
    minutes = round(words / 180 + (len(chapter.code) + text.count("**Predict")) / 2)
    said = re.search(r"^\*\*Time\.\*\* (\d+) minutes", text, re.MULTILINE)
    if said is None or int(said[1]) != minutes:
        yield f"its Time says {said and said[1]} minutes where {minutes} are counted"
    if chapter.path.stem in FOR_LOOKING_UP:
        return
    if minutes > LONGEST_CHAPTER or words > MOST_WORDS:
        yield f"{words} words and {minutes} minutes are more than {MOST_WORDS} and {LONGEST_CHAPTER}"
    if minutes > LONGEST_CHAPTER / 2 and "**You may stop here for today.** You can now " not in text:
        yield "it does not say where a reader may stop for today, and what they can do by then"


def shows_each_worker_first(chapter: Chapter) -> Iterator[str]:
    """What a cell names of a module of workers, or starts as an experiment, a cell before it has shown."""
    shown: set[object] = {journey.put_traveller, journey.get_traveller}  # chapter 04 says what they do
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
    keeps_to_its_hour,
    recaps_what_it_has,
    shows_each_worker_first,
)
OF_SOLUTIONS = tuple(
    check
    for check in CHECKS
    if check not in (opens_and_closes_as_every_chapter, keeps_to_its_hour, shows_each_worker_first)
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


# The checks, on a notebook that breaks every rule.


def tidy_copy(notebook: NotebookNode) -> NotebookNode:
    return refresh_outputs.tidy(nbformat.from_dict(notebook))
