"""The experiments: what they refuse, what they measure, and that they notice a mistake in their books."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
import types
from contextlib import closing
from dataclasses import FrozenInstanceError, fields, replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import reader_workers

from ipc_helpers.child import recorder
from ipc_helpers.experiments.experiment import Experiment
from ipc_helpers.experiments.parameters import MIB, Choice, WholeNumber, counted
from ipc_helpers.experiments.pipe_exchange import PipeExchange
from ipc_helpers.experiments.process_start import ProcessStart
from ipc_helpers.experiments.queue_flow import QueueFlow, shares
from ipc_helpers.experiments.queue_places import QueuePlaces
from ipc_helpers.experiments.result import ProtocolError, Result, measured
from ipc_helpers.experiments.worker_pool import WorkerPool
from ipc_helpers.group.errors import Cancelled, DeadlineError, WorkerError, WorkerGroupError
from ipc_helpers.group.starting import start_methods
from ipc_helpers.group.worker_group import WorkerGroup
from ipc_helpers.trace import RECEIVE, SEND, WRITE, Lane, Track

pytestmark = pytest.mark.usefixtures("nothing_left")

AMPLE = 60.0  # seconds
SOON = 20.0  # seconds: far more than an end takes

EXPERIMENTS = (QueueFlow, QueuePlaces, PipeExchange, ProcessStart, WorkerPool)
NUMBERS = [
    pytest.param(kind, name, rule, id=f"{kind.__name__}.{name}")
    for kind in EXPERIMENTS
    for name, rule in kind.rules().items()
    if isinstance(rule, WholeNumber)
]
WITH_VOLUME = (QueueFlow, PipeExchange)


# What is refused, before anything starts.


@pytest.mark.parametrize("kind", EXPERIMENTS)
def test_each_parameter_has_a_rule_and_a_label(kind: type[Experiment]) -> None:
    assert list(kind.rules()) == [field.name for field in fields(kind)]
    assert all(rule.label for rule in kind.rules().values())
    assert kind.rules()["start_method"] == Choice(start_methods(), "Start method")


def refused(kind: type[Experiment], error: type[Exception], name: str, value: object) -> str:
    """Return the message of the one error that a value brings, which names its parameter first."""
    with pytest.raises(error) as caught:
        kind(**{name: value}).run()
    assert type(caught.value) is error
    assert caught.value.__cause__ is caught.value.__context__ is None
    message = str(caught.value)
    assert message.startswith(f"{name} must be ")
    return message


WRONG_TYPES = [1.0, 1.5, "1", None, math.nan, math.inf, True, False, [1], 1j]


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize("value", WRONG_TYPES, ids=repr)
@pytest.mark.parametrize(("kind", "name", "rule"), NUMBERS)
def test_number_of_a_wrong_type_is_refused(
    kind: type[Experiment], name: str, rule: WholeNumber, value: object
) -> None:
    assert repr(value) in refused(kind, TypeError, name, value)


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize("beyond", [1, 10**400], ids=["by one", "by far"])
@pytest.mark.parametrize(("kind", "name", "rule"), NUMBERS)
def test_number_out_of_range_is_refused(
    kind: type[Experiment], name: str, rule: WholeNumber, beyond: int
) -> None:
    for value in (rule.low - beyond, rule.high + beyond):
        message = refused(kind, ValueError, name, value)
        assert f"from {rule.low:,} to {rule.high:,}, not {value:,}" in message


NO_STRINGS = (1, 1.5, None, math.nan, True, ["spawn"])
NO_CHOICES = [
    *((kind, "start_method", (*NO_STRINGS, "thread", "", "Spawn", "spawn ")) for kind in EXPERIMENTS),
    (WorkerPool, "order", (*NO_STRINGS, 0, ["mixed"], "", "longest", "Mixed")),
    (PipeExchange, "duplex", (0, 1, "duplex", "True", None, math.nan, [True])),
]


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize(("kind", "name", "values"), NO_CHOICES)
def test_value_that_is_no_choice_is_refused(
    kind: type[Experiment], name: str, values: tuple[object, ...]
) -> None:
    options = kind.rules()[name].options  # type: ignore[union-attr]
    allowed = f"{name} must be {' or '.join(map(repr, options))}, not"
    for value in values:
        if type(value) is type(options[0]):
            assert refused(kind, ValueError, name, value).startswith(f"{allowed} {value!r}")
        else:
            words = f"{allowed} {value!r} of type {type(value).__name__}"
            assert refused(kind, TypeError, name, value).startswith(words)


VOLUME = "messages × payload must be at most 256 MiB"
TOO_MUCH: list[tuple[type[Experiment], dict[str, int], str]] = [
    *((kind, {"messages": 257, "payload": MIB}, VOLUME) for kind in (*WITH_VOLUME, QueuePlaces)),
    (
        QueueFlow,
        {"messages": 100_000, "payload": 2_685},
        f"{VOLUME}, not 100,000 × 2,685 bytes = 256.062 MiB: lower messages",
    ),
    *(
        (
            WorkerPool,
            {"tasks": tasks, "length": length},
            f"tasks × length must be at most 10 seconds, not {tasks} × {length} ms = {total} seconds: lower "
            "tasks or length",
        )
        for tasks, length, total in ((200, 51, "10.2"), (51, 200, "10.2"), (200, 200, "40"))
    ),
    (
        QueuePlaces,
        {"messages": 1_001, "pause": 20},
        "messages × pause must be at most 20 seconds, not 1,001 × 20 ms = 20.02 seconds: lower messages or",
    ),
]


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize(("kind", "parameters", "words"), TOO_MUCH)
def test_more_than_a_run_may_take_is_refused(
    kind: type[Experiment], parameters: dict[str, int], words: str
) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        kind(**parameters).run()


MOST: list[tuple[type[Experiment], dict[str, int]]] = [
    *((kind, {"messages": 256, "payload": MIB}) for kind in (*WITH_VOLUME, QueuePlaces)),
    *((kind, {"messages": 100_000, "payload": size}) for kind in WITH_VOLUME for size in (2_684, 0)),
    *((WorkerPool, {"tasks": tasks, "length": length}) for tasks, length in ((200, 50), (50, 200), (200, 0))),
    (QueuePlaces, {"messages": 1_000, "pause": 20}),
]


@pytest.mark.parametrize(("kind", "parameters"), MOST)
def test_as_much_as_a_run_may_take_is_accepted(kind: type[Experiment], parameters: dict[str, int]) -> None:
    assert kind(**parameters).steps == next(iter(parameters.values()))


@pytest.mark.parametrize(("kind", "name", "rule"), NUMBERS)
def test_numbers_at_the_ends_of_their_range_are_accepted(
    kind: type[Experiment], name: str, rule: WholeNumber
) -> None:
    few = {"messages": 1} if "messages" in kind.rules() else {}  # a large payload allows few messages
    for value in (rule.low, rule.high):
        assert getattr(kind(**few | {name: value}), name) == value


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize("deadline", [0, -1, math.nan, math.inf, 86_401, True, "10", None])
@pytest.mark.parametrize("kind", EXPERIMENTS)
def test_deadline_is_checked_before_anything_starts(kind: type[Experiment], deadline: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^deadline must be "):
        kind().run(deadline=deadline)


def test_parameters_stay_as_they_were_checked() -> None:
    with pytest.raises(FrozenInstanceError):
        QueueFlow().messages = 0  # type: ignore[misc]


def test_description_has_all_numbers() -> None:
    flow = QueueFlow(messages=2_000, payload=1, producers=2, consumers=1, maxsize=1_000)
    assert flow.description == "2,000 messages of 1 byte from 2 producers to 1 consumer, maxsize=1,000, spawn"
    assert ", no bound, " in QueueFlow().description
    assert (counted(1, "message"), counted(0, "byte")) == ("1 message", "0 bytes")
    pipe = PipeExchange(messages=2_000, payload=1)
    assert pipe.description == "2,000 messages of 1 byte, over a one-way pipe, spawn"
    assert "requests and replies over a duplex pipe" in PipeExchange(duplex=True).description
    assert ProcessStart(processes=3).description == "3 processes with an argument of 0 bytes, spawn"
    places = QueuePlaces(messages=1, payload=2, maxsize=3, pause=4)
    assert places.description == "1 message of 2 bytes, maxsize=3, a pause of 4 ms after each get, spawn"
    assert ", no bound, " in QueuePlaces().description
    pool = WorkerPool(tasks=1, length=2, unevenness=30, order="longest last", workers=1)
    assert pool.description == "1 task of 2 ms, 30 % uneven, longest last, for 1 worker, spawn"
    assert WorkerPool(unevenness=0).description == "20 tasks of 25 ms, for 4 workers, spawn"


# What a run measures.


def checked(result: Result) -> Result:
    """Check what is so of every run."""
    experiment = result.experiment
    sends = [event for lane in result.lanes for event in lane if event.operation == SEND]
    receives = [event for lane in result.lanes for event in lane if event.operation == RECEIVE]
    sent = {event.number: event for event in sends}
    received = {event.number: event for event in receives}
    assert result.sent == result.received == len(sends) == len(receives) == experiment.steps
    assert sorted(sent) == sorted(received) == list(range(experiment.steps))
    size = getattr(experiment, "argument", getattr(experiment, "payload", 0))
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
        assert (total.seconds > 0) == (len(lane) > 0)
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


CHECKED = {
    QueueFlow: checked_flow,
    QueuePlaces: checked_places,
    PipeExchange: checked_exchange,
    ProcessStart: checked_start,
    WorkerPool: checked_pool,
}
UNEVEN = {"tasks": 8, "length": 10, "unevenness": 100}
UNDER_EACH_START_METHOD: list[Experiment] = [
    QueueFlow(messages=300, producers=2, consumers=2),
    *(PipeExchange(messages=messages) for messages in (1, 2, 301)),
    *(PipeExchange(messages=messages, duplex=True) for messages in (2, 300)),
    *(ProcessStart(processes=number, argument=size) for number, size in ((1, 0), (1, MIB), (5, 1))),
    *(QueuePlaces(messages=100, maxsize=maxsize, pause=0) for maxsize in (0, 1, 3)),
    *(WorkerPool(**UNEVEN, order=order, workers=3) for order in ("mixed", "longest first", "longest last")),  # type: ignore[arg-type]
]
UNDER_ONE: list[Experiment] = [
    *(QueueFlow(messages=400, producers=number, consumers=5 - number) for number in range(1, 5)),
    *(QueueFlow(messages=8, payload=payload, producers=2, consumers=2) for payload in (0, 1, MIB)),
    *(
        PipeExchange(messages=8, payload=payload, duplex=duplex)
        for payload in (0, 1, MIB)
        for duplex in (False, True)
    ),
    *(
        QueuePlaces(messages=8, payload=payload, pause=pause)
        for payload in (0, 1, 100_000, MIB)
        for pause in (0, 2)
    ),
    *(WorkerPool(tasks=tasks, length=1, workers=workers) for tasks in (1, 200) for workers in (1, 8)),
    WorkerPool(tasks=8, length=1, workers=8),
    WorkerPool(tasks=200, length=0),
]
RUNS = [replace(run, start_method=method) for run in UNDER_EACH_START_METHOD for method in start_methods()]


@pytest.mark.parametrize("experiment", RUNS + UNDER_ONE, ids=lambda experiment: experiment.description)
def test_run(experiment: Experiment) -> None:
    result = CHECKED[type(experiment)](experiment.run(deadline=AMPLE))
    assert result.experiment is experiment
    steps = experiment.steps
    assert repr(result) == f"<Result of {experiment}: {steps} sent, {steps} received>"


@pytest.mark.parametrize("messages", [1, 3])
def test_run_with_fewer_messages_than_processes(messages: int) -> None:
    result = checked_flow(QueueFlow(messages=messages, producers=4, consumers=4).run(deadline=AMPLE))
    assert sorted(len(lane) for lane in result.lanes_of(SEND)) == [1] * messages
    assert [total.seconds for total in result.totals if not (total.sent or total.received)] == [0.0] * (
        8 - len(result.lanes_of(SEND)) - len(result.lanes_of(RECEIVE))
    )


@pytest.mark.parametrize("start_method", start_methods())
@pytest.mark.parametrize("maxsize", [1, 3])
def test_bounded_queue_holds_few_messages(maxsize: int, start_method: str) -> None:
    result = checked_flow(
        QueueFlow(messages=500, maxsize=maxsize, start_method=start_method).run(deadline=AMPLE)
    )
    producer, consumer = result.lanes
    steps = [(ended, 1) for ended in producer.column("ended")]
    steps += [(ended, -1) for ended in consumer.column("ended")]
    depth = most = 0
    for _, step in sorted(steps):
        depth += step
        most = max(most, depth)
    # A put takes one of maxsize places before it returns, a get gives the place back before it returns:
    # maxsize messages have their place, and the one consumer may be on its way back with one more.
    assert most <= maxsize + 1


def test_pause_holds_the_consumer() -> None:
    result = checked_places(QueuePlaces(messages=20, pause=10).run(deadline=AMPLE))
    gets = list(result.lanes[1])
    assert all(after.started - before.ended >= 9_000_000 for before, after in pairwise(gets))


CUBES = [80 * (rank**3) / 1296 for rank in range(1, 9)]  # milliseconds; 1296 is the sum of the cubes


def test_lengths_of_tasks_follow_their_formula() -> None:
    first, last, mixed = (
        [1000 * seconds for seconds in WorkerPool(**UNEVEN, order=order).lengths]  # type: ignore[arg-type]
        for order in ("longest first", "longest last", "mixed")
    )
    assert last == pytest.approx(CUBES)
    assert first == pytest.approx(CUBES[::-1])
    assert sorted(mixed) == pytest.approx(CUBES)
    assert mixed not in (first, last)


@pytest.mark.parametrize("order", ["mixed", "longest first", "longest last"])
@pytest.mark.parametrize("tasks", [1, 2, 3, 200])
def test_lengths_of_tasks_keep_their_sum(tasks: int, order: str) -> None:
    for unevenness in (0, 1, 50, 100):
        lengths = WorkerPool(tasks=tasks, length=50, unevenness=unevenness, order=order).lengths
        assert len(lengths) == tasks
        assert min(lengths) >= 0
        assert sum(lengths) == pytest.approx(tasks * 0.050)
    assert set(WorkerPool(tasks=tasks, length=50, unevenness=0, order=order).lengths) == {0.050}


# Progress, and the end of a run before its end.


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


@pytest.mark.parametrize(
    "experiment",
    [
        QueueFlow(messages=20_000, maxsize=1, consumers=2),  # so small a queue takes its time
        PipeExchange(messages=100_000),
        PipeExchange(messages=100_000, duplex=True),
        QueuePlaces(messages=200, pause=3),  # whose feeder thread counts for nothing
        WorkerPool(tasks=40, length=20, workers=2),
    ],
    ids=lambda experiment: experiment.description,
)
def test_progress_goes_from_0_to_the_number_of_steps(experiment: Experiment) -> None:
    seen: list[int] = []
    experiment.run(progress=seen.append, deadline=AMPLE)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, experiment.steps)
    assert len(set(seen)) > 2, "nothing between the start and the end"


def test_error_in_progress_ends_the_run() -> None:
    def progress(done: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        QueueFlow(messages=100_000, maxsize=1).run(progress=progress, deadline=SOON)


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize("kind", EXPERIMENTS)
def test_cancelled_before_the_run(kind: type[Experiment]) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        kind().run(cancelled=cancelled, deadline=AMPLE)


@pytest.mark.parametrize(
    ("experiment", "deadline", "stuck"),
    [
        (QueueFlow(messages=100_000, maxsize=1), 0.5, {"producer 1", "consumer 1"}),
        (PipeExchange(messages=100_000, duplex=True), 0.5, {"client", "server"}),
        (WorkerPool(tasks=50, length=200, workers=1), 1, {"producer", "worker 1"}),
    ],
    ids=["QueueFlow", "PipeExchange", "WorkerPool"],
)
def test_deadline_during_the_run(experiment: Experiment, deadline: float, stuck: set[str]) -> None:
    assert {*ended(DeadlineError, experiment, deadline=deadline).stacks} <= stuck


def test_deadline_while_messages_wait_in_places() -> None:
    stacks = ended(DeadlineError, QueuePlaces(messages=500, payload=100_000, pause=20), deadline=4).stacks
    assert set(stacks) == {"producer", "consumer"}
    assert "in _finalize_join" in stacks["producer"], "it waits until its feeder has written all"


# The books: a mistake in them is noticed.


def lane(who: str, operation: int, *numbers: int) -> Lane:
    with closing(Track(len(numbers))) as track:
        for number in numbers:
            track.add(now := time.perf_counter_ns(), now + 1, number, operation)
        return Lane(who, track.read()[0])


def test_right_books_are_accepted() -> None:
    lanes = [
        lane("p 1", SEND, 0, 2),
        lane("p 2", SEND, 1),
        lane("c 1", RECEIVE, 1, 0, 2),
        lane("c 2", RECEIVE),
    ]
    result = measured(Result(QueueFlow(messages=3), tuple(lanes)))
    assert (result.sent, result.received, result.lanes) == (3, 3, tuple(lanes))
    assert result.lanes_of(SEND) == tuple(lanes[:2])
    assert result.lanes_of(RECEIVE) == tuple(lanes[2:3])


@pytest.mark.parametrize(
    ("put", "got", "complaint"),
    [
        ((0, 1, 2), (0, 1), "of 3 messages 1 were not received, 0 more than once"),
        ((0, 1, 2), (), "of 3 messages 3 were not received, 0 more than once"),
        ((0, 1), (0, 1, 2), "of 3 messages 1 were not sent, 0 more than once"),
        ((), (), "of 3 messages 3 were not sent, 0 more than once"),
        ((0, 1, 2), (0, 1, 2, 2, 2), "of 3 messages 0 were not received, 1 more than once"),
        ((0, 1, 2), (0, 1, 1), "of 3 messages 1 were not received, 1 more than once"),
        ((0, 1, 2), (0, 1, 3), "of 3 messages 1 were not received"),
        ((0, 1, 2), (0, 1, 2, 3), "of 3 messages"),
    ],
)
def test_lost_and_repeated_messages_are_noticed(
    put: tuple[int, ...], got: tuple[int, ...], complaint: str
) -> None:
    with pytest.raises(ProtocolError, match=complaint):
        measured(Result(QueueFlow(messages=3), (lane("p", SEND, *put), lane("c", RECEIVE, *got))))


def test_writes_are_accounted_for_and_are_no_calls() -> None:
    """Of an experiment that records them; they are none of what the process sent or received."""
    put, got = lane("producer", SEND, 0, 1, 2), lane("consumer", RECEIVE, 0, 1, 2)
    both = Lane("producer", put.records + lane("producer", WRITE, 0, 1, 2).records)
    result = measured(Result(QueuePlaces(messages=3, payload=64), (both, got)))
    without = measured(Result(QueueFlow(messages=3), (put, got)))
    assert (result.sent, result.received, result.seconds) == (3, 3, without.seconds)
    assert result.totals == without.totals
    for numbers in ((), (0, 1), (0, 1, 1)):
        other = Lane("producer", put.records + lane("producer", WRITE, *numbers).records)
        missing = 3 - len(set(numbers))
        with pytest.raises(RuntimeError, match=f"of 3 messages {missing} were not written"):
            measured(Result(QueuePlaces(messages=3), (other, got)))


@pytest.mark.parametrize("processes", range(1, 6))
@pytest.mark.parametrize("messages", [1, 2, 7, 1_000, 99_999])
def test_shares_are_even_and_whole(messages: int, processes: int) -> None:
    ranges = list(shares(messages, processes))
    assert [number for share in ranges for number in share] == list(range(messages))
    assert max(map(len, ranges)) - min(map(len, ranges)) <= 1


# Workers of the reader's own.

SMALL = {
    QueueFlow: {"messages": 12, "producers": 2, "consumers": 2, "maxsize": 4},
    QueuePlaces: {"messages": 12, "payload": 64, "pause": 0},
    PipeExchange: {"messages": 12},
    ProcessStart: {"processes": 2, "argument": 64},
    WorkerPool: {"tasks": 6, "length": 5, "workers": 2},
}
DUPLEX = {"duplex": True}
RIGHT = [
    (QueueFlow, {}, "producer", reader_workers.produce_in_another_way),
    (QueueFlow, {}, "producer", reader_workers.produce_in_threads),
    (QueueFlow, {}, "consumer", reader_workers.consume_in_another_way),
    (QueuePlaces, {}, "producer", reader_workers.produce_in_another_way),
    (PipeExchange, {}, "sender", reader_workers.send_in_another_way),
    (PipeExchange, {}, "receiver", reader_workers.receive_in_another_way),
    (PipeExchange, DUPLEX, "client", reader_workers.request_in_another_way),
    (PipeExchange, DUPLEX, "server", reader_workers.serve_in_another_way),
    (ProcessStart, {}, "worker", reader_workers.take_a_moment),
    (ProcessStart, {}, "worker", reader_workers.return_something),
    (WorkerPool, {}, "worker", reader_workers.take_tasks),
]
BREAKING = [
    (QueueFlow, {}, "producer", reader_workers.lose_one, "of 12 messages 2 were not sent, 0 more than once"),
    (
        QueueFlow,
        {},
        "producer",
        reader_workers.put_one_twice,
        "of 12 messages 0 were not sent, 2 more than once",
    ),
    (
        QueueFlow,
        {},
        "consumer",
        reader_workers.get_three,
        "consumer 1 and consumer 2 returned, and 6 messages were still to come",
    ),
    (QueuePlaces, {}, "producer", reader_workers.lose_one, "of 12 messages 1 were not sent"),
    (
        QueuePlaces,
        {},
        "producer",
        reader_workers.put_one_twice,
        "of 12 messages 0 were not sent, 1 more than once",
    ),
    (QueuePlaces, {}, "consumer", reader_workers.get_three, "of 12 messages 9 were not received"),
    (PipeExchange, {}, "sender", reader_workers.send_all_but_one, "of 12 messages 1 were not sent"),
    (PipeExchange, {}, "receiver", reader_workers.receive_three, "of 12 messages 9 were not received"),
    (
        PipeExchange,
        DUPLEX,
        "client",
        reader_workers.send_in_another_way,
        "of 12 messages ([6-9]|1[0-2]) were not received",
    ),
    (PipeExchange, DUPLEX, "client", reader_workers.send_all_but_one, "(2 were not sent|were not received)"),
    (
        PipeExchange,
        DUPLEX,
        "server",
        reader_workers.serve_three,
        "of 12 messages [56] were not (sent|received)",
    ),
    (WorkerPool, {}, "worker", reader_workers.take_one_task, "of 6 tasks 4 were not received"),
    (WorkerPool, {}, "producer", reader_workers.lose_one, "of 6 tasks 1 were not sent"),
    (
        QueueFlow,
        {},
        "producer",
        reader_workers.forget_sentinels,
        "consumer 1 and consumer 2 waited for a message, and each producer had ended: "
        "a producer puts None for each consumer once its messages are put",
    ),
    (QueuePlaces, {}, "producer", reader_workers.forget_sentinels, "consumer waited for a message, and each"),
    (
        WorkerPool,
        {},
        "producer",
        reader_workers.forget_sentinels,
        "worker 1 and worker 2 waited for a message",
    ),
    (
        QueueFlow,
        {"messages": 4_000},
        "consumer",
        reader_workers.get_three,
        "3,994 were not received|and 3,994",
    ),
    (
        QueueFlow,
        {},
        "producer",
        reader_workers.put_sentinels_first,
        "returned, and 12 messages were still to",
    ),
    (
        PipeExchange,
        {},
        "sender",
        reader_workers.send_each,
        "sender returned without sending None, and receiver raised EOFError",
    ),
    (
        PipeExchange,
        {"messages": 40_000},
        "receiver",
        reader_workers.receive_three,
        "were not (sent|received)",
    ),
]
ROLES = [
    pytest.param(kind, parameters, role, id=f"{kind.__name__} {role}")
    for kind, parameters in [*((kind, {}) for kind in EXPERIMENTS), (PipeExchange, DUPLEX)]
    for role in kind(**parameters).roles_here
]
Own = tuple[type[Experiment], dict[str, Any], str, Any]


def small(kind: type[Experiment], parameters: dict[str, Any], start_method: str = "spawn") -> Experiment:
    return kind(**SMALL[kind] | parameters | {"start_method": start_method})


def named(case: tuple[Any, ...]) -> str:
    kind, _, role, worker, *_ = case
    return f"{kind.__name__} {role} {worker.__name__}"


@pytest.mark.parametrize("start_method", start_methods())
@pytest.mark.parametrize("case", RIGHT, ids=named)
def test_own_worker_runs_in_place_of_the_series(case: Own, start_method: str) -> None:
    kind, parameters, role, worker = case
    seen: list[int] = []
    experiment = small(kind, parameters, start_method)
    result = experiment.run(progress=seen.append, deadline=AMPLE, **{role: worker})
    if worker in (reader_workers.produce_in_threads, reader_workers.take_tasks):
        assert result.sent == result.received == experiment.steps
    elif worker is reader_workers.request_in_another_way:
        checked(result)  # its messages go in another order
    else:
        CHECKED[kind](result)
    assert seen == sorted(seen)
    assert seen[-1] == experiment.steps


@pytest.mark.parametrize("start_method", start_methods())
def test_two_own_workers_run_against_each_other(start_method: str) -> None:
    both = {
        "producer": reader_workers.produce_in_another_way,
        "consumer": reader_workers.consume_in_another_way,
    }
    checked_flow(small(QueueFlow, {}, start_method).run(deadline=AMPLE, **both))
    ends = {"client": reader_workers.request_in_another_way, "server": reader_workers.serve_in_another_way}
    checked(small(PipeExchange, DUPLEX, start_method).run(deadline=AMPLE, **ends))


def test_consumer_that_leaves_early_takes_nothing_from_the_others() -> None:
    flow = QueueFlow(messages=200, consumers=2, maxsize=1)
    checked_flow(flow.run(deadline=AMPLE, consumer=reader_workers.leave_or_get_all))


@pytest.mark.parametrize("start_method", start_methods())
@pytest.mark.parametrize("case", BREAKING, ids=named)
def test_own_worker_that_breaks_the_protocol_ends_the_run(case: tuple[Any, ...], start_method: str) -> None:
    kind, parameters, role, worker, complaint = case
    error = ended(ProtocolError, small(kind, parameters, start_method), complaint, **{role: worker})
    assert error.result.sent


@pytest.mark.parametrize(("kind", "parameters", "role"), ROLES)
def test_exception_in_an_own_worker_comes_with_its_line(
    kind: type[Experiment], parameters: dict[str, Any], role: str
) -> None:
    fails = {role: reader_workers.fail}
    error = ended(WorkerError, small(kind, parameters), "raised KeyError: 'apples'", **fails)
    assert "in fail\n    raise KeyError" in error.traceback


@pytest.mark.parametrize("kind", [ProcessStart, WorkerPool])
def test_end_of_another_input_is_no_end_of_a_pipe(kind: type[Experiment]) -> None:
    """Where all others have returned, too."""
    words = "raised EOFError: EOF when reading a line"
    ended(WorkerError, small(kind, {}), words, worker=reader_workers.read_a_line_at_last)


@pytest.mark.parametrize(("kind", "parameters", "role"), ROLES)
def test_own_worker_that_hangs_is_cancelled(
    kind: type[Experiment], parameters: dict[str, Any], role: str
) -> None:
    cancelled = threading.Event()
    timer = threading.Timer(0.5, cancelled.set)
    timer.start()
    ended(Cancelled, small(kind, parameters), cancelled=cancelled, **{role: reader_workers.hang})
    timer.join()


@pytest.mark.parametrize(
    ("worker", "complaint"),
    [
        (reader_workers.put_something_else, "'hello' is no message: it does not begin with a number"),
        (reader_workers.put_for_ever, "far more messages went through here than there are"),
    ],
)
def test_own_producer_that_puts_what_it_should_not_is_told(worker: Any, complaint: str) -> None:
    error = ended(WorkerError, small(QueueFlow, {}), complaint, producer=worker)
    assert f"in {worker.__name__}" in error.traceback


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize("kind", EXPERIMENTS)
def test_unknown_role_is_refused(kind: type[Experiment]) -> None:
    with pytest.raises(
        TypeError, match=f"^{kind.__name__} has no role 'baker' for a worker of yours: "
    ) as caught:
        kind().run(baker=reader_workers.fail)
    assert all(repr(role) in str(caught.value) for role in kind.roles)


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize(
    ("duplex", "role", "roles"),
    [(False, "server", "'sender' or 'receiver'"), (True, "sender", "'client' or 'server'")],
)
def test_role_of_the_other_kind_of_pipe_is_refused(duplex: bool, role: str, roles: str) -> None:
    with pytest.raises(ValueError, match=f"^a worker's role must be {roles} in PipeExchange") as caught:
        PipeExchange(duplex=duplex).run(**{role: reader_workers.fail})
    assert f"duplex={duplex}" in str(caught.value)
    assert f"not {role!r}" in str(caught.value)


@pytest.mark.usefixtures("no_start")
def test_odd_number_of_messages_is_refused_where_each_request_gets_a_reply() -> None:
    with pytest.raises(ValueError, match=r"^messages must be even over a duplex pipe, .*; not 1,001"):
        PipeExchange(messages=1_001, duplex=True)


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize(("kind", "parameters", "role"), ROLES)
def test_worker_that_is_no_function_or_takes_something_else_is_refused(
    kind: type[Experiment], parameters: dict[str, Any], role: str
) -> None:
    does = kind.roles[role].does
    for wrong in (None, 5, "produce"):
        with pytest.raises(TypeError, match=f"^{role} must be a function: ") as caught:
            kind(**parameters).run(**{role: wrong})
        assert does in str(caught.value)
        assert str(caught.value).endswith(f"; not {wrong!r}")
    with pytest.raises(TypeError, match=rf"^{role} must take \(.*\), not \(\): ") as caught:
        kind(**parameters).run(**{role: reader_workers.with_nothing})
    assert does in str(caught.value)


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize("start_method", [method for method in start_methods() if method != "fork"])
@pytest.mark.parametrize(("kind", "parameters", "role"), ROLES)
def test_worker_that_a_child_can_not_import_is_refused(
    kind: type[Experiment], parameters: dict[str, Any], role: str, start_method: str
) -> None:
    experiment = kind(**parameters | {"start_method": start_method})
    for wrong in (lambda *_: None, lambda first, second=None, third=None: None):
        with pytest.raises(ValueError, match=f"^{role} must be a function that a child can import") as caught:
            experiment.run(**{role: wrong})
        assert "start its cell with %%worker" in str(caught.value)


@pytest.mark.usefixtures("no_start")
def test_worker_of_an_ordinary_cell_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook, ``__main__`` is no file."""
    main = types.ModuleType("__main__")
    exec("def produce(queue, messages, consumers):\n    pass", vars(main))
    monkeypatch.setitem(sys.modules, "__main__", main)
    before = "producer must be a function that a child can import under spawn"
    after = "start its cell with %%worker, and define it there at the left margin"
    for worker, called in ((main.produce, "produce"), (partial(main.produce), "functools.partial.*")):
        with pytest.raises(ValueError, match=f"^{before}, and {called} is not: {after}$"):
            QueueFlow(messages=5, start_method="spawn").run(producer=worker)


