"""What tests of experiments share: each kind with small parameters, its runs, and how they are checked."""

from __future__ import annotations

import time
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from ipc_helpers.experiments.pipe_exchange import PipeExchange
from ipc_helpers.experiments.process_start import ProcessStart
from ipc_helpers.experiments.program_stop import ProgramStop
from ipc_helpers.experiments.queue_flow import QueueFlow
from ipc_helpers.experiments.queue_places import QueuePlaces
from ipc_helpers.experiments.result import Result
from ipc_helpers.experiments.slot_exchange import SlotExchange
from ipc_helpers.experiments.stage_chain import StageChain
from ipc_helpers.experiments.worker_pool import WorkerPool
from ipc_helpers.trace import RECEIVE, SEND, WRITE, Lane, Track

if TYPE_CHECKING:
    from ipc_helpers.experiments.experiment import Experiment
    from ipc_helpers.group.errors import WorkerGroupError

AMPLE = 60.0  # seconds
SOON = 20.0  # seconds: far more than an end takes
EXPERIMENTS = (
    QueueFlow,
    QueuePlaces,
    SlotExchange,
    PipeExchange,
    ProcessStart,
    WorkerPool,
    StageChain,
    ProgramStop,
)


def checked(result: Result) -> Result:
    """Check what is so of every run."""
    experiment = result.experiment
    sends = [event for lane in result.lanes_of(SEND) for event in lane]
    receives = [event for lane in result.lanes_of(RECEIVE) for event in lane]
    sent = {event.number: event for event in sends}
    received = {event.number: event for event in receives}
    assert result.sent == result.received == len(sends) == len(receives) == experiment.steps
    assert sorted(sent) == sorted(received) == list(range(experiment.steps))
    size = experiment.bytes_each
    assert all(sent[number].started <= received[number].ended for number in sent)
    for lane in result.lanes:
        assert all(event.started <= event.ended for event in lane)
        calls = [event for event in lane if event.operation != WRITE]
        for events in (calls, list(lane.only(WRITE))):  # in the order of the records
            for before, after in pairwise(events):
                assert before.ended <= after.started, "a thread does one thing after the other"
    first = min(event.started for event in sends)
    last = max(event.ended for event in receives)
    assert result.seconds == pytest.approx((last - first) / 1e9)
    assert result.messages_per_second == pytest.approx(experiment.steps / result.seconds)
    assert result.bytes_per_second == pytest.approx(experiment.steps * size / result.seconds)
    for total, lane in zip(result.totals, result.lanes, strict=True):
        assert total.who == lane.who
        assert total.sent == sum(event.operation == SEND for event in lane)
        assert total.received == sum(event.operation == RECEIVE for event in lane)
        assert total.payload_bytes == (total.sent + total.received) * size
        assert (total.seconds > 0) == (total.sent + total.received > 0)
        assert 0 <= total.seconds_in_calls <= total.seconds + 1e-9
    return result


def checked_flow(result: Result) -> Result:
    """Check what is so of every run of QueueFlow."""
    flow = checked(result).experiment
    assert isinstance(flow, QueueFlow)
    producers, consumers = result.totals[: flow.producers], result.totals[flow.producers :]
    assert [total.who for total in producers] == [f"producer {n + 1}" for n in range(flow.producers)]
    assert [total.who for total in consumers] == [f"consumer {n + 1}" for n in range(flow.consumers)]
    assert sum(total.sent for total in producers) == sum(total.received for total in consumers)
    assert sum(total.received for total in producers) == sum(total.sent for total in consumers) == 0
    return result


def sums(result: Result) -> list[tuple[str, int, int]]:
    return [(total.who, total.sent, total.received) for total in result.totals]


