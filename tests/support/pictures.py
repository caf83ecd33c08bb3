"""What tests of figures share: results to draw, and what is in a picture."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ipc_helpers.experiments.queue_flow import QueueFlow
from ipc_helpers.experiments.queue_places import QueuePlaces
from ipc_helpers.experiments.result import Result
from ipc_helpers.trace import RECEIVE, SEND, WRITE, Lane

if TYPE_CHECKING:
    from collections.abc import Iterable


AMPLE = 60.0  # seconds
MS = 1_000_000  # nanoseconds


def lane(who: str, operation: int, events: Iterable[tuple[int, int, int]]) -> Lane:
    """Return a lane of events that a test chose: (started, ended, number), in milliseconds."""
    rows = [
        (7_000 * MS + started * MS, 7_000 * MS + ended * MS, number, operation)
        for started, ended, number in events
    ]
    return Lane(who, b"".join(struct.pack("4q", *row) for row in rows))


def chosen_result() -> Result:
    """Return a result whose numbers are known: 4 messages of 10 bytes in 200 ms, at most 3 under way."""
    lanes = [
        lane("producer 1", SEND, [(0, 10, 0), (10, 20, 1)]),
        lane("producer 2", SEND, [(15, 30, 2), (150, 160, 3)]),
        lane("consumer 1", RECEIVE, [(-50, 50, 0), (50, 60, 1), (60, 70, 2), (190, 200, 3)]),
        lane("consumer 2", RECEIVE, []),
    ]
    flow = QueueFlow(messages=4, payload=10, producers=2, consumers=2)
    return Result(flow, tuple(lanes))


class Drawing:
    """What an SVG holds: its size in pixels, each text, its height, and how far from the top it is."""

    def __init__(self, svg: str) -> None:
        root = ElementTree.fromstring(svg)
        self.size = tuple(map(float, root.attrib["viewBox"].split()[2:]))
        texts = list(root.iter("{http://www.w3.org/2000/svg}text"))
        self.texts = ["".join(text.itertext()) for text in texts]
        self.heights = [float(re.findall(r"([\d.]+)px", text.attrib["style"])[0]) for text in texts]
        shifts = [
            re.findall(r"translate\(\S+ ([\d.-]+)\)", text.attrib.get("transform", "")) for text in texts
        ]
        self.rows = [
            float(shift[0] if shift else text.attrib["y"]) for text, shift in zip(texts, shifts, strict=True)
        ]


PLACES_RUN = QueuePlaces(messages=4, payload=10, pause=20)


def waiting_at_places(taken_earlier: int = 0) -> Result:
    """Return a result of 200 ms with at most 1 message in the deque, 1 with the feeder, 2 in the pipe."""
    early = taken_earlier
    put = lane("producer", SEND, [(0, 10, 0), (10, 20, 1), (20, 30, 2), (30, 40, 3)])
    wrote = [(15 - early, 18, 0), (25 - early, 28, 1), (35 - early, 120, 2), (125, 160, 3)]
    both = Lane("producer", put.records + lane("producer", WRITE, wrote).records)
    got = lane("consumer", RECEIVE, [(0, 60, 0), (110, 115, 1), (150, 155, 2), (190, 200, 3)])
    return Result(PLACES_RUN, (both, got))
