"""Measure what the package costs, as ratios within one interleaved run.

    .uv/bin/uv run python tests/benchmark.py [--rounds N] [--parts abcde]

It prints five tables: how long a ProcessGroup takes to the first message of a child, against a plain
``ctx.Process``; how fast QueueFlow is with its records, against a bare loop over the same queue; whether
its rate and its memory stay the same for more messages; how long a released slider takes to show a new
figure; and what diagnose adds to a run of one second. The times are those of one machine at one moment. The
ratios carry over.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from operator import truediv
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAIRS = 40
COUNTS = (1_000, 10_000, 100_000)
BOUND = 64  # maxsize, where a queue is bounded
SECONDS = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what the package costs.")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of the parts about rates (default 10)")
    parser.add_argument("--parts", default="abcde", help="which to run (default abcde)")
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}, {sys.platform}")
    if "a" in options.parts:
        measure_starts()
    if "b" in options.parts:
        measure_records(options.rounds)
    if "c" in options.parts:
        measure_growth(options.rounds)
    if "d" in options.parts:
        measure_slider()
    if "e" in options.parts:
        measure_diagnose()
    return 0


def shuffled(*parts: Callable[[], None]) -> None:
    """Run the parts of one round in a random order, so that no part always comes first."""
    for part in random.sample(parts, len(parts)):
        part()


def milliseconds(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1e3:.1f} ms"


# (a) Start to first message.


def measure_starts() -> None:
    print(f"\n(a) start to first message, medians of {PAIRS} pairs: ProcessGroup against ctx.Process")
    for method in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context(method)
        plain: list[float] = []
        grouped: list[float] = []
        for part in (start_grouped, start_plain):  # warm: the resource tracker, the forkserver
            part(context)
        for _ in range(PAIRS):
            shuffled(
                lambda: plain.append(start_plain(context)),  # noqa: B023 - called at once
                lambda: grouped.append(start_grouped(context)),  # noqa: B023
            )
        ratio = statistics.median(grouped) / statistics.median(plain)
        print(f"    {method:10}  {milliseconds(plain)} → {milliseconds(grouped)}  ratio {ratio:.2f}")


def start_plain(context: Any) -> float:
    from benchmark_workers import send_one

    started = time.perf_counter()
    receiver, sender = context.Pipe(duplex=False)
    with receiver:
        with sender:
            process = context.Process(target=send_one, args=(sender,), daemon=True)
            process.start()
        first = first_message(receiver) - started
        process.join(SECONDS)
    process.close()
    return first


def start_grouped(context: Any) -> float:
    from benchmark_workers import send_one

    from ipc_helpers import ProcessGroup

    started = time.perf_counter()
    receiver, sender = context.Pipe(duplex=False)
    with receiver, ProcessGroup(context, deadline=SECONDS) as group:
        with sender:
            group.start(send_one, sender)
        return first_message(receiver) - started


def first_message(receiver: Any) -> float:
    """Return when the first message is there."""
    assert receiver.poll(SECONDS)
    receiver.recv()
    return time.perf_counter()


# (b) What the records cost.


def measure_records(rounds: int, count: int = 20_000) -> None:
    from ipc_helpers import QueueFlow

    print(f"\n(b) messages a second, {count:,} of 64 bytes, medians of {rounds} rounds: QueueFlow, bare loop")
    for maxsize in (0, BOUND):
        flow = QueueFlow(messages=count, maxsize=maxsize)
        traced: list[float] = []
        bare: list[float] = []
        for _ in range(rounds):
            shuffled(
                lambda: traced.append(flow.run(deadline=SECONDS).messages_per_second),  # noqa: B023
                lambda: bare.append(bare_rate(count, maxsize)),  # noqa: B023
            )
        ratio = statistics.median(each / other for each, other in zip(traced, bare, strict=True))
        rates = f"{statistics.median(traced):,.0f}, {statistics.median(bare):,.0f}"
        print(f"    maxsize={maxsize:<4}  {rates}  ratio {ratio:.2f}")


def bare_rate(count: int, maxsize: int) -> float:
    """Return the rate of a producer and a consumer that do nothing but put and get."""
    from benchmark_workers import get_all, put_all

    context = multiprocessing.get_context("spawn")
    queue = context.Queue(maxsize)
    go = context.Event()
    clocks, processes, ups = [], [], []
    for worker in (put_all, get_all):
        receiver, sender = context.Pipe(duplex=False)
        up = context.Event()
        process = context.Process(target=worker, args=(queue, up, go, sender, count), daemon=True)
        process.start()
        sender.close()
        clocks.append(receiver)
        processes.append(process)
        ups.append(up)
    assert all(up.wait(SECONDS) for up in ups)
    go.set()
    assert all(clock.poll(SECONDS) for clock in clocks)
    started, ended = (clock.recv() for clock in clocks)
    for process, clock in zip(processes, clocks, strict=True):
        process.join(SECONDS)
        clock.close()
    return float(count / ((ended - started) / 1e9))


# (c) More messages.


def measure_growth(rounds: int) -> None:
    from ipc_helpers import QueueFlow

    print(f"\n(c) QueueFlow with more messages, medians of {rounds} rounds; beside it, a bare loop's rate")
    for maxsize in (BOUND, 0):
        rates: dict[int, list[float]] = {count: [] for count in COUNTS}
        bare: dict[int, list[float]] = {count: [] for count in COUNTS}
        peaks: dict[int, list[int]] = {count: [] for count in COUNTS}

        def traced(count: int) -> float:
            result = QueueFlow(messages=count, maxsize=maxsize).run(deadline=SECONDS)  # noqa: B023
            return result.messages_per_second

        def measure(count: int) -> None:
            with peak_memory() as peak:  # in a run of its own: who watches takes processor time, too
                traced(count)
            peaks[count].append(max(peak))  # noqa: B023
            shuffled(
                lambda: rates[count].append(traced(count)),  # noqa: B023
                lambda: bare[count].append(bare_rate(count, maxsize)),  # noqa: B023
            )

        for _ in range(rounds):
            shuffled(*(lambda count=count: measure(count) for count in COUNTS))  # type: ignore[misc]
        medians = {count: statistics.median(rates[count]) for count in COUNTS}
        plain = {count: statistics.median(bare[count]) for count in COUNTS}
        ratios = {count: statistics.median(map(truediv, rates[count], bare[count])) for count in COUNTS}
        for count in COUNTS:
            memory = statistics.median(peaks[count]) / 2**20
            print(
                f"    maxsize={maxsize:<4} {count:7,}  {medians[count]:8,.0f} a second  {memory:6.1f} MiB"
                f"    bare {plain[count]:8,.0f}  ratio {ratios[count]:.2f}"
            )
        print(f"    {'':13}slowest to fastest {flatness(medians)}{'':21}bare {flatness(plain)}")


def flatness(rates: dict[int, float]) -> str:
    """Return the lowest rate as a share of the highest."""
    return f"{min(rates.values()) / max(rates.values()):.2f}"


@contextlib.contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Yield a list that holds, after the block, the most memory that each child had, in bytes."""
    import psutil

    own = psutil.Process()
    most: dict[int, int] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            for child in own.children():
                with contextlib.suppress(psutil.Error):
                    most[child.pid] = max(most.get(child.pid, 0), child.memory_info().rss)

    peak: list[int] = []
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join(SECONDS)
        peak.extend(most.values())