@pytest.mark.skipif("fork" not in start_methods(), reason="the platform has no fork")
def test_forked_child_has_any_function() -> None:
    def produce(queue: Any, messages: Any, consumers: int) -> None:
        reader_workers.produce(queue, messages, consumers)

    checked_flow(QueueFlow(messages=5, start_method="fork").run(deadline=AMPLE, producer=produce))


# Who waits; and what is left of a run that was ended.


def test_consumer_that_waits_for_a_slow_producer_is_left_alone() -> None:
    flow = QueueFlow(messages=12, producers=1)
    checked_flow(flow.run(deadline=AMPLE, producer=reader_workers.produce_after_a_while))


@pytest.mark.parametrize("start_method", start_methods())
@pytest.mark.parametrize(("kind", "parameters", "role"), ROLES)
def test_processes_that_all_wait_are_told_where(
    kind: type[Experiment], parameters: dict[str, Any], role: str, start_method: str
) -> None:
    experiment = small(kind, parameters, start_method)
    result = ended(ProtocolError, experiment, **{role: reader_workers.hang}).result
    waiting = {lane.who: lane.where for lane in result.lanes if lane.ending.startswith("was still")}
    assert "threading.Event().wait()" in waiting.values()
    assert all(waiting.values()), waiting


def test_who_waits_with_a_limit_of_its_own_is_not_taken_for_stuck() -> None:
    both = {"sender": reader_workers.send_late, "receiver": reader_workers.receive_in_time}
    checked(small(PipeExchange, {}).run(deadline=AMPLE, **both))


