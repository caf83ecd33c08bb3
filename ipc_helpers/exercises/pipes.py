"""Exercises on pipes, chapter 03."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipc_helpers.checks import Exercise, Mistake, listed, short
from ipc_helpers.trials import NOTHING, pipes

if TYPE_CHECKING:
    from ipc_helpers.checks import Seen


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _facts(seen: Seen, *names: str) -> list[Any]:
    return [seen.facts.get(name) for name in names]


def _judge_receive_to_the_end(seen: Seen) -> str | Mistake:
    returned, early = _facts(seen, "returned", "early")
    line = seen.line_of("recv", "receive_to_the_end")
    expected = list(pipes.MESSAGES)
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


def _judge_ask(seen: Seen) -> str | Mistake:
    requests, returned, closed = _facts(seen, "requests", "returned", "closed")
    expected = [pipes.brief(request) for request in pipes.REQUESTS]
    replies = [pipes.brief(request.upper()) for request in pipes.REQUESTS]
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


def _judge_collect(seen: Seen) -> str | Mistake:
    some, none, alive = _facts(seen, "some", "none", "alive")
    expected = [pipes.brief(pipes.BLOB)] * pipes.BLOBS
    defined = seen.line_of("collect")
    if not _is_list(some):
        what = f"the worker returned {short(some)}, not a list of the {pipes.BLOBS} messages"
        return Mistake(what, "return all messages, once the pipe has ended", defined)
    if list(some) != expected:
        what = f"of {pipes.BLOBS} messages, the worker returned {len(some)}"
        return Mistake(what, "receive until EOFError, and return all", seen.line_of("recv", "collect"))
    if not _is_list(none) or len(none):
        what = f"a producer sent nothing, and the worker returned {short(none)}"
        return Mistake(what, "then the list is empty", defined)
    if alive:
        hint = "when the pipe has ended, join the producer"
        return Mistake("the producer still ran when the worker returned", hint, seen.line_of("start"))
    return (
        f"the {pipes.BLOBS} messages of one producer came, and none of another; then the producer had ended"
    )


def _judge_receive_into(seen: Seen) -> str | Mistake:
    returned, room, predicted = _facts(seen, "returned", "room", "predicted")
    wanted = list(pipes.PARTS)
    got = list(returned) if _is_list(returned) else None
    line = seen.line_of("recv_bytes_into", "receive_into")
    defined = seen.line_of("receive_into")
    if got is None:
        what = f"the worker returned {short(returned)}"
        return Mistake(what, "return a list of all messages, when the pipe has ended", defined)
    whole = [part for part in got if isinstance(part, bytes) and len(part) == pipes.ROOM]
    if whole:
        what = f"the worker returned {whole[0]!r}, and no message had {pipes.ROOM} bytes"
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
    if room == bytes(pipes.ROOM):
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


def _judge_gather(seen: Seen) -> str | Mistake:
    everything, with_open_end = _facts(seen, "all", "open")
    defined = seen.line_of("gather")
    for returned in (everything, with_open_end):
        if returned == pipes.SPINS:
            what = "a pipe had ended, and the worker received from it again and again"
            hint = "at its end, a pipe stays ready: take it out of those that you wait for"
            return Mistake(what, hint, seen.line_of("recv", "gather"))
        if not (_is_list(returned) and len(returned) == 2 and isinstance(returned[0], dict)):
            what = f"the worker returned {short(returned)}"
            hint = "return two things: a dictionary with a list for each name, and a list of names"
            return Mistake(what, hint, defined)
    for what, (messages, names), sent, still_open in (
        ("each pipe ended", everything, pipes.brief(pipes.SENT), []),
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


EXERCISES = {
    exercise.key: exercise
    for exercise in (
        Exercise(
            "03.1",
            ("receive_to_the_end",),
            pipes.receive_to_the_end,
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
            pipes.ask,
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
            pipes.collect,
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
            pipes.receive_into,
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
            pipes.gather,
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
