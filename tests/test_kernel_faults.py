"""A kernel is interrupted, killed or restarted, in raw cells and in those with a group or a panel."""

from __future__ import annotations

import ast
import os
import random
import signal
import symtable
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING

import nbformat
import pytest
from groups import posix
from kernels import SOON, Kernel, gone_within, is_running
from leftovers import library_processes
from refresh_outputs import as_python, code_cells, find_chapters

from ipc_helpers.group.starting import start_methods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


PROMISED = 10.0  # seconds from the end of a kernel to the end of the children below it


# A kernel is interrupted, killed, restarted.


@pytest.fixture(scope="module")
def running() -> Iterator[list[Kernel]]:
    kernels: list[Kernel] = []
    yield kernels
    for kernel in kernels:
        kernel.__exit__()


@pytest.fixture
def kernel(running: list[Kernel]) -> Iterator[Kernel]:
    """A kernel that outlives its tests, but for one that made it silent or left workers: no other fails."""
    if not running:
        running.append(Kernel().__enter__())
    yield running[0]
    if running[0].is_silent or running[0].workers():
        running.pop().__exit__()


# Raw cells: those that start a process themselves, as chapters do.


def raw_calls(source: str) -> list[ast.Call]:
    """Return the calls of ctx.Process, and of any method whose name ends like it, in a cell."""
    return [
        node
        for node in ast.walk(ast.parse(as_python(source)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr.endswith("Process")
    ]


def not_daemons(source: str) -> list[str]:
    """Return the calls in a cell that make a process for which the kernel would wait at its end."""
    return [
        ast.unparse(call)
        for call in raw_calls(source)
        if not any(ast.unparse(keyword) == "daemon=True" for keyword in call.keywords)
    ]


def shows_a_refusal(source: str) -> bool:
    """Whether each start in a cell is one that it expects to fail: there is no child, and nothing to hit."""
    tree = ast.parse(as_python(source))
    tried = {node for each in ast.walk(tree) if isinstance(each, ast.Try) for node in ast.walk(each)}
    starts = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "start"]
    return bool(starts) and all(start in tried for start in starts)


CHAPTERS = {
    path.stem: [cell.source for cell in code_cells(nbformat.read(path, as_version=4))]
    for path in find_chapters()
}


def raw_cells(sources: list[str]) -> list[int]:
    """Return which cells start processes; where one only defines functions that do, the first to call one."""
    found: list[int] = []
    waiting: set[str] = set()
    for number, source in enumerate(sources):
        statements = ast.parse(as_python(source)).body
        functions = [node for node in statements if isinstance(node, ast.FunctionDef)]
        outside = [node for node in statements if not isinstance(node, ast.FunctionDef)]
        starters = {node.name for node in functions if raw_calls(ast.unparse(node))}
        runs = any(raw_calls(ast.unparse(node)) or calls_some(node, starters | waiting) for node in outside)
        if runs and not shows_a_refusal(source):
            found.append(number)
            waiting = set()
        elif not runs:
            waiting |= starters and {node.name for node in functions}  # one may call another
    return found


def calls_some(node: ast.AST, names: set[str]) -> bool:
    """Whether some code calls one of these functions."""
    calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
    return any(isinstance(called, ast.Name) and called.id in names for called in calls)


RAW_CELLS = {chapter: raw_cells(sources) for chapter, sources in CHAPTERS.items()}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_raw_cells_start_daemons(chapter: str) -> None:
    assert [call for source in CHAPTERS[chapter] for call in not_daemons(source)] == []


def test_some_cells_are_raw() -> None:
    assert RAW_CELLS["02-queue"] != []


# The kernel is interrupted in a raw cell.


def names_in(source: str) -> tuple[set[str], set[str]]:
    """Return the global names that a cell binds, and those that it uses and does not bind."""
    cell = symtable.symtable(as_python(source), "cell", "exec")
    bound = {name.get_name() for name in cell.get_symbols() if name.is_assigned() or name.is_imported()}
    used, scopes = set(), [cell]
    while scopes:
        scope = scopes.pop()
        scopes += scope.get_children()
        used |= {
            name.get_name()
            for name in scope.get_symbols()
            if name.is_referenced() and (scope is cell or name.is_global())
        }
    return bound, used - bound


def needed_by(cell: int, sources: list[str]) -> list[int]:
    """Return which cells before it bind the names that a cell uses, and that those cells use."""
    found: list[int] = []
    _, wanted = names_in(sources[cell])
    for earlier in reversed(range(cell)):
        bound, used = names_in(sources[earlier])
        if bound & wanted:
            wanted = wanted - bound | used
            found.insert(0, earlier)
    return found


# As they stand, and under forkserver. Not under fork: Python swallows an interrupt that arrives in the
# hooks that it runs after a fork, in either process, and then only the cell's own limits end it.
RAW = [
    (chapter, method)
    for chapter, method in product(CHAPTERS, start_methods())
    if RAW_CELLS[chapter] and method != "fork"
]
HITS, TRIES = 2, 100  # of each raw cell; on a busy machine, short ones are often over before it comes


@pytest.mark.skipif(os.name != "posix", reason="on Windows an interrupt does not reach a raw cell's children")
@pytest.mark.parametrize(("chapter", "start_method"), RAW)
def test_interrupt_in_raw_cells(chapter: str, start_method: str, kernel: Kernel) -> None:
    chance = random.Random(f"{chapter} {start_method}")
    kernel.run("import numpy")  # which can't be imported again where its import was interrupted
    as_it_stands, changed = 'get_context("spawn")', f'get_context("{start_method}")'
    sources = [source.replace(as_it_stands, changed) for source in CHAPTERS[chapter]]
    for number in RAW_CELLS[chapter]:
        hits, longest = 0, 0.3
        for _ in range(TRIES):
            for earlier in needed_by(number, sources):
                kernel.end(kernel.begin(sources[earlier]))
            delay = chance.uniform(0, longest)
            print(f"cell [{number + 1}], after {delay:.3f} s", end=": ", flush=True)
            hit = interrupted(kernel, sources[number], delay)
            hits += hit
            if hits == HITS:
                break
            if not hit:
                longest /= 2
        assert hits == HITS


def interrupted(kernel: Kernel, source: str, delay: float) -> bool:
    """Interrupt a raw cell; say whether that is what ended it."""
    cell = kernel.begin(source)
    time.sleep(delay)
    start = time.monotonic()
    kernel.interrupt()
    how, _ = kernel.end(cell)
    seconds = time.monotonic() - start
    print(f"{how} {seconds:.3f} s later")
    assert seconds < SOON
    if not gone_within(3, kernel.workers()):
        # It was caught in a put: before it ends it waits until somebody gets what it has put.
        print("interrupted once more")
        kernel.interrupt()
    kernel.check_goes_on()
    return how == "KeyboardInterrupt"


# The kernel is interrupted while a WorkerGroup or a panel runs.


@pytest.mark.parametrize("place", ["body", "wait", "experiment"])
@pytest.mark.parametrize("start_method", start_methods())
def test_interrupt_while_workers_start_and_run(start_method: str, place: str, kernel: Kernel) -> None:
    kernel.run("import group_workers")
    chance = random.Random(f"{start_method} {place}")
    for until in ("on", "on", "up"):
        cell = kernel.begin(f"print('on')\ngroup_workers.run_group({start_method!r}, {place!r})", until=until)
        if until == "up":
            assert len(kernel.workers()) == 2
        else:
            delay = chance.uniform(0, 0.2)
            print(f"after {delay:.3f} s", flush=True)
            time.sleep(delay)
        kernel.interrupt()
        how, text = kernel.end(cell)
        assert how == "KeyboardInterrupt", text
        kernel.check_goes_on()


@pytest.mark.parametrize("start_method", start_methods())
def test_interrupt_does_not_reach_a_panel_and_cancel_does(start_method: str, kernel: Kernel) -> None:
    flow = f"ipc_helpers.QueuePlaces(messages=1_000, pause=20, start_method={start_method!r})"  # 20 seconds
    kernel.run("import time\nimport ipc_helpers")
    kernel.run(f"panel = ipc_helpers.Panel({flow})\npanel.run.click()")
    kernel.run("while '> 0 of' in panel.progress.value: time.sleep(0.01)")
    assert "Cancel ends it; interrupting the kernel does not." in kernel.run("print(panel.status.value)")

    kernel.interrupt()  # between two cells
    cell = kernel.begin("print('on')\npanel.wait(60)", until="on")
    time.sleep(0.1)
    kernel.interrupt()  # in a cell that waits for the panel
    assert kernel.end(cell)[0] == "KeyboardInterrupt"
    assert kernel.run("print(panel.wait(0))") == "False\n"

    before = kernel.run("print(panel.progress.value)")
    time.sleep(0.3)
    assert kernel.run("print(panel.progress.value)") != before
    assert len(kernel.workers()) == 2

    kernel.run("panel.cancel.click()")
    assert kernel.run(f"print(panel.wait({SOON}))") == "True\n"
    assert "Cancelled. Its processes are gone." in kernel.run("print(panel.status.value)")
    assert kernel.workers() == []
    kernel.check_goes_on()


# The kernel is killed or restarted.


def end_in_mid_run(kernel: Kernel, methods: tuple[str, ...], end: Callable[[], object]) -> list[Path]:
    """End a kernel while a panel and groups run; return semaphores that are left, after removing them."""
    kernel.run("import fault_workers")
    kernel.begin(f"fault_workers.run_panel_and_groups({methods})", until="up")
    workers, library = kernel.workers(), library_processes(kernel.pid)
    assert len(workers) == 2 + 4 * len(methods)
    start = time.monotonic()
    with ThreadPoolExecutor() as pool:
        gone = pool.submit(lambda: gone_within(SOON, workers) and time.monotonic() - start)
        end()
    print(f"{len(workers)} workers gone after {gone.result():.3f} s")
    assert 0 < gone.result() < PROMISED
    assert gone_within(SOON, library)
    assert list(kernel.folder.glob("ipc_helpers-*")) == []
    left = kernel.semaphores()
    for path in left:
        path.unlink()
    return left


@posix
@pytest.mark.timing
@pytest.mark.parametrize("start_method", start_methods())
def test_kernel_is_killed(start_method: str) -> None:
    """As a system does that is out of memory: the kernel alone, and it can't see it coming."""
    with Kernel() as kernel:
        assert end_in_mid_run(kernel, (start_method,), lambda: os.kill(kernel.pid, signal.SIGKILL)) == []


@pytest.mark.timing
@pytest.mark.parametrize("now", [False, True], ids=["restarted", "restarted now"])
def test_kernel_is_restarted(now: bool) -> None:
    # Not the kernel of the tests above: CPython makes a semaphore's file, then tells the resource tracker.
    # A raw cell that is interrupted in between leaves a file that nobody removes, whatever ends the kernel.
    with Kernel() as kernel:
        left = end_in_mid_run(kernel, start_methods(), lambda: kernel.manager.restart_kernel(now=now))
        # "Now" is a SIGKILL for the whole process group: it takes the resource tracker, which would tidy up.
        assert now or left == []
        kernel.wait_until_ready()
        kernel.check_goes_on()


@posix
@pytest.mark.timing
def test_kernel_is_killed_beside_workers_that_hold_the_interpreter() -> None:
    """Nothing in such a worker can see that the kernel is gone: its deadline ends it."""
    deadline = 4.0
    with Kernel() as kernel:
        kernel.run("import fault_workers")
        ends_at = time.monotonic() + deadline
        kernel.begin(f"fault_workers.hold_interpreters({start_methods()}, {deadline})", until="up")
        workers = kernel.workers()
        os.kill(kernel.pid, signal.SIGKILL)
        assert not gone_within(0.5, workers[:1])
        assert sum(map(is_running, workers)) == len(start_methods())
        assert gone_within(ends_at + PROMISED - time.monotonic(), workers)
        print(f"gone {time.monotonic() - ends_at:.3f} s after the deadline")
