"""A reader's way through each chapter, in a real JupyterLab and a real browser."""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from lab import (
    NOTEBOOKS,
    Lab,
    box_of,
    browser,
    cells,
    find_browser,
    panel_of,
    press_run,
    press_run_and_cancel,
    run_all,
    set_boxes,
    slider_of,
)
from playwright.sync_api import BrowserContext, Locator, Page, ViewportSize, expect, sync_playwright

from ipc_helpers import (
    MessageCost,
    PipeExchange,
    ProcessStart,
    ProgramStop,
    QueueFlow,
    QueuePlaces,
    SlotExchange,
    StageChain,
    WorkerPool,
)
from ipc_helpers.experiments.experiment import Experiment
from ipc_helpers.experiments.parameters import WholeNumber, bytes_in_words
from ipc_helpers.trace import RECEIVE, SEND
from ipc_helpers.ui.controls import stops

if TYPE_CHECKING:
    from collections.abc import Iterator

expect.set_options(timeout=30_000)  # five seconds are not always enough on a busy machine
CANCELLED_WITHIN = 10_000  # milliseconds to a free panel after Cancel: a tenth of a second is usual
AS_USUAL = ViewportSize(width=1280, height=900)


@dataclass(frozen=True)
class Play:
    """A chapter's panel: its experiment, what its first slider takes for two short runs, and a long run."""

    experiment: Any
    short: tuple[int, int]
    lane: str
    long: dict[str, int]
    exact: str = "Messages"
    controls: tuple[str, ...] = ()
    runs_on_release: bool = False

    @property
    def numbers(self) -> dict[str, WholeNumber]:
        """The rules of the parameters that have a slider, by their names."""
        rules = self.experiment.rules()
        shown = {name: rules[name] for name in self.controls or rules}
        return {name: rule for name, rule in shown.items() if isinstance(rule, WholeNumber)}

    @property
    def sliders(self) -> list[tuple[str, str, str, str]]:
        """The label, the first two stops and the last of each slider."""
        ends = {rule.label: stops(rule) for rule in self.numbers.values()}
        return [(label, str(stop[0]), str(stop[1]), str(stop[-1])) for label, stop in ends.items()]

    @property
    def defaults(self) -> dict[str, int]:
        return {rule.label: getattr(self.experiment, name) for name, rule in self.numbers.items()}

    def experiment_of(self, number: int) -> Any:
        """Return the experiment with a number that its first slider takes."""
        return replace(self.experiment, **{next(iter(self.numbers)): number})

    def said(self, number: int) -> str:
        """Return what the panel says after a run with a number that its first slider takes."""
        done = self.experiment.labels.done
        return f"Done: {number} {done[SEND]}, {number} {done[RECEIVE]}."

    def alt(self, number: int) -> str:
        """Return how the alt text of that run begins."""
        description: str = self.experiment_of(number).description
        return description

    def both(self, kept: str, now: str) -> str:
        """Return a pattern of how the alt text of two runs begins, from how that of each does."""
        return f"^On the left, kept: {re.escape(kept)}.* On the right, now: {re.escape(now)}"

    def short_run(self, number: int) -> tuple[dict[str, int], str, str]:
        """Return what to type, what the panel then says, and how the alt text begins."""
        return self.defaults | {self.sliders[0][0]: number}, self.said(number), self.alt(number)


class LadderPlay(Play):
    """The panel of an experiment that measures a ladder: the first slider is a size in bytes."""

    def said(self, number: int) -> str:
        return f"Done: {self.experiment.rung}, "

    def alt(self, number: int) -> str:
        return f"Messages of {bytes_in_words(number)}, {self.experiment.start_method}, medians of "

    def both(self, kept: str, now: str) -> str:
        return f"^Kept: {re.escape(kept)}.* Now: {re.escape(now)}"


class StopPlay(Play):
    """The panel of a program that is stopped: how many tasks are done by then depends on the machine."""

    def said(self, number: int) -> str:
        return f"Done: {number} {self.experiment.labels.done[SEND]}, "


