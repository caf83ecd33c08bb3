"""diagnose: the right cause for programs written apart from the chapters, and nothing left behind."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diagnosed_workers as programs
import psutil
import pytest

from ipc_helpers import Diagnosis, StartError, diagnose
from ipc_helpers.child import stacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Found = dict[Callable[..., Any], Diagnosis]

pytestmark = pytest.mark.usefixtures("nothing_left")
METHODS = multiprocessing.get_all_start_methods()
DEADLINE = 60.0  # seconds: with room for a busy machine; a program that is stuck is ended long before
TOO_LONG = 12.0  # seconds: for programs that run on. By then all of their processes are up, if others run too
SPAWN = multiprocessing.get_context("spawn")

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def ctx(method: str) -> Any:
    return multiprocessing.get_context(method)


def of_each(programs: Iterable[Callable[..., Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("program", programs, ids=lambda program: program.__name__)


CAUSES = {
    programs.join_first: "main joins source before it has got the messages, and source can't end",
    programs.join_first_over_a_pipe: "main joins speaker before it has received the messages",
    programs.one_get_too_many: "main waits in get() for a message that nobody puts: the queue 'box' is empty",
    programs.open_end_in_main: "main itself holds the other end, 'theirs', open",
    programs.bad_message: "a message that source put into the queue 'box' can't be pickled",
    programs.bad_message_at_the_end: "a message that main put into the queue",
    programs.worker_fails: "divider raised ZeroDivisionError",
    programs.worker_fails_and_nobody_gets: "number)', and main can't end: its feeder thread waits for room",
    programs.worker_leaves: "leaver ended with exit code 7",
    programs.unfinished: "main waits in JoinableQueue.join(): task_done() was not called for 1 message",
    programs.dead_worker: "worker ended with exit code 3",
    programs.full_queue: "main waits in put(): the queue 'box' is full, and nobody gets",
    programs.both_send: "left and right both send first",
    programs.unasked: "main was still running in 'time.sleep(60)'",
    programs.raises_in_with: "main raised ValueError: own in 'raise ValueError(\"own\")'",
    programs.both_listen: "both wait for the other to send",
    programs.left_over: "every process ended by itself, but nobody got 2 messages in the queue 'letters'",
    programs.main_fails: "main raised Empty in 'ctx.Queue().get(timeout=0.01)'",
    programs.leave_main: "main ended with exit code 5",
    programs.late_for_its_pool: "main waits for a result of a pool that has ended",
    programs.busy: "main was still running in 'all(True for _ in itertools.count())'",
}
NEED_SIGKILL = {
    programs.killed_consumer: "first was killed (SIGKILL) while it held the read lock of the queue 'box'",
    programs.killed_after_a_long_wait: "first was killed (SIGKILL) while it held the read lock of the queue",
    programs.kill_main: "main was killed (SIGKILL) before it was done",
    programs.killed_in_a_message: "writer was killed (SIGKILL) in the middle of a message",
}
if hasattr(signal, "SIGKILL"):
    CAUSES |= NEED_SIGKILL
if sys.platform == "darwin":  # which does not count the messages of a queue
    del CAUSES[programs.left_over]
RUNNING = [programs.busy, programs.unasked]
OTHERS = [programs.no_sentinel, programs.open_end, programs.grandchildren]


@pytest.fixture(scope="module")
def every_diagnosis() -> dict[tuple[Callable[..., Any], str], Diagnosis]:
    """What diagnose says of each program under each start method: ten at once, since they mostly wait."""
    todo = [(program, method) for method in METHODS for program in (*CAUSES, *OTHERS)]

    def run(item: tuple[Callable[..., Any], str]) -> Diagnosis:
        deadline = TOO_LONG if item[0] in RUNNING else DEADLINE
        return diagnose(item[0], multiprocessing.get_context(item[1]), deadline=deadline)

    with ThreadPoolExecutor(10) as pool:
        return dict(zip(todo, pool.map(run, todo), strict=True))


@pytest.fixture
def found(method: str, every_diagnosis: dict[Any, Diagnosis]) -> Found:
    return {program: every_diagnosis[program, method] for program in (*CAUSES, *OTHERS)}


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps locks until the child has them")
@pytest.mark.parametrize("method", [method for method in METHODS if method != "fork"])
def test_queue_that_was_let_go_of_too_soon(method: str) -> None:
    diagnosis = diagnose(programs.let_go, multiprocessing.get_context(method), deadline=DEADLINE)
    assert diagnosis.returned == 1
    assert "a queue or a lock that it was given was gone" in diagnosis.cause
    assert diagnosis.remedy == "keep what a child is given for as long as the child runs"


@of_each(CAUSES)
def test_it_names_the_cause(program: Callable[..., Any], found: Found) -> None:
    diagnosis = found[program]
    assert CAUSES[program] in diagnosis.cause
    assert not diagnosis.healthy


def test_it_names_the_consumers_without_a_sentinel(found: Found) -> None:
    diagnosis = found[programs.no_sentinel]
    assert re.search(r"(collect.*){2} wait in get\(\): the queue 'box' is empty", diagnosis.cause)
    assert diagnosis.remedy == "put one sentinel for each consumer"
    assert len(diagnosis.stuck) == 3


def test_it_names_who_holds_an_end_open(found: Found, method: str) -> None:
    # A forked child holds the ends of its parent as well.
    holders = "main and listener hold" if method == "fork" else "main holds"
    assert f"while {holders} the other end, 'theirs', open" in found[programs.open_end].cause


def test_it_sees_processes_below_its_children(found: Found) -> None:
    diagnosis = found[programs.grandchildren]
    names = [process.name for process in diagnosis.processes]
    assert sorted(names) == ["child", "collect", "collect 2", "collect 3", "main"]
    assert "wait in get()" in diagnosis.cause


def test_no_report_names_a_path_or_a_process_id(found: Found) -> None:
    for diagnosis in found.values():
        text = str(diagnosis).replace("1 // number", "")
        assert os.sep not in text
        assert not re.search(r"\d{3,}", text)


def test_it_tells_who_serves_from_who_is_stuck(found: Found) -> None:
    diagnosis = found[programs.unasked]
    states = {process.name: process.state for process in diagnosis.processes}
    assert states == {"main": "stuck", "SyncManager": "idle", "worker": "idle"}
    assert list(diagnosis.stuck) == ["main"]


HEALTHY = {
    programs.healthy: 600_000,
    programs.healthy_pipe: ["one", "two"],
    programs.healthy_pool: [1, 2],
    programs.healthy_group: 5,
    programs.deletes_an_end: "the end of the pipe",
    programs.keeps_what_locals_said: ["ctx"],
    programs.terminates_a_daemon_at_its_end: None,
    # These wait as stuck ones do, but for something that comes.
    programs.get_late: "late",
    programs.get_from_a_thread: "late",
    programs.get_slow: "slow",
    programs.give_up_late: "Empty",
    programs.play: "played",
    programs.join_and_go_on: "joined",
    programs.drop_an_end: "ended",
    programs.receive_large: programs.LARGE,
}


@of_each(HEALTHY)
def test_it_says_that_healthy_code_is_healthy(program: Callable[..., Any], ctx: Any) -> None:
    diagnosis = diagnose(program, ctx, deadline=90, start_method=ctx.get_start_method())
    assert diagnosis.healthy, str(diagnosis)
    assert diagnosis.returned == HEALTHY[program]
    assert diagnosis.stuck == {}
    assert "ended by itself" in diagnosis.cause


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the message is through at once")
def test_it_says_that_a_message_was_still_on_its_way(ctx: Any) -> None:
    for deadline in (0.7, 1.4, 2.8, 5.6, 11.2):  # where a start takes long, so does the message
        diagnosis = diagnose(programs.receive_large, ctx, deadline=deadline)
        if diagnosis.cause == "a message was still on its way from send_large to main" or diagnosis.healthy:
            break
    assert diagnosis.cause == "a message was still on its way from send_large to main"


STUCK = [
    programs.join_first,
    programs.no_sentinel,
    programs.one_get_too_many,
    programs.open_end,
    programs.worker_fails,
    programs.both_send,
    programs.full_queue,
    programs.unfinished,
    programs.grandchildren,
]


@of_each([*STUCK, programs.main_fails])
def test_it_does_not_wait_for_its_deadline_once_nothing_can_move(
    program: Callable[..., Any], ctx: Any
) -> None:
    started = time.monotonic()
    diagnosis = diagnose(program, ctx, deadline=300)
    assert time.monotonic() - started < 60
    assert not diagnosis.healthy
    assert bool(diagnosis.stuck) == (program in STUCK), str(diagnosis)


def test_looking_takes_no_exit_code_away(ctx: Any) -> None:
    assert diagnose(programs.read_exit_codes, ctx, deadline=60).returned == {7}


def test_the_function_runs_in_a_child_of_each_start_method(method: str) -> None:
    for inner in METHODS:
        ctx = multiprocessing.get_context(inner)
        diagnosis = diagnose(programs.healthy, ctx, deadline=20, start_method=method)
        assert diagnosis.healthy, str(diagnosis)


@pytest.mark.skipif(os.name != "posix", reason="what a process prints is kept on POSIX systems")
def test_it_keeps_what_the_processes_print() -> None:
    diagnosis = diagnose(programs.prints, SPAWN, deadline=20)
    assert diagnosis.output == "printed by main\n"
    assert "printed" not in str(diagnosis)


def test_the_report_has_a_line_for_each_process() -> None:
    assert str(diagnose(programs.join_first, SPAWN, deadline=DEADLINE)).splitlines() == [
        "main: stuck in Process.join, waiting for source, in the line  source.join()",
        "source: stuck in the feeder's join, after its function had ended; its feeder thread: in a pipe "
        "write",
        *(["the queue 'box': 1 message put and never got"] if sys.platform != "darwin" else []),
        "Cause: main joins source before it has got the messages, and source can't end, since its feeder "
        "thread waits for room in the pipe.",
        "Remedy: get first, then join.",
    ]


@pytest.mark.parametrize(
    ("program", "silent"),
    [pytest.param(programs.stopped, "sleeper", marks=posix), (programs.holds_the_interpreter, "main")],
)
def test_who_can_not_answer_is_ended_too(program: Callable[..., Any], silent: str) -> None:
    started = time.monotonic()
    diagnosis = diagnose(program, SPAWN, deadline=5)
    assert "silent" in diagnosis.stuck[silent]
    assert time.monotonic() - started < 30


@posix
def test_a_start_that_waits_for_a_child_which_has_failed() -> None:
    """Without an end up to a release of Python 3.13 and 3.14 (its issue 118981); start() raises later."""
    cause = diagnose(programs.start_what_a_child_cannot_find, SPAWN, deadline=TOO_LONG).cause
    assert "Process.start() for a child that has failed" in cause or "BrokenPipe" in cause


def test_a_function_that_a_child_cannot_find() -> None:
    def local() -> None: ...

    with pytest.raises(StartError, match="local"):
        diagnose(local)


def test_a_function_that_this_process_alone_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_here(ctx: Any) -> None:
        pass

    only_here.__module__, only_here.__qualname__ = programs.__name__, "only_here"
    monkeypatch.setattr(programs, "only_here", only_here, raising=False)
    assert diagnose(only_here, SPAWN, deadline=DEADLINE).cause == "the child can't find the function"


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"function": 3}, TypeError, "function must be callable, not 3"),
        ({"deadline": 0}, ValueError, "deadline must be above 0"),
        ({"deadline": "1"}, TypeError, "deadline must be a number"),
        ({"start_method": "thread"}, ValueError, "start_method must be 'spawn'"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(
    change: dict[str, Any], error: type[Exception], words: str
) -> None:
    given = {"function": programs.busy, **change}
    with pytest.raises(error, match=re.escape(words)):
        diagnose(given.pop("function"), **given)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not count messages")
def test_queues_of_one_line_are_told_apart(ctx: Any) -> None:
    diagnosis = diagnose(programs.two_queues_in_a_line, ctx, deadline=20)
    assert diagnosis.left == {"the queue 'words'": 2, "the queue 'counts'": 1}
    assert "2 messages in the queue 'words' and 1 message in the queue 'counts'" in diagnosis.cause
    diagnosis = diagnose(programs.a_list_of_queues, ctx, deadline=20)
    several = [f"the queue 'boxes' ({number} of 3)" for number in (1, 2, 3)]
    assert diagnosis.left == dict(zip(several, (0, 1, 2), strict=True))


@pytest.mark.parametrize("by_signal", [False, pytest.param(True, marks=posix)])
def test_a_daemon_that_took_a_lock_along(by_signal: bool, ctx: Any) -> None:
    diagnosis = diagnose(programs.terminates_a_daemon_in_get, ctx, by_signal, deadline=20)
    (listener,) = (process for process in diagnosis.processes if process.name == "collect")
    assert listener.state == "terminated"
    where = "" if by_signal else " in 'helper.terminate()'"
    assert diagnosis.cause == (
        f"collect was killed (SIGTERM){where} while it held the read lock of the queue 'notices', "
        "so nobody else can get a message any more"
    )
    how = "killed by SIGTERM" if by_signal else "terminated, in the line  helper.terminate()"
    assert listener.words == how


def test_a_timer_of_faulthandlers_does_not_stop_the_program(ctx: Any) -> None:
    """As pytest's faulthandler_timeout sets it; a forked child that touches it hangs."""
    faulthandler.dump_traceback_later(DEADLINE * 10)
    try:
        diagnosis = diagnose(programs.healthy, ctx, deadline=20, start_method=ctx.get_start_method())
    finally:
        faulthandler.cancel_dump_traceback_later()
    assert diagnosis.returned == HEALTHY[programs.healthy]


