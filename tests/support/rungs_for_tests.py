"""What tests of the measuring room share: few messages, and a rung of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipc_helpers import RUNGS, Rung
from ipc_helpers.measuring.rungs import open_queue
from ipc_helpers.workers import ladder_workers

if TYPE_CHECKING:
    from collections.abc import Callable

FEW: dict[str, Any] = {"messages": 20, "latencies": 3, "rounds": 3, "budget": 600.0}
HERE = [name for name, rung in RUNGS.items() if rung.why_missing() is None]


def rung(
    send: Callable[..., object] = ladder_workers.put_messages,
    receive: Callable[..., object] | None = ladder_workers.get_messages,
    **how: Any,
) -> Rung:
    return Rung("mine", send, receive, **{"open": open_queue, **how})
