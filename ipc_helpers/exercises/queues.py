"""Exercises on queues, chapter 02."""

from __future__ import annotations

import time

from ipc_helpers.exercises import (
    NOTHING,
    Exercise,
    Mistake,
    Seen,
    Trial,
    get_all,
    listed,
    returned_instead,
)
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


def _judge_send_numbers(seen: Seen) -> str | Mistake:
    messages = seen.facts["messages"]
    line = seen.line_of("put", "put_nowait", "send_numbers")
    if messages == [0, 1, 2, 3, 4, None]:
        return "the numbers 0 to 4 came out of the queue in order, and the sentinel after them"
    if not messages and (mistake := returned_instead(seen, "send_numbers")):
        return mistake
    if messages == [0, 1, 2, 3, 4]:
        hint = "a consumer learns from a last message, None, that no more will come"
        return Mistake("the numbers came, but no sentinel", hint, line)
    if any(isinstance(message, (list, tuple, range)) for message in messages):
        return Mistake("all numbers came in one message", "call put() once for each number", line)
    if None in messages[:-1]:
        return Mistake("a sentinel came before the last number", "put None once, after the loop", line)
    return Mistake(
        f"out of the queue came {listed(messages)}", "for count=5, put 0, 1, 2, 3, 4 and then None", line
    )


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


def _judge_add_up(seen: Seen) -> str | Mistake:
    results, returned = seen.facts["results"], seen.facts["returned"]
    if results == [10]:
        return "the numbers 1 to 4 went in, one after the other, and their sum, 10, came out"
    if seen.line_of("empty"):
        what = "the worker took a queue that was empty for a moment for the end"
        return Mistake(what, "the end is the message None; let get() wait for it", seen.line_of("empty"))
    if not results and returned not in (None, NOTHING):
        what = f"the worker returned {returned!r}, and put no result"
        return Mistake(what, "put the sum into the queue for the results", seen.line_of("add_up"))
    if len(results) > 1:
        what = f"{len(results)} results came"
        return Mistake(what, "put the sum once, when the sentinel has come", seen.line_of("put"))
    got = repr(results[0]) if results else "no result"
    hint = "add up all numbers until the sentinel, then put the sum into the queue for the results"
    return Mistake(f"of 1, 2, 3 and 4 came {got}", hint, seen.line_of("put", "add_up"))


def collect(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker start a producer of large messages, and get them all."""
    trial = Trial(ctx, worker, ctx, put_blobs)
    trial.is_back(None)
    return {"returned": trial.returned, "alive": trial.children}


def _judge_collect(seen: Seen) -> str | Mistake:
    returned = seen.facts["returned"]
    expected = BLOBS * len(BLOB)
    if returned != expected:
        hint = "get until the sentinel, add up the lengths, and return the sum"
        what = f"the worker returned {returned!r}, not the {expected:,} bytes that were put"
        return Mistake(what, hint, seen.line_of("collect"))
    if seen.facts["alive"]:
        hint = "when all messages are got, join the producer"
        return Mistake("the producer still ran when the worker returned", hint, seen.line_of("start"))
    return f"{returned:,} bytes in {BLOBS} messages were got, and the producer had ended"


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


def _judge_fill(seen: Seen) -> str | Mistake:
    counts, predicted = seen.facts["counts"], seen.facts["predicted"]
    if counts != [3, 2]:
        what = (
            f"fill() returned {counts[0]!r} for an empty queue of maxsize=3, and {counts[1]!r} after two gets"
        )
        hint = "count the messages that the queue took; the one that raised queue.Full was not taken"
        return Mistake(what, hint, seen.line_of("fill"))
    if predicted not in ((3, 2), [3, 2]):
        what = f"your prediction was {predicted!r}, and the queue took (3, 2)"
        hint = "maxsize is the number of messages that wait; a get() makes room for one more"
        return Mistake(what, hint, seen.line_of("predict"))
    return "the queue took 3 messages, and 2 more after two gets, as you had predicted"


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


def _judge_send_or_give_up(seen: Seen) -> str | Mistake:
    sent, left = seen.facts["sent"], seen.facts["left"]
    line = seen.line_of("put", "put_nowait", "send_or_give_up")
    if sent != ["a", "b"]:
        what = f"into a queue of maxsize=2 went {listed(sent)}"
        return Mistake(what, "put the messages in order, each once", line)
    if left == ["d"]:
        what = "the message 'c', for which there was no room, is lost"
        return Mistake(what, "the message that raised queue.Full was not sent either", line)
    if left != ["c", "d"]:
        what = f"of a, b, c and d, two fitted; the worker returned {left!r}"
        hint = "return the messages that were not sent, as a list"
        return Mistake(what, hint, seen.line_of("send_or_give_up"))
    if seen.facts["got"] != ["a", "b", "c"]:
        what = "a consumer that was slow, but came in time, did not get all messages"
        return Mistake(what, "wait for room, up to the seconds that were given, at each message", line)
    if seen.facts["left_in_time"] != []:
        what = f"all was sent in time, and the worker returned {seen.facts['left_in_time']!r}"
        return Mistake(what, "then no message is left: return an empty list", seen.line_of("send_or_give_up"))
    return "with no consumer, c and d came back after the wait; with a slow one, all was sent"


EXERCISES = {
    exercise.key: exercise
    for exercise in (
        Exercise(
            "02.1",
            ("send_numbers",),
            send_numbers,
            _judge_send_numbers,
            raised={"ValueError": "after close() nothing can be put: close the queue last, or not at all"},
        ),
        Exercise(
            "02.2",
            ("add_up",),
            add_up,
            _judge_add_up,
            stuck={"get": "the last message is None: leave the loop when it comes"},
            raised={"TypeError": "None is the sentinel, not a number: look for it before you add"},
        ),
        Exercise(
            "02.3",
            ("collect",),
            collect,
            _judge_collect,
            stuck={
                "join": "the producer ends once all its messages are in the pipe. Get them first, then join",
                "get": "the sentinel was the last message: stop there. And was the producer started?",
            },
        ),
        Exercise(
            "02.4",
            ("predict", "fill"),
            fill,
            _judge_fill,
            stuck={"put": "put() waits for room. Which method raises queue.Full at once?"},
            raised={
                "Full": "catch queue.Full: it says that the queue is full",
                "Empty": "put raises queue.Full",
            },
        ),
        Exercise(
            "02.5",
            ("send_or_give_up",),
            send_or_give_up,
            _judge_send_or_give_up,
            stuck={"put": "give put() a timeout"},
            raised={"Full": "catch queue.Full, and return what is left"},
        ),
    )
}
