"""What the curves of a result's figure show."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ipc_helpers.trace import RECEIVE, SEND, Event

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ipc_helpers.experiments.parameters import Place
    from ipc_helpers.experiments.result import Result
    from ipc_helpers.trace import Lane


class Flow(NamedTuple):
    """Times in milliseconds since the first send began."""

    start: int  # nanoseconds of perf_counter_ns
    span: float
    done: dict[int, NDArray[Any]]
    times: NDArray[Any]
    depth: NDArray[Any]
    places: dict[Place, tuple[NDArray[Any], NDArray[Any]]]  # when messages come there, and when they go


def flow_of(result: Result) -> Flow:
    """Return the curves of a result's figure."""

    def by_number(operation: int, who: str = "", field: str = "ended") -> NDArray[Any]:
        """Return when each message was there, in nanoseconds; infinity where it was not."""
        times = np.full(result.experiment.steps, np.inf)
        for lane in result.lanes_of(operation, who):
            events = _events(lane)
            events = events[(events["number"] >= 0) & (events["number"] < len(times))]
            times[events["number"]] = events[field]
        return times

    def gate(times: NDArray[Any]) -> NDArray[Any]:
        return (np.sort(times[np.isfinite(times)], kind="stable") - start) / 1e6  # soon done: they are runs

    done_at = {operation: by_number(operation) for operation in result.experiment.labels.done}
    places = result.experiment.places
    ways = [done_at[SEND], *(by_number(place.operation, place.who, place.field) for place in places)]
    # A call may return after the message has gone on: the message was there for no time, then.
    gates = np.minimum.accumulate([*ways[::-1]])[::-1]
    received_at = done_at[RECEIVE]
    begun = [int(lane.column("started")[0]) for lane in result.lanes_of(SEND)]
    begun += [lane.unfinished[SEND] for lane in result.lanes if SEND in lane.unfinished]
    end = result.stopped or (result.stop.ended if result.stop else int(received_at.max()))
    goes_on = chain.from_iterable(lane.unfinished.values() for lane in result.lanes)
    start = min(begun or goes_on, default=end - 1)
    done = {operation: gate(np.minimum(times, received_at)) for operation, times in done_at.items()}
    stays = {}
    for place, (come, gone) in zip(places, pairwise(map(gate, gates)), strict=True):
        if place.name:
            # A put into a full queue returns before the get that has made room for it.
            filled = come[place.most :][: len(gone)] if place.most else come[:0]
            rest = gone[len(filled) :]
            stays[place] = come, np.append(np.minimum(gone[: len(filled)], filled), rest)
    times = np.concatenate([done[SEND], done[RECEIVE]])
    steps = np.repeat([1, -1], [len(done[SEND]), len(done[RECEIVE])])
    order = np.argsort(times, kind="stable")
    return Flow(start, (end - start) / 1e6, done, times[order], np.cumsum(steps[order]), stays)


def _events(lane: Lane) -> NDArray[Any]:
    return np.frombuffer(lane.records, dtype=[(name, np.int64) for name in Event._fields])