PLAYS = {
    "00-start-here": Play(
        QueueFlow(messages=100),
        (300, 700),
        "consumer 1",
        {"Messages": 100_000},
        controls=("messages",),
        runs_on_release=True,
    ),
    "01-processes": Play(
        ProcessStart(),
        (2, 3),
        "child 2",
        {"Processes": 16, "Argument (bytes)": 1_048_576},
        exact="Argument (bytes)",
    ),
    "02-queue": Play(
        QueueFlow(), (300, 700), "consumer 1", {"Messages": 100_000, "maxsize (0: no bound)": 1}
    ),
    "03-pipe": Play(PipeExchange(), (300, 700), "receiver", {"Messages": 100_000, "Payload (bytes)": 2_048}),
    "04-inside-the-queue": Play(QueuePlaces(), (30, 70), "consumer", {"Messages": 1_000, "Pause (ms)": 20}),
    "05-patterns": Play(
        StageChain(), (20, 60), "stage 1", {"Messages": 400, "Work of the slow one (ms)": 25}
    ),
    "07-pools": Play(
        WorkerPool(), (8, 12), "worker 1", {"Tasks": 200, "Task length (ms)": 50, "Workers": 1}, exact="Tasks"
    ),
    "08-programs": StopPlay(
        ProgramStop(way="event"),
        (8, 12),
        "worker 1",
        {"Tasks": 100, "Task length (ms)": 100, "Workers": 1},
        exact="Tasks",
    ),
    "09-sharing": Play(SlotExchange(), (30, 70), "consumer", {"Messages": 500, "Pause (ms)": 20}),
    "10-limit": LadderPlay(MessageCost(), (32, 4_096), "os.pipe", {"Size (bytes)": 16_777_216}),
}
WITHOUT_PANEL = ("06-pitfalls",)

of_every_chapter = pytest.mark.parametrize("reader", [*PLAYS, *WITHOUT_PANEL], indirect=True, scope="module")
of_every_panel = pytest.mark.parametrize("reader", PLAYS, indirect=True, scope="module")


class Reader(NamedTuple):
    lab: Lab
    page: Page
    play: Any  # a Play, or None in a chapter without a panel
    console: list[str]
    requests: list[str]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, BrowserContext]]:
    """A JupyterLab and a browser, in which all chapters are read."""
    path = find_browser()
    if path is None:
        words = "no Chromium, Chrome or Edge was found. Install one of them, and run this again"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    with (
        Lab(tmp_path_factory.mktemp("lab")) as lab,
        sync_playwright() as playwright,
        browser(playwright, path) as running,
    ):
        yield lab, running.new_context(viewport=AS_USUAL, permissions=["clipboard-read", "clipboard-write"])


@pytest.fixture(scope="module")
def reader(desk: tuple[Lab, BrowserContext], request: pytest.FixtureRequest) -> Iterator[Reader]:
    """A chapter, open and run as a whole, in the JupyterLab where the one before it was closed."""
    lab, context = desk
    page = context.pages[0] if context.pages else context.new_page()
    console: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: message.type == "error" and console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.on("websocket", lambda socket: requests.append(socket.url))
    failed_before = request.session.testsfailed
    ended_well = False
    try:
        lab.open(page, f"{request.param}.ipynb")
        run_all(page)
        yield Reader(lab, page, PLAYS.get(request.param), console, requests)
        if request.session.testsfailed == failed_before:
            lab.leave(page)
            ended_well = True
    finally:
        if not ended_well:  # the next chapter begins in a new page, and without this one's processes
            page.close()
            lab.end_kernels()


def test_every_chapter_is_read_here() -> None:
    assert {*PLAYS, *WITHOUT_PANEL} == {path.stem for path in NOTEBOOKS.glob("*.ipynb")}


WRONG = """%%worker
def send_numbers(queue, count):
    for number in range(count):
        queue.put(number)
"""
RIGHT = WRONG + "    queue.put(None)\n"


def run_cell(page: Page, text: str, source: str = "") -> None:
    """Run the cell that has a text in it, after typing another source into it if there is one."""
    cell = page.locator(".jp-CodeCell").filter(has_text=text)
    if source:
        type_and_run(cell, source)
    else:
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")


