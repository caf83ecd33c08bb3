"""The table to choose from names the simplest rung that is fast enough."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from ipc_helpers.group.errors import Cancelled
from ipc_helpers.measuring import choose as choosing
from ipc_helpers.measuring.choose import RATES, SIMPLEST_FIRST, SIZES, Choice, Choices, choose, choose_rungs
from ipc_helpers.measuring.ladder import Ladder, MeasureError, Sample
from ipc_helpers.measuring.rungs import RUNGS

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 2**20
SMALL = {"Queue": 250e3, "Pipe, send": 350e3, "Queue, batches": 15e6, "ring": 2.4e6, "memcpy": 5e6}
LARGE = {"Queue": 1e3, "Pipe, send, duplex": 5e3, "ring": 45e3, "memcpy": 48e3}


def ladder(rates: Mapping[str, float], size: int, content: str = "bytes", **rest: Any) -> Ladder:
    samples = [{name: Sample(rate) for name, rate in rates.items()}] * 3
    return Ladder(samples, size=size, content=content, machine="a machine", **rest)


def choices(**rest: Any) -> Choices:
    return Choices({64: ladder(SMALL, 64, batch=100), MIB: ladder(LARGE, MIB)}, **rest)


# The decision, without a process


@pytest.mark.parametrize(
    ("wanted", "rung"),
    [
        (10, "Queue"),
        (125_000, "Queue"),  # exactly twice as fast
        (125_001, "Pipe, send"),
        (175_001, "Queue, batches"),  # simpler than the ring, which is fast enough as well
        (7_500_001, None),
    ],
)
def test_choice_is_the_simplest_that_has_a_margin(wanted: int, rung: str | None) -> None:
    assert choose(SMALL, wanted).rung == rung


def test_choice_says_how_fast_the_rung_is_or_the_fastest() -> None:
    assert choose(SMALL, 100) == Choice("Queue", 250e3)
    assert choose(SMALL, 10**9) == Choice(None, 15e6)
    assert choose({}, 1) == Choice(None, 0.0)


def test_limits_and_peers_are_never_chosen() -> None:
    assert choose({"memcpy": 1e9, "os.pipe": 1e9, "pyzmq": 1e9}, 1).rung is None


def test_margin_is_what_is_asked_for() -> None:
    assert choose(SMALL, 200e3, margin=1).rung == "Queue"


def test_order_names_rungs_of_the_catalogue_that_are_no_limits() -> None:
    assert [name for name in SIMPLEST_FIRST if RUNGS[name].limit] == []


def test_every_rung_that_is_measured_has_its_place_in_the_order() -> None:
    for names in (*(names for _, names in choosing._CANDIDATES), choosing._ONE_AT_A_TIME):
        assert list(names) == sorted(names, key=SIMPLEST_FIRST.index)


# The table


def test_table_has_a_choice_for_each_size_and_rate() -> None:
    table = choices()
    assert list(table) == [(size, rate) for size in (64, MIB) for rate in RATES]
    assert len(table) == len(list(table))
    assert table[64, 1_000_000].rung == "Queue, batches"
    assert table[MIB, 1_000].rung == "Pipe, send, duplex"
    assert table[MIB, 100_000] == Choice(None, 45e3)


def test_unknown_choice_says_which_there_are() -> None:
    with pytest.raises(KeyError, match=r"no choice for \(65, 10\).*64, 1048576.*10, 1000, 100000, 1000000"):
        _ = choices()[65, 10]


def test_table_prints() -> None:
    assert str(choices()).splitlines() == [
        "       10 a second  1,000 a second      100,000 a second  1,000,000 a second",
        "64 B   Queue        Queue               Queue             Queue, batches",
        "1 MiB  Queue        Pipe, send, duplex  nothing here      nothing here",
        "The simplest that was at least 2 times as fast. Batches are of 100.",
        "1 MiB: to copy a message within one process is possible 48,000 times a second.",
        "a machine",
    ]


def test_table_tells_what_was_left_out_is_missing_or_noisy() -> None:
    samples = [{"Queue": Sample(1.0), "memcpy": Sample(rate)} for rate in (1, 2, 9)]
    noisy = Ladder(samples, size=64, missing={"ring": "no room"}, machine="a machine")
    text = str(Choices({64: noisy}, (1,), left_out=(MIB,)))
    assert "No time was left for 1 MiB: give a larger budget, or try when less runs here." in text
    assert "ring is missing: no room" in text
    assert "The machine did other things as well, so doubt what is said of 64 B." in text


def test_table_as_html_says_the_same() -> None:
    arrays = Choices({16 * MIB: ladder(LARGE, 16 * MIB, "array")}, (10, 100_000))
    text = arrays._repr_html_()
    assert text.count('scope="col"') == 3
    assert text.count('scope="row"') == 1
    assert ">array, 16 MiB<" in text
    assert ">Queue<" in text
    assert ">nothing here<" in text


# What it measures


def test_each_size_is_measured_with_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    seen: list[tuple[int, int]] = []

    def measure(names: Any, *, size: int, progress: Any, **rest: Any) -> Ladder:
        calls.append({"names": names, "size": size, **rest})
        progress(1, 2)
        return ladder(SMALL, size)

    monkeypatch.setattr(choosing, "measure", measure)
    table = choose_rungs(30, progress=lambda *done: seen.append(done))
    assert tuple(table.ladders) == SIZES
    assert [call["content"] for call in calls] == ["bytes"] * 4 + ["array"]
    assert [call["messages"] for call in calls] == [20_000, 20_000, 1_536, 96, 6]
    assert [0 < call["budget"] <= 30 for call in calls] == [True] * 5
    assert seen == [(50, 500), (150, 500), (250, 500), (350, 500), (450, 500)]


@pytest.mark.parametrize("batches", [True, False])
def test_rungs_that_batch_are_measured_where_messages_may_wait(
    batches: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def measure(names: Any, *, size: int, **rest: Any) -> Ladder:
        measured.extend(names)
        return ladder(SMALL, size)

    monkeypatch.setattr(choosing, "measure", measure)
    choose_rungs(batches=batches)
    assert any(RUNGS[name].batched for name in measured) is batches


def test_sizes_for_which_no_time_is_left_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(names: Any, *, size: int, **rest: Any) -> Ladder:
        if size > 64:
            raise MeasureError(None, "budget must be more")
        return ladder(SMALL, size)

    monkeypatch.setattr(choosing, "measure", measure)
    table = choose_rungs(sizes=(64, MIB))
    assert (list(table.ladders), table.left_out) == ([64], (MIB,))
    with pytest.raises(MeasureError, match="budget must be more"):
        choose_rungs(sizes=(MIB,))


def test_rung_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(names: Any, **rest: Any) -> Ladder:
        raise MeasureError("Queue", "a message was lost")

    monkeypatch.setattr(choosing, "measure", measure)
    with pytest.raises(MeasureError, match="Queue: a message was lost"):
        choose_rungs()


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"sizes": ()}, ValueError, "sizes must be one or more different numbers"),
        ({"sizes": (64, 64)}, ValueError, "sizes must be one or more different numbers"),
        ({"sizes": (8,)}, ValueError, "sizes must be from 16 to"),
        ({"sizes": "64"}, TypeError, "sizes must be a list"),
        ({"rates": (0,)}, ValueError, "rates must be from 1 to"),
        ({"rates": (1.5,)}, TypeError, "rates must be whole numbers"),
        ({"margin": 0.5}, ValueError, "margin must be from 1 to 100"),
        ({"margin": "2"}, TypeError, "margin must be a number"),
        ({"batches": 1}, TypeError, "batches must be True or False"),
        ({"budget": 0}, ValueError, "budget must be above 0"),
        ({"budget": "1"}, TypeError, "budget must be a number"),
        ({"start_method": "thread"}, ValueError, "start_method must be"),
    ],
)
@pytest.mark.usefixtures("no_start")
def test_wrong_parameter_is_named(parameters: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        choose_rungs(**parameters)


@pytest.mark.usefixtures("nothing_left")
def test_small_table_of_this_machine() -> None:
    table = choose_rungs(60, sizes=(64,), rates=(1, 10**9))
    assert table[64, 1].rung == "Queue"
    assert table[64, 10**9].rung is None


@pytest.mark.usefixtures("nothing_left")
def test_it_can_be_cancelled() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        choose_rungs(cancelled=cancelled)
