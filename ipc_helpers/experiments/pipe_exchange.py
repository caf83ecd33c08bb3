"""Messages through a pipe, one way or there and back, chapter 03."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ipc_helpers.child.recorder import Messages
from ipc_helpers.experiments.experiment import MessageExperiment
from ipc_helpers.experiments.parameters import Choice, Participant, Role, parameter
from ipc_helpers.group.starting import start_methods
from ipc_helpers.workers import (
    pipe_workers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class PipeExchange(MessageExperiment):
    """Two child processes, one at each end of a Pipe, pass numbered messages to each other.

    One-way, a sender sends them all and a receiver receives them. Over a duplex pipe a client sends
    a request, the server answers it with a reply, and so on, in turn. The clock runs from the first
    send to the last recv: both processes are up before the first message.

    Parameters
    ----------
    messages : int
        How many messages go through the pipe, 1 to 100,000; requests and replies both count, so over a
        duplex pipe it is an even number.
    payload : int
        Bytes in each message beside its number, 0 to 1 MiB; messages times payload at most 256 MiB.
    duplex : bool
        As for ``Pipe``: False for a one-way pipe, True for one that can send both ways.
    start_method : str
        "spawn", and "fork" or "forkserver" where the platform has them.

    Attributes
    ----------
    roles : dict of str to Role
        Its workers, or yours in their place: the sender, the receiver; over a duplex pipe the client, the
        server.

    Raises
    ------
    TypeError, ValueError
        For a parameter of the wrong type or out of its range; the message names it.
    """

    roles: ClassVar = {
        "sender": Role(
            pipe_workers.send_all,
            ("connection", "messages"),
            "sends each of the messages, pairs of a number and a payload, then None",
        ),
        "receiver": Role(
            pipe_workers.receive_until_none, ("connection",), "receives messages until None comes"
        ),
        "client": Role(
            pipe_workers.ask_all,
            ("connection", "requests"),
            "sends each of the requests, and receives a reply to each, then sends None",
        ),
        "server": Role(
            pipe_workers.serve,
            ("connection", "reply"),
            "receives requests until None comes, and sends reply(request) for each",
        ),
    }

    duplex: bool = parameter(False, Choice((False, True), "Pipe", ("one-way", "duplex")))
    start_method: str = parameter("spawn", Choice(start_methods(), "Start method"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.duplex and self.messages % 2:
            raise ValueError(
                f"messages must be even over a duplex pipe, a reply for each request; not {self.messages:,}"
            )

    @property
    def description(self) -> str:
        """What it does, in words and with its numbers."""
        way = "requests and replies over a duplex pipe" if self.duplex else "over a one-way pipe"
        return f"{self._load}, {way}, {self.start_method}"

    @property
    def roles_here(self) -> tuple[str, ...]:
        """Which of its roles there are: those of a one-way pipe, or those of a duplex pipe."""
        return ("client", "server") if self.duplex else ("sender", "receiver")

    def participants(self, context: Any) -> Iterator[Participant]:
        """Yield both ends' processes: the sender or client, then the receiver or server."""
        second, first = context.Pipe(self.duplex)
        numbers = range(0, self.messages, 2 if self.duplex else 1)
        starts, answers = self.roles_here
        yield Participant(starts, starts, (first, Messages(numbers, self.payload)))
        yield Participant(answers, answers, (second, pipe_workers.next_message) if self.duplex else (second,))
