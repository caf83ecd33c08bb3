"""What children do with a ring in its tests: numbered messages whose content and length tell the number."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from typing import TYPE_CHECKING, Any

from ipc_helpers.workers.ring import Ring

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

SIZE = 64
_chance = random.Random("ring")
_CONTENTS = [_chance.randbytes(_chance.randrange(SIZE - 8 + 1)) for _ in range(997)]


def message(number: int) -> bytes:
    return number.to_bytes(8, "little") + _CONTENTS[number % 997]


def put_numbered(ring: Ring, count: int, pause: float = 0) -> str:
    """Put that many messages; return what ended it."""
    time.sleep(pause)
    try:
        with ring.producer() as producer:
            for number in range(count):
                producer.put(message(number))
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return "all put"


def get_numbered(ring: Ring, pause: float = 0) -> tuple[int, str]:
    """Get and check messages until an error comes; return how many, and which error."""
    time.sleep(pause)
    number = 0
    try:
        with ring.consumer() as consumer:
            while True:
                content = consumer.get()
                if content != message(number):
                    raise ValueError(f"message {number} is {content!r}")
                number += 1
    except (EOFError, OSError) as error:
        return number, f"{type(error).__name__}: {error}"


def report(connection: Connection, function: Any, *arguments: Any) -> None:
    """Call a function in a child; send when it returned, and what."""
    with connection:
        connection.send("up")
        result = function(*arguments)
        connection.send((time.monotonic(), result))


def put_and_fail(ring: Ring) -> None:
    with ring.producer() as producer:
        producer.put(b"one")
        raise SystemExit("a mistake")


def run_and_end(start_method: str, kill: str) -> None:
    """Be a program with a ring, one of whose children may be killed; print what came through."""
    ctx = multiprocessing.get_context(start_method)
    receiver, sender = ctx.Pipe(duplex=False)
    with Ring(ctx, SIZE, 16) as ring:
        consumer = ctx.Process(target=report, args=(sender, get_numbered, ring), daemon=True)
        producer = ctx.Process(target=put_numbered, args=(ring, 10_000_000 if kill else 1_000), daemon=True)
        consumer.start()
        producer.start()
        ring.close_ends()
        sender.close()
        assert receiver.recv() == "up"
        if kill:
            time.sleep(0.1)
            os.kill((producer if kill == "producer" else consumer).pid or 0, signal.SIGKILL)
        if kill != "consumer":
            _, (count, error) = receiver.recv()
            print(count if not kill else "some", error)
        consumer.join()
        producer.join()
    receiver.close()
