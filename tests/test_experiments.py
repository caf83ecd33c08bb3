"""QueueFlow: what it refuses, what it measures, and that it notices a mistake in its books."""

from __future__ import annotations

import math
import multiprocessing
import threading
import time
from dataclasses import FrozenInstanceError, fields
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

import pytest

from ipc_helpers.experiments import MIB, Choice, QueueFlow, Result, WholeNumber, counted, measured, shares
from ipc_helpers.processes import Cancelled, DeadlineError, ProcessGroup, WorkerError, start_methods
from ipc_helpers.trace import GET, PUT, Lane, Recorder
from ipc_helpers.workers import queues

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

pytestmark = pytest.mark.usefixtures("nothing_left")

AMPLE = 60.0  # seconds
SOON = 20.0  # seconds: far more than an end takes

NUMBERS = {name: rule for name, rule in QueueFlow.rules().items() if isinstance(rule, WholeNumber)}


@pytest.fixture
def no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(process: BaseProcess) -> None:
        pytest.fail(f"{process.name} was started")

    monkeypatch.setattr(BaseProcess, "start", start)


# What is refused, before anything starts.


def test_each_parameter_has_a_rule_and_a_label() -> None:
    assert list(QueueFlow.rules()) == [field.name for field in fields(QueueFlow)]
    assert [*NUMBERS, "start_method"] == list(QueueFlow.rules())
    assert all(rule.label for rule in QueueFlow.rules().values())


def refused(error: type[Exception], name: str, value: object) -> str:
    """Return the message of the one error that a value brings, which names its parameter first."""
    with pytest.raises(error) as caught:
        QueueFlow(**{name: value}).run()  # type: ignore[arg-type]
    assert type(caught.value) is error
    assert caught.value.__cause__ is caught.value.__context__ is None
    message = str(caught.value)
    assert message.startswith(f"{name} must be ")
    return message


WRONG_TYPES = [1.0, 1.5, "1", None, math.nan, math.inf, True, False, [1], 1j]


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize("value", WRONG_TYPES, ids=repr)
@pytest.mark.parametrize("name", NUMBERS)
def test_number_of_a_wrong_type_is_refused(name: str, value: object) -> None:
    assert repr(value) in refused(TypeError, name, value)


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize("beyond", [1, 10**400], ids=["by one", "by far"])
@pytest.mark.parametrize("name", NUMBERS)
def test_number_out_of_range_is_refused(name: str, beyond: int) -> None:
    rule = NUMBERS[name]
    for value in (rule.low - beyond, rule.high + beyond):
        message = refused(ValueError, name, value)
        assert f"from {rule.low:,} to {rule.high:,}, not {value:,}" in message


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize("value", [1, 1.5, None, math.nan, True, ["spawn"]], ids=repr)
def test_start_method_of_a_wrong_type_is_refused(value: object) -> None:
    assert repr(value) in refused(TypeError, "start_method", value)


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize("value", ["thread", "", "Spawn", "spawn "])
def test_unknown_start_method_is_refused(value: str) -> None:
    message = refused(ValueError, "start_method", value)
    assert all(repr(method) in message for method in (*start_methods(), value))


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize(("messages", "payload"), [(257, MIB), (100_000, 2_685)])
def test_more_than_256_mib_are_refused(messages: int, payload: int) -> None:
    with pytest.raises(ValueError, match=r"^messages × payload must be at most 256 MiB"):
        QueueFlow(messages=messages, payload=payload).run()


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_at_the_ends_of_their_range_are_accepted(name: str) -> None:
    for value in (NUMBERS[name].low, NUMBERS[name].high):
        assert getattr(QueueFlow(**{"messages": 1, name: value}), name) == value