def test_an_exercise_is_solved_as_a_student_would(desk: tuple[Lab, BrowserContext]) -> None:
    """The first to be opened: the chapters come after it, in the same page."""
    lab, context = desk
    page = context.new_page()
    try:
        lab.open(page, "exercises/02-queue.ipynb")
        run_cell(page, "%load_ext ipc_helpers")
        check = 'check("02.1")'
        said = page.locator(".jp-CodeCell").filter(has_text=check).locator(".jp-OutputArea-output")
        run_cell(page, "def send_numbers")
        run_cell(page, check)
        expect(said).to_contain_text("Not yet written: line 5 ", timeout=60_000)

        run_cell(page, "def send_numbers", WRONG)
        run_cell(page, check)
        expect(said).to_contain_text(
            "Not yet right, line 4: the numbers came, but no sentinel.", timeout=60_000
        )
        hint = page.locator("details").filter(has_text="one more put sends the sentinel").first
        expect(hint.locator("p")).to_be_hidden()
        hint.locator("summary").click()
        expect(hint.locator("p")).to_be_visible()

        run_cell(page, "def send_numbers", RIGHT)
        run_cell(page, check)
        expect(said).to_contain_text(
            "Right: the numbers 0 to 4 came out of the queue in order", timeout=60_000
        )
        assert serious_violations(page) == []
        assert lab.workers() == []
        lab.leave(page)
    except BaseException:
        page.close()
        lab.end_kernels()
        raise


def test_stored_pictures_are_shown_before_a_cell_is_run(desk: tuple[Lab, BrowserContext]) -> None:
    """JupyterLab does not trust what it has not run, and shows a part of it alone."""
    lab, context = desk
    page = context.pages[0] if context.pages else context.new_page()
    lab.open(page, "02-queue.ipynb")
    stored = (NOTEBOOKS / "02-queue.ipynb").read_text(encoding="utf-8").count('<img class=\\"ipc-figure')
    assert stored > 0
    pictures = page.locator(".jp-OutputArea-output img")
    expect(pictures).to_have_count(stored)
    for picture in pictures.all():
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)")
        assert picture.get_attribute("alt")
    lab.leave(page)


@of_every_chapter
def test_run_all_runs_every_cell_and_none_fails(reader: Reader) -> None:
    code = cells(reader.page)
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    failed = [
        cell["source"] for cell in code for output in cell["outputs"] if output["output_type"] == "error"
    ]
    assert failed == []


@of_every_chapter
def test_every_picture_of_the_text_is_shown(reader: Reader) -> None:
    pictures = reader.page.locator(".jp-MarkdownOutput img").all()
    assert all(
        picture.evaluate("image => image.decode().then(() => image.naturalWidth)") for picture in pictures
    )


@of_every_panel
def test_sliders_move_by_keyboard_and_their_boxes_follow(reader: Reader) -> None:
    page = reader.page
    active_cell = "jupyterapp.shell.currentWidget.content.activeCellIndex"
    slider_of(page, reader.play.sliders[0][0]).focus()
    cell = page.evaluate(active_cell)
    for label, first, second, last in reader.play.sliders:
        box, slider = box_of(page, label), slider_of(page, label)
        slider.focus()
        for key, value in (
            ("End", last),
            ("Home", first),
            ("ArrowRight", second),
            ("ArrowDown", first),
            ("ArrowUp", second),
            ("PageDown", first),
        ):
            slider.press(key)
            expect(box).to_have_value(value)
        slider.press("PageUp")
        assert int(box.input_value()) >= int(second)
    assert page.evaluate(active_cell) == cell


