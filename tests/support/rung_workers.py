"""Pairs of functions for rungs that don't keep to what a rung has to do, each in its own way."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from ipc_helpers.child.entry import ready

if TYPE_CHECKING:
    from typing import Any


def lose(queue: Any, turns: Any) -> None:
    """Lose the second message of each turn."""
    for messages in turns:
        for place, message in enumerate(messages):
            if place != 1:
                queue.put(message)


def lose_last(queue: Any, turns: Any) -> None:
    for messages in turns:
        for message in messages[:-1]:
            queue.put(message)


def repeat(queue: Any, turns: Any) -> None:
    """Send the first message of each turn in place of the second."""
    for messages in turns:
        for message in [messages[0], *messages[:1], *messages[2:]]:
            queue.put(message)


def reorder(queue: Any, turns: Any) -> None:
    for messages in turns:
        for message in [messages[1], messages[0], *messages[2:]]:
            queue.put(message)


def tear(queue: Any, turns: Any) -> None:
    """Send the third message of each turn with the end of the fourth."""
    for messages in turns:
        for place, message in enumerate(messages):
            torn = place == 2 and len(messages) > 3
            queue.put(message[:-4] + messages[3][-4:] if torn else message)


def tear_later(queue: Any, turns: Any) -> None:
    """Send one of the timed messages with another checksum."""
    for number, messages in enumerate(turns):
        for place, message in enumerate(messages):
            torn = number == 1 and place == 2
            queue.put(message[:8] + messages[3][8:12] + message[12:] if torn else message)


def shorten(queue: Any, turns: Any) -> None:
    for messages in turns:
        for message in messages:
            queue.put(message[:-1])


def send_numbers(queue: Any, turns: Any) -> None:
    for messages in turns:
        for place, _ in enumerate(messages):
            queue.put(place)


def send_once(queue: Any, turns: Any) -> None:
    """Leave before the second turn."""
    for message in next(turns):
        queue.put(message)


def keep_once_more(queue: Any, turns: Any) -> None:
    for count, keep in turns:
        for _ in range(count):
            keep(message := queue.get())
        keep(message)


def get_more_of_them(queue: Any, turns: Any) -> None:
    """Wait for one message more than there is."""
    for count, keep in turns:
        for _ in range(count + 1):
            keep(queue.get())


def put_from_one_core(queue: Any, turns: Any) -> None:
    for messages in turns:
        assert len(os.sched_getaffinity(0)) == 1
        for message in messages:
            queue.put(message)


def get_on_another_core(queue: Any, turns: Any) -> None:
    _, *others = sorted(os.sched_getaffinity(os.getppid()), reverse=True)  # the first is the sender's
    for count, keep in turns:
        assert os.sched_getaffinity(0) == {others[0]}
        for _ in range(count):
            keep(queue.get())


def fail(queue: Any, turns: Any) -> None:
    raise OSError("no such rung")


def die(queue: Any, turns: Any) -> None:
    next(turns)
    os.kill(os.getpid(), signal.SIGKILL)


def hang(queue: Any, turns: Any) -> None:
    next(turns)
    ready()
    time.sleep(600)


def copy_wrongly(_: Any, turns: Any) -> None:
    """Hand out each message with another last byte."""
    for messages, keep in turns:
        for message in messages:
            keep(message[:-1] + b"?")
