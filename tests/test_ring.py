"""The ring of slots: each message arrives whole and in order, and no end waits in vain for the other."""

from __future__ import annotations

import array
import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from multiprocessing.shared_memory import SharedMemory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import ring_workers
from groups import AMPLE, posix

from ipc_helpers.group.starting import start_methods
from ipc_helpers.workers.ring import Consumer, Producer, Ring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

pytestmark = pytest.mark.usefixtures("nothing_left")
KILLS = max(2, int(os.environ.get("IPC_KILLS", "200")) // 100)  # of each end, under each start method
MESSAGES = int(os.environ.get("IPC_MESSAGES", "200000"))  # CONTRIBUTING says when to ask for more


# Both ends in this process, where one step follows the other.


@contextlib.contextmanager
def both_ends(size: int, slots: int | None = None) -> Iterator[tuple[Producer, Consumer]]:
    """Open both ends of a ring in one process, which a ring by itself does not let one do."""
    with Ring(multiprocessing.get_context("spawn"), size, slots) as ring:
        one, other = ring.ends
        nothing = SimpleNamespace(close=lambda: None)
        with (
            Producer(ring, one, nothing, ring.free, ring.filled) as producer,
            Consumer(ring, other, nothing, ring.filled, ring.free) as consumer,
        ):
            yield producer, consumer


@pytest.mark.parametrize("slots", [1, 2, 3, 7, None])
@pytest.mark.parametrize("size", [1, 8, 63, 64, 65, 5000])
def test_messages_come_whole_and_in_order_around_the_ring(size: int, slots: int | None) -> None:
    chance, expected = random.Random(f"{size} {slots}"), list[bytes]()
    most = slots or min(1024, max(4, 65_536 // size))
    with both_ends(size, slots) as (producer, consumer):
        for step in range(2000):
            if len(expected) < most and (not expected or chance.random() < 0.5):
                length = chance.choice((0, size, chance.randrange(size + 1)))
                expected.append(chance.randbytes(length))
                if step % 2:
                    producer.put(expected[-1])
                else:
                    with producer.slot(length) as slot:
                        slot[:] = expected[-1]
            else:
                assert get_somehow(consumer, size, step) == expected.pop(0)


def get_somehow(consumer: Consumer, size: int, step: int) -> bytes:
    if step % 3 == 0:
        return bytes(consumer.get())
    if step % 3 == 1:
        with consumer.slot() as slot:
            return bytes(slot)
    buffer = bytearray(b"?" * size)
    length = consumer.get_into(buffer)
    assert buffer[length:] == b"?" * (size - length)
    return bytes(buffer[:length])


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda content: array.array("B", content)])
def test_any_object_like_bytes_is_a_message(kind: Callable[[bytes], Any]) -> None:
    with both_ends(8) as (producer, consumer):
        producer.put(kind(b"message"))
        assert consumer.get() == b"message"


def test_a_small_message_finds_as_much_room_as_in_a_pipe() -> None:
    with both_ends(64) as (producer, _):
        for _ in range(1024):
            producer.put(bytes(64), timeout=0)
        with pytest.raises(TimeoutError):
            producer.put(bytes(64), timeout=0)


def test_rows_in_a_buffer_of_another_type() -> None:
    rows = array.array("d", [0.0] * 4)
    with both_ends(64) as (producer, consumer):
        producer.put(memoryview(array.array("d", [1.5, 2.5])).cast("B"))
        assert consumer.get_into(rows) == 16
    assert rows.tolist() == [1.5, 2.5, 0.0, 0.0]


@pytest.mark.parametrize("slots", [1, 2])
def test_a_message_that_is_refused_leaves_the_ring_as_it_was(slots: int) -> None:
    with both_ends(8, slots) as (producer, consumer):
        for _ in range(3):
            with pytest.raises(ValueError, match=r"^9 bytes do not fit into a slot of 8$"):
                producer.put(bytes(9))
            with pytest.raises(ValueError, match=r"^9 bytes do not fit into a slot of 8$"), producer.slot(9):
                pass
            with pytest.raises(TypeError):
                producer.put("text")
            with pytest.raises((TypeError, ValueError)):
                producer.put(array.array("d", [1.5]))
            with pytest.raises(ZeroDivisionError), producer.slot(8):
                _ = 1 / 0
            with pytest.raises(TimeoutError):
                consumer.get(timeout=0)
            producer.put(b"good")
            with pytest.raises(ValueError, match="different structures"):
                consumer.get_into(bytearray(3))
            with pytest.raises(ZeroDivisionError), consumer.slot():
                _ = 1 / 0
            assert consumer.get() == b"good"


def test_a_slot_cannot_be_used_after_it_was_passed_on() -> None:
    with both_ends(8, 1) as (producer, consumer):
        with producer.slot(8) as empty:
            empty[:] = b"in place"
        with consumer.slot() as filled:
            assert filled == b"in place"
        for slot in (empty, filled):
            with pytest.raises(ValueError, match="released"):
                slot[:1]


@pytest.mark.parametrize("limit", [0, 0.05, 0.25])
def test_waits_have_a_limit(limit: float) -> None:
    with both_ends(8, 1) as (producer, consumer):
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=rf"^no message within {limit} s$"):
            consumer.get(timeout=limit)
        with pytest.raises(TimeoutError, match=rf"^no message within {limit} s$"):
            consumer.get_into(bytearray(8), timeout=limit)
        producer.put(b"one")
        with pytest.raises(TimeoutError, match=rf"^no free slot within {limit} s$"):
            producer.put(b"two", timeout=limit)
        assert 3 * limit <= time.monotonic() - began < 3 * limit + 2
        assert consumer.get(timeout=0) == b"one"


