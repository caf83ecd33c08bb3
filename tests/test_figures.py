"""The picture of a Result: an image of the right size, and alt text with the numbers that were measured."""

from __future__ import annotations

import base64
import html
import multiprocessing
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import pytest
from prose import images

from ipc_helpers.experiments.pipe_exchange import PipeExchange
from ipc_helpers.experiments.process_start import ProcessStart
from ipc_helpers.experiments.queue_flow import QueueFlow
from ipc_helpers.experiments.queue_places import QueuePlaces
from ipc_helpers.experiments.result import Result
from ipc_helpers.group.starting import start_methods
from ipc_helpers.trace import RECEIVE, SEND, WRITE, Lane, Step
from ipc_helpers.ui import result_figure
from ipc_helpers.ui.drawing import Picture, Size, as_svg, in_drawing_thread
from ipc_helpers.ui.flow import flow_of
from ipc_helpers.ui.journey_figure import draw_journey
from ipc_helpers.ui.result_figure import _figure, draw, draw_soon

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.figure import Figure

    from ipc_helpers.experiments.experiment import Experiment

AMPLE = 60.0  # seconds
MS = 1_000_000  # nanoseconds


def lane(who: str, operation: int, events: Iterable[tuple[int, int, int]]) -> Lane:
    """Return a lane of events that a test chose: (started, ended, number), in milliseconds."""
    rows = [
        (7_000 * MS + started * MS, 7_000 * MS + ended * MS, number, operation)
        for started, ended, number in events
    ]
    return Lane(who, b"".join(struct.pack("4q", *row) for row in rows))


@pytest.fixture(scope="module")
def chosen() -> Result:
    """Return a result whose numbers are known: 4 messages of 10 bytes in 200 ms, at most 3 under way."""
    lanes = [
        lane("producer 1", SEND, [(0, 10, 0), (10, 20, 1)]),
        lane("producer 2", SEND, [(15, 30, 2), (150, 160, 3)]),
        lane("consumer 1", RECEIVE, [(-50, 50, 0), (50, 60, 1), (60, 70, 2), (190, 200, 3)]),
        lane("consumer 2", RECEIVE, []),
    ]
    flow = QueueFlow(messages=4, payload=10, producers=2, consumers=2)
    return Result(flow, tuple(lanes))


def draw_in_child(result: Result) -> None:
    assert "<img" in draw(result).html


@pytest.mark.skipif("fork" not in start_methods(), reason="the platform has no fork")
def test_a_forked_child_draws_although_its_parent_did(chosen: Result) -> None:
    """Fork copies the executor of the one thread that draws, but not the thread."""
    draw(chosen)
    process = multiprocessing.get_context("fork").Process(target=draw_in_child, args=(chosen,))
    process.start()
    process.join(AMPLE)
    process.kill()
    process.join()
    assert process.exitcode == 0
    process.close()


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


def child_starts(count: int, longest_name: int = 0) -> Result:
    """Return a result of so many children."""
    names = [f"child {n}".ljust(longest_name, ".") for n in range(1, count + 1)]
    ups = [lane(name, RECEIVE, [(n, n + 40, n)]) for n, name in enumerate(names)]
    parent = lane("parent", SEND, ((n, n + 1, n) for n in range(count)))
    return Result(ProcessStart(processes=count), (parent, *ups))


# What is in the picture.


@pytest.mark.parametrize("size", [Size(), Size(546, 646, 18.45), Size(300, 900, 24.6)])
@pytest.mark.parametrize("columns", [1, 2])
def test_picture_has_the_size_that_was_asked_for_and_no_smaller_text(
    chosen: Result, size: Size, columns: int
) -> None:
    for result in (chosen, waiting_at_places(), child_starts(16)):
        drawing = Drawing(draw(result, result if columns == 2 else None, size).svg)
        assert draw(result, size=tuple(size)).svg == draw(result, size=size).svg
        assert drawing.size == (size.width, size.height)
        assert min(drawing.heights) == pytest.approx(size.text)
        assert {lane.who for lane in result.lanes} <= set(drawing.texts)


