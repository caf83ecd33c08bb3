"""Exercises on queues, chapter 02."""

from __future__ import annotations

import time

from ipc_helpers.exercises import Exercise, Mistake, expect_messages, expect_prediction, listed, short
from ipc_helpers.exercises.trial_process import Trial, gather_messages
from ipc_helpers.workers.queue_workers import put_blobs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ipc_helpers.exercises import Seen, Worker


def send_numbers(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a producer put five numbers and its sentinel."""
    queue = ctx.Queue()
    trial = Trial(ctx, worker, queue, 5)
    return {"messages": gather_messages(queue, trial), "returned": trial.returned}


@Exercise("02.1", send_numbers)
def _judge_send_numbers(seen: Seen, messages: list[Any], returned: Any) -> str:
    if messages == [0, 1, 2, 3, 4, None]:
        return "the numbers 0 to 4 came out of the queue in order, and the sentinel after them"
    expect_messages(messages, returned)
    if messages == [0, 1, 2, 3, 4]:
        hint = "a consumer learns from a last message, None, that no more will come"
        raise Mistake("the numbers came, but no sentinel", hint, "put")
    if any(isinstance(message, (list, tuple, range)) for message in messages):
        raise Mistake("all numbers came in one message", "call put() once for each number", "put")
    if None in messages[:-1]:
        raise Mistake("a sentinel came before the last number", "put None once, after the loop", "put")
    what = f"out of the queue came {listed(messages)}"
    raise Mistake(what, "for count=5, put 0, 1, 2, 3, 4 and then None", "put")


def add_up(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a consumer numbers, the first of which comes late, and a sentinel."""
    numbers, results = ctx.Queue(), ctx.Queue()
    trial = Trial(ctx, worker, numbers, results)
    trial.is_back(0.5)  # a consumer that takes an empty queue for the end is back by now
    for number in (1, 2, 3, 4, None):
        numbers.put(number)
        time.sleep(0.05)
    numbers.cancel_join_thread()  # nobody may get them
    return {"results": gather_messages(results, trial), "returned": trial.returned}


@Exercise("02.2", add_up)
def _judge_add_up(seen: Seen, results: list[Any], returned: Any) -> str:
    if results == [10]:
        return "the numbers 1 to 4 went in, one after the other, and their sum, 10, came out"
    if seen.calls("empty"):
        what = "the worker took a queue that was empty for a moment for the end"
        raise Mistake(what, "the end is the message None; let get() wait for it", "empty")
    expect_messages(results, returned, "put the sum into the queue for the results")
    if len(results) > 1:
        raise Mistake(f"{len(results)} results came", "put the sum once, when the sentinel has come", "put")
    got = repr(results[0]) if results else "no result"
    hint = "add up all numbers until the sentinel, then put the sum into the queue for the results"
    raise Mistake(f"of 1, 2, 3 and 4 came {got}", hint, "put")


def collect(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker start a producer of large messages, and get them all."""
    trial = Trial(ctx, worker, ctx, put_blobs)
    return {"returned": trial.wait(), "alive": trial.children}


@Exercise(
    "02.3",
    collect,
    get="the sentinel was the last message: stop there. And was the producer started?",
)
def _judge_collect(seen: Seen, returned: Any, alive: int) -> str:
    if returned != 400_000:
        what = f"the worker returned {returned!r}, not the 400,000 bytes that were put"
        raise Mistake(what, "get until the sentinel, add up the lengths, and return the sum")
    if alive:
        raise Mistake("the producer still ran when the worker returned", "join it at the end", "start")
    return "400,000 bytes in 4 messages were got, and the producer had ended"


def fill(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Have a producer fill a queue for three messages, get two of them, and have it filled again."""
    queue = ctx.Queue(maxsize=3)
    counts = []
    for got in (2, 3):
        counts.append(Trial(ctx, worker, queue).wait())
        for _ in range(got):
            if counts[-1] is None or not queue._reader.poll(1):
                break
            queue.get(timeout=60)
    return {"counts": counts, "predicted": Trial(ctx, predict).wait()}


@Exercise(
    "02.4",
    fill,
    put="put() waits for room. Which method raises queue.Full at once?",
    Full="catch queue.Full: it says that the queue is full",
    Empty="put raises queue.Full",
)
def _judge_fill(seen: Seen, counts: list[Any], predicted: Any) -> str:
    if counts != [3, 2]:
        first, second = counts
        what = f"fill() returned {first!r} for an empty queue of maxsize=3, and {second!r} after two gets"
        raise Mistake(what, "count the messages that the queue took, without the one that raised queue.Full")
    hint = "maxsize is the number of messages that wait; a get() makes room for one more"
    expect_prediction(predicted, (3, 2), "the queue took (3, 2)", hint)
    return "the queue took 3 messages, and 2 more after two gets, as you had predicted"


def send_or_give_up(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a producer send to nobody, and then to a consumer that is slow but comes in time."""
    alone, slow = ctx.Queue(maxsize=2), ctx.Queue(maxsize=1)
    without = Trial(ctx, worker, alone, ["a", "b", "c", "d"], 0.3)
    left = without.wait()
    sent = gather_messages(alone, without)
    patient = Trial(ctx, worker, slow, ["a", "b", "c"], 30)
    time.sleep(0.5)
    got = gather_messages(slow, patient)
    return {"sent": sent, "left": left, "got": got, "left_in_time": patient.returned}


@Exercise(
    "02.5", send_or_give_up, put="give put() a timeout", Full="catch queue.Full, and return what is left"
)
def _judge_send_or_give_up(seen: Seen, sent: list[Any], left: Any, got: list[Any], left_in_time: Any) -> str:
    if sent != ["a", "b"]:
        what = f"into a queue of maxsize=2 went {listed(sent)}"
        raise Mistake(what, "put the messages in order, each once", "put")
    if left != ["c", "d"]:
        what = f"of a, b, c and d, two fitted; the worker returned {short(left)}"
        hint = "return a list of all messages that were not sent, with the one that raised queue.Full"
        raise Mistake(what, hint, "put")
    if got != ["a", "b", "c"]:
        what = "a consumer that was slow, but came in time, did not get all messages"
        raise Mistake(what, "wait for room, up to the seconds that were given, at each message", "put")
    if left_in_time != []:
        what = f"all was sent in time, and the worker returned {left_in_time!r}"
        raise Mistake(what, "then no message is left: return an empty list")
    return "with no consumer, c and d came back after the wait; with a slow one, all was sent"
