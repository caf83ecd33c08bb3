"""The labs of chapter 06: under each start method, a program fails as its lab says, and its fix does not."""

from __future__ import annotations

import inspect
import multiprocessing
import os
import queue
import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import leftovers
import nbformat
import pytest
from diagnosed_workers import answer
from prose import headings
from refresh_outputs import ROOT

from ipc_helpers import Diagnosis, diagnose
from ipc_helpers.group.starting import start_methods
from ipc_helpers.workers import pipe_workers, pitfall_workers

if TYPE_CHECKING:
    from collections.abc import Callable

CHAPTER = ROOT / "notebooks" / "06-pitfalls.ipynb"
LARGE = 10_000_000
CELL = "def greet(messages):\n    messages.put('hello')\n"
WINDOWS = os.name == "nt"
SPAWNED = ("spawn", "forkserver")


@dataclass(frozen=True, eq=False)
class Case:
    """One program of a lab, and what its diagnosis says."""

    lab: int
    program: Callable[..., Any]
    args: tuple[Any, ...] = ()
    returns: object = None
    stuck: tuple[tuple[str, str], ...] = ()  # who, and a part of where
    cause: str = ""
    methods: tuple[str, ...] = start_methods()
    deadline: float = 4.0

    def __str__(self) -> str:
        names = [getattr(argument, "__name__", "") for argument in self.args]
        return "-".join([f"{self.lab}", self.program.__name__, *filter(None, names)])


WAITS = (("main", "Queue.get, waiting for a message"),)
RECEIVES = (("main", "Connection.recv, waiting for a message"),)
SENDS = "Connection.send, in a pipe write"

FAILING = [
    Case(
        1,
        pitfall_workers.join_then_get,
        (LARGE,),
        stuck=(("main", "waiting for child, in the line  child.join()"), ("child", "the feeder's join")),
        cause="main joins child",
    ),
    Case(
        2, pitfall_workers.start_worker_of_cell, (CELL,), stuck=WAITS, cause="could not load", methods=SPAWNED
    ),
    Case(3, pitfall_workers.get_two, (pitfall_workers.put_lambda,), stuck=WAITS, cause="can't be pickled"),
    Case(
        4,
        pitfall_workers.keep_sender,
        stuck=RECEIVES,
        cause="main itself holds the other end, 'sender', open",
    ),
    Case(
        5,
        pitfall_workers.share_sender,
        (pitfall_workers.send_letters,),
        returns="whole" if WINDOWS else "mixed up",
        deadline=30,
    ),
    Case(
        6,
        pitfall_workers.kill_consumer,
        stuck=(("main", "Queue.get, at the read lock"),),
        cause="while it held the read lock of the queue 'messages'",
    ),
    Case(7, pitfall_workers.drain_until_empty, returns=False, deadline=30),
    Case(8, pitfall_workers.catch_another, cause="raised Empty", deadline=30),
    Case(
        9,
        pitfall_workers.talk,
        (pipe_workers.send_first, pipe_workers.send_first),
        stuck=(("main", SENDS), ("child", SENDS)),
        cause="both send first",
    ),
    Case(10, pitfall_workers.change_after_put, returns=["bread", "added after the put"], deadline=30),
    Case(11, pitfall_workers.ask_task, returns="RuntimeError", deadline=30),
    Case(
        12,
        pitfall_workers.join_tasks,
        (pitfall_workers.read_each,),
        stuck=(("main", "JoinableQueue.join, waiting for task_done()"),),
        cause="child raised ValueError",
    ),
    Case(14, pitfall_workers.use_thread_queue, cause="raised TypeError", methods=SPAWNED, deadline=30),
    Case(15, pitfall_workers.get_price, ("pears",), stuck=WAITS, cause="child raised KeyError: 'pears'"),
    Case(
        16,
        pitfall_workers.forget_name,
        stuck=RECEIVES,
        cause="main itself holds the other end, 'sender', open",
    ),
]
if not WINDOWS:  # whose pipes carry whole messages
    where = "Queue.get, waiting for the rest of a message"
    FAILING.append(
        Case(6, pitfall_workers.kill_producer, stuck=(("main", where),), cause="producer was killed")
    )

