"""Figures: which results can be drawn, alone or beside another."""

from __future__ import annotations

import re
import struct
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pictures import AMPLE, MS, Drawing, lane, waiting_at_places

from ipc_helpers.experiments.pipe_exchange import PipeExchange
from ipc_helpers.experiments.process_start import ProcessStart
from ipc_helpers.experiments.program_stop import ProgramStop
from ipc_helpers.experiments.queue_flow import QueueFlow
from ipc_helpers.experiments.queue_places import QueuePlaces
from ipc_helpers.experiments.result import Result
from ipc_helpers.experiments.slot_exchange import SlotExchange
from ipc_helpers.experiments.stage_chain import StageChain
from ipc_helpers.group.starting import start_methods
from ipc_helpers.trace import RECEIVE, SEND, STOP, WRITE, Lane, Step
from ipc_helpers.ui.curves import flow_of
from ipc_helpers.ui.drawing import Size
from ipc_helpers.ui.message_journey_figure import draw_journey
from ipc_helpers.ui.result_table import summary_of
from ipc_helpers.ui.run_figure import draw

if TYPE_CHECKING:
    from ipc_helpers.experiments.experiment import Experiment

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
        "client: 2 sent and 2 received, 20% of its time inside send and 80% inside recv. "
        "server: 2 sent and 2 received, 42% of its time inside send and 58% inside recv."
    )


