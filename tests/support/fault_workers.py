"""What a kernel runs in the tests of faults, until something happens to it. A cell calls one of these."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from typing import TYPE_CHECKING, Any

import group_workers

from ipc_helpers import Panel, QueueFlow, WorkerGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

NEVER = 300  # seconds: no test takes as long


def run_panel_and_groups(start_methods: Sequence[str]) -> None:
    """Keep a panel's run, and workers that are asleep, in a full pipe, at their end and busy."""
    panel = Panel(QueueFlow(messages=100_000, maxsize=1, start_method=start_methods[0]))
    panel.run.click()
    while "> 0 of" in panel.progress.value and not panel.wait(0.01):
        pass
    _keep(
        start_methods,
        NEVER,
        lambda context: [
            (group_workers.sleep_long,),
            (group_workers.send_without_reader,),
            (group_workers.put_without_reader, context.Queue()),
            (group_workers.compute,),
        ],
    )


def hold_interpreters(start_methods: Sequence[str], deadline: float) -> None:
    """Keep a worker under each start method that is in one long call in C."""
    _keep(start_methods, deadline, lambda context: [(group_workers.hold_the_interpreter,)])


def _keep(start_methods: Sequence[str], deadline: float, calls: Any) -> None:
    with contextlib.ExitStack() as stack:
        for method in start_methods:
            context = multiprocessing.get_context(method)
            group = stack.enter_context(WorkerGroup(context, deadline=deadline))
            for function, *args in calls(context):
                group.start(function, *args)
            group_workers.wait_until_up(group)
        time.sleep(0.2)  # they report a moment before they are at their place
        group_workers.say_up()
        time.sleep(NEVER)