FIXED = [
    Case(1, pitfall_workers.join_then_get, (100,), returns=100, deadline=30),
    Case(1, pitfall_workers.get_then_join, (LARGE,), returns=LARGE, deadline=30),
    Case(2, pitfall_workers.start_worker_of_cell, (CELL,), returns="hello", methods=("fork",), deadline=30),
    Case(2, pitfall_workers.start_worker_of_module, returns="hello", deadline=30),
    Case(
        3,
        pitfall_workers.get_two,
        (pitfall_workers.put_pickled,),
        returns=["not picklable", "done"],
        deadline=30,
    ),
    Case(4, pitfall_workers.close_sender, returns=["only one"], deadline=30),
    Case(
        5, pitfall_workers.share_sender, (pitfall_workers.send_letters_in_turn,), returns="whole", deadline=30
    ),
    Case(6, pitfall_workers.stop_consumer, returns="hello", deadline=30),
    Case(6, pitfall_workers.wait_for_producer, returns=LARGE, deadline=30),
    Case(7, pitfall_workers.drain_until_none, returns=True, deadline=30),
    Case(8, pitfall_workers.catch_empty_and_full, (0.1,), returns=["queue.Empty", "queue.Full"], deadline=30),
    Case(8, pitfall_workers.catch_empty_and_full, (-1,), returns=["queue.Empty", "queue.Full"], deadline=30),
    Case(
        9,
        pitfall_workers.talk,
        (pipe_workers.send_first, pipe_workers.receive_first),
        returns=LARGE,
        deadline=30,
    ),
    Case(10, pitfall_workers.put_copy, returns=["bread"], deadline=30),
    Case(11, pitfall_workers.give_queue_to_pool, returns="hello", deadline=30),
    Case(11, pitfall_workers.give_proxy_to_task, returns="hello", deadline=30),
    Case(
        12,
        pitfall_workers.join_tasks,
        (pitfall_workers.read_each_or_say_why,),
        returns=[5, "no number", 55],
        deadline=30,
    ),
    Case(13, pitfall_workers.start_consumers, (3,), returns=[0, 0, 0], deadline=30),
    Case(14, pitfall_workers.use_process_queue, returns="hello", deadline=30),
    Case(15, pitfall_workers.get_price_or_notice, ("apples",), returns=3, deadline=30),
    Case(16, pitfall_workers.close_kept, returns="the end of the pipe", deadline=30),
]


UNASKED = Case(11, pitfall_workers.give_queue_to_task, deadline=4)
ONE_SENTINEL = Case(13, pitfall_workers.start_consumers, (1,), deadline=4)
THREADS_QUEUE = Case(14, pitfall_workers.use_thread_queue, methods=("fork",))
NOTICED = Case(15, pitfall_workers.get_price_or_notice, ("pears",), deadline=30)
OTHERS = [UNASKED, ONE_SENTINEL, THREADS_QUEUE, NOTICED]

Diagnoses = dict[tuple[Case, str], Diagnosis]


def under_each_method(cases: list[Case]) -> list[Any]:
    return [
        pytest.param(case, method, id=f"{case}-{method}")
        for case in cases
        for method in case.methods
        if method in start_methods()
    ]


@pytest.fixture(scope="module")
def diagnoses(_library_processes: None) -> Diagnoses:
    """What diagnose says of each program under each start method: eight at once, since they mostly wait."""
    todo = [case.values[:2] for case in under_each_method([*FAILING, *FIXED, *OTHERS])]

    def run(item: tuple[Case, str]) -> Diagnosis:
        case, method = item
        return diagnose(case.program, multiprocessing.get_context(method), *case.args, deadline=case.deadline)

    # A temporary folder of its own: other tests, in other processes, have files in the common one.
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ipc") as folder:
        patch.setattr(tempfile, "tempdir", folder)
        before = leftovers.held()
        with ThreadPoolExecutor(8) as pool:
            found = dict(zip(todo, pool.map(run, todo), strict=True))
        assert leftovers.left_since(before) == set()
    return found


