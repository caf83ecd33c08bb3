"""Faults: workers killed, kernels interrupted, killed and restarted, many at moments that chance picks.

Chance is seeded with the parameters of the test, so that a failure can be run again.
"""

from __future__ import annotations

import ast
import contextlib
import os
import random
import re
import signal
import symtable
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import nbformat
import psutil
import pytest
from kernels import SOON, Kernel, gone_within, is_running
from leftovers import library_processes
from refresh_outputs import as_python, code_cells, find_chapters

import ipc_helpers
from ipc_helpers import (
    PipeExchange,
    ProcessStart,
    QueueFlow,
    QueuePlaces,
    Result,
    WorkerError,
    WorkerGroup,
    WorkerPool,
)
from ipc_helpers.experiments.experiment import Experiment
from ipc_helpers.group.starting import start_methods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ipc_helpers.group.child import Child

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")

AMPLE = 60.0  # seconds that a run or a cell may take when nothing ends it
PROMISED = 10.0  # seconds from the end of a kernel to the end of the children below it


# A worker is killed.

KILLS = int(os.environ.get("IPC_KILLS", "200"))  # CONTRIBUTING says when to ask for more


class Target(NamedTuple):
    """An experiment whose workers are killed: one that lasts, and one that is soon over."""

    long: Experiment
    short: Experiment
    workers: int
    lasts: bool = True  # False where each worker ends at once, also in the long one
    first: int = 0  # the first worker that lasts: a pool's producer is done at once


TARGETS = {
    "queue": Target(QueueFlow(messages=100_000, maxsize=64), QueueFlow(messages=500, maxsize=64), 2),
    "queue of four": Target(
        QueueFlow(messages=100_000, producers=2, consumers=2, maxsize=64),
        QueueFlow(messages=500, producers=2, consumers=2, maxsize=64),
        4,
    ),
    "places": Target(QueuePlaces(messages=1_000, pause=20), QueuePlaces(messages=20), 2),
    "one-way pipe": Target(PipeExchange(messages=100_000), PipeExchange(messages=500), 2),
    "duplex pipe": Target(
        PipeExchange(messages=100_000, duplex=True), PipeExchange(messages=500, duplex=True), 2
    ),
    "start": Target(ProcessStart(processes=3, argument=2**20), ProcessStart(processes=2), 2, lasts=False),
    "pool": Target(WorkerPool(tasks=50, length=200), WorkerPool(tasks=20, length=1), 5, first=1),
}
BATCHES = list(product(TARGETS, start_methods()))
KILLS_IN_A_BATCH = -(-KILLS // len(BATCHES))


class Moment(NamedTuple):
    """When a worker is killed."""

    starting: bool  # from the worker's start on, rather than from when all workers are up
    longest: float  # seconds from there on, at most
    long: bool  # whether the run lasts until then in any case


MOMENTS = {
    "while it starts": Moment(starting=True, longest=0.1, long=True),
    "in mid-run": Moment(starting=False, longest=0.1, long=True),
    "near the end": Moment(starting=False, longest=0.02, long=False),
}


class Killer:
    """Kills one of the workers that groups start while the block runs.

    Parameters
    ----------
    victim, workers : int
        Which one, in the order of their starts, and how many there are.
    starting : bool
        As in Moment.
    delay : float
        Seconds from there on.
    """

    def __init__(self, victim: int, workers: int, starting: bool, delay: float) -> None:
        self.children: list[Child] = []
        self.killed_at = 0.0
        self._victim = victim
        self._workers = 0 if starting else workers
        self._delay = delay
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._kill, daemon=True)
        self._start = WorkerGroup.start

    @property
    def victim(self) -> Child:
        return self.children[self._victim]

    def __enter__(self) -> Killer:
        def start(group: WorkerGroup, /, *arguments: Any, **options: Any) -> Child:
            self.children.append(child := self._start(group, *arguments, **options))
            if len(self.children) == self._victim + 1:
                self._thread.start()
            return child

        WorkerGroup.start = start  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        WorkerGroup.start = self._start  # type: ignore[method-assign]
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(SOON)

    def _kill(self) -> None:
        while sum(child.is_ready for child in tuple(self.children)) < self._workers:
            if self._over.wait(0.001):
                return
        if not self._over.wait(self._delay) and self.victim.exitcode is None:
            self.killed_at = time.monotonic()
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(self.victim.pid, signal.SIGKILL)