def test_a_consumer_gets_what_was_put_before_the_producer_closed() -> None:
    with both_ends(8) as (producer, consumer):
        producer.put(b"one")
        producer.put(b"two")
        producer.close()
        assert [consumer.get(), consumer.get()] == [b"one", b"two"]
        for _ in range(2):
            with pytest.raises(EOFError, match=r"^the producer has closed the ring$"):
                consumer.get()


def test_a_producer_is_told_that_the_consumer_has_closed() -> None:
    with both_ends(8, 1) as (producer, consumer):
        consumer.close()
        producer.put(b"one")  # there is a slot
        for _ in range(2):
            with pytest.raises(BrokenPipeError, match=r"^the consumer has closed the ring$"):
                producer.put(b"two")


@pytest.mark.parametrize("closed_first", ["producer", "consumer"])
def test_either_end_may_close_first_and_twice(closed_first: str) -> None:
    with both_ends(8) as (producer, consumer):
        order = [producer, consumer] if closed_first == "producer" else [consumer, producer]
        for end in order * 2:
            end.close()
        with pytest.raises(OSError, match="closed"):
            producer.put(b"one")
        with pytest.raises(OSError, match="closed"), producer.slot(1):
            pass
        with pytest.raises(OSError, match="closed"):
            consumer.get()
        with pytest.raises(OSError, match="closed"):
            consumer.get_into(bytearray(8))


def test_a_process_has_one_end() -> None:
    with Ring(multiprocessing.get_context("spawn"), 8) as ring, ring.consumer() as consumer:
        with pytest.raises(OSError, match=r"^this process has closed this end of the ring$"):
            ring.producer()
        with pytest.raises(ConnectionResetError, match=r"^the producer has ended early$"):
            consumer.get()


def test_a_ring_that_ends_before_its_ends_is_gone() -> None:
    with Ring(multiprocessing.get_context("spawn"), 8) as ring:
        consumer = ring.consumer()
    with pytest.raises(FileNotFoundError):
        SharedMemory(name=ring.memory.name)
    consumer.close()


@pytest.mark.parametrize(("size", "slots"), [(0, None), (-1, 4)])
def test_a_ring_of_no_bytes_is_refused(size: int, slots: int | None) -> None:
    with pytest.raises(ValueError, match=f"at least 1 byte, and is {size}$"):
        Ring(multiprocessing.get_context("spawn"), size, slots)


# Ends in processes of their own.


@contextlib.contextmanager
def child_of(
    context: BaseContext, function: Callable[..., Any], *arguments: Any
) -> Iterator[tuple[BaseProcess, Connection]]:
    """Start a child that reports what a function returns."""
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(  # type: ignore[attr-defined]
        target=ring_workers.report, args=(sender, function, *arguments), daemon=True
    )
    child.start()
    sender.close()
    with receiver:
        try:
            yield child, receiver
        finally:
            child.kill()
            child.join()
            child.close()


def receive(receiver: Connection, limit: float = AMPLE) -> Any:
    assert receiver.poll(limit), "nothing came"
    return receiver.recv()


@pytest.mark.parametrize("first", ["producer", "consumer"])
@pytest.mark.parametrize("slots", [1, 2, None])
def test_messages_of_a_child_come_whole_and_in_order(
    context: BaseContext, slots: int | None, first: str
) -> None:
    count = MESSAGES if slots is None else 2000
    pauses = (0.0, 0.3) if first == "producer" else (0.3, 0.0)
    with Ring(context, ring_workers.SIZE, slots) as ring:
        put = ring_workers.put_numbered, ring, count, pauses[0]
        get = ring_workers.get_numbered, ring, pauses[1]
        with child_of(context, *put) as (_, of_producer), child_of(context, *get) as (_, of_consumer):
            ring.close_ends()
            for receiver in (of_producer, of_consumer):
                assert receive(receiver) == "up"
            _, got = receive(of_consumer, AMPLE + count / 10_000)
            assert got == (count, "EOFError: the producer has closed the ring")
            assert receive(of_producer)[1] == "all put"