def endings(result: Result) -> dict[str, str]:
    return {lane.who: lane.ending for lane in result.lanes}


KILLED = "was killed by SIGKILL" if sys.platform != "win32" else f"exited with code {signal.SIGTERM}"


@pytest.mark.parametrize("start_method", start_methods())
def test_records_of_a_killed_producer_are_there(start_method: str) -> None:
    flow = small(QueueFlow, {"producers": 1, "consumers": 1}, start_method)
    result = ended(WorkerError, flow, producer=reader_workers.die_in_producer).result
    assert (result.sent, result.received) == (5, 5)
    assert endings(result) == {"producer 1": KILLED, "consumer 1": "was still in get"}
    assert list(result.lanes[1].unfinished) == [RECEIVE]


@pytest.mark.parametrize("start_method", start_methods())
def test_records_of_a_killed_consumer_are_there(start_method: str) -> None:
    flow = QueueFlow(messages=1_000, maxsize=4, start_method=start_method)
    result = ended(WorkerError, flow, consumer=reader_workers.die_in_consumer).result
    assert result.received == 1
    assert result.sent <= 6, "as many as the queue holds, and one that is on its way"
    assert endings(result)["consumer 1"] == KILLED


@pytest.mark.parametrize("start_method", start_methods())
def test_records_of_a_worker_that_raises_are_there(start_method: str) -> None:
    flow = small(QueueFlow, {"consumers": 1}, start_method)
    result = ended(WorkerError, flow, consumer=reader_workers.raise_in_consumer).result
    assert result.received == 1
    assert endings(result)["consumer 1"] == "raised KeyError"
    assert result.lanes[-1].where == 'raise KeyError("apples")'