@of_every_panel
def test_sliders_move_by_mouse_and_their_boxes_follow(reader: Reader) -> None:
    page, mouse = reader.page, reader.page.mouse
    for label, first, second, last in reader.play.sliders:
        box, slider = box_of(page, label), slider_of(page, label)
        set_boxes(page, {label: int(second)})
        expect(slider).to_have_value("1")
        slider.scroll_into_view_if_needed()
        track = slider.bounding_box()
        assert track is not None
        left, right = track["x"] + 2, track["x"] + track["width"] - 2
        middle = track["y"] + track["height"] / 2
        for start, end, value in ((left, right, last), (right, left, first)):
            mouse.move(start, middle)
            mouse.down()
            mouse.move(end, middle, steps=10)
            expect(box).to_have_value(value)
            mouse.up()
            expect(box).to_have_value(value)


@of_every_panel
def test_released_slider_shows_a_new_figure(reader: Reader) -> None:
    page = reader.page
    switch = panel_of(page).get_by_label("Run when a slider is released")
    switch.check()
    label, _, second, _ = reader.play.sliders[0]
    set_boxes(page, reader.play.defaults)
    slider = slider_of(page, label)
    slider.focus()
    slider.press("Home")
    slider.press("ArrowRight")
    said, alt = reader.play.said(int(second)), reader.play.alt(int(second))
    expect(panel_of(page).get_by_role("status")).to_contain_text(said, timeout=30_000)
    expect(panel_of(page).locator("img")).to_have_attribute("alt", re.compile(f"^{re.escape(alt)}"))
    if not reader.play.runs_on_release:
        switch.uncheck()


@of_every_panel
def test_box_takes_an_exact_number_and_its_slider_follows(reader: Reader) -> None:
    label = reader.play.exact
    box, slider = box_of(reader.page, label), slider_of(reader.page, label)
    set_boxes(reader.page, {label: 2})
    before = slider.input_value()
    set_boxes(reader.page, {label: 37})
    expect(slider).not_to_have_value(before)
    expect(box).to_have_value("37")


@pytest.mark.parametrize("reader", ["02-queue"], indirect=True, scope="module")
def test_slider_stands_at_the_round_number_that_is_nearest_by_ratio(reader: Reader) -> None:
    box, slider = box_of(reader.page, "Messages"), slider_of(reader.page, "Messages")
    for typed, stop in ((3, "2"), (4, "5"), (37, "50"), (-5, "1"), (10**9, "100,000")):
        set_boxes(reader.page, {"Messages": typed})
        expect(slider).to_have_attribute("aria-valuetext", stop)
        expect(box).to_have_value(str(typed))


@of_every_panel
def test_enter_in_a_box_runs(reader: Reader) -> None:
    page, play = reader.page, reader.play
    label = play.sliders[0][0]
    values, done, alt = play.short_run(play.short[0])
    set_boxes(page, values)
    box_of(page, label).press("Enter")
    expect(panel_of(page).get_by_text(done)).to_be_visible(timeout=30_000)
    expect(panel_of(page).locator("img")).to_have_attribute("alt", re.compile(f"^{re.escape(alt)}"))


@of_every_panel
def test_run_shows_a_new_figure_and_its_numbers(reader: Reader) -> None:
    page, play = reader.page, reader.play
    figure = panel_of(page).locator("img")
    shown: list[str | None] = []
    for number in play.short:
        values, done, alt = play.short_run(number)
        set_boxes(page, values)
        press_run(page)
        expect(panel_of(page).get_by_text(done)).to_be_visible(timeout=30_000)
        expect(figure).to_have_attribute("alt", re.compile(f"^{re.escape(alt)}"))
        shown.append(figure.get_attribute("src"))
    assert shown[0] != shown[1]
    numbers = panel_of(page).get_by_role("button", name="Numbers")
    table = panel_of(page).locator("table")
    expect(table).to_be_hidden()
    numbers.click()
    expect(table).to_contain_text(play.lane)
    numbers.click()
    expect(table).to_be_hidden()