@pytest.mark.parametrize("parent", ["gets", "puts"])
def test_the_parent_uses_an_end(context: BaseContext, parent: str) -> None:
    with Ring(context, ring_workers.SIZE) as ring:
        if parent == "gets":
            with child_of(context, ring_workers.put_numbered, ring, 5000):
                assert ring_workers.get_numbered(ring)[0] == 5000
        else:
            with child_of(context, ring_workers.get_numbered, ring) as (_, receiver):
                assert ring_workers.put_numbered(ring, 5000) == "all put"
                assert receive(receiver) == "up"
                assert receive(receiver)[1][0] == 5000


def test_a_message_of_many_bytes_is_filled_and_read_in_place(spawn: BaseContext) -> None:
    with Ring(spawn, 2**20, 2) as ring, child_of(spawn, fill_in_place, ring), ring.consumer() as consumer:
        for number in range(8):
            with consumer.slot() as slot:
                assert slot == bytes([number]) * len(slot)
                assert len(slot) == 2**20 - number


def fill_in_place(ring: Ring) -> None:
    with ring.producer() as producer:
        for number in range(8):
            with producer.slot(2**20 - number) as slot:
                slot[:] = bytes([number]) * len(slot)


def test_an_end_that_fails_is_no_end_of_the_messages(spawn: BaseContext) -> None:
    fail = ring_workers.put_and_fail
    with Ring(spawn, 8) as ring, child_of(spawn, fail, ring), ring.consumer() as consumer:
        assert consumer.get() == b"one"
        with pytest.raises(ConnectionResetError, match=r"^the producer has ended early$"):
            consumer.get()


def test_a_child_that_ends_before_it_has_opened_its_end(context: BaseContext) -> None:
    with Ring(context, 8) as ring, child_of(context, id, ring), ring.consumer() as consumer:
        with pytest.raises(ConnectionResetError) as caught:
            consumer.get()
        assert str(caught.value) == "the producer has ended early"


@posix
@pytest.mark.timing
@pytest.mark.parametrize("victim", ["producer", "consumer"])
def test_the_other_process_is_killed(context: BaseContext, victim: str) -> None:
    chance = random.Random(f"{victim} {context.get_start_method()}")
    delays = list[float]()
    for _ in range(KILLS):
        with Ring(context, ring_workers.SIZE, chance.choice((1, 4, None))) as ring:
            put, get = (ring_workers.put_numbered, ring, 10**9), (ring_workers.get_numbered, ring)
            with (
                child_of(context, *put) as (producer, of_producer),
                child_of(context, *get) as (consumer, of_consumer),
            ):
                ring.close_ends()
                killed = producer if victim == "producer" else consumer
                survivor = of_consumer if victim == "producer" else of_producer
                assert receive(survivor) == "up"
                time.sleep(chance.uniform(0, 0.1))
                killed_at = time.monotonic()
                os.kill(killed.pid or 0, signal.SIGKILL)
                ended_at, result = receive(survivor)
        error = result[1] if victim == "producer" else result
        assert error == f"ConnectionResetError: the {victim} has ended early"
        delays.append(ended_at - killed_at)
        with pytest.raises(FileNotFoundError):
            SharedMemory(name=ring.memory.name)
    print(f"{KILLS} times, seconds from the kill to the error: {max(delays):.3f} at most")
    assert max(delays) < 1


@pytest.mark.parametrize("start_method", start_methods())
@pytest.mark.parametrize(
    "kill", ["", pytest.param("producer", marks=posix), pytest.param("consumer", marks=posix)]
)
def test_a_program_with_a_ring_ends_without_complaint(start_method: str, kill: str) -> None:
    call = f"import ring_workers; ring_workers.run_and_end({start_method!r}, {kill!r})"
    run = subprocess.run(
        [sys.executable, "-c", call],
        cwd=os.path.dirname(ring_workers.__file__),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=AMPLE,
    )
    assert (run.returncode, run.stderr) == (0, "")
    printed = {
        "": "1000 EOFError: the producer has closed the ring",
        "producer": "some ConnectionResetError: the producer has ended early",
        "consumer": "",
    }
    assert run.stdout.strip() == printed[kill]