@pytest.mark.parametrize(("case", "method"), under_each_method(FAILING))
def test_program_fails_as_its_lab_says(case: Case, method: str, diagnoses: Diagnoses) -> None:
    diagnosis = diagnoses[case, method]
    assert diagnosis.returned == case.returns, diagnosis
    assert sorted(diagnosis.stuck) == sorted(name for name, _ in case.stuck), diagnosis
    assert all(where in diagnosis.stuck[name] for name, where in case.stuck), diagnosis
    assert case.cause in diagnosis.cause, diagnosis


@pytest.mark.parametrize(("case", "method"), under_each_method(FIXED))
def test_mended_program_returns_what_it_should(case: Case, method: str, diagnoses: Diagnoses) -> None:
    diagnosis = diagnoses[case, method]
    assert diagnosis.returned == case.returns, diagnosis
    assert diagnosis.healthy, diagnosis


def test_mended_programs_do_unwatched_what_they_do_watched(diagnoses: Diagnoses) -> None:
    todo = [case.values[:2] for case in under_each_method(FIXED)]

    def run(item: tuple[Case, str]) -> Any:
        case, method = item
        spawn = multiprocessing.get_context("spawn")  # for the main process, as diagnose does
        receiver, sender = spawn.Pipe(duplex=False)
        context = multiprocessing.get_context(method)
        process = spawn.Process(target=answer, args=(sender, case.program, context, *case.args))
        process.start()
        said = receiver.recv() if receiver.poll(60) else "nothing"
        ends_at = time.monotonic() + 60
        # Another thread, as it starts a process, may take the exit code a moment before it notes it here.
        while process.exitcode is None and time.monotonic() < ends_at:
            process.join(0.1)
        return said, process.exitcode

    with ThreadPoolExecutor(4) as pool:
        said = dict(zip(todo, pool.map(run, todo), strict=True))
    assert said == {item: (diagnoses[item].returned, 0) for item in todo}


@pytest.mark.parametrize("method", start_methods())
def test_queue_for_a_task_never_arrives(method: str, diagnoses: Diagnoses) -> None:
    diagnosis = diagnoses[UNASKED, method]
    assert "Queue.get, waiting for a message" in diagnosis.stuck["main"], diagnosis


@pytest.mark.parametrize("method", start_methods())
def test_one_sentinel_ends_one_of_three_consumers(method: str, diagnoses: Diagnoses) -> None:
    diagnosis = diagnoses[ONE_SENTINEL, method]
    consumers = [words for name, words in diagnosis.stuck.items() if name != "main"]
    assert len(consumers) == 2, diagnosis
    assert all("Queue.get" in words for words in consumers), diagnosis
    assert "sentinel" in diagnosis.cause, diagnosis


@pytest.mark.skipif("fork" not in start_methods(), reason="this platform has no fork")
def test_queue_of_threads_loses_a_message_under_fork(diagnoses: Diagnoses) -> None:
    diagnosis = diagnoses[THREADS_QUEUE, "fork"]
    assert diagnosis.exitcodes == {"child": 0}, diagnosis
    assert "messages.get()" in diagnosis.stuck["main"], diagnosis


@pytest.mark.parametrize("method", start_methods())
def test_parent_that_looks_notices_a_failed_child(method: str, diagnoses: Diagnoses) -> None:
    diagnosis = diagnoses[NOTICED, method]
    assert diagnosis.returned == "no price: the child ended with exit code 1", diagnosis
    assert "KeyError" in diagnosis.cause, diagnosis


def put_nothing(messages: Any, fruit: str) -> None:
    pass


def put_and_fail(messages: Any, fruit: str) -> None:
    messages.put(3)
    raise KeyError(fruit)


def put_late(messages: Any, fruit: str) -> None:
    time.sleep(0.5)
    messages.put(3)