@of_every_panel
def test_kept_picture_stands_beside_the_next_and_reset_brings_the_first_values_back(reader: Reader) -> None:
    page, play = reader.page, reader.play
    panel = panel_of(page)
    keep, picture = panel.get_by_role("button", name="Keep"), panel.locator("img")
    values, done, before = play.short_run(play.short[1])
    set_boxes(page, values)
    press_run(page)
    expect(picture).to_have_attribute("alt", re.compile(f"^{re.escape(before)}"), timeout=30_000)
    expect(panel.get_by_text(done)).to_be_visible()
    keep.click()
    values, done, alt = play.short_run(play.short[0])
    set_boxes(page, values)
    press_run(page)
    expect(picture).to_have_attribute("alt", re.compile(play.both(before, alt)), timeout=30_000)
    expect(panel.get_by_text(done)).to_be_visible()
    keep.click()
    expect(picture).to_have_attribute("alt", re.compile(f"^{re.escape(alt)}"))
    panel.get_by_role("button", name="Reset").click()
    for label, value in play.defaults.items():
        expect(box_of(page, label)).to_have_value(str(value))


@of_every_panel
def test_copied_code_is_the_call_of_the_last_run(reader: Reader) -> None:
    page, play = reader.page, reader.play
    panel_of(page).get_by_role("button", name="Copy code").click()
    status = panel_of(page).get_by_role("status")
    expect(status).to_contain_text("Copied: ")
    code = page.evaluate("navigator.clipboard.readText()")
    assert code == status.locator("code").inner_text()
    assert code == f"{play.experiment_of(play.short[0])}.run()"


FIT = """panel => {
    const box = element => element.getBoundingClientRect();
    const parts = ['.ipc-panel', '.ipc-controls', '.ipc-picture', '.ipc-picture img'];
    const [whole, controls, picture, image] = parts.map(name => box(panel.parentNode.querySelector(name)));
    const walker = document.createTreeWalker(panel, NodeFilter.SHOW_TEXT);
    const heights = [];
    while (walker.nextNode()) {
        const {parentElement: element, data} = walker.currentNode;
        if (data.trim() && box(element).height) heights.push(parseFloat(getComputedStyle(element).fontSize));
    }
    for (const field of panel.querySelectorAll('[type=number], select'))
        heights.push(parseFloat(getComputedStyle(field).fontSize));
    const svg = decodeURIComponent(panel.querySelector('img').src.split(',').slice(1).join(','));
    const drawing = new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement;
    const scale = image.width / drawing.viewBox.baseVal.width;
    for (const text of drawing.querySelectorAll('text'))
        heights.push(parseFloat(text.style.fontSize) * scale);
    const shown = document.body.appendChild(document.importNode(drawing, true));
    shown.style.width = `${image.width}px`;
    const frame = box(shown);
    // The box of a text is higher than its letters, by a fifth of them on a side.
    const is_out = text => {
        const {left, right, top, bottom, width} = box(text);
        const spare = parseFloat(text.style.fontSize) * scale / 4;
        return width && (left < frame.left - spare || right > frame.right + spare
            || top < frame.top - spare || bottom > frame.bottom + spare);
    };
    const cut = [...shown.querySelectorAll('text')].filter(is_out);
    const words = cut.map(text => text.textContent);
    shown.remove();
    const notebook = box(document.querySelector('.jp-WindowedPanel-outer'));
    return {
        room: notebook.height,
        height: whole.height,
        beside: controls.right <= picture.left && Math.abs(controls.top - picture.top) < 5,
        inside: picture.right <= whole.right + 1 && image.bottom <= whole.bottom + 1,
        scale,
        cut: words,
        least: Math.min(...heights),
        scrolls: panel.querySelector('.ipc-controls').scrollHeight
            > panel.querySelector('.ipc-controls').clientHeight + 1,
        numbers: [...panel.querySelectorAll('.ipc-numbers')].map(
            ({scrollWidth, clientWidth, tabIndex}) => ({cut: scrollWidth - clientWidth, tabIndex})),
    };
}"""