def in_order(who: str, records: bytes) -> Lane:
    events = sorted(Lane(who, records), key=lambda event: event.ended)
    return Lane(who, b"".join(struct.pack("4q", *event) for event in events))


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
        place.name: [int(np.sum(comes <= moment) - np.sum(goes <= moment)) for moment in moments]
        for place, (comes, goes) in flow.places.items()
    }
    assert inside == {
        "deque": [1, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        "feeder thread": [0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 0],
        "pipe": [0, 0, 1, 1, 2, 2, 1, 1, 0, 1, 1, 1, 0, 1, 1],
    }
    waiting = [flow.depth[flow.times <= moment][-1] for moment in moments]
    assert [sum(counts) for counts in zip(*inside.values(), strict=True)] == waiting


@pytest.mark.parametrize("count", [3, 5, 10, 12, 25, 50, 125])
def test_numbers_of_two_axes_do_not_touch(count: int) -> None:
    """The lower axes' last one and the upper axes' 0."""
    put = lane("producer", SEND, [(number, number + 1, number) for number in range(count)]).records
    wrote = lane("producer", WRITE, [(500 + number, 501 + number, number) for number in range(count)]).records
    got = lane("consumer", RECEIVE, [(1000 + number, 1001 + number, number) for number in range(count)])
    drawing = Drawing(draw(Result(QueuePlaces(messages=count), (Lane("producer", put + wrote), got))).svg)
    found = zip(drawing.texts, drawing.rows, strict=True)
    rows = sorted({row for text, row in found if text.replace(",", "").isdigit()})
    assert min(below - above for above, below in pairwise(rows)) > 0.9 * max(drawing.heights)


def chain_result(maxsize: int) -> Result:
    """Return a result of 100 ms with a slow stage 2: get by get, its queue has at most 2 messages."""

    def stage(name: str, gets: list[tuple[int, int, int]], puts: list[tuple[int, int, int]]) -> Lane:
        return Lane(name, lane(name, RECEIVE, gets).records + lane(name, SEND, puts).records)

    lanes = (
        lane("producer", SEND, [(0, 1, 0), (4, 5, 1), (8, 9, 2), (12, 13, 3)]),
        stage(
            "stage 1",
            [(0, 2, 0), (4, 6, 1), (8, 10, 2), (12, 14, 3)],
            [(3, 4, 0), (7, 8, 1), (11, 12, 2), (15, 29, 3)],
        ),
        # The last put of stage 1 returns before the get that has made room for it.
        stage(
            "stage 2",
            [(0, 5, 0), (25, 30, 1), (50, 51, 2), (75, 76, 3)],
            [(24, 25, 0), (49, 50, 1), (74, 75, 2), (98, 99, 3)],
        ),
        lane("consumer", RECEIVE, [(0, 26, 0), (27, 51, 1), (52, 76, 2), (77, 100, 3)]),
    )
    return Result(StageChain(messages=4, stages=2, maxsize=maxsize), lanes)


def test_queues_of_a_chain_are_drawn_and_described() -> None:
    bounded = draw(chain_result(2))
    assert bounded.alt == (
        "4 messages through 2 stages, maxsize=2, 20 ms in the last stage, 5 ms elsewhere, spawn. "
        "All were got 100.0 milliseconds after the first put began: 40 messages a second. "
        "At most 4 waited between put and got, at 13.0 milliseconds. "
        "At most 1 in queue 1, 2 in queue 2, 1 in queue 3. "
        "producer: 4 put, 31% of its time inside put. "
        "stage 1: 4 put and 4 got, 59% of its time inside put and 28% inside get. "
        "stage 2: 4 put and 4 got, 4% of its time inside put and 12% inside get. "
        "consumer: 4 got, 97% of its time inside get."
    )
    assert "3 in queue 2" in draw(chain_result(0)).alt
    assert {"1", "2", "3", "in queue"} <= set(Drawing(bounded.svg).texts)


def test_each_hatch_is_seen_on_its_ground() -> None:
    """So no colour carries a meaning alone."""
    for picture in (draw(chain_result(2)), draw(waiting_at_places()), draw_journey(WAY)):
        patterns = re.findall(r"<pattern .*?</pattern>", picture.svg, re.DOTALL)
        grounds = [re.findall(r'fill="(\S+)"', pattern) for pattern in patterns]
        lines = [re.findall(r"stroke: ([^;]+);", pattern) for pattern in patterns]
        assert len(patterns) >= 4
        assert all(ground != line for ground, line in zip(grounds, lines, strict=True))
        assert "fill-opacity" not in "".join(re.findall(r"fill: url.*", picture.svg))


def test_chains_of_different_lengths_are_drawn_beside_each_other() -> None:
    short, long = (StageChain(messages=3, stages=stages, work=0).run(deadline=AMPLE) for stages in (1, 4))
    for pair in ((short, long), (long, short)):
        texts = Drawing(draw(*pair, Size(546, 646, 18.45)).svg).texts
        assert {f"stage {number}" for number in range(1, 5)} <= set(texts)
        assert " 1 2 3 4 5" in " ".join(texts), "the legend has the queues of both"


def stopped_result(*lost: str) -> Result:
    """Return a result of a stop that took 60 ms, and lost a task in some of two workers."""
    lanes = (
        lane("producer", SEND, [(0, 1, 0), (1, 2, 1), (2, 3, 2), (3, 4, 3), (4, 5, 4)]),
        lane("worker 1", RECEIVE, [(2, 52, 0)] if "worker 1" in lost else [(2, 52, 0), (52, 102, 2)]),
        lane("worker 2", RECEIVE, [(3, 53, 1)]),
    )
    ended = [
        Lane(each.who, each.records, "was terminated", {RECEIVE: 7_053 * MS}) if each.who in lost else each
        for each in lanes
    ]
    program = ProgramStop(tasks=5, length=50, workers=2, way="terminate", moment=80)
    parent = Lane("parent", lane("parent", STOP, [(80, 140, 0)]).records, "")
    return Result(program, (*ended, parent))


def test_stop_is_drawn_and_described() -> None:
    result = stopped_result("worker 1", "worker 2")
    picture = draw(result)
    assert picture.alt == (
        "5 tasks of 50 ms for 2 workers, stopped after 80 ms by terminate, spawn. "
        "5 tasks were put, 2 done. The stop began 80.0 milliseconds after the first put. "
        "The stop took 60 milliseconds: 2 tasks under way were lost, and 1 was never begun. "
        "At most 5 waited between put and done, at 5.0 milliseconds. "
        "producer: 5 put, 100% of its time inside put; it returned. "
        "worker 1: 1 done; it was terminated. worker 2: 1 done; it was terminated. "
        "parent: stopped the others."
    )
    assert {"was terminated", "ms since the first put; dotted: the stop"} <= set(Drawing(picture.svg).texts)
    assert "| a task; hatched: at work; crossed: lost" in Drawing(picture.svg).texts
    assert summary_of(result) == (
        "Done: 5 put, 2 done. The stop took 60 milliseconds: "
        "2 tasks under way were lost, and 1 was never begun."
    )
    one = stopped_result("worker 2")
    assert summary_of(one).endswith("1 task under way was lost, and 1 was never begun.")
    none = draw(stopped_result())
    assert "0 tasks under way were lost, and 2 were never begun." in none.alt
    assert "| a task; hatched: at work" in Drawing(none.svg).texts


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
        *(SlotExchange(messages=20, slots=1, through=through) for through in ("slots", "queue")),
        *(StageChain(messages=20, stages=stages, maxsize=maxsize) for stages in (1, 4) for maxsize in (0, 2)),
        ProcessStart(processes=1),
        ProcessStart(processes=16, argument=1000),
        *(ProgramStop(tasks=8, length=20, way=way, moment=30) for way in ("sentinels", "event", "terminate")),
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
