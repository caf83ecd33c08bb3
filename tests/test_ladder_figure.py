"""The figure of a ladder: what it draws and says, in any size, and what it refuses."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pytest
from pictures import Drawing

from ipc_helpers import draw_ladder
from ipc_helpers.measuring.ladder import Ladder, Sample
from ipc_helpers.ui import ladder_figure
from ipc_helpers.ui.drawing import Size, as_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

pytestmark = pytest.mark.usefixtures("fonts")

QUEUE, PIPE, OS_PIPE = Sample(250e3, 32, 70), Sample(400e3, 24, 50), Sample(2.5e6, 16, 30)
SOCKETS, MEMCPY = Sample(800e3, 20, 40), Sample(10e6)
SAMPLES = {"Queue": QUEUE, "Pipe, send": PIPE, "os.pipe": OS_PIPE, "socketpair": SOCKETS, "memcpy": MEMCPY}


def ladder(samples: dict[str, Sample] = SAMPLES, **more: Any) -> Ladder:
    """Return a ladder of three rounds: its median is what was given, and its quartiles 10 % off."""
    rounds = [
        {
            name: Sample(sample.rate * factor, sample.p50 * factor, sample.p99)
            for name, sample in samples.items()
        }
        for factor in (1.2, 1, 0.8)
    ]
    return Ladder(rounds, **more)


def test_rates_are_drawn_and_described() -> None:
    picture = draw_ladder(ladder())
    assert repr(picture) == "<Picture: Messages of 64 bytes, spawn>"
    assert picture.alt == (
        "Messages of 64 bytes, spawn, medians of 3 rounds, and quartiles. "
        "Messages a second: socketpair 800,000 (720,000 to 880,000), 0.32 of os.pipe; "
        "Pipe, send 400,000 (360,000 to 440,000), 0.16 of os.pipe; "
        "Queue 250,000 (225,000 to 275,000), 0.1 of os.pipe; "
        "the limit, os.pipe 2,500,000 (2,250,000 to 2,750,000)."
    )
    texts = Drawing(picture.svg).texts
    assert {"socketpair", "Pipe, send", "Queue", "os.pipe: 2,500,000", "messages a second"} <= {*texts}
    assert {"800,000", "400,000", "250,000", "100,000", "1,000,000"} <= {*texts}
    assert "Bar: median of 3 rounds, and quartiles; dashed: the limit." in texts
    assert draw_ladder(ladder()).svg == picture.svg


def test_bandwidth_has_memcpy_as_its_limit_and_the_pipe_as_a_bar() -> None:
    alt = draw_ladder(ladder(), "bandwidth").alt
    assert "Gigabytes a second: os.pipe 0.16 (0.144 to 0.176), 0.25 of memcpy; socketpair " in alt
    assert alt.endswith("; the limit, memcpy 0.64 (0.576 to 0.704).")


def test_latency_has_the_least_first_and_a_mark_at_p99() -> None:
    picture = draw_ladder(ladder(), "latency")
    assert picture.alt.endswith(
        "Microseconds to arrive: socketpair 20 (18 to 22), p99 40; Pipe, send 24 (21.6 to 26.4), p99 50; "
        "Queue 32 (28.8 to 35.2), p99 70; the limit, os.pipe 16 (14.4 to 17.6), p99 30."
    )
    texts = Drawing(picture.svg).texts
    assert {"32, p99 70", "os.pipe: 16"} <= {*texts}
    assert "; diamond: p99." in " ".join(texts)


def test_all_are_drawn_one_below_the_other_without_bars_of_limits() -> None:
    picture = draw_ladder(ladder(), "all")
    texts = Drawing(picture.svg).texts
    assert [texts.count(name) for name in ("Queue", "Pipe, send", "socketpair", "os.pipe")] == [3, 3, 0, 0]
    for words in ("Messages a second", "Gigabytes a second", "Microseconds to arrive"):
        assert words in picture.alt
        assert words[0].lower() + words[1:] in texts


def test_what_was_measured_stands_in_the_title() -> None:
    some = ladder(size=1024 * 1024, batch=100, content="array", together=True, start_method="fork")
    words = "NumPy arrays of 1 MiB, in batches of 100, both processes on one core, fork"
    assert draw_ladder(some).title == words
    assert words in " ".join(Drawing(draw_ladder(some).svg).texts)
    assert draw_ladder(ladder(size=4096)).title == "Messages of 4 KiB, spawn"


@pytest.mark.parametrize("package", ["pyzmq", "faster-fifo", "faster-fifo, batches", "iceoryx2"])
def test_kinds_of_rungs_are_told_apart_by_hatch_and_explained(package: str) -> None:
    """So no colour carries a meaning alone."""
    picture = draw_ladder(ladder({**SAMPLES, package: Sample(300e3, 30, 60)}))
    texts = Drawing(picture.svg).texts
    assert {"Python and this series", "another package", "the system alone"} <= {*texts}
    assert f"; {package}, another package, 300,000 (270,000 to 330,000), 0.12 of os.pipe; " in picture.alt
    patterns = re.findall(r"<pattern .*?</pattern>", picture.svg, re.DOTALL)
    assert len({re.sub(r'id="\w+"|#\w{6}', "", pattern) for pattern in patterns}) == 3
    assert "another package" not in Drawing(draw_ladder(ladder()).svg).texts


def test_noise_is_told() -> None:
    rates = (1e6, 2.5e6, 5e6)
    noisy = Ladder([{"Queue": QUEUE, "os.pipe": OS_PIPE._replace(rate=rate)} for rate in rates])
    picture = draw_ladder(noisy)
    assert noisy.noise
    assert picture.alt.endswith(noisy.noise)
    assert "The machine was too noisy to conclude." in " ".join(Drawing(picture.svg).texts)


@pytest.mark.parametrize("text", [12, 15, 24.6])
@pytest.mark.parametrize("width", [330, 860, 1200])
@pytest.mark.parametrize("by", ["rate", "bandwidth", "latency", "all"])
def test_text_stays_in_the_picture_and_is_never_smaller(by: str, width: int, text: float) -> None:
    long = ladder({**SAMPLES, "pyzmq": QUEUE, "Pipe, send_bytes, batches": Sample(8e6, 9, 70)})
    picture = draw_ladder(long, by, size=Size(width, 0, text))
    drawing = Drawing(picture.svg)
    assert drawing.size[0] == picture.width == width
    assert min(drawing.heights) == pytest.approx(text)
    assert 0.6 * text < min(drawing.rows) < max(drawing.rows) < drawing.size[1]
    names = [name for name in long if not (by == "all" and long[name].is_limit)]
    assert {*names} - {"os.pipe", "memcpy"} <= {*drawing.texts}
    texts = [words for words in drawing.texts if "rounds" not in words]
    assert max(map(len, texts)) * 0.5 * text < width, "none is wider than the picture"


def test_a_size_that_is_large_enough_is_kept() -> None:
    for size in (Size(700, 525, 15), (546, 646, 18.45)):
        assert Drawing(draw_ladder(ladder(), "all", size=size).svg).size == (size[0], size[1])  # type: ignore[arg-type]


def test_two_ladders_stand_one_above_the_other_on_the_same_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []

    def svg(figure: Figure) -> str:
        figures.append(figure)
        return as_svg(figure)

    monkeypatch.setattr(ladder_figure, "as_svg", svg)
    kept = ladder({name: SAMPLES[name] for name in ("Queue", "os.pipe", "memcpy")})
    slow = {"Pipe, send": Sample(400, 900, 950), "os.pipe": Sample(1_000, 500, 600), "memcpy": Sample(9_000)}
    now = ladder(slow, size=1024 * 1024)
    picture = draw_ladder(now, "all", beside=kept, size=Size(700, 525, 15))
    assert picture.alt == f"Kept: {draw_ladder(kept, 'all').alt} Now: {draw_ladder(now, 'all').alt}"
    texts = Drawing(picture.svg).texts
    assert {"kept: Queue", "now: Pipe, send", "os.pipe: 2,500,000", "os.pipe: 1,000"} <= {*texts}
    assert "kept: Messages of 64 bytes, spawn" in texts
    assert "now: Messages of 1 MiB, spawn" in " ".join(texts)
    assert len(figures[0].axes) == 3, "one axis for both"
    low, high = figures[0].axes[0].get_xlim()
    assert low < 320
    assert high > 2.5e6


def test_limit_that_was_not_measured_is_left_out() -> None:
    """As os.pipe on Windows: there a pipe of multiprocessing is the limit, and a bar as well."""
    some = ladder({"Queue": QUEUE, "Pipe, send_bytes": PIPE})
    assert "the limit, Pipe, send_bytes 400,000" in draw_ladder(some).alt
    assert Drawing(draw_ladder(some).svg).texts.count("Pipe, send_bytes") == 1
    assert "limit" not in draw_ladder(some, "bandwidth").alt
    assert "dashed" not in " ".join(Drawing(draw_ladder(some, "bandwidth").svg).texts)


def test_ladder_without_latencies_is_drawn_without_them() -> None:
    some = ladder({"Queue": Sample(250e3), "os.pipe": Sample(2.5e6)})
    assert "icroseconds" not in draw_ladder(some, "all").alt
    with pytest.raises(ValueError, match="holds nothing to draw by 'latency'"):
        draw_ladder(some, "latency")


def test_one_round_and_far_apart_rates_are_drawn() -> None:
    one = Ladder([{"Queue": Sample(0.02, 1e6, math.pi * 1e6), "os.pipe": Sample(4e9, 0.001, 0.002)}])
    picture = draw_ladder(one, "all", size=Size(330, 400, 15))
    assert "Queue 0.02 (0.02 to 0.02), " in picture.alt
    assert "os.pipe: 4,000,000,000" in Drawing(picture.svg).texts
    assert "e+" not in picture.alt


@pytest.mark.parametrize("wrong", ["speed", "", None, 1])
def test_quantity_that_is_not_known_is_refused(wrong: Any) -> None:
    words = f"by must be 'rate', 'bandwidth', 'latency' or 'all', not {wrong!r}"
    with pytest.raises(ValueError, match=re.escape(words)):
        draw_ladder(ladder(), wrong)


def test_ladder_without_a_round_is_refused() -> None:
    with pytest.raises(ValueError, match="holds nothing to draw"):
        draw_ladder(Ladder([]))