# (d) A released slider.


def measure_slider(times: int = 60) -> None:
    from ipc_helpers import Panel, QueueFlow

    print(f"\n(d) slider released to new figure, at 100 messages, {times} times, warm")
    panel = Panel(QueueFlow(messages=100), controls=("messages", "maxsize"), run_on_release=True)
    panel.run.click()
    assert panel.wait(SECONDS)
    seconds = []
    for number in range(times):
        before = panel.figure.value
        started = time.perf_counter()
        panel.sliders["maxsize"].value = 64 if number % 2 else 128
        assert panel.wait(SECONDS)
        seconds.append(time.perf_counter() - started)
        assert panel.figure.value != before
    print(f"    in the kernel   {spread(seconds)}")
    in_browser(times)


def spread(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=20)
    return f"median {milliseconds(seconds)}, 95 of 100 within {cuts[-1] * 1e3:.0f} ms"


def in_browser(times: int) -> None:
    import lab
    import nbformat
    from playwright.sync_api import sync_playwright
    from refresh_outputs import METADATA

    path = lab.find_browser()
    if path is None:
        print("    in a browser    no Chromium, Chrome or Edge was found")
        return
    cell = """from ipc_helpers import Panel, QueueFlow
Panel(QueueFlow(messages=100), controls=("messages", "maxsize"), run_on_release=True)"""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        lab.Lab(Path(folder)) as server,
        sync_playwright() as playwright,
        lab.browser(playwright, path) as running,
    ):
        # With the kernel named, or JupyterLab asks for one.
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)], metadata=METADATA)
        nbformat.write(notebook, Path(folder, "notebooks", "slider.ipynb"))
        page = running.new_page(viewport={"width": 1280, "height": 900})
        server.open(page, "slider.ipynb")
        page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
        row = lab.row_of(page, "maxsize (0: no bound)")
        handle = row.locator(".noUi-handle")
        handle.wait_for(timeout=SECONDS * 1e3)
        # In the page, between two events of its own: the key that moves the slider, the picture drawn.
        script = """([handle, key]) => new Promise((resolve, reject) => {
            const panel = handle.closest('.jp-OutputArea-output');
            const before = panel.querySelector('figure img')?.src;
            const started = performance.now();
            setTimeout(() => reject(new Error('no new figure')), 60000);
            new MutationObserver((_, observer) => {
                const picture = panel.querySelector('figure img');
                if (picture && picture.src !== before) {
                    observer.disconnect();
                    picture.decode().then(() => resolve(performance.now() - started));
                }
            }).observe(panel, {subtree: true, childList: true, attributes: true});
            handle.dispatchEvent(new KeyboardEvent('keydown', {key: key, bubbles: true}));
        })"""
        seconds = []
        for number in range(times + 5):
            element = handle.element_handle()
            taken = page.evaluate(script, [element, "ArrowLeft" if number % 2 else "ArrowRight"])
            seconds.append(taken / 1e3)
            page.wait_for_timeout(50)
        print(f"    in a browser    {spread(seconds[5:])}")