@pytest.mark.parametrize("start_method", start_methods())
def test_records_of_a_deadlock_are_there(start_method: str) -> None:
    """As in join before get: the producer can't end before somebody gets."""
    flow = QueueFlow(messages=2_000, payload=1_000, start_method=start_method)
    result = ended(DeadlineError, flow, deadline=4, consumer=reader_workers.get_one_and_doze).result
    assert (result.sent, result.received) == (2_000, 1)
    assert endings(result) == {
        "producer 1": "returned, and was still delivering",
        "consumer 1": "was still running",
    }


@pytest.mark.parametrize("start_method", start_methods())
@pytest.mark.parametrize(
    "experiment",
    [
        QueueFlow(messages=100_000, maxsize=1, producers=2, consumers=2),
        PipeExchange(messages=100_000),
        PipeExchange(messages=100_000, duplex=True),
        QueuePlaces(messages=1_000, pause=10),
        WorkerPool(tasks=200, length=50, workers=2),
    ],
    ids=lambda experiment: experiment.description,
)
def test_records_of_a_cancelled_run_are_there(experiment: Experiment, start_method: str) -> None:
    cancelled = threading.Event()
    experiment = replace(experiment, start_method=start_method)
    how = {"cancelled": cancelled, "progress": lambda done: cancelled.set() if done > 10 else None}
    result = ended(Cancelled, experiment, **how).result
    assert 10 < result.received <= result.sent + len(result.lanes)
    assert set(endings(result).values()) <= {
        "returned",
        "returned, and was still delivering",
        "was still running",
        *(f"was still in {call}" for call in ("put", "get", "send", "recv", "a task")),
    }


