"""Faults: workers killed, kernels interrupted, killed and restarted, at moments that chance picks.

Each seed is part of a test's name, so that a failure can be run again.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import sys
import threading
import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ipc_helpers import PipeExchange, ProcessGroup, QueueFlow, Result, WorkerError
from ipc_helpers.processes import start_methods

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ipc_helpers.experiments import Experiment
    from ipc_helpers.processes import Child

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL, and no interrupt as a signal")

AMPLE = 60.0  # seconds that a run may take which nothing ends
SOON = 10.0  # seconds: far more than the end of a run takes


# A worker is killed.

KILLS = 200
MOMENTS = ("starting", "running", "ending")
EXPERIMENTS: dict[str, Experiment] = {
    "queue": QueueFlow(maxsize=64),
    "queue of four": QueueFlow(producers=2, consumers=2, maxsize=64),
    "one-way pipe": PipeExchange(),
    "duplex pipe": PipeExchange(duplex=True),
}
BATCHES = [(name, method) for method in start_methods() for name in EXPERIMENTS]
KILLS_IN_A_BATCH = -(-KILLS // len(BATCHES))

_start = ProcessGroup.start


class Killer:
    """Kills one child of a run at a moment.

    Parameters
    ----------
    victim : int
        Which child, in the order of their starts.
    children : int
        How many the run starts.
    moment : {"starting", "running", "ending"}
        "starting": while the victim starts; else once all are up.
    delay : float
        Seconds from there on.
    """

    def __init__(self, victim: int, children: int, moment: str, delay: float) -> None:
        self.children: list[Child] = []
        self.killed_at: float | None = None
        self._victim = victim
        self._expected = children
        self._moment = moment
        self._delay = delay
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._kill, daemon=True)

    @property
    def victim(self) -> Child:
        return self.children[self._victim]

    def start(self, group: ProcessGroup, /, *arguments: Any, **options: Any) -> Child:
        """Stand in for ProcessGroup.start."""
        self.children.append(child := _start(group, *arguments, **options))
        if len(self.children) == self._victim + 1:
            self._thread.start()
        return child

    def end(self) -> None:
        self._over.set()
        self._thread.join(SOON)

    def _kill(self) -> None:
        while self._moment != "starting" and not self._all_are_up():
            if self._over.wait(0.001):
                return
        if not self._over.wait(self._delay) and self.victim.exitcode is None:
            self.killed_at = time.monotonic()
            os.kill(self.victim.pid, signal.SIGKILL)

    def _all_are_up(self) -> bool:
        return len(self.children) == self._expected and all(
            child.count is not None for child in self.children
        )


def outcome_of(run: Callable[[], Result], seconds: float) -> Result | Exception:
    """Run it, in a thread as a panel does, and return what it returns or raises; fail when it hangs."""
    outcomes: list[Result | Exception] = []

    def catch() -> None:
        try:
            outcomes.append(run())
        except Exception as error:
            outcomes.append(error)

    thread = threading.Thread(target=catch, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        assert thread.ident is not None
        stack = "".join(traceback.format_stack(sys._current_frames()[thread.ident]))
        pytest.fail(f"still running after {seconds:g} s:\n{stack}")
    return outcomes[0]


def number_of_children(experiment: Experiment) -> int:
    return experiment.producers + experiment.consumers if isinstance(experiment, QueueFlow) else 2


@posix
@pytest.mark.parametrize("seed", range(len(BATCHES)), ids=["-".join((*batch, "seed")) for batch in BATCHES])
def test_worker_is_killed_at_a_random_moment(
    seed: int, nothing_left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, start_method = BATCHES[seed]
    chance = random.Random(seed)
    seconds = []
    for number in range(KILLS_IN_A_BATCH):
        moment = MOMENTS[number % len(MOMENTS)]
        experiment = replace(
            EXPERIMENTS[name], messages=500 if moment == "ending" else 100_000, start_method=start_method
        )
        children = number_of_children(experiment)
        killer = Killer(
            chance.randrange(children), children, moment, chance.uniform(0, 0.02 if moment == "ending" else 0.1)
        )
        monkeypatch.setattr(ProcessGroup, "start", killer.start.__get__(killer))
        monkeypatch.setattr(ProcessGroup, "start", lambda *a, killer=killer, **o: killer.start(*a, **o))
        outcome = outcome_of(lambda: experiment.run(deadline=AMPLE), AMPLE + SOON)
        ended_at = time.monotonic()
        killer.end()
        about = f"kill {number}, {moment}, {killer.victim.name}: {outcome!r}"
        print(about[:200], ended_at - killer.killed_at if killer.killed_at else None)
        alive = []
        for child in killer.children:
            try:
                os.kill(child.pid, 0)
                alive.append(child.name)
            except ProcessLookupError: pass
        assert not alive, about
        if isinstance(outcome, Result):
            continue
        assert isinstance(outcome, WorkerError), about
        assert outcome.worker == killer.victim.name, about
        seconds.append(ended_at - killer.killed_at)
    print(len(seconds), "hit", statistics.median(seconds), max(seconds))