# (e) What diagnose adds.


def measure_diagnose(rounds: int = 12) -> None:
    print(f"\n(e) a healthy program of one second, medians of {rounds} pairs: in diagnose against a call")
    from benchmark_workers import work_a_second

    from ipc_helpers import diagnose

    for method in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context(method)
        plain: list[float] = []
        observed: list[float] = []

        def timed(seconds: list[float], call: Callable[[], object]) -> None:
            started = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - started)

        def diagnosed() -> None:
            diagnosis = diagnose(work_a_second, context, deadline=SECONDS)  # noqa: B023 - called at once
            assert diagnosis.healthy, diagnosis

        work_a_second(context)  # warm: the resource tracker, the forkserver
        for _ in range(rounds):
            shuffled(
                lambda: timed(plain, lambda: work_a_second(context)),  # noqa: B023
                lambda: timed(observed, diagnosed),  # noqa: B023
            )
        ratio = statistics.median(observed) / statistics.median(plain)
        print(f"    {method:10}  {milliseconds(plain)} → {milliseconds(observed)}  ratio {ratio:.2f}")


if __name__ == "__main__":
    # A spawned child runs the main module again, and would wait for its imports; a kernel's child has none.
    code = "import sys, benchmark; sys.exit(benchmark.main())"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Compiled once, as for a reader: some machines forbid to keep bytecode, and each child would compile.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "-c", code, *sys.argv[1:]]
        sys.exit(subprocess.call(command, cwd=Path(__file__).parent, env=environment))
