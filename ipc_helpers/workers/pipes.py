"""Workers of chapter 03, "Connect two processes with a pipe"."""

from __future__ import annotations

from multiprocessing.connection import wait
from time import perf_counter_ns

from ipc_helpers.payloads import Payloads
from ipc_helpers.trace import RECEIVE, SEND, Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Semaphore
    from typing import Any

    from ipc_helpers.child import Pieces


def send_one(connection: Connection[Any, Any], message: object) -> None:
    """Send one message, then close this process's end."""
    with connection:
        connection.send(message)


def send_many(sender: Connection[Any, Any], count: int, size: int) -> None:
    """Send messages of some bytes, one after the other, then close this process's end."""
    with sender:
        for _ in range(count):
            sender.send(bytes(size))


def answer(connection: Connection[Any, Any]) -> int:
    """Answer each request with its text in capitals, until the other end is closed; return how many."""
    count = 0
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return count
        connection.send(request.upper())
        count += 1


def receive_all(receiver: Connection[Any, Any], seconds: float) -> list[object]:
    """Receive messages until the pipe ends, or until nothing came for some seconds; say which."""
    messages: list[object] = []
    while wait([receiver], seconds):
        try:
            messages.append(receiver.recv())
        except EOFError:
            return [*messages, "end of the pipe"]
    return [*messages, "waited in vain"]


def close_and_receive_all(
    sender: Connection[Any, Any], receiver: Connection[Any, Any], seconds: float
) -> list[object]:
    """Close this process's copy of the other end first, then receive."""
    sender.close()
    return receive_all(receiver, seconds)


def send_first(connection: Connection[Any, Any], size: int) -> int:
    """Send many bytes, then receive; return how many came."""
    connection.send(bytes(size))
    return len(connection.recv())


def receive_first(connection: Connection[Any, Any], size: int) -> int:
    """Receive, then send many bytes; return how many came."""
    received = len(connection.recv())
    connection.send(bytes(size))
    return received


def exchange(connection: Connection[Any, Any], own: range, count: int, size: int, go: Semaphore) -> Pieces:
    """Go through the numbers of all messages: send one's own, receive the others; return the records."""
    recorder = Recorder(count)
    payloads = Payloads(size)
    go.acquire()
    for number in range(count):
        if number in own:
            message = number, payloads.of(number)
            started = perf_counter_ns()
            connection.send(message)
            recorder.record(started, SEND, number, size)
        else:
            started = perf_counter_ns()
            arrived, payload = connection.recv()
            recorder.record(started, RECEIVE, arrived, len(payload))
            payloads.check(arrived, payload)
    return recorder.records()
