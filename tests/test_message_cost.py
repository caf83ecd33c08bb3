"""What one way to hand over messages costs, as the panel measures it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from ipc_helpers import Cancelled, MessageCost
from ipc_helpers.experiments import message_cost
from ipc_helpers.experiments.parameters import Choice
from ipc_helpers.group.starting import start_methods
from ipc_helpers.measuring.ladder import Ladder, MeasureError, Sample
from ipc_helpers.measuring.rungs import RUNGS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("nothing_left")

SOON = 10.0  # seconds: far more than an end takes
KIB, MIB = 1024, 1024 * 1024


def test_ways_are_those_of_this_machine_without_limits_and_batches() -> None:
    rule = MessageCost.rules()["rung"]
    assert isinstance(rule, Choice)
    assert {"Queue", "SimpleQueue", "Pipe, send", "Pipe, send_bytes"} <= {*rule.options}
    for name in rule.options:
        assert not RUNGS[name].limit
        assert not RUNGS[name].batched
        assert RUNGS[name].why_missing() is None


@pytest.mark.usefixtures("no_start")
def test_batch_of_a_rung_that_sends_none_is_refused() -> None:
    words = r"batch must be 1 for SimpleQueue, not 10: batches are sent by .*'Queue' or 'Pipe, send_bytes'"
    with pytest.raises(ValueError, match=f"^{words}"):
        MessageCost(rung="SimpleQueue", batch=10)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "10,000 messages of 64 bytes by Queue, in 5 rounds, spawn"),
        ({"size": MIB}, "64 messages of 1 MiB by Queue, in 5 rounds, spawn"),
        ({"size": 16 * MIB, "messages": 10}, "8 messages of 16 MiB by Queue, in 5 rounds, spawn"),
        (
            {"rung": "Pipe, send_bytes", "batch": 100, "size": 4 * KIB},
            "10,000 messages of 4 KiB in batches of 100 by Pipe, send_bytes, in 5 rounds, spawn",
        ),
    ],
)
def test_description_has_the_numbers_of_the_run(parameters: dict[str, Any], words: str) -> None:
    """Of large messages there are fewer, so that a run takes as long."""
    assert MessageCost(**parameters).description == words


def test_worker_of_the_readers_own_has_no_role() -> None:
    with pytest.raises(TypeError, match="MessageCost has no role 'producer' for a worker of yours"):
        MessageCost().check_workers({"producer": print})


def measured(
    monkeypatch: pytest.MonkeyPatch, cost: MessageCost, **more: Any
) -> tuple[list[str], dict[str, Any]]:
    """Return what a run asks to be measured."""
    asked: list[Any] = []

    def measure(rungs: list[str], **how: Any) -> Ladder:
        asked.extend((rungs, how))
        return Ladder([{"Queue": Sample(1.0)}])

    monkeypatch.setattr(message_cost, "measure", measure)
    cost.run(**more)
    return asked[0], asked[1]


@pytest.mark.usefixtures("no_start")
def test_a_batch_is_measured_by_the_rung_that_sends_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    rungs, how = measured(monkeypatch, MessageCost(batch=10, size=KIB, messages=500))
    assert rungs == ["Queue, batches"]
    assert (how["size"], how["batch"], how["messages"], how["rounds"]) == (KIB, 10, 500, 5)
    rungs, how = measured(monkeypatch, MessageCost(rung="Pipe, send"), deadline=80_000)
    assert rungs == ["Pipe, send"]
    assert how["batch"] is None, "measure refuses it where no rung sends batches"
    assert how["budget"] == 3_600, "the most that measure takes"


@pytest.mark.parametrize(
    "cost",
    [
        *(MessageCost(messages=10, start_method=method) for method in start_methods()),
        MessageCost(rung="Pipe, send_bytes", batch=20, size=KIB, messages=100),
    ],
)
def test_run_measures_it_beside_the_limits(cost: MessageCost) -> None:
    done: list[int] = []
    looks: list[Ladder] = []

    def look(so_far: Callable[[], Ladder]) -> None:
        looks.append(so_far())

    ladder = cost.run(progress=done.append, look=look)
    assert set(ladder) >= {cost.measured, "memcpy"}
    assert done == sorted(done)
    assert done[-1] == cost.steps
    assert [each.rounds for each in looks] == list(range(1, ladder.rounds + 1))
    assert 3 <= ladder.rounds <= 5
    assert (ladder.size, ladder.batch) == (cost.size, cost.batch if cost.batch > 1 else None)
    assert ladder[cost.measured].rate.median > 0
    assert ladder[cost.measured].p50.median > 0


def test_cancel_ends_it_soon_and_keeps_whole_rounds() -> None:
    cancelled = threading.Event()
    with pytest.raises(Cancelled) as caught:
        MessageCost(messages=10).run(cancelled=cancelled, look=lambda _: cancelled.set())
    assert caught.value.result.rounds == 1
    threading.Timer(0.2, cancelled.set).start()
    cancelled.clear()
    start = time.monotonic()
    with pytest.raises(Cancelled) as caught:
        MessageCost(size=16 * MIB).run(cancelled=cancelled)
    assert time.monotonic() - start < SOON
    assert caught.value.result is None or caught.value.result.rounds > 0


def test_deadline_that_is_too_short_for_three_rounds_is_told() -> None:
    with pytest.raises(MeasureError, match="budget must be more than"):
        MessageCost(messages=10).run(deadline=0.01)