def test_a_free_threaded_python_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with pytest.raises(RuntimeError, match="reads the frames of running threads, and a free-threaded Python"):
        diagnose(programs.busy)


@pytest.mark.parametrize(
    ("below", "expected"),
    [
        ("ipc_helpers/workers/queue_workers.py", False),
        ("ipc_helpers/child/journey.py", False),
        ("ipc_helpers/child/recorder.py", True),
        ("json/decoder.py", True),
    ],
)
def test_the_packages_workers_are_programs_also_where_it_is_installed_below_the_library(
    below: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(stacks.__file__).parents[2]
    monkeypatch.setattr(stacks, "_LIBRARY", str(folder))
    code = compile("def work():\n    yield\n", str(folder / below), "exec")
    exec(code, names := {})
    assert stacks.is_library(names["work"]().gi_frame) == expected


INTERRUPTED = """
import multiprocessing, diagnosed_workers, ipc_helpers

print("up", flush=True)
try:
    ipc_helpers.diagnose(diagnosed_workers.pause_below, multiprocessing.get_context("spawn"), deadline=60)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_ends_the_tree() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", INTERRUPTED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "up\n"
        time.sleep(1)  # some of the tree is up, or none of it: either way it has to go
        run.send_signal(signal.SIGINT)
        killer = threading.Timer(20, run.kill)
        killer.start()
        assert run.stdout.read() == "interrupted\n"
        killer.cancel()


def test_interrupted_labs_leave_nothing(method: str) -> None:
    mark = f"IPC_LABS_{method}"
    script = Path(programs.__file__).with_name("interrupt_labs.py")
    seed = time.time_ns() % 10_000  # other moments in each run; the number is in a failure's text
    done = subprocess.run(
        [sys.executable, script, method, str(seed)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), mark: str(seed)},
    )
    assert (done.returncode, done.stderr) == (0, ""), seed
    assert re.fullmatch(r"interrupted: (\d+) of \1\n", done.stdout), (seed, done.stdout)
    # Orphans are nobody's children: what started them is in their environment.
    seen = psutil.process_iter(["environ"])  # None for somebody else's
    assert [process.pid for process in seen if mark in (process.info["environ"] or {})] == []