def test_text_stays_in_the_picture(chosen: Result) -> None:
    """Also with many lanes, which once pushed the words below the axis out of it."""
    for result in (chosen, child_starts(16)):
        rows = Drawing(draw(result).svg).rows
        assert Size().text * 0.7 < min(rows) < max(rows) < Size().height


def test_runs_beside_each_other_have_the_same_axes(chosen: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick run beside a slow one, with another number of processes."""
    limits: list[Any] = []

    def svg(figure: Figure) -> str:
        limits.extend((axes.get_xlim(), axes.get_ylim()) for axes in figure.axes)
        return as_svg(figure)

    monkeypatch.setattr(result_figure, "as_svg", svg)
    put = lane("producer 1", SEND, [(0, 1, 0)])
    got = lane("consumer 1", RECEIVE, [(0, 2, 0)])
    quick = Result(QueueFlow(messages=1, payload=10, maxsize=8, start_method="spawn"), (put, got))
    picture = draw(quick, beside=chosen)
    assert len(limits) == 6
    assert limits[::2] == limits[1::2]
    texts = Drawing(picture.svg).texts
    assert "kept: Messages 4, Producers 2, Consumers 2, maxsize 0" in " ".join(texts)
    assert "now: Messages 1, Producers 1, Consumers 1, maxsize 8" in " ".join(texts)
    names = ["producer 1", "producer 2", "consumer 1", "consumer 2"]
    assert [text for text in texts if text in names] == names
    assert picture.alt == f"On the left, kept: {draw(chosen).alt} On the right, now: {draw(quick).alt}"


def test_run_of_another_kind_beside_is_refused(chosen: Result) -> None:
    with pytest.raises(TypeError, match="beside must be a result of QueueFlow, not <Result of QueuePlaces"):
        draw(chosen, beside=waiting_at_places())


def test_alt_text_has_the_numbers_of_the_result(chosen: Result) -> None:
    assert chosen.seconds == pytest.approx(0.2)
    assert draw(chosen).alt == (
        "4 messages of 10 bytes from 2 producers to 2 consumers, no bound, spawn. "
        "All were got 200.0 milliseconds after the first put began: 20 messages a second. "
        "At most 3 waited between put and got, at 30.0 milliseconds. "
        "producer 1: 2 put, 100% of its time inside put. "
        "producer 2: 2 put, 17% of its time inside put. "
        "consumer 1: 4 got, 52% of its time inside get. "
        "consumer 2: no message."
    )


def test_run_that_goes_on_is_drawn_up_to_now(chosen: Result) -> None:
    first = chosen.lanes[0]
    lanes = (Lane(first.who, first.records, "was still running"), *chosen.lanes[1:])
    goes_on = replace(chosen, lanes=lanes, stopped=7_250 * MS, is_running=True)
    alt = draw(goes_on).alt
    assert "It goes on after 250.0 milliseconds: 4 messages were put, 4 got. " in alt
    assert "was still running" not in alt
    shown: list[tuple[Picture, float]] = []
    draw_soon(lambda: (goes_on, None, None), lambda *drawn: shown.append(drawn))
    assert draw(goes_on).svg == shown[0][0].svg, "one thread draws one picture after the other"
    assert shown[0][1] > 0


def test_run_in_which_nothing_was_sent_is_drawn_from_the_first_call_on() -> None:
    waits = Lane("receiver", b"", "was still in recv", {RECEIVE: 7_000 * MS}, "connection.recv()")
    result = Result(PipeExchange(), (lane("sender", SEND, []), waits), stopped=7_500 * MS)
    alt = draw(result).alt
    assert "It was ended after 500.0 milliseconds: 0 messages were sent, 0 received. " in alt
    assert alt.endswith("receiver: no message; it was still in recv, in the line  connection.recv().")


def test_html_is_one_image_with_alt_text(chosen: Result) -> None:
    picture = draw(chosen)
    assert re.findall(r"<(\w+)", picture.html) == ["figure", "style", "img"]
    source = "data:image/svg+xml;base64," + base64.b64encode(picture.svg.encode()).decode()
    assert images(picture.html) == [(picture.alt, source)]
    assert picture._repr_html_() == picture.html


def test_alt_text_is_escaped() -> None:
    alt = '1 < 2 & "three" > <script>'
    picture = Picture("title", alt, "<svg></svg>", 860)
    assert html.escape(alt) in picture.html
    assert re.findall(r"<(\w+)", picture.html) == ["figure", "style", "img"]
    assert images(picture.html)[0][0] == alt


def test_repr_is_short_and_names_what_was_drawn(chosen: Result) -> None:
    assert repr(draw(chosen)) == f"<Picture: {chosen.experiment.description}>"


def test_picture_shows_nothing_of_the_one_before(chosen: Result) -> None:
    """The figure is used again; here by another experiment, with other words and numbers, as many lanes."""
    other = child_starts(len(chosen.lanes) - 1, longest_name=max(len(lane.who) for lane in chosen.lanes))
    in_drawing_thread(_figure.cache_clear).result()
    first = draw(chosen)
    assert draw(other).svg != first.svg
    assert _figure.cache_info().hits == 1, "the figure was made anew: this test tests nothing"
    assert draw(chosen).svg == first.svg


# What it can draw.


@pytest.mark.usefixtures("fonts", "nothing_left")
@pytest.mark.parametrize("start_method", start_methods())
def test_real_runs_are_drawn(start_method: str) -> None:
    """Each of them again after a drawing: under fork its children get what the drawing left in memory."""
    for _ in range(2):
        flow = QueueFlow(messages=200, producers=2, consumers=3, start_method=start_method)
        result = flow.run(deadline=AMPLE)
        picture = draw(result)
        assert picture.alt.startswith(f"{flow.description}. All were got {result.seconds * 1e3:,.1f} milli")
        assert f" {result.messages_per_second:,.0f} messages a second." in picture.alt
        for total in result.totals:
            done = f"{total.sent:,} put" if total.sent else f"{total.received:,} got"
            assert re.search(rf" {total.who}: {done}[,.]", picture.alt.replace(": no message.", ": 0 got."))


def test_lane_with_both_operations_is_drawn_and_described() -> None:
    """In turn: what waits is never more than one."""
    client = lane("client", SEND, [(0, 10, 0), (40, 50, 2)]).records
    client += lane("client", RECEIVE, [(10, 40, 1), (50, 100, 3)]).records
    server = lane("server", RECEIVE, [(-5, 20, 0), (30, 60, 2)]).records
    server += lane("server", SEND, [(20, 30, 1), (60, 90, 3)]).records
    exchange = PipeExchange(messages=4, payload=10, duplex=True)
    lanes = [in_order("client", client), in_order("server", server)]
    picture = draw(Result(exchange, tuple(lanes)))
    assert picture.alt == (
        "4 messages of 10 bytes, requests and replies over a duplex pipe, spawn. "
        "All were received 100.0 milliseconds after the first send began: 40 messages a second. "
        "At most 1 waited between sent and received, at 10.0 milliseconds. "
        "client: 2 sent and 2 received, 100% of its time inside send or recv. "
        "server: 2 sent and 2 received, 100% of its time inside send or recv."
    )


def in_order(who: str, records: bytes) -> Lane:
    events = sorted(Lane(who, records), key=lambda event: event.ended)
    return Lane(who, b"".join(struct.pack("4q", *event) for event in events))


PLACES_RUN = QueuePlaces(messages=4, payload=10, pause=20)


def waiting_at_places(taken_earlier: int = 0) -> Result:
    """Return a result of 200 ms with at most 1 message in the deque, 1 with the feeder, 2 in the pipe."""
    early = taken_earlier
    put = lane("producer", SEND, [(0, 10, 0), (10, 20, 1), (20, 30, 2), (30, 40, 3)])
    wrote = [(15 - early, 18, 0), (25 - early, 28, 1), (35 - early, 120, 2), (125, 160, 3)]
    both = Lane("producer", put.records + lane("producer", WRITE, wrote).records)
    got = lane("consumer", RECEIVE, [(0, 60, 0), (110, 115, 1), (150, 155, 2), (190, 200, 3)])
    return Result(PLACES_RUN, (both, got))


def test_places_are_drawn_and_described() -> None:
    picture = draw(waiting_at_places())
    assert picture.alt == (
        "4 messages of 10 bytes, no bound, a pause of 20 ms after each get, spawn. "
        "All were got 200.0 milliseconds after the first put began: 20 messages a second. "
        "At most 4 waited between put and got, at 40.0 milliseconds. "
        "At most 1 in the deque, 1 with the feeder thread, 2 in the pipe. "
        "producer: 4 put, 100% of its time inside put; its feeder thread wrote 4. "
        "consumer: 4 got, 40% of its time inside get."
    )


def test_message_that_goes_on_before_its_put_returned_is_in_one_place() -> None:
    """The clock of a put stops when put() returns, which can be after the feeder took the message."""
    picture = draw(waiting_at_places(taken_earlier=7))
    assert "At most 4 waited between put and got, at 40.0 milliseconds." in picture.alt
    assert "At most 1 in the deque, 1 with the feeder thread, 2 in the pipe." in picture.alt


def test_places_stay_as_they_were_between_other_pictures(chosen: Result) -> None:
    places, flow = draw(waiting_at_places()).svg, draw(chosen).svg
    assert draw(waiting_at_places()).svg == places
    assert draw(waiting_at_places(7)).svg != places
    assert draw(waiting_at_places()).svg == places
    assert draw(chosen).svg == flow


def test_places_of_two_runs_are_explained_once() -> None:
    """A column alone is too narrow for the three names."""
    texts = Drawing(draw(waiting_at_places(), waiting_at_places(7), Size(546, 646, 18.45)).svg).texts
    assert [texts.count(place) for place in ("deque", "feeder thread", "pipe")] == [1, 1, 1]


def test_bands_of_places_stack_up_to_what_waits() -> None:
    """At each moment: what is in the deque, with the feeder and in the pipe is what is put and not got."""
    flow = flow_of(waiting_at_places())
    moments = [10.5, 16, 22, 27, 38, 50, 70, 112, 118, 122, 130, 152, 158, 170, 195]
    inside = {
        place: [int(np.sum(comes <= moment) - np.sum(goes <= moment)) for moment in moments]
        for place, (comes, goes) in flow.places.items()
    }
    assert inside == {
        "deque": [1, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        "feeder thread": [0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 0],
        "pipe": [0, 0, 1, 1, 2, 2, 1, 1, 0, 1, 1, 1, 0, 1, 1],
    }
    waiting = [flow.depth[flow.times <= moment][-1] for moment in moments]
    assert [sum(counts) for counts in zip(*inside.values(), strict=True)] == waiting


WAY = [
    Step(7_000 * MS, "put is called", "put", "producer", "main"),
    Step(7_010 * MS, "put returns", "deque", "producer", "main"),
    Step(7_020 * MS, "taken", "feeder thread", "producer", "feeder"),
    Step(7_050 * MS, "the write ends", "pipe", "producer", "feeder"),
    Step(7_060 * MS, "get is called", None, "consumer", "main"),
    Step(7_090 * MS, "read", "get", "consumer", "main"),
    Step(7_095 * MS, "unpickled", "get", "consumer", "main"),
    Step(7_100 * MS, "get returns", "got", "consumer", "main"),
]


def test_journey_is_drawn_and_described() -> None:
    picture = draw_journey(WAY[::-1])
    assert repr(picture) == "<Picture: The way of one message>"
    assert picture.alt == (
        "The way of one message: 100,000 microseconds from the call of put to the return of get. "
        "put: 10,000 microseconds, producer, main: put is called. "
        "deque: 10,000 microseconds, producer, main: put returns. "
        "feeder thread: 30,000 microseconds, producer, feeder: taken. "
        "pipe: 40,000 microseconds, producer, feeder: the write ends. "
        "get: 10,000 microseconds, consumer, main: read, unpickled."
    )
    assert draw_journey(WAY).svg == picture.svg


def test_step_that_is_noted_late_moves_the_message_no_more() -> None:
    """The put returns after the feeder took the message; the write's end is noted after the read."""
    way = WAY.copy()
    way[1] = way[1]._replace(time=7_030 * MS)
    way[3] = way[3]._replace(time=7_092 * MS)
    picture = draw_journey(way)
    assert "put: 20,000 microseconds" in picture.alt
    assert "feeder thread: 70,000 microseconds" in picture.alt
    assert "get: 10,000 microseconds" in picture.alt
    assert "deque" not in picture.alt
    assert "pipe" not in picture.alt


@pytest.mark.parametrize(
    "experiment",
    [
        QueuePlaces(messages=1, pause=0),
        QueuePlaces(messages=100, pause=0),
        QueuePlaces(messages=20, payload=200_000),
        PipeExchange(messages=1),
        PipeExchange(messages=500, duplex=True),
        ProcessStart(processes=1),
        ProcessStart(processes=16, argument=1000),
    ],
    ids=str,
)
def test_each_experiment_is_drawn(experiment: Experiment) -> None:
    result = experiment.run(deadline=AMPLE)
    picture = draw(result)
    assert picture.alt.startswith(f"{experiment.description}. ")
    assert all(f" {total.who}: " in picture.alt for total in result.totals)


@pytest.mark.usefixtures("fonts", "nothing_left")
def test_one_message_is_drawn() -> None:
    result = QueueFlow(messages=1, producers=4, consumers=4).run(deadline=AMPLE)
    picture = draw(result)
    assert picture.alt.startswith("1 message of 64 bytes from 4 producers to 4 consumers")
    assert picture.alt.count(": no message.") == 6
    # No share of its time for one operation, which is all of it.
    assert picture.alt.count(": 1 put.") == picture.alt.count(": 1 got.") == 1


def test_100_000_messages_are_drawn() -> None:
    count = 100_000
    put = lane("producer 1", SEND, ((n, n + 1, n) for n in range(count)))
    got = lane("consumer 1", RECEIVE, ((n + 1, n + 2, n) for n in range(count)))
    picture = draw(Result(QueueFlow(messages=count, payload=0), (put, got)))
    assert "producer 1: 100,000 put, 100% of its time inside put." in picture.alt
    assert "1,000 messages a second." in picture.alt


def test_message_that_is_got_before_its_put_returned_is_not_minus_one() -> None:
    """The clock of a put stops when put() returns, which can be after the get."""
    put = lane("producer 1", SEND, [(0, 30, 0)])
    got = lane("consumer 1", RECEIVE, [(5, 20, 0)])
    picture = draw(Result(QueueFlow(messages=1, payload=10), (put, got)))
    assert "All were got 20.0 milliseconds after" in picture.alt
    assert "At most 1 waited between put and got, at 20.0 milliseconds." in picture.alt


def test_threads_draw_at_once(chosen: Result) -> None:
    with ThreadPoolExecutor(4) as threads:
        pictures = [*threads.map(draw, [chosen] * 4, timeout=AMPLE)]
    assert {picture.svg for picture in pictures} == {draw(chosen).svg}
