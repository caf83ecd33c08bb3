"""The event records: what a Recorder writes, a Lane reads; and how often the parent hears of it."""

from __future__ import annotations

import multiprocessing
import pickle
import struct
import time
import tracemalloc
from typing import TYPE_CHECKING

import group_workers
import pytest

from ipc_helpers import ProcessGroup, child, trace
from ipc_helpers.trace import RECEIVE, SEND, WRITE, Event, Lane, Recorder

if TYPE_CHECKING:
    from pathlib import Path


def test_lane_returns_what_was_recorded() -> None:
    recorder = Recorder(3)
    before = time.perf_counter_ns()
    recorder.record(before - 5, SEND, 0, 64)
    recorder.record(before - 4, RECEIVE, 2**40, 0)
    recorder.record(before - 3, SEND, 7, 1024 * 1024)
    after = time.perf_counter_ns()
    lane = Lane("producer 1", b"".join(recorder.records()))
    events = list(lane)
    assert [event._replace(ended=0) for event in events] == [
        Event(before - 5, 0, SEND, 0, 64),
        Event(before - 4, 0, RECEIVE, 2**40, 0),
        Event(before - 3, 0, SEND, 7, 1024 * 1024),
    ]
    ended = [event.ended for event in events]
    assert [before, *ended, after] == sorted([before, *ended, after])
    assert len(lane) == 3
    assert repr(lane) == "Lane('producer 1', 3 events)"


@pytest.mark.parametrize("field", Event._fields)
def test_column_is_one_field_of_all_events(field: str) -> None:
    recorder = Recorder(10)
    for number in range(7):
        recorder.record(number, RECEIVE, number * 2, number * 3)
    lane = Lane("consumer 1", b"".join(recorder.records()))
    assert list(lane.column(field)) == [getattr(event, field) for event in lane]


def test_unknown_column_is_refused() -> None:
    with pytest.raises(ValueError, match="color"):
        Lane("producer 1", b"").column("color")


def test_only_keeps_the_events_of_one_operation_in_their_order() -> None:
    recorder = Recorder(6)
    for number, operation in enumerate([SEND, RECEIVE, RECEIVE, SEND, RECEIVE]):
        recorder.record(number, operation, number, 0)
    lane = Lane("client", b"".join(recorder.records()))
    assert list(lane.only(SEND)) == [event for event in lane if event.operation == SEND]
    assert list(lane.only(RECEIVE).column("number")) == [1, 2, 4]
    assert lane.only(SEND).who == "client"
    assert lane.only(SEND).only(SEND).records == lane.only(SEND).records
    assert len(lane.only(SEND).only(RECEIVE)) == 0
    assert len(Lane("server", b"").only(SEND)) == 0


def test_records_of_two_threads_make_one_lane() -> None:
    puts, writes = Recorder(2), Recorder(2, reports=False)
    for number in range(2):
        puts.record(number, SEND, number, 64)
        writes.record(number + 5, WRITE, number, 64)
    lane = Lane("producer", b"".join(puts.records() + writes.records()))
    assert (len(lane), len(lane.only(SEND)), len(lane.only(WRITE)), len(lane.only(RECEIVE))) == (4, 2, 2, 0)
    assert list(lane.only(WRITE).column("started")) == [5, 6]


@pytest.mark.parametrize("reports", [True, False])
def test_only_one_recorder_of_a_process_reports(reports: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    monkeypatch.setattr(trace, "report", counts.append)
    monkeypatch.setattr(trace, "_REPORT_EVERY", 0)
    recorder = Recorder(3, reports=reports)
    for number in range(3):
        recorder.record(0, WRITE, number, 0)
    assert counts == ([0, 1, 2, 3] if reports else [])


@pytest.mark.parametrize("capacity", [0, 1, 5, 7, 8, 9, 20, 21])
def test_recorder_takes_its_capacity_and_no_more(capacity: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_HELD", 7)
    counts: list[int] = []
    monkeypatch.setattr(trace, "report", counts.append)
    monkeypatch.setattr(trace, "_REPORT_EVERY", 0)
    recorder = Recorder(capacity)
    for number in range(capacity):
        recorder.record(0, SEND, number, 0)
    for _ in range(2):
        with pytest.raises(struct.error):
            recorder.record(0, SEND, capacity, 0)
    lane = Lane("producer 1", b"".join(recorder.records()))
    assert list(lane.column("number")) == list(range(capacity))
    assert counts == list(range(capacity + 1))


def test_memory_does_not_grow_with_what_is_recorded() -> None:
    tracemalloc.start()
    try:
        recorder = Recorder(50_000)
        for number in range(50_000):
            recorder.record(1, SEND, number, 2)
        lengths = [len(piece) for piece in recorder.records()]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(lengths) == 50_000 * 40
    assert peak < 1_000_000, "half of what was recorded"


@pytest.mark.parametrize("start_method", multiprocessing.get_all_start_methods())
def test_records_of_any_number_arrive(start_method: str, nothing_left: Path) -> None:
    """As many as the buffer holds, one more or less, and far more: in real children."""
    with ProcessGroup(multiprocessing.get_context(start_method), deadline=60) as group:
        counts = [0, 1, trace._HELD - 1, trace._HELD, trace._HELD + 1, 30_000]
        children = [group.start(group_workers.record_all, count) for count in counts]
    for count, each in zip(counts, children, strict=True):
        assert list(Lane(each.name, each.result).column("number")) == list(range(count))


def test_empty_lane() -> None:
    lane = Lane("consumer 2", b"".join(Recorder(10).records()))
    assert (len(lane), list(lane), list(lane.column("size"))) == (0, [], [])


def test_records_stay_what_they_were() -> None:
    recorder = Recorder(2)
    recorder.record(1, SEND, 2, 3)
    records = recorder.records()
    recorder.record(4, SEND, 5, 6)
    assert len(Lane("producer 1", b"".join(records))) == 1, "a copy, not a view"


def test_parent_hears_at_most_20_times_a_second(nothing_left: Path) -> None:
    """In a real child, whose messages are read here from the pipe as they come."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    stack = nothing_left / "stack"
    stack.touch()
    ends_at = time.perf_counter_ns() + 60 * 10**9
    from_parent, to_child = context.Pipe(duplex=False)
    call = child.Call(group_workers.record, (20_000, 0.5), from_parent)
    process = context.Process(target=child.run, args=(call, sender, str(stack), ends_at), daemon=True)
    process.start()
    sender.close()
    with from_parent, to_child:
        to_child.send_bytes(call.data)
    messages = []
    with receiver:
        while True:
            assert receiver.poll(60), "no message came"
            message = receiver.recv_bytes()
            if message == child.END:
                break
            messages.append(message)
    process.join(60)
    process.close()
    counts = [child.count_of(message) for message in messages if message.startswith(child.COUNT)]
    outcome = b"".join(message[1:] for message in messages if message.startswith(child.PART))
    word, seconds = pickle.loads(outcome)
    assert word == "result"
    assert counts[0] == 0, "the first tells that the worker is ready"
    assert 2 <= len(counts) <= seconds * 20 + 2
    assert counts == sorted(counts)