@pytest.mark.parametrize(
    ("width", "height", "simple"),
    [(1280, 720, True), (1400, 900, False), (800, 1200, True)],
    ids=lambda value: str(value),
)
@of_every_panel
def test_panel_is_seen_in_one_view(reader: Reader, width: int, height: int, simple: bool) -> None:
    """With text that can be read from the last row; below a certain width the picture stands below."""
    page = reader.page
    page.set_viewport_size(ViewportSize(width=width, height=height))
    try:
        show_lab(page, simple)
        panel = panel_of(page).locator(".ipc-panel")
        set_boxes(page, reader.play.defaults)
        press_run(page)
        expect(panel.get_by_role("status")).to_contain_text("Done: ")
        ends_at = time.monotonic() + 30
        while True:  # until it is drawn anew in this size
            fit = panel.evaluate(FIT)
            if fit["scale"] == pytest.approx(1, abs=0.02) or time.monotonic() > ends_at:
                break
            page.wait_for_timeout(200)
        assert fit["least"] >= 0.02 * height
        # Drawn for its size, and from lines: sharp on any screen.
        assert fit["scale"] == pytest.approx(1, abs=0.02)
        assert fit["cut"] == []
        assert fit["inside"]
        assert fit["beside"] == (width > 1000)
        if fit["beside"]:
            assert fit["height"] <= fit["room"]
            assert not fit["scrolls"]
        panel.get_by_role("button", name="Numbers", exact=True).click()
        expect(panel.get_by_role("table")).to_be_visible()
        (numbers,) = panel.evaluate(FIT)["numbers"]
        assert numbers["tabIndex"] == 0  # scrolled by its keys where the window is narrow
        if fit["beside"]:
            assert numbers["cut"] <= 1
        panel.get_by_role("button", name="Numbers", exact=True).click()
    finally:
        page.set_viewport_size(AS_USUAL)
        show_lab(page, False)


def show_lab(page: Page, simple: bool) -> None:
    """Show JupyterLab in its Simple Interface without the side bar, or as it is at first."""
    mode = "single-document" if simple else "multiple-document"
    page.evaluate(
        """([mode, simple]) => {
            jupyterapp.shell.mode = mode;
            simple ? jupyterapp.shell.collapseLeft() : jupyterapp.shell.expandLeft();
        }""",
        [mode, simple],
    )


@of_every_panel
def test_picture_is_dark_in_the_dark_theme(reader: Reader) -> None:
    page = reader.page
    pictures = page.locator(".jp-OutputArea-output img.ipc-figure")
    seen = {}
    for theme in ("Dark", "Light"):
        page.evaluate(
            f"jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})"
        )
        page.wait_for_function(f"document.body.dataset.jpThemeName === 'JupyterLab {theme}'")
        expect(page.locator("#jupyterlab-splash")).to_have_count(
            0
        )  # JupyterLab takes it away twice otherwise
        seen[theme] = pictures.evaluate_all("images => images.map(image => getComputedStyle(image).filter)")
    assert set(seen["Dark"]) == {"invert(0.87) hue-rotate(180deg)"}
    assert set(seen["Light"]) == {"none"}


@of_every_panel
def test_bad_value_is_refused_in_words(reader: Reader) -> None:
    label, first, _, last = reader.play.sliders[0]
    set_boxes(reader.page, {label: int(last) + 1})
    press_run(reader.page)
    expect(panel_of(reader.page).get_by_role("alert")).to_contain_text(
        f"must be from {int(first):,} to {int(last):,}, not {int(last) + 1:,}"
    )
    assert reader.lab.workers() == []


@pytest.mark.timing
@of_every_panel
def test_cancel_frees_the_panel_and_leaves_no_child(reader: Reader) -> None:
    page = reader.page
    set_boxes(page, reader.play.defaults | reader.play.long)
    status = panel_of(page).get_by_role("status")
    for _ in range(5):
        press_run_and_cancel(page)
        expect(panel_of(page).get_by_role("button", name="Run")).to_be_enabled(timeout=CANCELLED_WITHIN)
        if "Done" not in status.inner_text():  # 16 starts can be over before the click has arrived
            break
    expect(status).to_contain_text("Cancelled")
    gone_by = time.monotonic() + 10
    while reader.lab.workers() and time.monotonic() < gone_by:
        time.sleep(0.02)
    assert reader.lab.workers() == []


