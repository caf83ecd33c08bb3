"""What the benchmark compares the package with: plain processes, loops and a clock, without any of it."""

from __future__ import annotations

import multiprocessing
from typing import Any

import benchmark_workers as workers

SECONDS = 60.0


def bare_moments(context: Any, ends: Any, loops: Any, timed: Any, count: int) -> list[tuple[int, int]]:
    """Run two processes, each with a loop and its end; return when each loop started and ended."""
    both_up = context.Barrier(2)
    processes, clocks = [], []
    for end, loop in zip(ends, loops, strict=True):
        clock, sender = context.Pipe(duplex=False)
        arguments = loop, end, count, both_up, sender
        processes.append(context.Process(target=timed, args=arguments, daemon=True))
        processes[-1].start()
        sender.close()
        clocks.append(clock)
    for end in ends:
        end.close()
    assert all(clock.poll(SECONDS) for clock in clocks)
    moments = [clock.recv() for clock in clocks]
    for process, clock in zip(processes, clocks, strict=True):
        process.join(SECONDS)
        clock.close()
    return moments


def bare_loops(context: Any, maxsize: int | None = None, duplex: bool = False) -> tuple[Any, Any]:
    """Return the two ends that processes use, and what each of them does; who sends first comes first."""
    if maxsize is not None:
        return (context.Queue(maxsize),) * 2, (workers.produce_bare, workers.consume_bare)
    if duplex:
        return context.Pipe(), (workers.request_all, workers.reply_to_all)
    return context.Pipe(duplex=False)[::-1], (workers.send_all, workers.receive_all)


def bare_rate_of_bytes(name: str, loops: tuple[Any, Any], count: int) -> float:
    """Return the rate of two processes that send and receive bytes: first send to last receive, once warm."""
    context: Any = multiprocessing.get_context("spawn")
    ends = (context.Queue(),) * 2 if name == "Queue" else context.Pipe(duplex=False)[::-1]
    (started, _), (_, ended) = bare_moments(context, ends, loops, workers.time_bytes, count)
    return float(count / ((ended - started) / 1e9))
