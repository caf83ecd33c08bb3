"""Workers of chapter 03, about Pipe."""

from __future__ import annotations

from time import perf_counter_ns

from ipc_helpers.payloads import Payloads
from ipc_helpers.trace import RECEIVE, SEND, Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Event
    from typing import Any


def exchange(connection: Connection[Any, Any], own: range, count: int, size: int, go: Event) -> bytes:
    """Go through the numbers of all messages: send one's own, receive the others; return the records."""
    recorder = Recorder(count)
    payloads = Payloads(size)
    go.wait()
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
