"""Exercises on pipes, chapter 03."""

from __future__ import annotations

import time
from contextlib import suppress

from ipc_helpers.exercises import (
    NOTHING,
    Around,
    Exercise,
    Mistake,
    Seen,
    Trial,
    listed,
    short,
)
from ipc_helpers.workers.pipes import send_blobs, send_nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Worker = Callable[..., Any]


MESSAGES = ("a", None, "b")


REQUESTS = tuple(letter * 2_000_000 for letter in "abc")  # more than a pipe holds, of either kind


BLOB = "x" * 100_000


BLOBS = 4


PARTS = (b"abc", b"abcdef", b"", b"xy")


ROOM = 4


SENT = {"a": ["a"], "b": [BLOB, "b"], "c": [BLOB]}


RECEIVES_AFTER_END = 100


SPINS = "(received again and again after the end)"


def receive_to_the_end(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Send three messages, one of them None and the first one late, and close the sending end."""
    receiver, sender = ctx.Pipe(duplex=False)
    begun = ctx.Event()
    trial = Trial(ctx, Around(_after_telling, worker, begun), receiver)
    begun.wait()
    early = trial.is_back(0.3)  # who takes a pipe without a message for the end is back by now
    for message in MESSAGES:
        sender.send(message)
    sender.close()
    trial.is_back(None)
    return {"returned": trial.returned, "early": early}


def _judge_receive_to_the_end(seen: Seen) -> str | Mistake:
    returned, early = _facts(seen, "returned", "early")
    line = seen.line_of("recv", "receive_to_the_end")
    expected = list(MESSAGES)
    if _is_list(returned) and list(returned) == expected:
        return "'a', None and 'b' came, and the worker returned at the end of the pipe"
    if early:
        what = f"the worker returned {short(returned)} before the first message was sent"
        hint = "no message yet is not the end: let recv() wait, until EOFError says that no more will come"
        return Mistake(what, hint, seen.line_of("poll", "wait", "recv", "receive_to_the_end"))
    if _is_list(returned) and list(returned) == ["a"]:
        what = "the worker returned ['a'], and None and 'b' were still to come"
        return Mistake(what, "None is a message like any other. Only EOFError is the end of a pipe", line)
    if _is_list(returned) and list(returned) == ["a", "b"]:
        what = "the message None is missing: the worker returned ['a', 'b']"
        return Mistake(what, "keep each message, whatever it is", line)
    if returned is None or returned == NOTHING:
        what = "three messages came, and the worker returned nothing"
        hint = "collect the messages in a list, and return it when EOFError has come"
        return Mistake(what, hint, seen.line_of("receive_to_the_end"))
    what = f"of 'a', None and 'b', the worker returned {short(returned)}"
    return Mistake(what, "return a list of all messages, in order", seen.line_of("receive_to_the_end"))


def ask(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Answer each request with its text in capitals, until the other end is closed."""
    end, theirs = ctx.Pipe()
    trial = Trial(ctx, Around(_then_closed, worker), theirs, list(REQUESTS))
    theirs.close()
    requests = []
    with suppress(EOFError, OSError):  # OSError: it went without its reply
        while True:
            request = end.recv()
            requests.append(brief(request))
            time.sleep(0.1)  # who does not wait for the reply is seen
            end.send(str(request).upper())
    trial.is_back(None)
    returned, closed = _pair(trial.returned)
    return {"requests": requests, "returned": returned, "closed": closed}


def _judge_ask(seen: Seen) -> str | Mistake:
    requests, returned, closed = _facts(seen, "requests", "returned", "closed")
    expected = [brief(request) for request in REQUESTS]
    replies = [brief(request.upper()) for request in REQUESTS]
    defined = seen.line_of("ask")
    if not requests:
        what = f"no request came, and the worker returned {short(returned)}"
        return Mistake(what, "send each request through the connection", seen.line_of("send", "ask"))
    if requests != expected:
        what = f"of 3 requests, the other process received {listed(requests)}"
        hint = "send each request once, as it is, in a message of its own"
        return Mistake(what, hint, seen.line_of("send", "ask"))
    if not _is_list(returned):
        what = f"3 requests were answered, and the worker returned {short(returned)}"
        return Mistake(what, "return a list of all replies", defined)
    if list(returned) != replies and len(returned) < 3:
        what = f"of 3 replies, the worker returned {len(returned)}"
        hint = "a reply takes a moment: let recv() wait for it, once after each request"
        return Mistake(what, hint, seen.line_of("poll", "recv", "ask"))
    if list(returned) != replies:
        what = f"the worker returned {listed(returned)}"
        return Mistake(what, "return what recv() returned, in the order of the requests", defined)
    if closed is not True:
        what = "all 3 replies came, and the worker returned without closing the connection"
        hint = "the other process waits for one more request, until your end is closed"
        return Mistake(what, hint, defined)
    return "3 requests of 2,000,000 letters each were answered, and the connection was closed"


def collect(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker start a producer of large messages and, beside it, one that sends none."""
    some = Trial(ctx, Around(_briefly, worker), ctx, send_blobs)
    none = Trial(ctx, Around(_briefly, worker, about=" (no messages)"), ctx, send_nothing)
    some.is_back(None)
    none.is_back(None)
    return {"some": some.returned, "none": none.returned, "alive": some.children}


def _judge_collect(seen: Seen) -> str | Mistake:
    some, none, alive = _facts(seen, "some", "none", "alive")
    expected = [brief(BLOB)] * BLOBS
    defined = seen.line_of("collect")
    if not _is_list(some):
        what = f"the worker returned {short(some)}, not a list of the {BLOBS} messages"
        return Mistake(what, "return all messages, once the pipe has ended", defined)
    if list(some) != expected:
        what = f"of {BLOBS} messages, the worker returned {len(some)}"
        return Mistake(what, "receive until EOFError, and return all", seen.line_of("recv", "collect"))
    if not _is_list(none) or len(none):
        what = f"a producer sent nothing, and the worker returned {short(none)}"
        return Mistake(what, "then the list is empty", defined)
    if alive:
        hint = "when the pipe has ended, join the producer"
        return Mistake("the producer still ran when the worker returned", hint, seen.line_of("start"))
    return f"the {BLOBS} messages of one producer came, and none of another; then the producer had ended"


def receive_into(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Send four messages of bytes, one longer than the room for it and one empty."""
    receiver, sender = ctx.Pipe(duplex=False)
    trial = Trial(ctx, Around(_with_room, worker), receiver)
    for part in PARTS:
        sender.send_bytes(part)
    sender.close()
    predicted = Trial(ctx, predict)
    trial.is_back(None)
    predicted.is_back(None)
    returned, room = _pair(trial.returned)
    return {"returned": returned, "room": room, "predicted": predicted.returned}


def _judge_receive_into(seen: Seen) -> str | Mistake:
    returned, room, predicted = _facts(seen, "returned", "room", "predicted")
    wanted = list(PARTS)
    got = list(returned) if _is_list(returned) else None
    line = seen.line_of("recv_bytes_into", "receive_into")
    defined = seen.line_of("receive_into")
    if got is None:
        what = f"the worker returned {short(returned)}"
        return Mistake(what, "return a list of all messages, when the pipe has ended", defined)
    whole = [part for part in got if isinstance(part, bytes) and len(part) == ROOM]
    if whole:
        what = f"the worker returned {whole[0]!r}, and no message had {ROOM} bytes"
        hint = (
            "recv_bytes_into() returns how many bytes it wrote: take so many of the room. BufferTooShort "
            "carries a longer message"
        )
        return Mistake(what, hint, line)
    if got == wanted[:2]:
        what = "the worker returned after two messages, and an empty one was the next"
        hint = "an empty message is a message, too, and BufferTooShort is no end. Only EOFError is"
        return Mistake(what, hint, line)
    if got == [part for part in wanted if part]:
        return Mistake("the empty message is missing", "0 bytes are a message, too", line)
    if got == [wanted[0], *wanted[2:]]:
        what = "the message b'abcdef', which did not fit into the room, is lost"
        return Mistake(what, "BufferTooShort carries the whole message: look at its args", line)
    if got == wanted[:1]:
        what = "the worker returned after the first message that did not fit into the room"
        return Mistake(what, "after BufferTooShort, the connection goes on: receive the next one", line)
    if got != wanted:
        what = f"of {listed(wanted)}, the worker returned {listed(got)}"
        return Mistake(what, "return the bytes of each message, in order", defined)
    if room == bytes(ROOM):
        what = "all messages came, but nothing was written into the room"
        return Mistake(what, "receive with recv_bytes_into(room)", seen.line_of("recv_bytes", "receive_into"))
    if room != b"xyc\0":
        what = f"all messages came, and the room holds {short(room)} in the end, not b'xyc\\x00'"
        return Mistake(what, "write into the room with recv_bytes_into() alone", line)
    if not _is_list(predicted) or list(predicted) != [0, room]:
        what = f"your prediction was {short(predicted)}, and no message was lost, and room held {room!r}"
        hint = (
            "a message that is too long is not written. A shorter one leaves the bytes behind it as they were"
        )
        return Mistake(what, hint, seen.line_of("predict"))
    return f"no message was lost, and the room held {room!r} in the end, as you had predicted"


def gather(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a worker a pipe that stays open; and three pipes, where the first waits for the second."""
    receivers, senders = _pipes(ctx, SENT)
    trial = Trial(ctx, Around(_counting_ends, worker), receivers, 10.0)
    two_receivers, two_senders = _pipes(ctx, "ab")
    two_senders["a"].send("a")
    two_senders["a"].close()
    around = Around(_counting_ends, worker, about=" (one pipe stays open)")
    with_open_end = Trial(ctx, around, two_receivers, 0.3)
    for receiver in receivers.values():
        receiver.close()
    with suppress(OSError):  # it did not go on to the end
        senders["b"].send(BLOB)
        time.sleep(0.2)  # who does not wait is seen
        senders["a"].send("a")
        senders["a"].close()
        senders["c"].send(BLOB)  # who has stopped at the end of "a" gets no more
        senders["b"].send("b")
    for sender in senders.values():
        sender.close()
    trial.is_back(None)
    with_open_end.is_back(None)
    return {"all": trial.returned, "open": with_open_end.returned}


def _judge_gather(seen: Seen) -> str | Mistake:
    everything, with_open_end = _facts(seen, "all", "open")
    defined = seen.line_of("gather")
    for returned in (everything, with_open_end):
        if returned == SPINS:
            what = "a pipe had ended, and the worker received from it again and again"
            hint = "at its end, a pipe stays ready: take it out of those that you wait for"
            return Mistake(what, hint, seen.line_of("recv", "gather"))
        if not (_is_list(returned) and len(returned) == 2 and isinstance(returned[0], dict)):
            what = f"the worker returned {short(returned)}"
            hint = "return two things: a dictionary with a list for each name, and a list of names"
            return Mistake(what, hint, defined)
    for what, (messages, names), sent, still_open in (
        ("each pipe ended", everything, brief(SENT), []),
        ("the pipe 'b' stayed open", with_open_end, {"a": ["a"], "b": []}, ["b"]),
    ):
        for name, expected in sent.items():
            got = messages.get(name, [])
            if not _is_list(got) or list(got) != expected:
                count = len(got) if _is_list(got) else short(got)
                missing = f"{what}; of {len(expected)} sent through {name!r}, the worker returned {count}"
                hint = "wait up to so many seconds each time, and go on with the others when one has ended"
                return Mistake(missing, hint, seen.line_of("recv", "gather"))
        if not _is_list(names) or list(names) != still_open:
            named = f"{what}, and the list of those that had not ended was {short(names)}"
            hint = "a pipe has ended when its recv() raises EOFError; return the names of the others"
            return Mistake(named, hint, defined)
    return "all messages of three pipes came; and of two others, the one that stayed open was named"


def _pipes(ctx: Any, names: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    ends = {name: ctx.Pipe(duplex=False) for name in names}
    return {name: pair[0] for name, pair in ends.items()}, {name: pair[1] for name, pair in ends.items()}


# What runs around a worker, in its process.


def _after_telling(worker: Worker, begun: Any, receiver: Any) -> Any:
    begun.set()
    return worker(receiver)


def _briefly(worker: Worker, *args: Any) -> Any:
    return brief(worker(*args))


def _then_closed(worker: Worker, connection: Any, requests: list[str]) -> tuple[Any, bool]:
    return brief(worker(connection, requests)), connection.closed


def _with_room(worker: Worker, receiver: Any) -> tuple[Any, bytes]:
    room = bytearray(ROOM)
    return brief(worker(receiver, room)), bytes(room)


def _counting_ends(worker: Worker, receivers: dict[str, Any], seconds: float) -> Any:
    for receiver in receivers.values():
        receiver.recv = _CountingEnds(receiver.recv)
    try:
        return brief(worker(receivers, seconds))
    except _SpinsError:
        return SPINS


class _SpinsError(BaseException):
    """Raised in a loop that receives from a pipe which has ended, and would do so for ever."""


class _CountingEnds:
    def __init__(self, recv: Callable[[], Any]) -> None:
        self.recv = recv
        self.ends = 0

    def __call__(self) -> Any:
        try:
            return self.recv()
        except EOFError:
            self.ends += 1
            if self.ends > RECEIVES_AFTER_END:
                raise _SpinsError from None
            raise


def _pair(value: Any) -> tuple[Any, Any]:
    """Return what a worker returned, and what was seen after it; the first alone when it did not return."""
    return value if isinstance(value, tuple) and len(value) == 2 else (value, None)


def brief(value: Any) -> Any:
    """Return a value that can be pickled: long texts by a letter and their length, objects by their types."""
    if isinstance(value, dict):
        return {brief(key): brief(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(map(brief, value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        return value if len(value) < 1_000 else f"{value[0]} × {len(value):,}"
    if hasattr(value, "__iter__"):
        return list(map(brief, value))
    return value if value is None or isinstance(value, (int, float)) else f"<{type(value).__name__}>"


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _facts(seen: Seen, *names: str) -> list[Any]:
    return [seen.facts.get(name) for name in names]


EXERCISES = {
    exercise.key: exercise
    for exercise in (
        Exercise(
            "03.1",
            ("receive_to_the_end",),
            receive_to_the_end,
            _judge_receive_to_the_end,
            raised={
                "EOFError": "this is the end of the pipe: catch EOFError, and return what you have",
                "TypeError": "a for loop can't go through a connection: call recv() again and again",
                "BrokenPipeError": "on Windows, poll() raises this at the end of a pipe: recv() can wait",
                "OSError": "close the connection last, or not at all",
            },
        ),
        Exercise(
            "03.2",
            ("ask",),
            ask,
            _judge_ask,
            stuck={
                "send": "the other process sends its reply before it receives again. Receive it first",
                "recv": "after each request comes one reply, and nothing before the first or after the last",
            },
            raised={"OSError": "close the connection once, after the last reply"},
        ),
        Exercise(
            "03.3",
            ("collect",),
            collect,
            _judge_collect,
            stuck={
                "recv": "the pipe ends once each copy of its sending end is closed. Who still has one?",
                "poll": "the pipe ends once each copy of its sending end is closed. Who still has one?",
                "join": "the producer sends more than the pipe holds. Receive first, then join",
            },
            raised={
                "EOFError": "this is the end of the pipe: catch EOFError, and return what you have",
                "AssertionError": "a process has to be started before it can be joined",
                "TypeError": "args is a tuple: (sender,), with its comma",
                "OSError": "Pipe(duplex=False) returns the receiving end first; and a child gets its copy at "
                "its start: close yours after that",
            },
        ),
        Exercise(
            "03.4",
            ("predict", "receive_into"),
            receive_into,
            _judge_receive_into,
            raised={
                "BufferTooShort": "the message did not fit. Catch it: it carries the message",
                "EOFError": "this is the end of the pipe: catch EOFError, and return what you have",
                "UnpicklingError": "these are bytes, and no pickled objects",
            },
        ),
        Exercise(
            "03.5",
            ("gather",),
            gather,
            _judge_gather,
            stuck={
                "recv": "this pipe may be silent while another has a message: wait for all of them at once",
                "poll": "a pipe may stay open and silent: give connection.wait() the seconds",
            },
            raised={
                "EOFError": "one pipe has ended: catch EOFError, and go on with the others",
                "BrokenPipeError": "on Windows, poll() raises this at the end of a pipe: use wait()",
                "RuntimeError": "don't take anything out of what a for loop goes through: go through a copy",
            },
            deadline=30.0,  # a worker may wait its 10 seconds once
        ),
    )
}
