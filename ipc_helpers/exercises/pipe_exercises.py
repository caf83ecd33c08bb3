"""Exercises on pipes, chapter 03."""

from __future__ import annotations

import time
from contextlib import suppress

from ipc_helpers.exercises import Exercise, Mistake, as_list, expect_list, expect_prediction, listed, short
from ipc_helpers.exercises.trial_process import Trial, brief
from ipc_helpers.workers.pipe_workers import send_blobs, send_nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ipc_helpers.exercises import Seen, Worker

MESSAGES = ["a", None, "b"]
REQUESTS = [letter * 2_000_000 for letter in "abc"]  # more than a pipe holds, of either kind
BLOB = "x" * 100_000
PARTS = [b"abc", b"abcdef", b"", b"xy"]
ROOM = 4
SENT = {"a": ["a"], "b": [BLOB, "b"], "c": [BLOB]}
RECEIVES_AFTER_END = 100
SPINS = "(received again and again after the end)"


def receive_to_the_end(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Send three messages, one of them None and the first one late, and close the sending end."""
    receiver, sender = ctx.Pipe(duplex=False)
    trial = Trial(ctx, worker, receiver)
    early = trial.is_back(0.3)  # who takes a pipe without a message for the end is back by now
    for message in MESSAGES:
        sender.send(message)
    sender.close()
    return {"returned": trial.wait(), "early": early}


@Exercise(
    "03.1",
    receive_to_the_end,
    TypeError="a for loop can't go through a connection: call recv() again and again",
    OSError="close the connection last, or not at all",
)
def _judge_receive_to_the_end(seen: Seen, returned: Any, early: bool) -> str:
    got = as_list(returned)
    if got == MESSAGES:
        return "'a', None and 'b' came, and the worker returned at the end of the pipe"
    if early:
        what = f"the worker returned {short(returned)} before the first message was sent"
        hint = "no message yet is not the end: let recv() wait, until EOFError says that no more will come"
        raise Mistake(what, hint, "poll", "wait", "recv")
    if got == ["a"]:
        what = "the worker returned ['a'], and None and 'b' were still to come"
        raise Mistake(what, "None is a message like any other. Only EOFError is the end of a pipe", "recv")
    if got == ["a", "b"]:
        what = "the message None is missing: the worker returned ['a', 'b']"
        raise Mistake(what, "keep each message, whatever it is", "recv")
    what = f"of 'a', None and 'b', the worker returned {short(returned)}"
    raise Mistake(what, "collect the messages in a list, in order, and return it when EOFError has come")


def ask(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Answer each request with its text in capitals, until the other end is closed."""
    end, theirs = ctx.Pipe()
    trial = Trial(ctx, worker, theirs, REQUESTS, around=_then_closed)
    theirs.close()
    requests = []
    with suppress(EOFError, OSError):  # OSError: it went without its reply
        while True:
            request = end.recv()
            requests.append(brief(request))
            time.sleep(0.1)  # who does not wait for the reply is seen
            end.send(str(request).upper())
    return {"requests": requests, "returned": trial.wait(), **trial.noted}


@Exercise(
    "03.2",
    ask,
    send="the other process sends its reply before it receives again. Receive it first",
    recv="after each request comes one reply, and nothing before the first or after the last",
    OSError="close the connection once, after the last reply",
)
def _judge_ask(seen: Seen, requests: list[Any], returned: Any, closed: bool = False) -> str:
    replies = [brief(request.upper()) for request in REQUESTS]
    if requests != brief(REQUESTS):
        what = f"of 3 requests, the other process received {listed(requests)}"
        raise Mistake(what, "send each request once, as it is, in a message of its own", "send")
    got = expect_list(returned, "return a list of all replies")
    if got != replies:
        what = f"of 3 replies, the worker returned {listed(got)}"
        hint = "let recv() wait for a reply after each request, and return what it returned, in this order"
        raise Mistake(what, hint, "poll", "recv")
    if closed is not True:
        what = "all 3 replies came, and the worker returned without closing the connection"
        raise Mistake(what, "the other process waits for one more request, until your end is closed")
    return "3 requests of 2,000,000 letters each were answered, and the connection was closed"


def collect(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker start a producer of large messages and, beside it, one that sends none."""
    some = Trial(ctx, worker, ctx, send_blobs)
    none = Trial(ctx, worker, ctx, send_nothing, about=" (no messages)")
    return {"some": some.wait(), "none": none.wait(), "alive": some.children}


@Exercise(
    "03.3",
    collect,
    poll="the pipe ends once each copy of its sending end is closed. Who still has one?",
    TypeError="args is a tuple: (sender,), with its comma",
    OSError="Pipe(duplex=False) returns the receiving end first; and a child gets its copy at its start: "
    "close yours after that",
)
def _judge_collect(seen: Seen, some: Any, none: Any, alive: int) -> str:
    messages = expect_list(some, "return a list of all messages, once the pipe has ended")
    if messages != [brief(BLOB)] * 4:
        what = f"of 4 messages, the worker returned {len(messages)}"
        raise Mistake(what, "receive until EOFError, and return all", "recv")
    if as_list(none) != []:
        what = f"a producer sent nothing, and the worker returned {short(none)}"
        raise Mistake(what, "then the list is empty")
    if alive:
        raise Mistake("the producer still ran when the worker returned", "join it at the end", "start")
    return "the 4 messages of one producer came, and none of another; then the producer had ended"


def receive_into(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Send four messages of bytes, one longer than the room for it and one empty."""
    receiver, sender = ctx.Pipe(duplex=False)
    trial = Trial(ctx, worker, receiver, around=_with_room)
    for part in PARTS:
        sender.send_bytes(part)
    sender.close()
    predicted = Trial(ctx, predict)
    return {"returned": trial.wait(), "predicted": predicted.wait(), **trial.noted}


@Exercise(
    "03.4",
    receive_into,
    BufferTooShort="the message did not fit. Catch it: it carries the message",
    UnpicklingError="these are bytes, and no pickled objects",
)
def _judge_receive_into(seen: Seen, returned: Any, predicted: Any, room: bytes = b"") -> str:
    got = expect_list(returned, "return a list of all messages, when the pipe has ended")
    into = "recv_bytes_into"
    whole = [part for part in got if isinstance(part, bytes) and len(part) == ROOM]
    if whole:
        what = f"the worker returned {whole[0]!r}, and no message had {ROOM} bytes"
        hint = "take as many bytes as recv_bytes_into() returned; BufferTooShort carries a longer message"
        raise Mistake(what, hint, into)
    if got == PARTS[:2]:
        what = "the worker returned after two messages, and an empty one was the next"
        hint = "an empty message is a message, too, and BufferTooShort is no end. Only EOFError is"
        raise Mistake(what, hint, into)
    if got == [part for part in PARTS if part]:
        raise Mistake("the empty message is missing", "0 bytes are a message, too", into)
    if got == [PARTS[0], *PARTS[2:]]:
        what = "the message b'abcdef', which did not fit into the room, is lost"
        raise Mistake(what, "BufferTooShort carries the whole message: look at its args", into)
    if got == PARTS[:1]:
        what = "the worker returned after the first message that did not fit into the room"
        raise Mistake(what, "after BufferTooShort, the connection goes on: receive the next one", into)
    if got != PARTS:
        what = f"of {listed(PARTS)}, the worker returned {listed(got)}"
        raise Mistake(what, "return the bytes of each message, in order")
    if room != b"xyc\0":
        what = f"all messages came, and the room holds {room!r} in the end, not b'xyc\\x00'"
        hint = "receive with recv_bytes_into(room), and write into the room in no other way"
        raise Mistake(what, hint, "recv_bytes", into)
    hint = "a message that is too long is not written. A shorter one leaves the bytes behind it as they were"
    expect_prediction(predicted, (0, room), f"no message was lost, and room held {room!r}", hint)
    return f"no message was lost, and the room held {room!r} in the end, as you had predicted"


def gather(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a worker a pipe that stays open; and three pipes, where the first waits for the second."""
    receivers, senders = _pipes(ctx, SENT)
    trial = Trial(ctx, worker, receivers, 10.0, around=_counting_ends)
    two_receivers, two_senders = _pipes(ctx, "ab")
    two_senders["a"].send("a")
    two_senders["a"].close()
    with_open_end = Trial(
        ctx, worker, two_receivers, 0.3, around=_counting_ends, about=" (one pipe stays open)"
    )
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
    return {"returned": trial.wait(), "with_open_end": with_open_end.wait()}


def _pipes(ctx: Any, names: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    ends = {name: ctx.Pipe(duplex=False) for name in names}
    return {name: pair[0] for name, pair in ends.items()}, {name: pair[1] for name, pair in ends.items()}


@Exercise(
    "03.5",
    gather,
    deadline=30.0,  # a worker may wait its 10 seconds once
    recv="this pipe may be silent while another has a message: wait for all of them at once",
    poll="a pipe may stay open and silent: give connection.wait() the seconds",
    EOFError="one pipe has ended: catch EOFError, and go on with the others",
    RuntimeError="don't take anything out of what a for loop goes through: go through a copy",
)
def _judge_gather(seen: Seen, returned: Any, with_open_end: Any) -> str:
    for pair in (returned, with_open_end):
        if pair == SPINS:
            what = "a pipe had ended, and the worker received from it again and again"
            hint = "at its end, a pipe stays ready: take it out of those that you wait for"
            raise Mistake(what, hint, "recv")
        if not (isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], dict)):
            hint = "return two things: a dictionary with a list for each name, and a list of names"
            raise Mistake(f"the worker returned {short(pair)}", hint)
    for what, (messages, names), sent, still_open in (
        ("each pipe ended", returned, brief(SENT), []),
        ("the pipe 'b' stayed open", with_open_end, {"a": ["a"], "b": []}, ["b"]),
    ):
        for name, expected in sent.items():
            got = as_list(messages.get(name, []))
            if got != expected:
                count = len(got) if isinstance(got, list) else short(got)
                missing = f"{what}; of {len(expected)} sent through {name!r}, the worker returned {count}"
                hint = "wait up to so many seconds each time, and go on with the others when one has ended"
                raise Mistake(missing, hint, "recv")
        if as_list(names) != still_open:
            named = f"{what}, and the list of those that had not ended was {short(names)}"
            hint = "a pipe has ended when its recv() raises EOFError; return the names of the others"
            raise Mistake(named, hint)
    return "all messages of three pipes came; and of two others, the one that stayed open was named"


# What runs around a worker, in its process.


def _then_closed(worker: Worker, connection: Any, requests: list[str]) -> tuple[Any, dict[str, Any]]:
    return worker(connection, requests), {"closed": connection.closed}


def _with_room(worker: Worker, receiver: Any) -> tuple[Any, dict[str, Any]]:
    room = bytearray(ROOM)
    return worker(receiver, room), {"room": room}


def _counting_ends(worker: Worker, receivers: dict[str, Any], seconds: float) -> tuple[Any, dict[str, Any]]:
    for receiver in receivers.values():
        receiver.recv = _CountingEnds(receiver.recv)
    try:
        return worker(receivers, seconds), {}
    except _SpinsError:
        return SPINS, {}


class _SpinsError(BaseException):
    """Raised in a loop that receives from a pipe which has ended, and would do so forever."""


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
