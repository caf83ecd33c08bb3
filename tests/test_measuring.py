"""The measuring room: what it measures, refuses and returns."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import rung_workers
from rungs_for_tests import FEW, HERE, rung

from ipc_helpers import RUNGS, Ladder, Spread, measure
from ipc_helpers.child import turns
from ipc_helpers.group.starting import start_methods
from ipc_helpers.measuring.ladder import Sample, this_machine
from ipc_helpers.measuring.rungs import open_queue

if TYPE_CHECKING:
    from ipc_helpers import Rung

CORES = os.sched_getaffinity(0) if sys.platform == "linux" else ()
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process choose its core")


# A whole measurement.


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return how to measure each rung once: what goes through it, not how fast."""
    monkeypatch.setattr("ipc_helpers.measuring.measure._LEAST_ROUNDS", 1)
    return {**FEW, "rounds": 1}


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("start_method", start_methods())
def test_each_rung_is_measured(start_method: str, once: dict[str, Any]) -> None:
    ladder = measure(HERE, **once, start_method=start_method, batch=5, seed=7)
    assert (ladder.rounds, ladder.size, ladder.batch, ladder.seed) == (1, 64, 5, 7)
    assert set(ladder) == set(HERE)
    limits = [name for name in HERE if RUNGS[name].limit]
    assert list(ladder)[-len(limits) :] == limits, "they come last"
    for name, row in ladder.items():
        assert row.rate.low > 0
        assert row.bandwidth.median == pytest.approx(64 * row.rate.median)
        has_latency = RUNGS[name].receive is not None
        assert (row.p99.median >= row.p50.median > 0) if has_latency else math.isnan(row.p50.median)
        assert row.is_limit == RUNGS[name].limit


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("size", [16, 4097, 300_000])
def test_messages_of_any_size_arrive(size: int, once: dict[str, Any]) -> None:
    """The least; one whose head alone is kept; one that no pipe takes at once."""
    ladder = measure(HERE, **once, size=size)
    assert ladder.size == size
    assert set(ladder) == set(HERE)


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("size", [64, 100_000])
def test_arrays_go_through_each_rung_that_takes_them(size: int, once: dict[str, Any]) -> None:
    pytest.importorskip("numpy")
    some = [name for name in HERE if name.startswith(("Queue", "Pipe, recv", "ring")) or RUNGS[name].limit]
    none = replace(rung(), arrays=False)
    ladder = measure([*some, none], **once, size=size, content="array", start_method=start_methods()[-1])
    assert set(ladder) == {name for name in some if RUNGS[name].arrays}
    assert ladder.missing["mine"] == "it takes no arrays"


@pytest.mark.usefixtures("nothing_left")
def test_without_a_count_messages_fill_some_time() -> None:
    plans = []

    def opened(context: Any, size: int, batch: int) -> Any:
        plans.append((size, batch))
        return open_queue(context, size, batch)

    ladder = measure([rung(open=opened)], latencies=0, rounds=3, budget=600.0)
    assert ladder.rounds == 3
    assert plans == [(64, 1)] * 4, "a round that is not counted, then three"
    assert math.isnan(ladder["mine"].p50.median)


@pytest.mark.usefixtures("nothing_left")
def test_limits_are_measured_without_being_named() -> None:
    ladder = measure(["Queue"], **FEW)
    assert list(ladder) == ["Queue", ladder.rate_limit, "memcpy"]
    assert ladder.rate_limit == ("os.pipe" if os.name == "posix" else "Pipe, send_bytes")


@pytest.mark.usefixtures("nothing_left")
def test_a_rung_that_this_machine_has_not_is_missing_with_a_reason() -> None:
    ladder = measure(["Queue", rung(why_missing=lambda: "no wheel for this Python")], **FEW)
    assert ladder.missing == {"mine": "no wheel for this Python"}
    assert "mine is missing: no wheel for this Python" in str(ladder)
    with pytest.raises(KeyError, match="'mine' was not measured: no wheel for this Python"):
        _ = ladder["mine"]


