"""What the curves of a result's figure show."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ipc_helpers.trace import RECEIVE, SEND, WRITE, Event

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ipc_helpers.experiments.result import Result
    from ipc_helpers.trace import Lane


class Flow(NamedTuple):
    """Times in milliseconds since the first send began."""

    start: int  # nanoseconds of perf_counter_ns
    span: float
    done: dict[int, NDArray[Any]]
    times: NDArray[Any]
    depth: NDArray[Any]
    places: dict[str, tuple[NDArray[Any], NDArray[Any]]]  # when messages come there, and when they go


def flow_of(result: Result) -> Flow:
    """Return the curves of a result's figure."""

    def by_number(operation: int, column: str) -> NDArray[Any]:
        """Return when each message was there, in nanoseconds; infinity where it was not."""
        times = np.full(result.experiment.steps, np.inf)
        for lane in result.lanes_of(operation):
            events = _events(lane)
            events = events[(events["number"] >= 0) & (events["number"] < len(times))]
            times[events["number"]] = events[column]
        return times

    def gate(times: NDArray[Any]) -> NDArray[Any]:
        return (np.sort(times[np.isfinite(times)], kind="stable") - start) / 1e6  # soon done: they are runs

    received_at = by_number(RECEIVE, "ended")
    # The clock of a send stops when its call returns, which may be after the message was received.
    sent_at = np.minimum(by_number(SEND, "ended"), received_at)
    begun = [int(lane.column("started")[0]) for lane in result.lanes_of(SEND)]
    begun += [lane.unfinished[SEND] for lane in result.lanes if SEND in lane.unfinished]
    end = result.stopped or int(received_at.max())
    goes_on = chain.from_iterable(lane.unfinished.values() for lane in result.lanes)
    start = min(begun or goes_on, default=end - 1)
    done_at = {SEND: sent_at, RECEIVE: received_at}
    places = {}
    if WRITE in result.experiment.labels.done:
        # A call may return after the message has gone on: the message was there for no time, then.
        done_at[WRITE] = written_at = np.minimum(by_number(WRITE, "ended"), received_at)
        taken_at = np.minimum(by_number(WRITE, "started"), written_at)
        gates = [gate(times) for times in (np.minimum(sent_at, taken_at), taken_at, written_at, received_at)]
        places = dict(zip(("deque", "feeder thread", "pipe"), pairwise(gates), strict=True))
    done = {operation: gate(done_at[operation]) for operation in result.experiment.labels.done}
    times = np.concatenate([done[SEND], done[RECEIVE]])
    steps = np.repeat([1, -1], [len(done[SEND]), len(done[RECEIVE])])
    order = np.argsort(times, kind="stable")
    return Flow(start, (end - start) / 1e6, done, times[order], np.cumsum(steps[order]), places)


def _events(lane: Lane) -> NDArray[Any]:
    return np.frombuffer(lane.records, dtype=[(name, np.int64) for name in Event._fields])
