"""The X-ray of a Queue: its figures add up, and it says so when a Python has other private parts."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import pickle
import random
import sys
import threading
import time
import weakref
from multiprocessing import queues
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ipc_helpers.child import journey
from ipc_helpers.child.xray import PARTS, READ, TAKEN, WRITING, WRITTEN, Places, XRay, XRayError
from ipc_helpers.group.starting import start_methods
from ipc_helpers.group.worker_group import WorkerGroup
from ipc_helpers.workers import inside_queue_workers
from ipc_helpers.workers import queue_workers as queues_workers

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("nothing_left")

AMPLE = 60.0  # seconds
HOLDS = 4_000_000  # bytes: more than any pipe takes, so the feeder thread is held until somebody reads
context = multiprocessing.get_context("spawn")


KINDS = pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])


@contextlib.contextmanager
def opened(kind: str) -> Iterator[Any]:
    """Make a queue; let go of it at the end, whatever is still in it."""
    queue = getattr(context, kind)()
    try:
        yield queue
    finally:
        queue.cancel_join_thread()
        queue.close()


def in_places(places: Places) -> int:
    return places.deque + places.feeder + places.pipe


# The figures add up.


@KINDS
@pytest.mark.parametrize("size", [0, 1, 64, 4_096, 65_514, 65_515, 100_000, 1_048_576])
def test_deque_feeder_pipe_and_delivered_are_what_was_put(size: int, kind: str) -> None:
    """The pipe is counted in bytes, by the system; puts and gets are counted here."""
    with opened(kind) as queue:
        view = XRay(queue)
        assert view.look() == (0, 0, 0, 0)
        puts, delivered = 30, 0
        for _ in range(puts):
            queue.put(bytes(size))
        for gets in (0, 1, 14, 14, 1):
            for _ in range(gets):
                assert len(queue.get(timeout=AMPLE)) == size
                delivered += 1
            places = view.settled()
            assert in_places(places) + delivered == puts, places
            assert places.feeder in (0, 1)
            assert places.deque == 0 or places.feeder == 1, "it takes from the deque while it can"
            if sys.platform != "win32":
                one = len(pickle.dumps(bytes(size))) + 4
                part = places.pipe_bytes - places.pipe * one
                assert part == 0 if not places.feeder else 0 <= part < one
        assert view.settled() == (0, 0, 0, 0)


@KINDS
@pytest.mark.skipif(sys.platform == "darwin", reason="has no qsize: see XRay")
def test_messages_of_several_sizes_add_up(kind: str) -> None:
    """Of a large one written in part, behind small ones that may have been read, the bytes don't tell."""
    with opened(kind) as queue:
        sizes = random.Random(4).choices([0, 1, 100, 3_000, 70_000, 300_000], k=20)
        view = XRay(queue)
        for size in sizes:
            queue.put(bytes(size))
        for delivered, size in enumerate(sizes):
            places = view.settled()
            assert in_places(places) + delivered == len(sizes), (places, delivered)
            assert len(queue.get(timeout=AMPLE)) == size
        assert view.settled() == (0, 0, 0, 0)


@KINDS
def test_without_qsize_messages_of_one_size_add_up(kind: str) -> None:
    with opened(kind) as queue:

        def qsize() -> int:
            raise NotImplementedError

        queue.qsize = qsize  # not with monkeypatch, which would keep the queue
        view = XRay(queue)
        for _ in range(20):
            queue.put(bytes(10_000))
        for delivered in range(20):
            if delivered % 5 == 0:
                assert in_places(view.settled()) + delivered == 20
            queue.get(timeout=AMPLE)


@KINDS
def test_message_that_is_pickled_is_with_the_feeder(kind: str) -> None:
    with opened(kind) as queue:
        held = threading.Event()

        class Slow:
            def __reduce__(self) -> tuple[Any, ...]:
                held.wait(AMPLE)
                return str, ("slow",)

        view = XRay(queue)
        for message in (Slow(), "next"):
            queue.put(message)
        assert view.settled() == (1, 1, 0, 0)
        held.set()
        assert [queue.get(timeout=AMPLE), queue.get(timeout=AMPLE)] == ["slow", "next"]


@KINDS
def test_message_that_is_dropped_is_in_no_place(kind: str) -> None:
    with opened(kind) as queue:
        errors: list[Exception] = []
        queue._on_queue_feeder_error = lambda error, message: errors.append(error)
        view = XRay(queue)
        queue.put(lambda: None)
        ends_at = time.monotonic() + AMPLE
        while not errors and time.monotonic() < ends_at:
            time.sleep(0.01)
        assert len(errors) == 1
        assert view.look() == (0, 0, 0, 0)
        queue.put("next")
        assert queue.get(timeout=AMPLE) == "next"
        assert view.settled() == (0, 0, 0, 0)


@KINDS
def test_steps_come_in_order_and_from_their_threads(kind: str) -> None:
    with opened(kind) as queue:
        steps: list[tuple[str, object, str]] = []

        def on_step(step: str, message: object) -> None:
            steps.append((step, message, threading.current_thread().name))

        view = XRay(queue, on_step)
        for message in ("first", "second"):
            queue.put(message)
            view.settled()
            assert queue.get(timeout=AMPLE) == message
        feeder, here = "QueueFeederThread", threading.current_thread().name
        assert steps == [
            step
            for message in ("first", "second")
            for step in (
                (TAKEN, message, feeder),
                (WRITING, message, feeder),
                (WRITTEN, message, feeder),
                (READ, pickle.dumps(message), here),
            )
        ]


