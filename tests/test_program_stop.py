"""A program that is stopped: what is done, lost and left, by the way and the moment."""

from __future__ import annotations

import multiprocessing

import pytest
import stopped_workers
from experiment_runs import AMPLE, checked_stop
from groups import posix

from ipc_helpers.experiments.program_stop import ProgramStop
from ipc_helpers.group.starting import start_methods

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize("start_method", start_methods())
@pytest.mark.parametrize("moment", [0, 30, 600], ids=["at once", "in between", "when all is done"])
@pytest.mark.parametrize("way", ["event", "terminate"])
def test_program_is_stopped_at_any_moment(way: str, moment: int, start_method: str) -> None:
    stop = ProgramStop(tasks=20, length=10, workers=3, way=way, moment=moment, start_method=start_method)
    checked_stop(stop.run(deadline=AMPLE))


def test_way_to_stop_decides_what_is_done_and_lost() -> None:
    sentinels, event, terminate = (
        checked_stop(ProgramStop(tasks=10, length=500, workers=2, way=way, moment=750).run(deadline=AMPLE))
        for way in ("sentinels", "event", "terminate")
    )
    assert (sentinels.received, sentinels.lost, sentinels.left) == (10, 0, 0)
    assert (event.received, event.lost) == (10 - event.left, 0)
    assert (terminate.received, terminate.lost) == (8 - terminate.left, 2)
    assert min(event.left, terminate.left) > 0


def test_workers_that_wait_for_a_task_are_stopped() -> None:
    """Longer than a run lasts in which all wait for each other."""
    for way in ("sentinels", "event", "terminate"):
        result = checked_stop(
            ProgramStop(tasks=1, length=0, workers=2, way=way, moment=800).run(deadline=AMPLE)
        )
        assert (result.received, result.lost, result.left) == (1, 0, 0)


@posix
@pytest.mark.parametrize("start_method", start_methods())
def test_own_worker_may_finish_although_it_is_terminated(start_method: str) -> None:
    """Or leave, as a handler does that raises SystemExit: then it loses what is under way, as it would."""
    program = ProgramStop(
        tasks=10, length=500, workers=2, way="terminate", moment=750, start_method=start_method
    )
    finished = program.run(deadline=AMPLE, worker=stopped_workers.finish_when_terminated)
    assert (finished.received, finished.lost) == (10 - finished.left, 0)
    left = program.run(deadline=AMPLE, worker=stopped_workers.leave_when_terminated)
    assert (left.received, left.lost) == (8 - left.left, 2)
    assert min(finished.left, left.left) > 0


def test_own_workers_may_have_ended_before_the_stop() -> None:
    program = ProgramStop(tasks=4, length=10, workers=2, moment=5_000)
    result = program.run(deadline=AMPLE, producer=stopped_workers.put_and_stop_at_once)
    assert (result.received, result.lost, result.left) == (4, 0, 0)
    assert result.stop is not None
    assert result.stop.ended - min(result.lanes[0].column("started")) < 4e9, "and then nobody waits for it"


@pytest.mark.parametrize("start_method", start_methods())
def test_interrupted_search_gives_back_the_lock_of_its_event(start_method: str) -> None:
    """Chapter 08's cell sets the event in a finally, after an interrupt: without the lock it would hang."""
    context = multiprocessing.get_context(start_method)
    stop, taken = context.Event(), context.Semaphore(0)
    search = stopped_workers.search_and_be_interrupted
    worker = context.Process(target=search, args=(stop, taken), daemon=True)
    worker.start()
    assert taken.acquire(timeout=AMPLE)
    given_back = stop._cond.acquire(timeout=AMPLE)
    assert given_back  # a failure that showed the event would ask it whether it is set, and hang
    stop._cond.release()
    stop.set()
    worker.join(AMPLE)
    assert worker.exitcode == 0
