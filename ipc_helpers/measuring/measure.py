"""Measures rungs of the ladder, interleaved in rounds, each round beside the limits of the machine."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import random
import signal
import sys
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ipc_helpers.child import turns
from ipc_helpers.group.errors import Cancelled, DeadlineError, WorkerError, WorkerGroupError
from ipc_helpers.group.starting import start_methods
from ipc_helpers.group.worker_group import WorkerGroup
from ipc_helpers.measuring.ladder import BANDWIDTH_LIMIT, RATE_LIMITS, Ladder, MeasureError, Sample
from ipc_helpers.measuring.rungs import RUNGS, Rung, start_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import FrameType

MIB = 2**20
_LEAST_ROUNDS = 3
_FILLS = 0.05  # seconds that the messages of a timed turn take, where their number is not given
_MOST_MESSAGES = 1_000_000
_FEW, _FEW_BYTES = 1_000, 16 * MIB  # of a turn that finds out how fast a rung is, and of a warm-up
_BATCH = 100
_BATCH_BYTES = 16 * MIB
_STUCK_AFTER = 10.0  # seconds that one run may take at least
_TOLD = f"{turns.__name__}.{turns.MessageError.__name__}"


def measure(
    rungs: Iterable[str | Rung],
    *,
    size: int = 64,
    batch: int | None = None,
    content: str = "bytes",
    messages: int | None = None,
    latencies: int = 100,
    rounds: int = 9,
    budget: float = 60.0,
    start_method: str = "spawn",
    together: bool | None = None,
    progress: Callable[[int, int], object] | None = None,
    look: Callable[[Ladder], object] | None = None,
    cancelled: threading.Event | None = None,
    seed: int | None = None,
) -> Ladder:
    """Measure some ways to hand a message to another process, and the limits of this machine beside them.

    Each round measures each rung once, in random order, with two fresh child processes. The limits, os.pipe
    and memcpy, are measured in each round, too; on Windows "Pipe, send_bytes" takes the place of os.pipe. The
    contents are random bytes. Each message is checked by its number, and by its checksum wherever it was kept
    whole, as in each run's first messages.

    Parameters
    ----------
    rungs : iterable of str or Rung
        Which; their names are the keys of ``RUNGS``.
    size : int
        Bytes in a message, 16 to 64 MiB.
    batch : int, optional
        Messages in a batch, for rungs that send batches, 100 by default; 1 to 100,000, and at most 16 MiB.
        Not to be given where no such rung is among them.
    content : {"bytes", "array"}
        What a message is: bytes, or a NumPy array of bytes.
    messages : int, optional
        How many each rung is timed with, 1 to 1,000,000. By default a first round, which is not counted,
        finds how many fill about 50 ms.
    latencies : int
        How many messages are sent one at a time for the latency, 0 to 10,000.
    rounds : int
        How many, 3 to 1,000.
    budget : float
        Seconds for all of it, above 0, at most 3,600. Rounds that no longer fit are left out, but for the
        first 3.
    start_method : str
        "spawn", and "fork" or "forkserver" where the platform has them.
    together : bool, optional
        True for both processes on one core, False for a core each; Linux alone. By default, any cores.
    progress : callable, optional
        Called after each run with how many are done, and how many there are.
    look : callable, optional
        Called after each round with the Ladder up to then.
    cancelled : threading.Event, optional
        Set it from another thread to end all of it.
    seed : int, optional
        What the order and the contents come from; by default a new one.

    Returns
    -------
    Ladder

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed, before anything starts; the message names it.
    MeasureError
        When a rung lost, repeated, reordered or tore a message, or failed; or when the budget was over before
        3 rounds. The message names the rung; ``result`` is the Ladder up to then.
    Cancelled
        When it was cancelled; ``result`` is the Ladder up to then.
    """
    room = _Room(
        *_chosen(rungs, content),
        context=multiprocessing.get_context(_one_of("start_method", start_method, start_methods())),
        size=_whole_number("size", size, 16, 64 * MIB),
        batch=batch,
        array=_one_of("content", content, ("bytes", "array")) == "array",
        messages=None if messages is None else _whole_number("messages", messages, 1, _MOST_MESSAGES),
        latencies=_whole_number("latencies", latencies, 0, 10_000),
        budget=_seconds(budget),
        cores=_cores(together),
        progress=progress,
        cancelled=cancelled,
        seed=random.SystemRandom().getrandbits(32) if seed is None else _whole_number("seed", seed, 0, 2**64),
    )
    return room.measure(_whole_number("rounds", rounds, _LEAST_ROUNDS, 1_000), look)


@dataclass(eq=False)
class _Room:
    """One call of measure: its checked parameters, and what it has measured so far."""

    rungs: list[Rung]
    missing: dict[str, str]
    context: Any
    size: int
    batch: int | None
    array: bool
    messages: int | None
    latencies: int
    budget: float
    cores: tuple[int, int] | None
    progress: Callable[[int, int], object] | None
    cancelled: threading.Event | None
    seed: int

    def __post_init__(self) -> None:
        if self.batch is not None:
            _whole_number("batch", self.batch, 1, min(100_000, _BATCH_BYTES // self.size))
            if not any(rung.batched for rung in self.rungs):
                named = ", ".join(repr(rung.name) for rung in self.rungs)
                raise ValueError(
                    f"batch must be left out where no rung sends batches, not {self.batch}: {named}"
                )
        elif any(rung.batched for rung in self.rungs):
            self.batch = min(_BATCH, _BATCH_BYTES // self.size)
        self._samples: list[Mapping[str, Sample]] = []
        self._random = random.Random(self.seed)
        self._counts: dict[str, int] = {}  # how many messages fill a turn
        self._began = perf_counter()
        self._done = self._of = 0
        self._interrupted = False

    @property
    def ladder(self) -> Ladder:
        """What was measured in whole rounds up to now."""
        return Ladder(
            tuple(self._samples),
            size=self.size,
            batch=self.batch,
            content="array" if self.array else "bytes",
            limits=tuple(rung.name for rung in self.rungs if rung.limit),
            missing=self.missing,
            start_method=self.context.get_start_method(),
            together=None if self.cores is None else len({*self.cores}) == 1,
            seed=self.seed,
        )

    def measure(self, rounds: int, look: Callable[[Ladder], object] | None) -> Ladder:
        """Measure each rung in each round; return what came out."""
        try:
            with self._interrupts_noted():
                self._measure(rounds, look)
        except WorkerGroupError as error:
            error.result = self.ladder if self._samples else None
            raise
        if self.progress is not None and self._done < self._of:
            self.progress(self._of, self._of)
        return self.ladder

    def _measure(self, rounds: int, look: Callable[[Ladder], object] | None) -> None:
        self._of = (rounds + (self.messages is None)) * len(self.rungs)
        for rung in self._shuffled() if self.messages is None else ():
            few = max(_few(self.size), 2 * self._batch_of(rung))
            rates = [sample.rate for sample in self._run(rung, (few, few, few), latencies=0)]
            self._counts[rung.name] = self._filling(rung, max(rates))
        longest = 0.0
        while self._has_time_for_another(rounds, longest):
            began = perf_counter()
            measured = {rung.name: self._run(rung, (self._count_of(rung),))[0] for rung in self._shuffled()}
            self._samples.append({rung.name: measured[rung.name] for rung in self.rungs})
            longest = max(longest, perf_counter() - began)
            if look is not None:
                look(self.ladder)

    @contextlib.contextmanager
    def _interrupts_noted(self) -> Iterator[None]:
        """Note an interrupt, which Python ignores where it comes while an object is taken away."""
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or not callable(handler):
            yield
            return

        def on_interrupt(number: int, frame: FrameType | None) -> None:
            self._interrupted = True
            handler(number, frame)

        signal.signal(signal.SIGINT, on_interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)
        self._raise_if_interrupted()

    def _raise_if_interrupted(self) -> None:
        if self._interrupted:
            raise KeyboardInterrupt

    def _has_time_for_another(self, rounds: int, longest: float) -> bool:
        """Say whether there is another round, and time for one that takes as long as the longest did."""
        done = len(self._samples)
        return done < _LEAST_ROUNDS or (done < rounds and longest < self._left())

    def _left(self) -> float:
        """Return how many seconds of the budget are left."""
        return self._began + self.budget - perf_counter()

    def _shuffled(self) -> list[Rung]:
        return self._random.sample(self.rungs, len(self.rungs))

    def _batch_of(self, rung: Rung) -> int:
        return (self.batch or 1) if rung.batched else 1

    def _count_of(self, rung: Rung) -> int:
        return self.messages or self._counts[rung.name]

    def _filling(self, rung: Rung, rate: float) -> int:
        """Return how many messages, in whole batches, fill the time of a turn."""
        batch = self._batch_of(rung)
        batches = max(2, round(_FILLS * rate / batch))
        return min(batches, _MOST_MESSAGES // batch) * batch

    def _run(self, rung: Rung, counts: tuple[int, ...], latencies: int | None = None) -> list[Sample]:
        """Measure a rung once, with so many messages in each of its timed turns."""
        self._raise_if_interrupted()
        if self._left() <= 0 and len(self._samples) < _LEAST_ROUNDS:
            raise MeasureError(None, self._why_too_small())
        if self.cancelled is not None and self.cancelled.is_set():
            raise Cancelled("the measurement was cancelled")
        is_copy = rung.receive is None and rung.limit  # in which nobody waits
        plan = turns.Plan(
            size=self.size,
            batch=self._batch_of(rung),
            array=self.array,
            seed=self._random.getrandbits(64),
            warm_up=max(2, self._batch_of(rung), min(_few(self.size), max(counts))),
            counts=counts,
            latencies=0 if is_copy else self.latencies if latencies is None else latencies,
            reuses_buffer=rung.reuses_buffer,
            wraps=self.array and rung.arrays == "buffers",
            cores=self.cores,
        )
        started, ended = self._times(rung, plan)
        seconds = [(end - start) / 1e9 for start, end in zip(started, ended, strict=True)][1:]
        cuts = _percentiles([each * 1e6 for each in seconds[len(counts) :]])
        self._done += 1
        if self.progress is not None:
            self.progress(self._done, self._of)
        return [Sample(count / each, *cuts) for count, each in zip(counts, seconds, strict=False)]

    def _times(self, rung: Rung, plan: turns.Plan) -> tuple[list[int], list[int]]:
        """Run the children of a rung; return when each turn began, and ended, in nanoseconds."""
        deadline = max(self._left(), _STUCK_AFTER)
        try:
            with (
                rung.open(self.context, plan.size, plan.batch) as ends,
                WorkerGroup(self.context, deadline=deadline, cancelled=self.cancelled) as group,
            ):
                children = start_turns(group, rung, ends, plan)
        except Cancelled:
            raise
        except WorkerGroupError as error:
            words = str(error)
            if isinstance(error, DeadlineError):
                words = f"one run took more than {deadline:.0f} s, all that was left of the budget. {error}"
            elif isinstance(error, WorkerError) and error.kind == _TOLD:
                words = error.message
            raise MeasureError(rung.name, words) from error
        except Exception as error:  # of what opens and closes the rung
            raise MeasureError(rung.name, f"{type(error).__name__}: {error}") from error
        if rung.receive is None:
            started, ended = children[0].result
            return started, ended
        receiver, sender = children
        return sender.result, receiver.result

    def _why_too_small(self) -> str:
        runs = (_LEAST_ROUNDS + (self.messages is None)) * len(self.rungs)
        return (
            f"budget must be more than {self.budget:g} s here: {_LEAST_ROUNDS} rounds of {len(self.rungs)} "
            f"rungs take {runs} runs, and {self._done} were done by then. Give more, or name fewer rungs"
        )


def _few(size: int) -> int:
    """Return how many messages show how fast a rung is, or warm it up."""
    return max(2, min(_FEW, _FEW_BYTES // size))


def _percentiles(values: list[float]) -> tuple[float, float]:
    """Return what half of the values are below, and 99 of 100; NaN where there is none."""
    if not values:
        return math.nan, math.nan
    cuts = quantiles(values if len(values) > 1 else values * 2, n=100, method="inclusive")
    return cuts[49], cuts[98]


def _chosen(rungs: Iterable[str | Rung], content: str) -> tuple[list[Rung], dict[str, str]]:
    """Return the rungs to be measured, ways before limits; and why those are missing that can't be."""
    if isinstance(rungs, (str, Rung)):
        raise TypeError(f"rungs must be a list of names of rungs, not {rungs!r}")
    known = ", ".join(map(repr, RUNGS))
    chosen: dict[str, Rung] = {}
    for each in rungs:
        if not isinstance(each, (str, Rung)):
            raise TypeError(f"rungs must be names of rungs, not {each!r} of type {type(each).__name__}")
        if isinstance(each, str) and each not in RUNGS:
            raise ValueError(f"rungs must be some of {known}; not {each!r}")
        rung = each if isinstance(each, Rung) else RUNGS[each]
        chosen[rung.name] = rung
    if not chosen:
        raise ValueError(f"rungs must be one or more of {known}; not none")
    limit = next(RUNGS[name] for name in RATE_LIMITS if RUNGS[name].why_missing() is None)
    for rung in (RUNGS[RATE_LIMITS[0]], limit, RUNGS[BANDWIDTH_LIMIT]):  # the first may be missing
        chosen.setdefault(rung.name, rung)
    missing = {}
    for rung in chosen.values():
        why = rung.why_missing()
        if why is None and content == "array" and not rung.arrays:
            why = "it takes no arrays"
        if why is not None:
            missing[rung.name] = why
    here = [rung for rung in chosen.values() if rung.name not in missing]
    return sorted(here, key=lambda rung: rung.limit), missing