@pytest.mark.usefixtures("nothing_left")
def test_without_os_pipe_the_limit_is_the_nearest_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    monkeypatch.setitem(RUNGS, "os.pipe", replace(RUNGS["os.pipe"], why_missing=lambda: "not here"))
    ladder = measure(["Queue"], **FEW)
    assert ladder.rate_limit == "Pipe, send_bytes"
    assert ladder.missing == {"os.pipe": "not here"}
    assert ladder["Queue"].share == ladder.ratio("Queue", "Pipe, send_bytes")


@pytest.mark.usefixtures("nothing_left")
def test_progress_and_looks_come_in_order() -> None:
    steps: list[tuple[int, int]] = []
    looks: list[int] = []
    measure(
        ["Queue"],
        **FEW,
        progress=lambda done, of: steps.append((done, of)),
        look=lambda ladder: looks.append(ladder.rounds),
    )
    assert steps == [(done, 9) for done in range(1, 10)]
    assert looks == [1, 2, 3]


@pytest.mark.usefixtures("no_start")
def test_order_comes_from_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def times(_: object, rung: Rung, plan: turns.Plan) -> tuple[list[int], list[int]]:
        measured.append(rung.name)
        return [0] * len(plan.turns), [1] * len(plan.turns)

    monkeypatch.setattr("ipc_helpers.measuring.measure._Room._times", times)
    orders = []
    for seed in (1, 1, 2):
        measured: list[str] = []
        measure(HERE, **FEW, seed=seed)
        assert sorted(measured) == sorted(HERE * 3)
        orders.append(measured)
    many = len(HERE)
    assert orders[0] == orders[1] != orders[2]
    assert orders[0][:many] != orders[0][many : 2 * many], "each round has an order of its own"


@linux
@pytest.mark.usefixtures("nothing_left")
def test_both_children_can_run_on_one_core() -> None:
    before = os.sched_getaffinity(0)
    ladder = measure([rung(rung_workers.put_from_one_core)], **FEW, together=True)
    assert ladder.together
    assert "both processes on one core" in str(ladder)
    assert os.sched_getaffinity(0) == before, "the parent keeps its cores"


@pytest.mark.skipif(len(CORES) < 2, reason="there is only one core")
@pytest.mark.usefixtures("nothing_left")
def test_each_child_can_have_a_core() -> None:
    ladder = measure(
        [rung(rung_workers.put_from_one_core, rung_workers.get_on_another_core)], **FEW, together=False
    )
    assert ladder.together is False
    assert "a core for each process" in str(ladder)