@pytest.mark.parametrize("reader", ["04-inside-the-queue", "05-patterns"], indirect=True, scope="module")
def test_picture_grows_while_a_run_goes_on_and_cancel_leaves_it(reader: Reader) -> None:
    page = reader.page
    set_boxes(page, reader.play.defaults | reader.play.long)
    run_until_picture_grows(panel_of(page))


SLOW = """%%worker
import time

def produce_in_batches(queue, messages, consumers):
    for message in messages:
        queue.put(message)
        time.sleep(0.1)
    queue.put(None)
"""


@pytest.mark.parametrize("reader", ["02-queue"], indirect=True, scope="module")
def test_picture_grows_while_a_slow_worker_of_the_readers_own_runs(reader: Reader) -> None:
    with another_source(reader.page, "def produce_in_batches", SLOW):
        run_until_picture_grows(panel_of(reader.page, 1))


def run_until_picture_grows(panel: Locator) -> None:
    """Press Run, wait for two pictures while it goes on, and press Cancel, which leaves the last one."""
    picture = panel.locator("img")
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(picture).to_have_attribute("alt", re.compile("It goes on after"))
    early = picture.get_attribute("alt")
    expect(picture).not_to_have_attribute("alt", str(early))
    expect(picture).to_have_attribute("alt", re.compile("It goes on after"))
    panel.get_by_role("button", name="Cancel").click()
    expect(panel.get_by_role("status")).to_contain_text("Cancelled")
    expect(picture).to_have_attribute("alt", re.compile("It was ended after"))


FORGETFUL = """%%worker
def produce_in_batches(queue, messages, consumers):
    for message in messages:
        queue.put(message)
"""
FAILING = FORGETFUL.replace("queue.put(message)", "queue.put(message[9])")


@pytest.mark.parametrize("reader", ["02-queue"], indirect=True, scope="module")
@pytest.mark.parametrize(
    ("source", "said", "seen"),
    [
        (FORGETFUL, "a producer puts None for each consumer", "it was still in get, in the line  message ="),
        (FAILING, "producer 1 raised ", "in the line  queue.put(message[9])"),
    ],
    ids=["forgets-its-sentinel", "raises"],
)
def test_run_that_can_not_go_on_is_told_and_drawn(reader: Reader, source: str, said: str, seen: str) -> None:
    page = reader.page
    panel = panel_of(page, 1)
    with another_source(page, "def produce_in_batches", source):
        panel.get_by_role("button", name="Run", exact=True).click()
        expect(panel.get_by_role("alert")).to_contain_text(said, timeout=20_000)  # a second is usual
        expect(panel.locator("img")).to_have_attribute("alt", re.compile(re.escape(seen)))


@contextlib.contextmanager
def another_source(page: Page, text: str, source: str) -> Iterator[None]:
    """Have the cell that has a text in its source run another one, and its own again in the end."""
    sources = [cell["source"] for cell in cells(page)]
    (number,) = (number for number, own in enumerate(sources) if text in own)
    cell = page.locator(".jp-Notebook-cell.jp-CodeCell").nth(number)
    try:
        type_and_run(cell, source)
        yield
    finally:
        type_and_run(cell, sources[number])


def type_and_run(cell: Locator, source: str) -> None:
    """Type a source into a cell, run it, and wait for its end: it has another number then."""
    prompt = cell.locator(".jp-InputPrompt").first
    before = prompt.inner_text()
    cell.locator(".cm-content").click()
    cell.page.keyboard.press("ControlOrMeta+a")
    cell.page.keyboard.insert_text(source)
    cell.page.keyboard.press("Control+Enter")
    expect(prompt).not_to_have_text(before)
    expect(prompt).to_have_text(re.compile(r"\[\d+\]"))