def test_process_that_never_came_up_is_in_the_result() -> None:
    error = ended(DeadlineError, small(ProcessStart, {}), deadline=2, worker=reader_workers.doze)
    assert "in doze" in error.stacks["child 1"]
    assert endings(error.result) == {
        "parent": "",
        "child 1": "was still in its worker",
        "child 2": "was still in its worker",
    }


# One way for every worker.


@pytest.mark.parametrize("case", RIGHT, ids=named)
def test_own_worker_and_that_of_the_series_come_to_the_start_through_one_call(
    case: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process of either run is started by the same call, with the same arguments but the worker."""
    kind, parameters, role, worker = case
    calls: list[list[tuple[Any, ...]]] = []
    start = WorkerGroup.start

    def noted(group: WorkerGroup, function: Any, /, *args: Any, name: str) -> Any:
        calls[-1].append((function, args[0], len(args), args[2:3], name))
        return start(group, function, *args, name=name)

    monkeypatch.setattr(WorkerGroup, "start", noted)
    for workers in ({}, {role: worker}):
        calls.append([])
        small(kind, parameters).run(deadline=AMPLE, **workers)
    (series, own) = calls
    own_worker = kind.roles[role].worker
    assert any(call[1] is own_worker for call in series)
    for before, after in zip(series, own, strict=True):
        is_role = before[1] is own_worker
        assert after[1] is (worker if is_role else before[1])
        assert [*map(str, after[2:])] == [*map(str, before[2:])]
        assert after[0] is before[0] is recorder.run