@KINDS
def test_close_is_no_message(kind: str) -> None:
    requests = context.Semaphore(0)
    with opened(kind) as queue, WorkerGroup(context, deadline=AMPLE) as group:
        group.start(queues_workers.get_on_request, queue, requests, 2)
        view = XRay(queue)
        queue.put(bytes(HOLDS))
        queue.put("behind")
        assert view.settled()[:3] == (1, 1, 0)
        queue.close()
        assert view.settled()[:3] == (1, 1, 0)
        for _ in range(2):
            requests.release()
        queue.join_thread()
        with pytest.raises(ValueError, match="the queue is closed"):
            view.look()


@KINDS
def test_wait_for_what_still_moves_has_an_end(kind: str) -> None:
    with opened(kind) as queue:
        view = XRay(queue)
        queue.put(bytes(HOLDS))
        with pytest.raises(TimeoutError, match="still moving after 0 s"):
            view.settled(timeout=0)
        assert view.settled()[:3] == (0, 1, 0)
        queue.get(timeout=AMPLE)


# What it leaves as it was.


def test_queue_without_references_ends_its_feeder_thread() -> None:
    """It does by reference counts: the X-ray must not make a circle."""
    gc.disable()
    try:
        made: Any = context.Queue()
        view = XRay(made)
        made.put("message")
        assert made.get(timeout=AMPLE) == "message"
        thread, gone = made._thread, weakref.ref(made)
        del made, view
        assert gone() is None
        thread.join(AMPLE)
        assert not thread.is_alive()
    finally:
        gc.enable()


@pytest.mark.parametrize("start_method", start_methods())
def test_queue_under_an_xray_is_handed_to_a_child(start_method: str) -> None:
    """The child's own end has none: what it puts is counted as bytes in the pipe only."""
    own = multiprocessing.get_context(start_method)
    box = own.Queue()
    view = XRay(box)
    written, put = own.Semaphore(0), own.Semaphore(1)
    with WorkerGroup(own, deadline=AMPLE) as group:
        child = group.start(journey.put_traveller, box, b"first", put, written)
        assert box.get(timeout=AMPLE) == b"first"
        assert isinstance(box.get(timeout=AMPLE), journey.Traveller)
    assert view.settled() == (0, 0, 0, 0)
    assert child.result[0].what == "put is called"
    journey._steps.clear()  # it was unpickled here
    box.close()


# What it refuses.


@pytest.mark.parametrize("missing", PARTS)
def test_missing_part_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(queues, missing, raising=False)
    parts = {part: None for part in PARTS if part != missing}
    with pytest.raises(XRayError, match=f"it has no {missing} ") as caught:
        XRay(SimpleNamespace(**parts))  # type: ignore[arg-type]
    assert "Queue and JoinableQueue as CPython 3.11 to 3.15 make them" in str(caught.value)


def test_other_kinds_of_queues_are_refused() -> None:
    with pytest.raises(XRayError, match="a SimpleQueue: it has no _buffer"):
        XRay(context.SimpleQueue())  # type: ignore[arg-type]


@KINDS
def test_second_xray_and_one_that_comes_late_are_refused(kind: str) -> None:
    with opened(kind) as queue:
        view = XRay(queue)
        with pytest.raises(ValueError, match="another X-ray"):
            XRay(queue)
        queue.put("message")
        with pytest.raises(ValueError, match="before the first put"):
            XRay(queue)
        assert in_places(view.settled()) == 1
        assert queue.get(timeout=AMPLE) == "message"


# The workers of the chapter.


@pytest.mark.parametrize("start_method", start_methods())
def test_traveller_takes_its_steps_in_order(start_method: str) -> None:
    own = multiprocessing.get_context(start_method)
    box, put, written = own.Queue(), own.Semaphore(0), own.Semaphore(0)
    with WorkerGroup(own, deadline=AMPLE) as group:
        producer = group.start(journey.put_traveller, box, bytes(HOLDS), put, written, name="producer")
        consumer = group.start(journey.get_traveller, box, put, written, name="consumer")
    main, feeder = ("producer", "MainThread"), ("producer", "QueueFeederThread")
    assert [step[1:] for step in sorted(producer.result + consumer.result)] == [
        ("put is called", "put", *main),
        ("put returns", "deque", *main),
        ("the feeder takes it", "feeder thread", *feeder),
        ("it is pickled", "feeder thread", *feeder),
        ("the write begins", "feeder thread", *feeder),
        ("the write ends", "pipe", *feeder),
        ("get is called", None, "consumer", "MainThread"),
        ("its bytes are read", "get", "consumer", "MainThread"),
        ("it is unpickled", "get", "consumer", "MainThread"),
        ("get returns", "got", "consumer", "MainThread"),
    ]


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue"])
@pytest.mark.parametrize("start_method", start_methods())
def test_producer_that_computes_measures_each_put(start_method: str, kind: str) -> None:
    own = multiprocessing.get_context(start_method)
    with WorkerGroup(own, deadline=AMPLE) as group:
        producer = group.start(journey.put_while_busy, getattr(own, kind)(), 3, 0.02, 0.005)
    assert len(producer.result) == 3
    assert all(delay > 0 for delay in producer.result)


def test_simple_queue_is_read_with_a_limit() -> None:
    simple = context.SimpleQueue()
    assert inside_queue_workers.get_when_there(simple, 0.05) == "Empty"
    simple.put("message")
    assert inside_queue_workers.get_when_there(simple, AMPLE) == "message"
    simple.close()