@pytest.mark.skipif("fork" not in start_methods(), reason="this platform has no fork")
@pytest.mark.parametrize(
    ("worker", "returned"),
    [(put_nothing, "no price: the child ended with exit code 0"), (put_and_fail, 3), (put_late, 3)],
)
def test_parent_that_looks_notices_each_end(
    worker: Callable[..., None], returned: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lab 15's fix looped forever beside a child that ended well, and lost what came before a failure."""
    monkeypatch.setattr(pitfall_workers, "put_price", worker)  # which a forked child finds
    fork = multiprocessing.get_context("fork")
    diagnosis = diagnose(pitfall_workers.get_price_or_notice, fork, "pears", deadline=30, start_method="fork")
    assert diagnosis.returned == returned, diagnosis
    assert diagnosis.stuck == {}, diagnosis
    assert list(diagnosis.left.values()) in ([0], []), diagnosis


def fail(*_: Any) -> None:
    raise KeyError("on purpose")


def send_one_and_fail(sender: Any, message: object) -> None:
    sender.send(message)
    raise KeyError(message)


def send_half(sender: Any, message: object) -> None:
    os.write(sender.fileno(), b"\0\0\0\x64 less than a hundred bytes")
    sender.close()


@pytest.mark.skipif("fork" not in start_methods(), reason="this platform has no fork")
@pytest.mark.parametrize(
    ("program", "name", "worker", "returned", "raised"),
    [
        (pitfall_workers.give_queue_to_pool, "put_kept", fail, None, "main raised KeyError"),
        (
            pitfall_workers.close_sender,
            "send_one",
            send_one_and_fail,
            ["only one", "the child ended with exit code 1"],
            "child raised KeyError: 'only one'",
        ),
        (pitfall_workers.close_sender, "send_one", send_half, [], ""),
    ],
)
def test_mended_programs_notice_a_worker_that_fails(
    program: Callable[..., Any],
    name: str,
    worker: Callable[..., None],
    returned: object,
    raised: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pitfall_workers, name, worker)  # which a forked child finds
    diagnosis = diagnose(program, multiprocessing.get_context("fork"), deadline=60, start_method="fork")
    assert diagnosis.returned == returned, diagnosis
    assert diagnosis.stuck == {}, diagnosis
    assert raised in str(diagnosis), diagnosis


def test_any_failure_of_a_task_is_an_answer() -> None:
    tasks: Any = queue.Queue()
    tasks.put(["five"])  # which is a TypeError
    tasks.put(None)
    answers: Any = queue.Queue()
    pitfall_workers.read_each_or_say_why(tasks, answers)
    assert answers.get_nowait() == "no number"


@pytest.mark.parametrize("worker", [pitfall_workers.read_each, pitfall_workers.read_each_or_say_why])
def test_each_message_of_a_joinable_queue_is_done(worker: Callable[..., None]) -> None:
    """The None at the end, too: a join() after it would wait forever."""
    tasks: Any = queue.Queue()  # of threads: with the same methods, and its count to look at
    tasks.put("5")
    tasks.put(None)
    worker(tasks, queue.Queue())
    assert tasks.unfinished_tasks == 0


# The chapter.


@pytest.fixture(scope="module")
def cells() -> list[Any]:
    return list(nbformat.read(CHAPTER, as_version=4).cells)


def test_there_are_sixteen_labs_in_order(cells: list[Any]) -> None:
    titles = [words for cell in cells if cell.cell_type == "markdown" for _, words in headings(cell.source)]
    numbers = [int(match.group(1)) for title in titles if (match := re.match(r"Lab (\d+): ", title))]
    assert numbers == list(range(1, 17))


def test_symptoms_lead_to_each_lab(cells: list[Any]) -> None:
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    anchors = {words.replace(" ", "-") for _, words in headings(text)}  # as JupyterLab makes them
    linked = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert linked <= anchors
    assert {anchor for anchor in anchors if anchor.startswith("Lab-")} <= linked


def test_chapter_and_its_exercises_show_and_run_every_program(cells: list[Any]) -> None:
    exercises = nbformat.read(CHAPTER.parent / "solutions" / CHAPTER.name, as_version=4).cells
    code = "\n".join(cell.source for cell in (*cells, *exercises) if cell.cell_type == "code")
    shown = " ".join(re.findall(r"show(?:_source)?\(([^)]*)\)", code))
    programs = [name for name, _ in inspect.getmembers(pitfall_workers, _is_defined_there)]
    assert [name for name in programs if f"pitfall_workers.{name}" not in shown] == []
    for name in programs:
        if "ctx" in inspect.signature(getattr(pitfall_workers, name)).parameters:
            assert f"diagnose(pitfall_workers.{name}, " in code.replace("\n    ", "")


def _is_defined_there(value: object) -> bool:
    return inspect.isfunction(value) and value.__module__ == pitfall_workers.__name__