def checked_exchange(result: Result) -> Result:
    """Check what is so of every run of PipeExchange."""
    exchange = checked(result).experiment
    assert isinstance(exchange, PipeExchange)
    count = exchange.messages
    if exchange.duplex:
        assert sums(result) == [("client", count // 2, count // 2), ("server", count // 2, count // 2)]
    else:
        assert sums(result) == [("sender", count, 0), ("receiver", 0, count)]
    for lane in result.lanes:
        assert list(lane.column("number")) == list(range(count)), "a pipe keeps the order"
    return result


def checked_start(result: Result) -> Result:
    """Check what is so of every run of ProcessStart."""
    start = checked(result).experiment
    assert isinstance(start, ProcessStart)
    children = [(f"child {number + 1}", 0, 1) for number in range(start.processes)]
    assert sums(result) == [("parent", start.processes, 0), *children]
    return result


def checked_places(result: Result) -> Result:
    """Check what is so of every run of QueuePlaces."""
    places = checked(result).experiment
    assert isinstance(places, QueuePlaces)
    assert sums(result) == [("producer", places.messages, 0), ("consumer", 0, places.messages)]
    (puts,), (writes,), (gets,) = (result.lanes_of(operation) for operation in (SEND, WRITE, RECEIVE))
    assert writes.who == "producer"
    for events in (puts, writes, gets):
        assert list(events.column("number")) == list(range(places.messages)), "a queue keeps the order"
    for put, write, get in zip(puts, writes, gets, strict=True):
        assert put.started <= write.started <= get.ended
    return result


def checked_slots(result: Result) -> Result:
    """Check what is so of every run of SlotExchange."""
    exchange = checked(result).experiment
    assert isinstance(exchange, SlotExchange)
    assert sums(result) == [("producer", exchange.messages, 0), ("consumer", 0, exchange.messages)]
    puts, gets = result.lanes
    for events in (puts, gets):
        assert list(events.column("number")) == list(range(exchange.messages)), "a queue keeps the order"
    if exchange.through == "slots":
        for put, got_before in zip(list(puts)[exchange.slots :], gets, strict=False):
            assert put.ended > got_before.ended, "a slot is free again once its message was got"
    return result


def checked_pool(result: Result) -> Result:
    """Check what is so of every run of WorkerPool."""
    pool = checked(result).experiment
    assert isinstance(pool, WorkerPool)
    producer, *workers = result.totals
    assert (producer.who, producer.sent, producer.received) == ("producer", pool.tasks, 0)
    assert [total.who for total in workers] == [f"worker {n + 1}" for n in range(pool.workers)]
    assert sum(total.received for total in workers) == pool.tasks
    assert sum(total.sent for total in workers) == 0
    assert list(result.lanes[0].column("number")) == list(range(pool.tasks)), (
        "put in the order of the numbers"
    )
    for lane in result.lanes[1:]:
        numbers = list(lane.column("number"))
        assert numbers == sorted(numbers), "a worker takes tasks in the order in which they were put"
        for event in lane:
            assert event.ended - event.started > pool.lengths[event.number] * 0.9e9 - 20e6, "it slept"
    return result


def checked_chain(result: Result) -> Result:
    """Check what is so of every run of StageChain."""
    chain = checked(result).experiment
    assert isinstance(chain, StageChain)
    count = chain.messages
    stages = [(f"stage {number + 1}", count, count) for number in range(chain.stages)]
    assert sums(result) == [("producer", count, 0), *stages, ("consumer", 0, count)]
    for before, after in pairwise(result.lanes):
        for put, got in zip(before.only(SEND), after.only(RECEIVE), strict=True):
            assert put.number == got.number, "each queue keeps the order"
            assert put.started <= got.ended
    for lane, seconds in zip(result.lanes[1:-1], chain.seconds[1:-1], strict=True):
        for got, put in zip(lane.only(RECEIVE), lane.only(SEND), strict=True):
            assert put.started - got.ended > seconds * 0.9e9 - 20e6, "it worked in between"
    return result


def checked_stop(result: Result) -> Result:
    """Check what is so of every run of ProgramStop."""
    program = result.experiment
    assert isinstance(program, ProgramStop)
    if program.way == "sentinels":
        checked(result)
    producer, *workers, parent = result.lanes
    assert (producer.who, parent.who) == ("producer", "parent")
    assert [lane.who for lane in workers] == [f"worker {n + 1}" for n in range(program.workers)]
    assert list(producer.column("number")) == list(range(program.tasks))
    numbers = [number for lane in workers for number in lane.column("number")]
    assert len(set(numbers)) == len(numbers) == result.received
    assert result.sent == program.tasks == result.received + result.lost + result.left
    most_lost, endings = 0, {"returned"}
    if program.way == "terminate":
        most_lost, endings = program.workers, {"was terminated"}
    assert result.lost <= most_lost
    assert {lane.ending for lane in workers} == endings
    assert result.stop is not None
    assert result.stopped is None
    for lane in workers:
        assert list(lane.column("number")) == sorted(lane.column("number"))
        for event in lane:
            assert event.ended - event.started > program.length * 0.9e6 - 20e6, "it slept"
            assert event.ended <= result.stop.ended
    return result


CHECKED = {
    QueueFlow: checked_flow,
    QueuePlaces: checked_places,
    PipeExchange: checked_exchange,
    SlotExchange: checked_slots,
    ProcessStart: checked_start,
    WorkerPool: checked_pool,
    StageChain: checked_chain,
    ProgramStop: checked_stop,
}


def ended(error: type[WorkerGroupError], experiment: Experiment, match: str | None = None, **how: Any) -> Any:
    """Run an experiment that ends soon, and with an error; return that."""
    start = time.monotonic()
    with pytest.raises(error, match=match) as caught:
        experiment.run(**{"deadline": AMPLE} | how)
    assert time.monotonic() - start < SOON
    result = caught.value.result
    assert isinstance(result, Result)
    assert result.experiment is experiment
    assert result.stopped
    for lane in result.lanes:
        assert all(event.started <= event.ended <= result.stopped for event in lane)
        assert all(0 < since <= result.stopped for since in lane.unfinished.values())
    return caught.value


def lane(who: str, operation: int, *numbers: int) -> Lane:
    with closing(Track(len(numbers))) as track:
        for number in numbers:
            track.add(now := time.perf_counter_ns(), now + 1, number, operation)
        return Lane(who, track.read()[0])


SMALL = {
    QueueFlow: {"messages": 12, "producers": 2, "consumers": 2, "maxsize": 4},
    QueuePlaces: {"messages": 12, "payload": 64, "pause": 0},
    PipeExchange: {"messages": 12},
    SlotExchange: {"messages": 12, "size": 1, "slots": 2},
    ProcessStart: {"processes": 2, "argument": 64},
    WorkerPool: {"tasks": 6, "length": 5, "workers": 2},
    StageChain: {"messages": 12, "stages": 2, "work": 4},
    ProgramStop: {"tasks": 6, "length": 5, "workers": 2, "moment": 20},
}
DUPLEX = {"duplex": True}
WHOLE = {"through": "queue"}
ROLES = [
    pytest.param(kind, parameters, role, id=f"{kind.__name__} {role}")
    for kind, parameters in [
        *((kind, {}) for kind in EXPERIMENTS),
        (PipeExchange, DUPLEX),
        (SlotExchange, WHOLE),
    ]
    for role in kind(**parameters).roles_here
]


def small(kind: type[Experiment], parameters: dict[str, Any], start_method: str = "spawn") -> Experiment:
    return kind(**SMALL[kind] | parameters | {"start_method": start_method})
