"""Workers of chapter 01, about processes."""

from __future__ import annotations

from time import perf_counter_ns

from ipc_helpers.payloads import Payloads
from ipc_helpers.trace import RECEIVE, Recorder


def start_up(number: int, argument: bytes) -> bytes:
    """Check the argument that this process was started with; return the record of it."""
    started = perf_counter_ns()
    recorder = Recorder(1)
    Payloads(len(argument)).check(number, argument)
    recorder.record(started, RECEIVE, number, len(argument))
    return recorder.records()