@pytest.mark.parametrize(("messages", "payload"), [(256, MIB), (100_000, 2_684), (100_000, 0)])
def test_up_to_256_mib_are_accepted(messages: int, payload: int) -> None:
    assert QueueFlow(messages=messages, payload=payload).steps == messages


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize("deadline", [0, -1, math.nan, math.inf, 86_401, True, "10", None])
def test_deadline_is_checked_before_anything_starts(deadline: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^deadline must be "):
        QueueFlow().run(deadline=deadline)


def test_parameters_stay_as_they_were_checked() -> None:
    with pytest.raises(FrozenInstanceError):
        QueueFlow().messages = 0  # type: ignore[misc]


def test_rules_can_be_used_for_other_parameters() -> None:
    with pytest.raises(ValueError, match=r"^size must be from 1 to 2,000, not 2,001"):
        WholeNumber(1, 2_000, "Size").check("size", 2_001)
    with pytest.raises(ValueError, match=r"^kind must be one of 'a', 'b', not 'c'"):
        Choice(("a", "b"), "Kind").check("kind", "c")


def test_description_has_all_numbers() -> None:
    flow = QueueFlow(messages=2_000, payload=1, producers=2, consumers=1, maxsize=1_000)
    assert flow.description == "2,000 messages of 1 byte from 2 producers to 1 consumer, maxsize=1,000, spawn"
    assert ", no bound, " in QueueFlow().description
    assert (counted(1, "message"), counted(0, "byte")) == ("1 message", "0 bytes")


# What a run measures.


def checked(result: Result) -> Result:
    """Check what is so of every run."""
    flow = result.experiment
    assert isinstance(flow, QueueFlow)
    producers, consumers = result.lanes[: flow.producers], result.lanes[flow.producers :]
    assert [lane.who for lane in producers] == [f"producer {n + 1}" for n in range(flow.producers)]
    assert [lane.who for lane in consumers] == [f"consumer {n + 1}" for n in range(flow.consumers)]
    assert result.sent == result.received == flow.messages
    assert {event.operation for lane in producers for event in lane} == {PUT}
    assert {event.operation for lane in consumers for event in lane} == {GET}
    put = {event.number: event for lane in producers for event in lane}
    got = {event.number: event for lane in consumers for event in lane}
    assert sorted(put) == sorted(got) == list(range(flow.messages))
    assert {event.size for event in (*put.values(), *got.values())} == {flow.payload}
    assert all(put[number].started <= got[number].ended for number in put)
    for lane in result.lanes:
        assert all(event.started <= event.ended for event in lane)
        for before, after in zip(lane, list(lane)[1:], strict=False):
            assert before.ended <= after.started, "a process does one thing after the other"
    first = min(event.started for event in put.values())
    last = max(event.ended for event in got.values())
    assert result.seconds == pytest.approx((last - first) / 1e9)
    assert result.messages_per_second == pytest.approx(flow.messages / result.seconds)
    assert result.bytes_per_second == pytest.approx(flow.messages * flow.payload / result.seconds)
    assert [total.who for total in result.totals] == [lane.who for lane in result.lanes]
    assert [total.messages for total in result.totals] == [len(lane) for lane in result.lanes]
    for totals in (result.totals[: flow.producers], result.totals[flow.producers :]):
        assert sum(total.messages for total in totals) == flow.messages
        assert sum(total.payload_bytes for total in totals) == flow.messages * flow.payload
    for total in result.totals:
        assert (total.seconds > 0) == (total.messages > 0)
        assert 0 <= total.seconds_in_calls <= total.seconds + 1e-9
    return result


@pytest.mark.parametrize("start_method", start_methods())
def test_run_under_each_start_method(start_method: str) -> None:
    flow = QueueFlow(messages=300, producers=2, consumers=2, start_method=start_method)
    result = checked(flow.run(deadline=AMPLE))
    assert result.experiment is flow
    assert repr(result) == f"<Result of {flow}: 300 sent, 300 received>"


@pytest.mark.parametrize("processes", range(1, 5))
def test_run_with_each_number_of_processes(processes: int) -> None:
    checked(QueueFlow(messages=400, producers=processes, consumers=5 - processes).run(deadline=AMPLE))


@pytest.mark.parametrize("payload", [0, 1, MIB])
def test_run_with_small_and_large_payloads(payload: int) -> None:
    checked(QueueFlow(messages=8, payload=payload, producers=2, consumers=2).run(deadline=AMPLE))


@pytest.mark.parametrize("messages", [1, 3])
def test_run_with_fewer_messages_than_processes(messages: int) -> None:
    result = checked(QueueFlow(messages=messages, producers=4, consumers=4).run(deadline=AMPLE))
    assert sorted(len(lane) for lane in result.lanes_of(PUT)) == [1] * messages
    assert [total.seconds for total in result.totals if not total.messages] == [0.0] * (
        8 - len(result.lanes_of(PUT)) - len(result.lanes_of(GET))
    )


@pytest.mark.parametrize("start_method", start_methods())
@pytest.mark.parametrize("maxsize", [1, 3])
def test_bounded_queue_holds_few_messages(maxsize: int, start_method: str) -> None:
    result = checked(QueueFlow(messages=500, maxsize=maxsize, start_method=start_method).run(deadline=AMPLE))
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


def test_run_in_a_thread() -> None:
    results: list[Result] = []
    threads = [
        threading.Thread(target=lambda: results.append(QueueFlow(messages=100).run(deadline=AMPLE)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(AMPLE)
    assert [checked(result).received for result in results] == [100, 100]


# Progress, and the end of a run before its end.


def test_progress_goes_from_0_to_the_number_of_steps() -> None:
    seen: list[int] = []
    flow = QueueFlow(messages=20_000, maxsize=1, consumers=2)  # so small a queue takes its time
    flow.run(progress=seen.append, deadline=AMPLE)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, flow.steps)
    assert len(set(seen)) > 2, "nothing between the start and the end"


def test_error_in_progress_ends_the_run() -> None:
    def progress(done: int) -> None:
        raise ZeroDivisionError

    start = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        QueueFlow(messages=100_000, maxsize=1).run(progress=progress, deadline=AMPLE)
    assert time.monotonic() - start < SOON


@pytest.mark.usefixtures("no_start")
def test_cancelled_before_the_run() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        QueueFlow().run(cancelled=cancelled, deadline=AMPLE)


@pytest.mark.parametrize("start_method", start_methods())
def test_cancelled_during_the_run(start_method: str) -> None:
    cancelled = threading.Event()
    cancelled_at = 0.0

    def progress(done: int) -> None:
        nonlocal cancelled_at
        if done and not cancelled.is_set():
            cancelled_at = time.monotonic()
            cancelled.set()

    flow = QueueFlow(messages=100_000, maxsize=1, producers=2, consumers=2, start_method=start_method)
    with pytest.raises(Cancelled):
        flow.run(progress=progress, cancelled=cancelled, deadline=AMPLE)
    assert 0 < time.monotonic() - cancelled_at < SOON


def test_deadline_during_the_run() -> None:
    with pytest.raises(DeadlineError) as caught:
        QueueFlow(messages=100_000, maxsize=1).run(deadline=0.5)
    assert set(caught.value.stacks) <= {"producer 1", "consumer 1"}


# The books: a mistake in them is noticed.


def lane(who: str, operation: int, *numbers: int) -> Lane:
    recorder = Recorder(len(numbers))
    for number in numbers:
        recorder.record(time.perf_counter_ns(), operation, number, 8)
    return Lane(who, recorder.records())


def test_right_books_are_accepted() -> None:
    lanes = [lane("p 1", PUT, 0, 2), lane("p 2", PUT, 1), lane("c 1", GET, 1, 0, 2), lane("c 2", GET)]
    result = measured(QueueFlow(messages=3), lanes, expected=3)
    assert (result.sent, result.received, result.lanes) == (3, 3, tuple(lanes))
    assert result.lanes_of(PUT) == tuple(lanes[:2])
    assert result.lanes_of(GET) == tuple(lanes[2:3])


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
    with pytest.raises(RuntimeError, match=complaint):
        measured(QueueFlow(messages=3), [lane("p", PUT, *put), lane("c", GET, *got)], expected=3)


@pytest.mark.parametrize("processes", range(1, 6))
@pytest.mark.parametrize("messages", [1, 2, 7, 1_000, 99_999])
def test_shares_are_even_and_whole(messages: int, processes: int) -> None:
    ranges = list(shares(messages, processes))
    assert [number for share in ranges for number in share] == list(range(messages))
    assert max(map(len, ranges)) - min(map(len, ranges)) <= 1


CONTENT = queues.content(queues.content_pattern(16), 300, 16)


@pytest.mark.parametrize(
    "body",
    [
        queues.content(queues.content_pattern(16), 301, 16),  # another message's
        CONTENT[:-1],
        CONTENT + b"\0",
        CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]),  # one bit
        b"",
    ],
    ids=["another message's", "cut off", "longer", "one bit", "empty"],
)
def test_wrong_content_is_noticed(body: bytes) -> None:
    with pytest.raises(WorkerError, match="message 300 arrived with another content"):
        consumed(multiprocessing.get_context("spawn"), body)


@pytest.mark.parametrize("start_method", start_methods())
def test_right_content_is_accepted(start_method: str) -> None:
    (event,) = consumed(multiprocessing.get_context(start_method), CONTENT)
    assert (event.operation, event.number, event.size) == (GET, 300, 16)


def consumed(context: BaseContext, body: bytes) -> Lane:
    """Have a consumer get message 300 with some content."""
    queue = context.Queue()
    go = context.Event()
    try:
        with ProcessGroup(context, deadline=AMPLE) as group:
            child = group.start(queues.consume, queue, 16, 1, 1, go)
            queue.put((300, body))
            queue.put(None)
            go.set()
    finally:
        queue.close()
        queue.join_thread()
    return Lane("consumer 1", child.result)


def test_messages_differ_in_their_content() -> None:
    """Neighbours, and those a power of two apart, as a mixed-up buffer would bring."""
    pattern = queues.content_pattern(64)
    for number in range(300):
        distances = [1 << power for power in range(17)]
        others = {queues.content(pattern, number + distance, 64) for distance in distances}
        assert queues.content(pattern, number, 64) not in others
