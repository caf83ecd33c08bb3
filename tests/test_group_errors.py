"""A worker that fails: the group's error says how, and nothing is left."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
import types
from typing import TYPE_CHECKING, Any

import group_workers
import pytest
from groups import AMPLE, ends_soon, failure_of, posix, returned

from ipc_helpers.child.entry import OVERDUE, start_thread
from ipc_helpers.group.errors import DeadlineError, StartError, WorkerGroupError
from ipc_helpers.group.worker_group import WorkerGroup

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import BaseContext

pytestmark = pytest.mark.usefixtures("nothing_left")


def is_fork(context: BaseContext) -> bool:
    return context.get_start_method() == "fork"


def test_worker_raises(context: BaseContext) -> None:
    error = failure_of(context, group_workers.fail, "these words")
    assert (error.kind, error.message) == ("ValueError", "these words")
    assert str(error).startswith("failing raised ValueError: these words\n\nIn the child process:\n")
    assert "in fail\n" in error.traceback
    assert "raise ValueError(message)" in error.traceback
    assert "child.py" not in error.traceback, "frames that only start the worker"


def test_worker_raises_and_its_process_gets_stuck(context: BaseContext) -> None:
    error = failure_of(context, group_workers.fail_with_a_full_queue, context.Queue())
    assert (error.kind, error.message) == ("ValueError", "raised with a full queue")


def test_worker_raises_an_exception_whose_message_fails(context: BaseContext) -> None:
    error = failure_of(context, group_workers.fail_without_words)
    assert (error.kind, error.message) == ("group_workers.Wordless", "<its message can't be shown>")


def test_worker_exits(context: BaseContext) -> None:
    error = failure_of(context, sys.exit, 0)
    assert (error.kind, error.message) == ("SystemExit", "0")


@pytest.mark.parametrize("code", [0, 3, OVERDUE])
def test_worker_leaves_without_returning(code: int, context: BaseContext) -> None:
    """Also with the exit code of one that is overdue."""
    error = failure_of(context, os._exit, code)
    assert str(error) == f"failing exited with code {code} before its worker returned"
    assert (error.kind, error.exitcode) == (None, code)


LOST = pytest.mark.parametrize("error", [EOFError, BrokenPipeError, ConnectionResetError])


def raised_beside_one_that_lost_its_peer(
    spawn: BaseContext, error: type[Exception], other: Callable[..., Any], seconds: float
) -> WorkerGroupError:
    """Return what comes out of the block when a worker finds the end of its pipe closed, beside another."""
    go = spawn.Event()
    with (
        pytest.raises(WorkerGroupError) as caught,
        ends_soon(),
        WorkerGroup(spawn, deadline=AMPLE) as group,
    ):
        group.start(group_workers.find_the_end_closed, go, error)
        child = group.start(other, go, seconds)
        if other is group_workers.be_overdue_later:
            child._ends_at = 0  # as if its deadline had come
        group_workers.wait_until_up(group)
        go.set()
    return caught.value


@posix
@LOST
def test_killed_worker_is_named_rather_than_one_that_lost_its_peer(
    error: type[Exception], spawn: BaseContext
) -> None:
    raised = raised_beside_one_that_lost_its_peer(spawn, error, group_workers.kill_itself_later, 0.03)
    assert str(raised) == "kill_itself_later was killed by SIGKILL before its worker returned"


@posix
@LOST
@pytest.mark.parametrize("seconds", [0, 0.03])
def test_deadline_is_raised_rather_than_the_error_of_one_that_lost_its_peer(
    error: type[Exception], seconds: float, spawn: BaseContext
) -> None:
    """At the deadline, one ends a moment before the other, which finds the end of its pipe closed."""
    raised = raised_beside_one_that_lost_its_peer(spawn, error, group_workers.be_overdue_later, seconds)
    assert isinstance(raised, DeadlineError)
    assert list(raised.stacks) == ["be_overdue_later"]


def test_worker_that_lost_its_peer_is_named_when_nobody_was_killed(spawn: BaseContext) -> None:
    go = spawn.Event()
    go.set()
    assert failure_of(spawn, group_workers.find_the_end_closed, go, EOFError).kind == "EOFError"


@posix
def test_worker_is_killed(context: BaseContext) -> None:
    error = failure_of(context, group_workers.kill_itself)
    assert str(error) == "failing was killed by SIGKILL before its worker returned"
    assert (error.kind, error.traceback, error.exitcode) == (None, "", -signal.SIGKILL)


def test_result_cannot_be_pickled(context: BaseContext) -> None:
    error = failure_of(context, group_workers.return_lambda)
    assert error.message.startswith("its result can't be pickled: ")
    assert "return_lambda" in error.message


def test_thread_runs_once_it_is_started() -> None:
    """On CPython 3.11.2, a process that ends before its thread runs may crash."""
    ran = []

    def function(number: int, begun: Any) -> None:
        time.sleep(0.1)
        ran.append(number)
        begun.release()

    start_thread(function, 7)
    assert ran == [7]


def test_result_cannot_be_unpickled(context: BaseContext) -> None:
    error = failure_of(context, group_workers.return_unreadable)
    assert (error.kind, error.message) == (
        "ValueError",
        "its result can't be unpickled in the parent: unpickled",
    )


def test_argument_cannot_be_pickled(context: BaseContext) -> None:
    def local() -> None:
        pass

    if is_fork(context):
        assert returned(context, callable, local), "under fork nothing is pickled"
    else:
        with (
            ends_soon(),
            pytest.raises(StartError, match=r"^callable could not be started: \w+: .*local"),
            WorkerGroup(context, deadline=AMPLE) as group,
        ):
            group.start(group_workers.sleep_long)
            group.start(callable, local)
        assert [child.name for child in group.children] == ["sleep_long"]


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("known_in_the_parent", "ModuleNotFoundError: No module named 'known_in_the_parent'"),
        ("group_workers", "AttributeError: .*defined_late.*"),  # as with a function defined in a notebook
    ],
)
def test_worker_that_the_parent_alone_has(
    module: str, words: str, context: BaseContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defined_late() -> int:
        return 7

    defined_late.__qualname__ = "defined_late"
    defined_late.__module__ = module
    monkeypatch.setitem(sys.modules, "known_in_the_parent", types.ModuleType("known_in_the_parent"))
    monkeypatch.setattr(sys.modules[module], "defined_late", defined_late, raising=False)
    if is_fork(context):
        assert returned(context, defined_late) == 7, "under fork nothing is imported"
    else:
        error = failure_of(context, defined_late)
        assert re.fullmatch(words, f"{error.kind}: {error.message}")