@pytest.mark.parametrize("reader", ["02-queue"], indirect=True, scope="module")
def test_two_panels_stand_side_by_side_in_a_box(reader: Reader) -> None:
    page = reader.page
    two = "from ipywidgets import HBox\n\nHBox([Panel(QueueFlow()), Panel(QueueFlow(maxsize=8))])"
    with another_source(page, "Panel(QueueFlow())", two):
        panels = page.locator(".widget-hbox > .ipc-panel")
        expect(panels).to_have_count(2)
        for panel in panels.all():
            panel.get_by_role("button", name="Run", exact=True).click()
            expect(panel.get_by_role("status")).to_contain_text("Done: ")
        first, second = (panel.bounding_box() for panel in panels.all())
        assert first is not None
        assert second is not None
        assert first["x"] + first["width"] <= second["x"]
        assert first["y"] == second["y"]
        assert first["width"] == pytest.approx(second["width"], abs=2)
    expect(panels).to_have_count(0)
    expect(panel_of(page).get_by_role("status")).to_contain_text("Run starts ")


@pytest.mark.parametrize("reader", ["02-queue"], indirect=True, scope="module")
def test_process_that_is_killed_from_outside_is_told_and_drawn(reader: Reader) -> None:
    page = reader.page
    set_boxes(page, reader.play.defaults | reader.play.long)
    press_run(page)
    expect(panel_of(page).locator("img")).to_have_attribute("alt", re.compile("It goes on after"))
    reader.lab.workers()[0].kill()
    expect(panel_of(page).get_by_role("alert")).to_contain_text("was killed", timeout=20_000)
    expect(panel_of(page).locator("img")).to_have_attribute("alt", re.compile("it was killed"))


OWN_WORKER = [name for name, play in PLAYS.items() if isinstance(play.experiment, Experiment)][1:]


@pytest.mark.parametrize("reader", OWN_WORKER, indirect=True, scope="module")
def test_a_worker_of_the_readers_own_runs_in_the_second_panel(reader: Reader) -> None:
    panel = panel_of(reader.page, 1)
    panel.get_by_role("button", name="Run", exact=True).click()
    expect(panel.get_by_role("status")).to_contain_text(re.compile("^Done: "), timeout=60_000)
    expect(panel.locator("img")).to_be_visible()
    assert reader.lab.workers() == []


@of_every_chapter
def test_axe_finds_no_serious_violation_in_output_and_prose(reader: Reader) -> None:
    assert serious_violations(reader.page) == []


def serious_violations(page: Page) -> list[tuple[str, str]]:
    """Return what axe finds in output and prose: the rule, and the element that breaks it."""
    found = Axe().run(page, [".jp-OutputArea-output", ".jp-MarkdownOutput"])
    return [
        (violation["id"], node["html"])
        for violation in found.response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("reader", ["06-pitfalls"], indirect=True, scope="module")
def test_each_symptom_leads_to_its_lab(reader: Reader) -> None:
    page = reader.page
    links = page.locator(".jp-MarkdownOutput table a[href*='#Lab-']")
    assert links.count() >= 16
    for link in links.all():
        words = link.inner_text()
        link.scroll_into_view_if_needed()
        link.click()
        heading = page.locator(".jp-MarkdownOutput h3", has_text=words)
        expect(heading).to_be_in_viewport(timeout=10_000)


@pytest.mark.parametrize("reader", ["00-start-here"], indirect=True, scope="module")
def test_link_to_the_readme_opens_it(reader: Reader) -> None:
    """Where the README's own command starts JupyterLab: the file is outside of the notebooks' folder."""
    page = reader.page
    page.locator(".jp-MarkdownOutput a[href*='README.md']").click()
    title = "Queue and Pipe: Python processes that talk"
    rendered, in_an_editor = page.get_by_role("heading", name=title), page.locator(".cm-line", has_text=title)
    expect(rendered.or_(in_an_editor)).to_be_visible()  # the second in an older JupyterLab
    page.evaluate("jupyterapp.shell.currentWidget.close()")
    expect(page.get_by_role("heading", name="Start here: check your machine")).to_be_visible()


@of_every_chapter
def test_console_shows_no_error(reader: Reader) -> None:
    assert reader.console == []


@of_every_chapter
def test_no_request_leaves_the_machine(reader: Reader) -> None:
    own = (reader.lab.url, reader.lab.url.replace("http", "ws"), "data:", "blob:")
    assert [url for url in reader.requests if not url.startswith(own)] == []
