"""Experiments with workers of the reader's own: right ones, and each kind of wrong one."""

from __future__ import annotations

import sys
import threading
import types
from functools import partial
from typing import Any

import pytest
import reader_workers
import slot_workers
import stopped_workers
from experiment_runs import AMPLE, CHECKED, DUPLEX, EXPERIMENTS, ROLES, checked, checked_flow, ended, small

from ipc_helpers.child import recorder
from ipc_helpers.experiments.experiment import Experiment
from ipc_helpers.experiments.pipe_exchange import PipeExchange
from ipc_helpers.experiments.process_start import ProcessStart
from ipc_helpers.experiments.program_stop import ProgramStop
from ipc_helpers.experiments.queue_flow import QueueFlow
from ipc_helpers.experiments.queue_places import QueuePlaces
from ipc_helpers.experiments.result import ProtocolError
from ipc_helpers.experiments.slot_exchange import SlotExchange
from ipc_helpers.experiments.stage_chain import StageChain
from ipc_helpers.experiments.worker_pool import WorkerPool
from ipc_helpers.group.errors import Cancelled, WorkerError
from ipc_helpers.group.starting import start_methods
from ipc_helpers.group.worker_group import WorkerGroup

pytestmark = pytest.mark.usefixtures("nothing_left")


RIGHT = [
    (QueueFlow, {}, "producer", reader_workers.produce_in_another_way),
    (QueueFlow, {}, "producer", reader_workers.produce_in_threads),
    (QueueFlow, {}, "consumer", reader_workers.consume_in_another_way),
    (QueuePlaces, {}, "producer", reader_workers.produce_in_another_way),
    (PipeExchange, {}, "sender", reader_workers.send_in_another_way),
    (PipeExchange, {}, "receiver", reader_workers.receive_in_another_way),
    (PipeExchange, DUPLEX, "client", reader_workers.request_in_another_way),
    (PipeExchange, DUPLEX, "server", reader_workers.serve_in_another_way),
    (SlotExchange, {}, "producer", slot_workers.fill_two_slots_at_once),
    (SlotExchange, {}, "consumer", slot_workers.read_slots_and_remove_them),
    (SlotExchange, {"through": "queue"}, "queue_consumer", slot_workers.consume_pairs),
    (ProcessStart, {}, "worker", reader_workers.take_a_moment),
    (ProcessStart, {}, "worker", reader_workers.return_something),
    (WorkerPool, {}, "worker", reader_workers.take_tasks),
    (WorkerPool, {"chunk": 2}, "worker", reader_workers.take_tasks_without_a_loop),
    (WorkerPool, {}, "producer", reader_workers.put_growing_chunks),
    (StageChain, {}, "stage", reader_workers.pass_on_in_another_way),
    (ProgramStop, {}, "worker", stopped_workers.work_and_look_again),
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
    (
        SlotExchange,
        {},
        "consumer",
        slot_workers.keep_slots,
        r"^nobody can go on: producer waits in SimpleQueue.get, in the line  slot = free.get\(\); consumer ",
    ),
    (
        SlotExchange,
        {},
        "producer",
        slot_workers.fill_slots_and_leave,
        "^consumer waited for a message, and each producer had ended",
    ),
    (
        SlotExchange,
        {"through": "queue"},
        "queue_consumer",
        reader_workers.get_three,
        "of 12 messages 9 were not received|and 9",
    ),
    (WorkerPool, {}, "worker", reader_workers.take_one_task, "of 6 tasks 4 were not received"),
    (WorkerPool, {"chunk": 2}, "worker", reader_workers.take_one_task, "of 6 tasks 2 were not received"),
    (WorkerPool, {}, "producer", reader_workers.lose_one_task, "of 6 tasks 1 were not sent"),
    (ProgramStop, {}, "worker", stopped_workers.work_once, "of 6 tasks 4 were not received"),
    (
        ProgramStop,
        {},
        "producer",
        stopped_workers.put_and_leave,
        "worker 1 and worker 2 waited for a message, and each producer had ended",
    ),
    (StageChain, {}, "stage", reader_workers.drop_one, "^of 12 messages 1 were not sent by stage 1"),
    (StageChain, {"maxsize": 1}, "consumer", reader_workers.get_three, "consumer returned, and 9 messages"),
    (StageChain, {"maxsize": 0}, "consumer", reader_workers.get_three, "of 12 messages 9 were not received"),
    (
        StageChain,
        {},
        "producer",
        reader_workers.forget_sentinels,
        "^stage 1 and stage 2 and consumer waited for a message, and each producer had ended: "
        "a producer puts None once its messages are put$",
    ),
    (
        StageChain,
        {},
        "stage",
        reader_workers.keep_the_sentinel,
        "^stage 2 and consumer waited for a message, and stage 1 had ended: "
        "a stage puts None once its messages are put$",
    ),
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
        reader_workers.forget_workers,
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
Own = tuple[type[Experiment], dict[str, Any], str, Any]


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
    if worker in (
        reader_workers.produce_in_threads,
        reader_workers.take_tasks,
        reader_workers.take_tasks_without_a_loop,
    ):
        assert result.sent == result.received == experiment.steps
    elif worker in (reader_workers.request_in_another_way, reader_workers.pass_on_in_another_way):
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
    ("kind", "worker", "complaint"),
    [
        (WorkerPool, reader_workers.put_bare_tasks, r"\(0, 0.00\d+\) is no list of tasks that begin with a"),
        (
            QueueFlow,
            reader_workers.put_something_else,
            "'hello' is no message: it does not begin with a number",
        ),
        (SlotExchange, slot_workers.put_slots_alone, "0 is no message: it does not begin with a number"),
        (QueueFlow, reader_workers.put_for_ever, "far more messages went through here than there are"),
    ],
)
def test_own_producer_that_puts_what_it_should_not_is_told(
    kind: type[Experiment], worker: Any, complaint: str
) -> None:
    error = ended(WorkerError, small(kind, {}), complaint, producer=worker)
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
    for wrong in (lambda *_: None, lambda first, *others, third=None: None):
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
