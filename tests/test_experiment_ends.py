"""Who waits in a run; and what is left of one that was ended."""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import reader_workers
from experiment_runs import AMPLE, ROLES, checked, checked_flow, ended, small

from ipc_helpers.experiments.pipe_exchange import PipeExchange
from ipc_helpers.experiments.process_start import ProcessStart
from ipc_helpers.experiments.program_stop import ProgramStop
from ipc_helpers.experiments.queue_flow import QueueFlow
from ipc_helpers.experiments.queue_places import QueuePlaces
from ipc_helpers.experiments.result import ProtocolError, Result
from ipc_helpers.experiments.slot_exchange import SlotExchange
from ipc_helpers.experiments.stage_chain import StageChain
from ipc_helpers.experiments.worker_pool import WorkerPool
from ipc_helpers.group.errors import Cancelled, DeadlineError, WorkerError
from ipc_helpers.group.starting import start_methods
from ipc_helpers.trace import RECEIVE

if TYPE_CHECKING:
    from ipc_helpers.experiments.experiment import Experiment

pytestmark = pytest.mark.usefixtures("nothing_left")


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
        SlotExchange(messages=500, pause=20),
        SlotExchange(messages=500, pause=20, through="queue"),
        WorkerPool(tasks=200, length=50, workers=2),
        WorkerPool(tasks=200, length=50, workers=2, chunk=50),
        StageChain(messages=100, stages=4, work=100),
        ProgramStop(tasks=100, length=50, workers=2, moment=5_000),
        ProgramStop(tasks=100, length=50, workers=2, moment=0),
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
        *([""] if "parent" in endings(result) else []),
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