# Bad input.


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"rungs": ["Qeue"]}, "rungs must be some of 'Manager.*; not 'Qeue'$"),
        ({"rungs": []}, "rungs must be one or more of 'Manager.*; not none$"),
        ({"size": 15}, "size must be from 16 to 67,108,864, not 15$"),
        ({"size": 2**26 + 1}, "size must be from 16 to 67,108,864, not 67,108,865$"),
        ({"rounds": 2}, "rounds must be from 3 to 1,000, not 2$"),
        ({"messages": 0}, "messages must be from 1 to 1,000,000, not 0$"),
        ({"latencies": -1}, "latencies must be from 0 to 10,000, not -1$"),
        ({"batch": 10}, "batch must be left out where no rung sends batches, not 10: 'Queue', "),
        ({"batch": 0, "rungs": ["Queue, batches"]}, "batch must be from 1 to 100,000, not 0$"),
        ({"batch": 20, "rungs": ["ring, batches"], "size": 2**20}, "batch must be from 1 to 16, not 20$"),
        ({"budget": 0}, "budget must be above 0 and at most 3,600 seconds, not 0$"),
        ({"budget": math.nan}, "budget must be above 0 and at most 3,600 seconds, not nan$"),
        ({"content": "list"}, "content must be 'bytes' or 'array', not 'list'$"),
        ({"start_method": "thread"}, "start_method must be 'spawn'.*, not 'thread'$"),
        ({"seed": -1}, "seed must be from 0 to 18,446,744,073,709,551,616, not -1$"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(how: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        measure(**{"rungs": ["Queue"], **how})


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"rungs": "Queue"}, "rungs must be a list of names of rungs, not 'Queue'$"),
        ({"rungs": [3]}, "rungs must be names of rungs, not 3 of type int$"),
        ({"size": 64.0}, r"size must be a whole number, not 64\.0 of type float$"),
        ({"rounds": True}, "rounds must be a whole number, not True of type bool$"),
        ({"budget": "60"}, "budget must be a number of seconds, not '60'$"),
        ({"together": 1}, "together must be True, False or None, not 1$"),
    ],
)
def test_a_value_of_another_type_is_named(how: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        measure(**{"rungs": ["Queue"], **how})


@pytest.mark.usefixtures("no_start")
def test_one_core_for_both_is_refused_where_a_process_can_not_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    for together in (True, False):
        with pytest.raises(ValueError, match=f"together must be None but on Linux.*not {together}"):
            measure(["Queue"], together=together)


@linux
@pytest.mark.usefixtures("no_start")
def test_a_core_for_each_is_refused_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    with pytest.raises(ValueError, match="together must be True or None where there is only one core, not F"):
        measure(["Queue"], together=False)


# What it returns, from numbers made up.


def made_up(**rates: list[float]) -> Ladder:
    """Return a ladder of some rates in each round; an underscore stands for a dot."""
    names = {name.replace("_", "."): values for name, values in rates.items()}
    rounds = zip(*names.values(), strict=True)
    samples = [
        {name: Sample(rate, 10.0, 20.0) for name, rate in zip(names, each, strict=True)} for each in rounds
    ]
    return Ladder(samples, size=1_000, machine="some machine")


def test_spread_is_the_median_and_the_quartiles() -> None:
    assert Spread.of([1.0, 2.0, 3.0, 4.0, 5.0]) == (3.0, 2.0, 4.0)
    assert Spread.of([7.0]) == (7.0, 7.0, 7.0)
    assert math.isnan(Spread.of([1.0, math.nan]).median)


def test_shares_are_formed_within_each_round() -> None:
    """The machine was twice as fast in each round as in the one before, and the share stays the same."""
    ladder = made_up(Queue=[1.0, 2.0, 4.0], os_pipe=[10.0, 20.0, 40.0], memcpy=[100.0, 200.0, 400.0])
    assert ladder["Queue"].share == pytest.approx((0.1, 0.1, 0.1))
    assert ladder["Queue"].of_memcpy == pytest.approx((0.01, 0.01, 0.01))
    assert ladder["Queue"].rate == (2.0, 1.5, 3.0)
    assert ladder["Queue"].bandwidth == (2_000.0, 1_500.0, 3_000.0)
    assert ladder["os.pipe"].share == (1, 1, 1)


def test_without_a_limit_there_is_no_share() -> None:
    ladder = made_up(Queue=[1.0, 2.0, 3.0])
    assert (ladder["Queue"].share, ladder["Queue"].of_memcpy, ladder.rate_limit) == (None, None, None)
    assert ladder.noise is None


@pytest.mark.parametrize(
    ("ours", "is_conclusive"),
    [
        ([11.0, 22.0, 36.0, 44.0, 60.0], True),
        ([9.0, 18.0, 27.0, 36.0, 45.0], True),
        ([9.0, 22.0, 27.0, 44.0, 50.0], False),
        ([10.0, 20.0, 30.0, 40.0, 50.0], False),
    ],
)
def test_a_ratio_is_conclusive_where_its_quartiles_are_on_one_side(
    ours: list[float], is_conclusive: bool
) -> None:
    ratio = made_up(ring=ours, Queue=[10.0, 20.0, 30.0, 40.0, 50.0]).ratio("ring", "Queue")
    assert ratio.is_conclusive == is_conclusive


STEADY = [100.0, 101.0, 99.0, 100.0, 102.0]
WILD = [100.0, 180.0, 60.0, 210.0, 95.0]


@pytest.mark.parametrize(
    ("pipe", "memcpy", "noisy"),
    [(STEADY, STEADY, None), (WILD, STEADY, "os.pipe"), (STEADY, WILD, "memcpy"), (WILD, WILD, "os.pipe")],
)
def test_a_noisy_machine_is_told_by_its_limits(
    pipe: list[float], memcpy: list[float], noisy: str | None
) -> None:
    ladder = made_up(Queue=WILD, os_pipe=pipe, memcpy=memcpy)
    if noisy is None:
        assert ladder.noise is None, "a rung may differ from round to round"
        return
    assert ladder.noise == (
        f"The machine was too noisy to conclude: {noisy} itself ran from 95 to 180 messages a second in the "
        "middle half of 5 rounds. Differences below 1.9 times may be noise: measure again when the machine "
        "does less."
    )
    assert ladder.noise in str(ladder)
    assert ladder.noise in ladder._repr_html_()


def test_one_bad_round_does_not_make_it_noisy() -> None:
    assert made_up(os_pipe=[*STEADY, 20.0], memcpy=[*STEADY, 20.0]).noise is None


def test_ladder_prints_as_a_table() -> None:
    ladder = made_up(Queue=[250e3] * 3, os_pipe=[2.5e6] * 3, memcpy=[5e6] * 3)
    title, head, queue, *_, notes = str(ladder).splitlines()
    assert title == "Messages of 1,000 bytes"
    assert head.split() == [
        "messages/s",
        "quartiles",
        "bandwidth",
        "p50",
        "p99",
        "of",
        "os.pipe",
        "of",
        "memcpy",
    ]
    assert queue.split() == [
        "Queue",
        "250,000",
        "250,000",
        "to",
        "250,000",
        "250.00",
        "MB/s",
        "10.0",
        "µs",
        "20.0",
        "µs",
        "0.10",
        "0.05",
    ]
    assert notes == "Medians of 3 rounds, spawn; some machine"
    html = ladder._repr_html_()
    assert html.count("<tr>") == 4
    assert html.count('scope="row"') == 3
    assert repr(ladder) == "<Ladder of 3 rungs, 3 rounds: Messages of 1,000 bytes>"


def test_a_rung_that_was_not_measured_is_named() -> None:
    ladder = made_up(Queue=[1.0] * 3)
    with pytest.raises(KeyError, match="'ring' was not measured; measured: Queue"):
        ladder.ratio("Queue", "ring")
    assert "ring" not in ladder


def test_machine_is_one_line() -> None:
    assert "\n" not in this_machine()
    assert f"{os.cpu_count()} core" in this_machine()


# The messages.


def test_messages_are_numbered_and_differ() -> None:
    plan = turns.Plan(64, 1, False, 5, 10, (10,), 0, False, False, None)
    messages = turns.messages_of(plan)
    assert messages == turns.messages_of(plan)
    assert messages != turns.messages_of(plan._replace(seed=6))
    assert [int.from_bytes(each[:8], "little") for each in messages] == list(range(len(messages)))
    assert {len(each) for each in messages} == {64}
    assert len({each[12:] for each in messages}) == len(messages)


@pytest.mark.parametrize(
    ("size", "batch", "many"), [(64, 1, 1024), (2**20, 1, 4), (2**24, 1, 2), (2**20, 16, 16)]
)
def test_a_batch_holds_no_message_twice(size: int, batch: int, many: int) -> None:
    """Pickle would write it once."""
    plan = turns.Plan(size, batch, False, 5, 10, (10,), 0, False, False, None)
    assert len(turns.messages_of(plan)) == many