def outcome_of(experiment: Experiment) -> Result | Exception:
    """Run it in a thread, as a panel does; return what it returns or raises, and fail when it hangs."""
    outcomes: list[Result | Exception] = []

    def run() -> None:
        try:
            outcomes.append(experiment.run(deadline=AMPLE))
        except Exception as error:
            outcomes.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(AMPLE + SOON)
    if not outcomes:
        stack = "".join(traceback.format_stack(sys._current_frames()[thread.ident or 0]))
        pytest.fail(f"{experiment} hangs, with its deadline past:\n{stack}")
    return outcomes[0]


def check_names_the_killed(outcome: Exception, killer: Killer) -> None:
    assert isinstance(outcome, WorkerError), outcome
    assert outcome.worker == killer.victim.name, outcome
    assert re.fullmatch("was killed by SIGKILL (before|after) its worker returned", outcome.message), outcome
    assert outcome.exitcode == -signal.SIGKILL


def still_there(children: list[Child]) -> list[str]:
    return [child.name for child in children if psutil.pid_exists(child.pid)]


@posix
@pytest.mark.parametrize(("name", "start_method"), BATCHES)
def test_worker_is_killed(name: str, start_method: str, nothing_left: Path) -> None:
    chance = random.Random(f"{name} {start_method}")
    target = TARGETS[name]
    seconds, after_its_return = [], 0
    for number in range(KILLS_IN_A_BATCH):
        words = list(MOMENTS)[number % len(MOMENTS)]
        moment = MOMENTS[words]
        experiment = replace(target.long if moment.long else target.short, start_method=start_method)
        victim, delay = chance.randrange(target.first, target.workers), chance.uniform(0, moment.longest)
        print(f"kill {number}: worker {victim} {words}, after {delay:.4f} s", end=": ", flush=True)
        with Killer(victim, target.workers, moment.starting or not target.lasts, delay) as killer:
            outcome = outcome_of(experiment)
            ended_at = time.monotonic()
        print(outcome)
        assert still_there(killer.children) == []
        if isinstance(outcome, Result):
            assert not (moment.long and target.lasts), "this kill can't have come too late"
        else:
            check_names_the_killed(outcome, killer)
            after_its_return += outcome.message.endswith(" after its worker returned")
            seconds.append(ended_at - killer.killed_at)
            assert seconds[-1] < AMPLE / 2  # the others may still have to be started
    most = f"seconds from a kill to the end of the run: {max(seconds):.3f} at most" if seconds else ""
    print(f"{len(seconds)} of {KILLS_IN_A_BATCH} hit, {after_its_return} after its return; {most}")
    assert len(seconds) > KILLS_IN_A_BATCH / 2 or not target.lasts


def test_workers_of_every_experiment_are_killed() -> None:
    public = {getattr(ipc_helpers, name) for name in ipc_helpers.__all__}
    experiments = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Experiment)}
    assert {type(target.long) for target in TARGETS.values()} == experiments


@posix
@pytest.mark.parametrize("start_method", start_methods())
@pytest.mark.parametrize("name", [name for name in TARGETS if name != "start"])
def test_worker_is_killed_before_it_is_told_to_begin(
    name: str, start_method: str, nothing_left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has reported that it is up, and the parent does not know yet that it is gone."""
    wait = WorkerGroup.wait

    def wait_and_kill(group: WorkerGroup, until: Any = None) -> None:
        wait(group, until)
        if until is not None:
            time.sleep(0.05)  # now they wait to be told
            os.kill(killer.victim.pid, signal.SIGKILL)

    monkeypatch.setattr(WorkerGroup, "wait", wait_and_kill)
    with Killer(0, 1, starting=False, delay=AMPLE) as killer:
        outcome = outcome_of(replace(TARGETS[name].short, start_method=start_method))
    check_names_the_killed(outcome, killer)
    assert still_there(killer.children) == []


# A kernel is interrupted, killed, restarted.


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A kernel that outlives its tests."""
    with Kernel() as kernel:
        yield kernel


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


CHAPTERS = {
    path.stem: [cell.source for cell in code_cells(nbformat.read(path, as_version=4))]
    for path in find_chapters()
}
RAW_CELLS = {
    chapter: [number for number, source in enumerate(sources) if raw_calls(source)]
    for chapter, sources in CHAPTERS.items()
}


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
