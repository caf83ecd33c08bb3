"""A worker is killed at any moment: the group's error says so, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import sys
import threading
import time
import traceback
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import pytest
from groups import posix
from kernels import SOON

import ipc_helpers
from ipc_helpers import (
    PipeExchange,
    ProcessStart,
    ProgramStop,
    QueueFlow,
    QueuePlaces,
    Result,
    SlotExchange,
    StageChain,
    WorkerError,
    WorkerGroup,
    WorkerPool,
)
from ipc_helpers.experiments.experiment import Experiment
from ipc_helpers.group.starting import start_methods

if TYPE_CHECKING:
    from pathlib import Path

    from ipc_helpers.group.child_handle import Child

AMPLE = 60.0  # seconds that a run or a cell may take when nothing ends it


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
    "slots": Target(SlotExchange(messages=500, pause=20), SlotExchange(messages=20), 2),
    "start": Target(ProcessStart(processes=3, argument=2**20), ProcessStart(processes=2), 2, lasts=False),
    "pool": Target(WorkerPool(tasks=50, length=200), WorkerPool(tasks=20, length=1), 5, first=1),
    "stop": Target(
        ProgramStop(tasks=50, length=200, moment=2_000), ProgramStop(tasks=20, length=1, moment=5), 5
    ),
    "chain": Target(StageChain(messages=100, work=100), StageChain(messages=20, work=1), 5),
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
    public = [getattr(ipc_helpers, name) for name in ipc_helpers.__all__]
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