def _whole_number(name: str, value: object, low: int, high: int) -> int:
    """Return a whole number; raise TypeError or ValueError, naming the parameter, when it is not allowed."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {value!r} of type {type(value).__name__}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low:,} to {high:,}, not {value:,}")
    return value


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{name} must be {' or '.join(map(repr, allowed))}, not {value!r}")
    if value == "array" and find_spec("numpy") is None:
        raise ValueError(f"{name} must be 'bytes' where NumPy is not installed, not {value!r}")
    return value


def _seconds(budget: object) -> float:
    if isinstance(budget, bool) or not isinstance(budget, (int, float)):
        raise TypeError(f"budget must be a number of seconds, not {budget!r}")
    if not 0 < budget <= 3_600:  # NaN is no such number
        raise ValueError(f"budget must be above 0 and at most 3,600 seconds, not {budget!r}")
    return float(budget)


def _cores(together: object) -> tuple[int, int] | None:
    """Return the core that the sender runs on, and the receiver's; None for any."""
    if together is None:
        return None
    if not isinstance(together, bool):
        raise TypeError(f"together must be True, False or None, not {together!r}")
    if sys.platform != "linux":
        raise ValueError(f"together must be None but on Linux, whose processes choose cores; not {together}")
    here = sorted(os.sched_getaffinity(0))
    if not together and len(here) < 2:
        raise ValueError("together must be True or None where there is only one core, not False")
    return here[-1], here[-1] if together else here[-2]
