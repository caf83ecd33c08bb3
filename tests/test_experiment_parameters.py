"""What experiments, and what else a panel runs, refuse before anything starts, and what they say then."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields
from typing import TYPE_CHECKING, Any

import pytest
from experiment_runs import EXPERIMENTS

from ipc_helpers.experiments.message_cost import MessageCost
from ipc_helpers.experiments.parameters import MIB, Choice, WholeNumber, counted
from ipc_helpers.experiments.pipe_exchange import PipeExchange
from ipc_helpers.experiments.process_start import ProcessStart
from ipc_helpers.experiments.program_stop import ProgramStop
from ipc_helpers.experiments.queue_flow import QueueFlow
from ipc_helpers.experiments.queue_places import QueuePlaces
from ipc_helpers.experiments.slot_exchange import SlotExchange
from ipc_helpers.experiments.stage_chain import StageChain
from ipc_helpers.experiments.worker_pool import WorkerPool
from ipc_helpers.group.starting import start_methods

if TYPE_CHECKING:
    from ipc_helpers.experiments.runnable import Runnable

pytestmark = pytest.mark.usefixtures("nothing_left")


KINDS = (*EXPERIMENTS, MessageCost)
NUMBERS = [
    pytest.param(kind, name, rule, id=f"{kind.__name__}.{name}")
    for kind in KINDS
    for name, rule in kind.rules().items()
    if isinstance(rule, WholeNumber)
]
WITH_VOLUME = (QueueFlow, PipeExchange)


@pytest.mark.parametrize("kind", KINDS)
def test_each_parameter_has_a_rule_and_a_label(kind: type[Runnable[Any]]) -> None:
    assert list(kind.rules()) == [field.name for field in fields(kind)]
    assert all(rule.label for rule in kind.rules().values())
    assert kind.rules()["start_method"] == Choice(start_methods(), "Start method")


def refused(kind: type[Runnable[Any]], error: type[Exception], name: str, value: object) -> str:
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
    kind: type[Runnable[Any]], name: str, rule: WholeNumber, value: object
) -> None:
    assert repr(value) in refused(kind, TypeError, name, value)


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize("beyond", [1, 10**400], ids=["by one", "by far"])
@pytest.mark.parametrize(("kind", "name", "rule"), NUMBERS)
def test_number_out_of_range_is_refused(
    kind: type[Runnable[Any]], name: str, rule: WholeNumber, beyond: int
) -> None:
    for value in (rule.low - beyond, rule.high + beyond):
        message = refused(kind, ValueError, name, value)
        assert f"from {rule.low:,} to {rule.high:,}, not {value:,}" in message


NO_STRINGS = (1, 1.5, None, math.nan, True, ["spawn"])
NO_CHOICES = [
    *((kind, "start_method", (*NO_STRINGS, "thread", "", "Spawn", "spawn ")) for kind in KINDS),
    (WorkerPool, "order", (*NO_STRINGS, 0, ["mixed"], "", "longest", "Mixed")),
    (SlotExchange, "through", (*NO_STRINGS, 0, "", "slot", "Queue")),
    (StageChain, "slow", (*NO_STRINGS, 0, "", "none", "stage", "Consumer")),
    (ProgramStop, "way", (*NO_STRINGS, 0, "", "kill", "Event", "sentinel")),
    (MessageCost, "rung", (*NO_STRINGS, 0, "", "queue", "os.pipe", "Queue, batches")),
    (PipeExchange, "duplex", (0, 1, "duplex", "True", None, math.nan, [True])),
]


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize(("kind", "name", "values"), NO_CHOICES)
def test_value_that_is_no_choice_is_refused(
    kind: type[Runnable[Any]], name: str, values: tuple[object, ...]
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
TOO_MUCH: list[tuple[type[Runnable[Any]], dict[str, int], str]] = [
    *((kind, {"messages": 257, "payload": MIB}, VOLUME) for kind in (*WITH_VOLUME, QueuePlaces)),
    (
        QueueFlow,
        {"messages": 100_000, "payload": 2_685},
        f"{VOLUME}, not 100,000 × 2,685 bytes = 256.062 MiB: lower messages",
    ),
    (
        SlotExchange,
        {"messages": 257, "size": 1_024},
        "messages × size must be at most 256 MiB, not 257 × 1,024 KiB = 257 MiB: lower messages or size",
    ),
    (
        SlotExchange,
        {"messages": 501, "pause": 20},
        "messages × pause must be at most 10 seconds, not 501 × 20 ms = 10.02 seconds: lower messages or",
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
        ProgramStop,
        {"tasks": 21, "length": 500},
        "tasks × length must be at most 10 seconds, not 21 × 500 ms = 10.5 seconds: lower tasks or length",
    ),
    (
        StageChain,
        {"messages": 101, "work": 100},
        "messages × work must be at most 10 seconds, not 101 × 100 ms = 10.1 seconds: lower messages or work",
    ),
    (
        QueuePlaces,
        {"messages": 1_001, "pause": 20},
        "messages × pause must be at most 20 seconds, not 1,001 × 20 ms = 20.02 seconds: lower messages or",
    ),
    (
        MessageCost,
        {"size": MIB, "batch": 17},
        "batch × size must be at most 16 MiB, not 17 × 1,048,576 bytes = 17 MiB",
    ),
]


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize(("kind", "parameters", "words"), TOO_MUCH)
def test_more_than_a_run_may_take_is_refused(
    kind: type[Runnable[Any]], parameters: dict[str, int], words: str
) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        kind(**parameters).run()


MOST: list[tuple[type[Runnable[Any]], dict[str, int]]] = [
    *((kind, {"messages": 256, "payload": MIB}) for kind in (*WITH_VOLUME, QueuePlaces)),
    *((kind, {"messages": 100_000, "payload": size}) for kind in WITH_VOLUME for size in (2_684, 0)),
    *(
        (SlotExchange, {"messages": messages, "size": size})
        for messages, size in ((256, 1_024), (1_000, 262))
    ),
    (SlotExchange, {"messages": 500, "pause": 20}),
    *((WorkerPool, {"tasks": tasks, "length": length}) for tasks, length in ((200, 50), (50, 200), (200, 0))),
    (QueuePlaces, {"messages": 1_000, "pause": 20}),
    *((ProgramStop, {"tasks": tasks, "length": length}) for tasks, length in ((100, 100), (20, 500))),
    *((StageChain, {"messages": messages, "work": work}) for messages, work in ((500, 20), (100, 100))),
]


@pytest.mark.parametrize(("kind", "parameters"), MOST)
def test_as_much_as_a_run_may_take_is_accepted(kind: type[Runnable[Any]], parameters: dict[str, int]) -> None:
    assert kind(**parameters).steps == next(iter(parameters.values()))


@pytest.mark.parametrize(("kind", "name", "rule"), NUMBERS)
def test_numbers_at_the_ends_of_their_range_are_accepted(
    kind: type[Runnable[Any]], name: str, rule: WholeNumber
) -> None:
    rules = kind.rules()
    few = {"messages": rules["messages"].low} if "messages" in rules else {}  # a large payload allows few
    for value in (rule.low, rule.high):
        assert getattr(kind(**few | {name: value}), name) == value


@pytest.mark.usefixtures("no_start")
@pytest.mark.parametrize("deadline", [0, -1, math.nan, math.inf, 86_401, True, "10", None])
@pytest.mark.parametrize("kind", KINDS)
def test_deadline_is_checked_before_anything_starts(kind: type[Runnable[Any]], deadline: Any) -> None:
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
    slots = SlotExchange(messages=1, size=1_024, slots=1, pause=2)
    assert slots.description == "1 message of 1,024 KiB through 1 slot, a pause of 2 ms after each get, spawn"
    assert " of 256 KiB through a queue with maxsize=4, a " in SlotExchange(through="queue").description
    places = QueuePlaces(messages=1, payload=2, maxsize=3, pause=4)
    assert places.description == "1 message of 2 bytes, maxsize=3, a pause of 4 ms after each get, spawn"
    assert ", no bound, " in QueuePlaces().description
    pool = WorkerPool(tasks=1, length=2, unevenness=30, order="longest last", workers=1)
    assert pool.description == "1 task of 2 ms, 30 % uneven, longest last, for 1 worker, spawn"
    assert WorkerPool(unevenness=0).description == "20 tasks of 25 ms, for 4 workers, spawn"
    assert "25 ms, 50 % uneven, mixed, 5 in a message, for 4 workers" in WorkerPool(chunk=5).description
    chain = StageChain(messages=1, stages=2, maxsize=3, slow="consumer", work=5)
    assert chain.description == (
        "1 message through 2 stages, maxsize=3, 5 ms in the consumer, 1.25 ms elsewhere, spawn"
    )
    stop = ProgramStop(tasks=1, length=2, workers=3, way="event", moment=4_000)
    assert stop.description == "1 task of 2 ms for 3 workers, stopped after 4,000 ms by event, spawn"
    even = StageChain(maxsize=0, slow="nobody")
    assert even.description == "40 messages through 3 stages, no bound, 5 ms each, spawn"
