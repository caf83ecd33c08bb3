"""The experiments: what they measure, and that they notice a mistake in their books."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from experiment_runs import (
    AMPLE,
    CHECKED,
    EXPERIMENTS,
    SOON,
    checked_chain,
    checked_flow,
    checked_places,
    checked_pool,
    ended,
    lane,
)

from ipc_helpers.experiments.parameters import MIB
from ipc_helpers.experiments.pipe_exchange import PipeExchange
from ipc_helpers.experiments.process_start import ProcessStart
from ipc_helpers.experiments.program_stop import ProgramStop
from ipc_helpers.experiments.queue_flow import QueueFlow, shares
from ipc_helpers.experiments.queue_places import QueuePlaces
from ipc_helpers.experiments.result import ProtocolError, Result, measured
from ipc_helpers.experiments.slot_exchange import SlotExchange
from ipc_helpers.experiments.stage_chain import StageChain
from ipc_helpers.experiments.worker_pool import WorkerPool
from ipc_helpers.group.errors import Cancelled, DeadlineError
from ipc_helpers.group.starting import start_methods
from ipc_helpers.trace import RECEIVE, SEND, WRITE, Lane

if TYPE_CHECKING:
    from ipc_helpers.experiments.experiment import Experiment

pytestmark = pytest.mark.usefixtures("nothing_left")


UNEVEN = {"tasks": 8, "length": 10, "unevenness": 100}
UNDER_EACH_START_METHOD: list[Experiment] = [
    QueueFlow(messages=300, producers=2, consumers=2),
    *(PipeExchange(messages=messages) for messages in (1, 2, 301)),
    *(PipeExchange(messages=messages, duplex=True) for messages in (2, 300)),
    *(ProcessStart(processes=number, argument=size) for number, size in ((1, 0), (1, MIB), (5, 1))),
    *(QueuePlaces(messages=100, maxsize=maxsize, pause=0) for maxsize in (0, 1, 3)),
    *(SlotExchange(messages=100, through=through, slots=3) for through in ("slots", "queue")),
    *(WorkerPool(**UNEVEN, order=order, workers=3) for order in ("mixed", "longest first", "longest last")),  # type: ignore[arg-type]
    *(WorkerPool(**UNEVEN, workers=2, chunk=chunk) for chunk in (3, 8)),  # type: ignore[arg-type]
    StageChain(messages=20, stages=1, maxsize=0, work=4),
    StageChain(messages=20, stages=3, maxsize=1, work=4),
    ProgramStop(tasks=12, length=10, workers=3, moment=20),
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
    *(
        SlotExchange(messages=messages, size=size, slots=slots, through=through)
        for messages, size in ((1, 1), (8, 1024), (300, 1))  # more than a byte can count
        for slots in (1, 16)
        for through in ("slots", "queue")
    ),
    *(WorkerPool(tasks=tasks, length=1, workers=workers) for tasks in (1, 200) for workers in (1, 8)),
    WorkerPool(tasks=8, length=1, workers=8),
    WorkerPool(tasks=200, length=0),
    *(WorkerPool(tasks=200, length=1, chunk=chunk) for chunk in (7, 50)),
    WorkerPool(tasks=2, length=1, chunk=50),
    *(
        StageChain(messages=8, stages=stages, slow=slow, work=8)
        for stages in (1, 4)
        for slow in ("nobody", "producer", "first stage", "last stage", "consumer")
    ),
    StageChain(messages=4, stages=2, work=100),
    *(StageChain(messages=messages, maxsize=maxsize, work=0) for messages in (1, 500) for maxsize in (0, 64)),
    *(
        ProgramStop(tasks=tasks, length=0, workers=8, moment=moment)
        for tasks in (1, 100)
        for moment in (0, 300)
    ),
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


@pytest.mark.parametrize("chunk", [1, 4, 8])
def test_a_chunk_is_done_by_one_worker_task_by_task(chunk: int) -> None:
    result = checked_pool(WorkerPool(tasks=8, length=10, workers=3, chunk=chunk).run(deadline=AMPLE))
    producer, *workers = result.lanes
    puts = [list(event) for event in producer]
    for before, after in pairwise(puts):
        is_same_call = before[1] == after[0] == after[1]  # the first task of a chunk has the time of its put
        assert is_same_call == bool(after[2] % chunk)
    for worker in workers:
        numbers = list(worker.column("number"))
        assert all(set(range(n - n % chunk, n - n % chunk + chunk)) <= set(numbers) for n in numbers)


def test_all_wait_for_the_slow_stage_and_it_for_nobody() -> None:
    result = checked_chain(
        StageChain(messages=40, stages=3, maxsize=2, slow="first stage", work=8).run(deadline=AMPLE)
    )
    shares = [total.seconds_in_calls / total.seconds for total in result.totals]
    assert min(shares[0], *shares[2:]) > shares[1]


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


@pytest.mark.parametrize(
    "experiment",
    [
        QueueFlow(messages=20_000, maxsize=1, consumers=2),  # so small a queue takes its time
        PipeExchange(messages=100_000),
        PipeExchange(messages=100_000, duplex=True),
        *(SlotExchange(messages=200, pause=3, through=through) for through in ("slots", "queue")),
        QueuePlaces(messages=200, pause=3),  # whose feeder thread counts for nothing
        WorkerPool(tasks=40, length=20, workers=2),
        WorkerPool(tasks=40, length=20, workers=2, chunk=20),  # task by task, although in two messages
        StageChain(messages=80, work=10),
        ProgramStop(tasks=80, length=10, workers=2),
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
        (SlotExchange(messages=500, pause=20), 1, {"producer", "consumer"}),
        (WorkerPool(tasks=50, length=200, workers=1), 1, {"producer", "worker 1"}),
        (StageChain(messages=100, stages=1, work=100), 1, {"producer", "stage 1", "consumer"}),
        (ProgramStop(workers=1, moment=5_000), 1, {"producer", "worker 1"}),
        (ProgramStop(tasks=20, length=500, workers=1, moment=0), 1, {"producer", "worker 1"}),
    ],
    ids=[
        "QueueFlow",
        "PipeExchange",
        "SlotExchange",
        "WorkerPool",
        "StageChain",
        "before a stop",
        "during a stop",
    ],
)
def test_deadline_during_the_run(experiment: Experiment, deadline: float, stuck: set[str]) -> None:
    assert {*ended(DeadlineError, experiment, deadline=deadline).stacks} <= stuck


def test_deadline_while_messages_wait_in_places() -> None:
    stacks = ended(DeadlineError, QueuePlaces(messages=500, payload=100_000, pause=20), deadline=4).stacks
    assert set(stacks) == {"producer", "consumer"}
    assert "in _finalize_join" in stacks["producer"], "it waits until its feeder has written all"


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


def test_stages_are_accounted_for_and_neither_send_first_nor_receive_at_last() -> None:
    def passes(name: str, got: tuple[int, ...], put: tuple[int, ...]) -> Lane:
        return Lane(name, lane(name, RECEIVE, *got).records + lane(name, SEND, *put).records)

    whole = (0, 1, 2)
    put, got = lane("producer", SEND, *whole), lane("consumer", RECEIVE, *whole)
    one = passes("stage 1", whole, whole)
    chain = StageChain(messages=3, stages=2)
    result = measured(Result(chain, (put, one, passes("stage 2", whole, whole), got)))
    assert (result.sent, result.received) == (3, 3)
    assert [(total.sent, total.received) for total in result.totals] == [(3, 0), (3, 3), (3, 3), (0, 3)]
    assert result.lanes_of(SEND, "stage 1")[0].who == "stage 1"
    for two, words in (
        (passes("stage 2", whole, (0, 2)), "of 3 messages 1 were not sent by stage 2, 0 more than once"),
        (passes("stage 2", (0, 1), (0, 1)), "of 3 messages 1 were not received by stage 2"),
        (passes("stage 2", whole, (0, 1, 2, 2)), "of 3 messages 0 were not sent by stage 2, 1 more"),
    ):
        with pytest.raises(ProtocolError, match=f"^{words}"):
            measured(Result(chain, (put, one, two, got)))


@pytest.mark.parametrize("processes", range(1, 6))
@pytest.mark.parametrize("messages", [1, 2, 7, 1_000, 99_999])
def test_shares_are_even_and_whole(messages: int, processes: int) -> None:
    ranges = list(shares(messages, processes))
    assert [number for share in ranges for number in share] == list(range(messages))
    assert max(map(len, ranges)) - min(map(len, ranges)) <= 1
