"""Exercises on queues, chapter 02."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipc_helpers.checks import Exercise, Mistake, listed, returned_instead
from ipc_helpers.trials import NOTHING, queues

if TYPE_CHECKING:
    from ipc_helpers.checks import Seen


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


def _judge_collect(seen: Seen) -> str | Mistake:
    returned = seen.facts["returned"]
    expected = queues.BLOBS * len(queues.BLOB)
    if returned != expected:
        hint = "get until the sentinel, add up the lengths, and return the sum"
        what = f"the worker returned {returned!r}, not the {expected:,} bytes that were put"
        return Mistake(what, hint, seen.line_of("collect"))
    if seen.facts["alive"]:
        hint = "when all messages are got, join the producer"
        return Mistake("the producer still ran when the worker returned", hint, seen.line_of("start"))
    return f"{returned:,} bytes in {queues.BLOBS} messages were got, and the producer had ended"


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
            queues.send_numbers,
            _judge_send_numbers,
            raised={"ValueError": "after close() nothing can be put: close the queue last, or not at all"},
        ),
        Exercise(
            "02.2",
            ("add_up",),
            queues.add_up,
            _judge_add_up,
            stuck={"get": "the last message is None: leave the loop when it comes"},
            raised={"TypeError": "None is the sentinel, not a number: look for it before you add"},
        ),
        Exercise(
            "02.3",
            ("collect",),
            queues.collect,
            _judge_collect,
            stuck={
                "join": "the producer ends once all its messages are in the pipe. Get them first, then join",
                "get": "the sentinel was the last message: stop there. And was the producer started?",
            },
        ),
        Exercise(
            "02.4",
            ("predict", "fill"),
            queues.fill,
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
            queues.send_or_give_up,
            _judge_send_or_give_up,
            stuck={"put": "give put() a timeout"},
            raised={"Full": "catch queue.Full, and return what is left"},
        ),
    )
}
