"""Trials for the exercises on queues, chapter 02."""

from __future__ import annotations

import time

from ipc_helpers.trials import Trial, get_all
from ipc_helpers.workers.queues import put_blobs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Worker = Callable[..., Any]

BLOB = bytes(100_000)  # more than a pipe holds
BLOBS = 4


def send_numbers(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a producer put five numbers and its sentinel."""
    queue = ctx.Queue()
    trial = Trial(ctx, worker, queue, 5)
    return {"messages": get_all(queue, trial), "returned": trial.returned}


def add_up(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a consumer numbers, the first of which comes late, and a sentinel."""
    numbers, results = ctx.Queue(), ctx.Queue()
    trial = Trial(ctx, worker, numbers, results)
    trial.wait_until_up()
    trial.is_back(0.5)  # a consumer that takes an empty queue for the end is back by now
    for number in (1, 2, 3, 4, None):
        numbers.put(number)
        time.sleep(0.05)
    numbers.cancel_join_thread()  # nobody may get them
    return {"results": get_all(results, trial), "returned": trial.returned}


def collect(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker start a producer of large messages, and get them all."""
    trial = Trial(ctx, worker, ctx, put_blobs)
    trial.is_back(None)
    return {"returned": trial.returned, "alive": trial.children}


def fill(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Have a producer fill a queue for three messages, get two of them, and have it filled again."""
    queue = ctx.Queue(maxsize=3)
    counts = []
    for got in (2, 3):
        trial = Trial(ctx, worker, queue)
        trial.is_back(None)
        counts.append(trial.returned)
        for _ in range(got):
            if counts[-1] is None or not queue._reader.poll(1):
                break
            queue.get(timeout=60)
    predicted = Trial(ctx, predict)
    predicted.is_back(None)
    return {"counts": counts, "predicted": predicted.returned}


def send_or_give_up(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a producer send to nobody, and then to a consumer that is slow but comes in time."""
    alone, slow = ctx.Queue(maxsize=2), ctx.Queue(maxsize=1)
    without = Trial(ctx, worker, alone, ["a", "b", "c", "d"], 0.3)
    without.is_back(None)
    sent = get_all(alone, without)
    patient = Trial(ctx, worker, slow, ["a", "b", "c"], 30)
    time.sleep(0.5)
    got = get_all(slow, patient)
    return {"sent": sent, "left": without.returned, "got": got, "left_in_time": patient.returned}
