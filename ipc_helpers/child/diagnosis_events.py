"""The events that an observed process writes down: the probe writes them, the tree of processes reads them.

For type checkers alone: importing typing would cost every observed process time.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal, TypedDict

    Kind = Literal[
        "begun", "returned", "raised", "ended", "waiting", "moving", "running", "dropped",
        "child", "terminates", "queue", "pipe",
    ]  # fmt: skip

    class QueueState(TypedDict, total=False):
        """What a process sees of a queue."""

        key: str
        locks: dict[str, str]  # "read" and "write": who holds it, see ``stacks.holder``
        unfinished: int  # tasks

    class Event(TypedDict, total=False):
        """One event, a line of JSON; which fields it has beside the first two depends on its kind."""

        event: Kind
        at: int  # nanoseconds of ``time.perf_counter_ns``
        # raised
        kind: str
        message: str
        line: str  # the program's own; of terminates, queue and pipe as well
        own_lines: Sequence[tuple[str, int]]
        # waiting and running; the last two, of ended as well
        since: int  # waiting alone: nanoseconds
        site: Sequence[Any]  # a CallSite
        feeders: Sequence[Sequence[Any]]
        queues: Sequence[QueueState]
        ends: Sequence[Any]  # of pipes, that are open for writing
        children: dict[str, int | None]  # exit codes, by process id
        left: dict[str, int]  # messages, by queue
        # child and terminates
        pid: int
        name: str
        daemon: bool
        pool: bool
        # queue and pipe; the first, of dropped as well
        key: Any  # None of what is no queue of the program's own
        names: Sequence[str]  # the variables that it was assigned to
        made_at: Sequence[Any]  # file, line and instruction
