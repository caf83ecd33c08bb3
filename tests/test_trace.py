"""The event records: what a Track holds, also after its process has ended; what a Lane reads of it."""

from __future__ import annotations

import errno
import multiprocessing
import os
import threading
from typing import IO, TYPE_CHECKING

import group_workers
import pytest

from ipc_helpers import WorkerError, WorkerGroup, trace
from ipc_helpers.trace import RECEIVE, SEND, WRITE, Event, Lane, Track

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@pytest.fixture
def track() -> Iterator[Track]:
    made = Track(10)
    yield made
    made.close()


def filled(track: Track, events: Sequence[tuple[int, int, int, int]]) -> Lane:
    for event in events:
        track.add(*event)
    return Lane("client", track.read()[0])


EVENTS = [
    (5, 9, 0, SEND),
    (10, 2**62, 2**40, RECEIVE),
    (11, 12, 7, SEND),
    (13, 14, 8, RECEIVE),
    (13, 15, 8, WRITE),
]


def test_lane_returns_what_was_recorded(track: Track) -> None:
    lane = filled(track, EVENTS)
    assert list(lane) == [Event(*event) for event in EVENTS]
    assert len(lane) == track.count == 5
    assert repr(lane) == "Lane('client', 5 events)"
    assert (lane.ending, lane.unfinished) == ("returned", {})


@pytest.mark.parametrize("field", Event._fields)
def test_column_is_one_field_of_all_events(field: str, track: Track) -> None:
    lane = filled(track, EVENTS)
    assert list(lane.column(field)) == [getattr(event, field) for event in lane]


def test_unknown_column_is_refused() -> None:
    with pytest.raises(ValueError, match="color"):
        Lane("producer 1", b"").column("color")


def test_only_keeps_the_events_of_one_operation_in_their_order(track: Track) -> None:
    lane = Lane("client", filled(track, EVENTS).records, "raised OSError", {SEND: 5})
    assert list(lane.only(SEND)) == [event for event in lane if event.operation == SEND]
    assert list(lane.only(RECEIVE).column("number")) == [2**40, 8]
    only = lane.only(WRITE)
    assert (only.who, only.ending, only.unfinished) == ("client", "raised OSError", {SEND: 5})
    assert lane.only(SEND).only(SEND).records == lane.only(SEND).records
    assert len(lane.only(SEND).only(RECEIVE)) == 0
    assert len(Lane("server", b"").only(SEND)) == 0


def test_records_stay_what_they_were(track: Track) -> None:
    records = filled(track, EVENTS[:1]).records
    track.add(*EVENTS[1])
    assert len(Lane("producer 1", records)) == 1, "a copy, not a view"


@pytest.mark.parametrize("capacity", [0, 1, 500])
def test_track_takes_its_capacity_and_no_more(capacity: int) -> None:
    track = Track(capacity)
    for number in range(capacity):
        track.add(0, 0, number, SEND)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="far more messages went through here than there are"):
            track.add(0, 0, capacity, SEND)
    assert list(Lane("producer 1", track.read()[0]).column("number")) == list(range(capacity))
    track.close()


def test_threads_lose_no_record() -> None:
    track = Track(20_000)

    def add(numbers: range) -> None:
        for number in numbers:
            track.add(0, 0, number, SEND)

    threads = [threading.Thread(target=add, args=(range(start, 20_000, 4),)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    numbers = Lane("producer 1", track.read()[0]).column("number")
    track.close()
    assert sorted(numbers) == list(range(20_000))


def test_nothing_is_left_of_a_track(nothing_left: Path) -> None:
    track = Track(10)
    (file,) = nothing_left.glob("*.records")
    track.close()
    assert not file.exists()


def test_full_disk_is_an_error_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, nothing_left: Path
) -> None:
    """A file that is only made longer has no room yet: a child would die of SIGBUS at its first record."""

    class Full:
        def __init__(self, file: IO[bytes]) -> None:
            self.file = file

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, data: bytes) -> int:
            assert len(data) > 10 * 32
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(trace, "open", lambda *how: Full(open(*how)), raising=False)  # noqa: SIM115
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        Track(10)
    assert not list(nothing_left.glob("*.records"))


@pytest.mark.parametrize("start_method", multiprocessing.get_all_start_methods())
@pytest.mark.parametrize("count", [0, 1, 5_001])
def test_records_of_a_killed_worker_are_there(count: int, start_method: str, nothing_left: Path) -> None:
    """It kills itself within one more operation, which had begun."""
    track = Track(5_001)
    with (
        pytest.raises(WorkerError, match="before its worker returned"),
        WorkerGroup(multiprocessing.get_context(start_method), deadline=60) as group,
    ):
        group.start(group_workers.record_and_die, track, count)
    assert list(Lane("worker", track.read()[0]).column("number")) == list(range(count))
    assert track.read()[1] == {SEND: 77}
    track.close()
