"""Figures: what is in a picture, in its lines and in words."""

from __future__ import annotations

import base64
import html
import multiprocessing
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pictures import AMPLE, MS, Drawing, lane, waiting_at_places
from prose import images

from ipc_helpers.experiments.pipe_exchange import PipeExchange
from ipc_helpers.experiments.process_start import ProcessStart
from ipc_helpers.experiments.queue_flow import QueueFlow
from ipc_helpers.experiments.result import Result
from ipc_helpers.group.starting import start_methods
from ipc_helpers.trace import RECEIVE, SEND, Lane
from ipc_helpers.ui import run_figure
from ipc_helpers.ui.drawing import Picture, Size, as_svg, draw_soon, in_drawing_thread
from ipc_helpers.ui.run_figure import _figure, draw, draw_now

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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

    monkeypatch.setattr(run_figure, "as_svg", svg)
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
    draw_soon(lambda: draw_now(goes_on, None, None), lambda *drawn: shown.append(drawn))
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
