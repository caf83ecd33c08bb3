"""Measure what the package costs, as ratios within one interleaved run.

    .uv/bin/uv run python tests/tools/benchmark.py [--rounds N] [--parts abcde] [--against PATH]

It prints five tables: how long a WorkerGroup takes to the first message of a child, against a plain
``ctx.Process``; how fast QueueFlow and PipeExchange are with their records, against a bare loop over the same
queue or pipe; how long a released slider takes to show a new figure; what diagnose adds to a run of one
second; and which rates ``measure`` finds, against bare loops. The times are those of one machine at one
moment. The ratios carry over.

PATH is another checkout, made by ``git worktree add PATH HEAD~1`` for example. An interpreter for each of the
two trees then measures (a), (b) and the kernel's part of (c) in the same rounds, in random order.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from functools import cache, partial
from operator import truediv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import benchmark_workers as workers
from benchmark_bare import bare_loops, bare_moments, bare_rate_of_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Calls = dict[str, Callable[[], float]]
    Trees = dict[str, Callable[..., float]]  # what asks each tree's interpreter for a measurement
    Values = dict[str, list[float]]

TOOLS = Path(__file__).resolve().parent
ROOT = TOOLS.parents[1]
KINDS: dict[str, dict[str, int]] = {
    "Queue": {"maxsize": 0},
    "Queue, maxsize=64": {"maxsize": 64},
    "one-way pipe": {"duplex": False},
    "duplex pipe": {"duplex": True},
}
SECONDS = 60.0


def main() -> int:
    parser = argparse.ArgumentParser("benchmark.py", description="Measure what the package costs.")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of part b; others in proportion (20)")
    parser.add_argument("--parts", default="abcde", help="which to run (abcde)")
    parser.add_argument("--messages", type=int, default=20_000, help="messages of a run in part b (20000)")
    parser.add_argument("--against", type=tree, metavar="PATH", help="another checkout, for parts a, b and c")
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}, {sys.platform}; median (quartiles)")
    roots = {"this": ROOT} | ({"other": options.against} if options.against else {})
    with contextlib.ExitStack() as stack:
        trees = {name: stack.enter_context(running(root)) for name, root in roots.items()}
        if "a" in options.parts:
            measure_starts(trees, 2 * options.rounds)
        if "b" in options.parts:
            measure_records(trees, options.rounds, options.messages)
        if "c" in options.parts:
            measure_slider(trees, 3 * options.rounds)
        if "d" in options.parts:
            measure_diagnose(trees["this"], (options.rounds + 1) // 2)
        if "e" in options.parts:
            measure_ladder(options.rounds, options.messages)
    return 0


# The trees: each has an interpreter that measures one thing at a time.


def tree(path: str) -> Path:
    """Return the root of a checkout, for argparse."""
    root = Path(path).resolve()
    if not (root / "ipc_helpers" / "__init__.py").is_file():
        raise argparse.ArgumentTypeError(f"there is no package ipc_helpers in {root}")
    return root


def python(root: Path, code: str, *arguments: str) -> dict[str, Any]:
    """Return what Popen needs for code that has this module, and the package of a tree."""
    folders = root, TOOLS, TOOLS.with_name("support")  # they come before an editable install
    command = [sys.executable, "-P", "-c", f"import sys, benchmark; {code}", *arguments]
    return {"args": command, "env": {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}}


@contextlib.contextmanager
def running(root: Path) -> Iterator[Callable[..., float]]:
    """Start a tree's interpreter; yield what has it call a function of this module."""
    process: Any
    pipe, options = subprocess.PIPE, python(root, "benchmark.serve()")
    with subprocess.Popen(**options, stdin=pipe, stdout=pipe, text=True) as process:

        def ask(*request: object) -> float:
            print(json.dumps(request), file=process.stdin, flush=True)
            return float(process.stdout.readline() or sys.exit(f"the measuring of {root} failed"))

        found = process.stdout.readline().strip()
        if not Path(found).is_relative_to(root):
            sys.exit(f"ipc_helpers has to come from {root}, not from {found or 'nowhere'}")
        yield ask


def serve() -> None:
    """Answer each line, the name of a function and its arguments, with what the function returns."""
    import ipc_helpers

    answers, sys.stdout = sys.stdout, sys.stderr  # so that nothing else gets between the answers
    print(ipc_helpers.__file__, file=answers, flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(globals()[name](*arguments), file=answers, flush=True)


def interleaved(rounds: int, calls: Calls) -> Values:
    """Make each of the calls once a round, in a random order, so that none always comes first."""
    values: Values = {name: [] for name in calls}
    for _ in range(rounds):
        for name in random.sample(list(calls), len(calls)):
            values[name].append(calls[name]())
    return values


def in_each(trees: Trees, *request: object, bare: tuple[object, ...] = ()) -> Calls:
    """Return the calls of one round: the same request to each tree; to this one, the bare one as well."""
    calls: Calls = {name: partial(ask, *request) for name, ask in trees.items()}
    return calls | ({"bare": partial(trees["this"], *bare)} if bare else {})


def cuts(values: list[float], n: int = 4) -> list[float]:
    return statistics.quantiles(values if len(values) > 1 else values * 2, n=n, method="inclusive")


def ratio(values: Values, name: str, base: str) -> str:
    low, middle, high = cuts(list(map(truediv, values[name], values[base])))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def to_other(values: Values) -> str:
    return f"   this/other {ratio(values, 'this', 'other')}" if "other" in values else ""


def to_bare(values: Values) -> str:
    names = [name for name in values if name != "bare"]
    return "   ".join(f"{name} {ratio(values, name, 'bare')}" for name in names) + to_other(values)


def milliseconds(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1e3:.1f} ms"


# (a) Start to first message.


def measure_starts(trees: Trees, rounds: int) -> None:
    print(
        f"\n(a) start to first message: WorkerGroup's time by ctx.Process's, {rounds} rounds; less is better"
    )
    for method in multiprocessing.get_all_start_methods():
        calls = in_each(trees, "start_grouped", method, bare=("start_plain", method))
        interleaved(1, calls)  # warm: the resource tracker, the forkserver
        values = interleaved(rounds, calls)
        print(f"    {method:17}  {to_bare(values)}   plain {milliseconds(values['bare'])}")


def start_plain(method: str) -> float:
    context: Any = multiprocessing.get_context(method)
    started = time.perf_counter()
    receiver, sender = context.Pipe(duplex=False)
    with receiver:
        with sender:
            process = context.Process(target=workers.send_one, args=(sender,), daemon=True)
            process.start()
        first = first_message(receiver) - started
        process.join(SECONDS)
    process.close()
    return first


def start_grouped(method: str) -> float:
    from ipc_helpers import WorkerGroup

    context: Any = multiprocessing.get_context(method)
    started = time.perf_counter()
    receiver, sender = context.Pipe(duplex=False)
    with receiver, WorkerGroup(context, deadline=SECONDS) as group:
        with sender:
            group.start(workers.send_one, sender)
        return first_message(receiver) - started


def first_message(receiver: Any) -> float:
    """Return when the first message is there."""
    assert receiver.poll(SECONDS)
    receiver.recv()
    return time.perf_counter()


# (b) What the records cost.


def measure_records(trees: Trees, rounds: int, count: int) -> None:
    print(f"\n(b) rate by a bare loop's, {count:,} messages of 64 bytes, {rounds} rounds; more is better")
    for kind, parameters in KINDS.items():
        calls = in_each(trees, "rate", count, parameters, bare=("bare_rate", count, parameters))
        values = interleaved(rounds, calls)
        print(f"    {kind:17}  {to_bare(values)}   bare {statistics.median(values['bare']):,.0f}/s")


def rate(count: int, parameters: dict[str, Any]) -> float:
    from ipc_helpers import PipeExchange, QueueFlow

    kind = QueueFlow if "maxsize" in parameters else PipeExchange
    return kind(messages=count, **parameters).run(deadline=SECONDS).messages_per_second


def bare_rate(count: int, parameters: dict[str, Any]) -> float:
    """Return the rate of two processes that do nothing but send and receive: first send to last receive."""
    context: Any = multiprocessing.get_context("spawn")
    ends, loops = bare_loops(context, **parameters)
    (started, ended), (_, other_ended) = bare_moments(context, ends, loops, workers.time_loop, count)
    return float(count / ((max(ended, other_ended) - started) / 1e9))


# (c) A released slider.


def measure_slider(trees: Trees, times: int) -> None:
    print(f"\n(c) slider released to new figure, at 2,000 messages, {times} times, warm; less is better")
    interleaved(1, in_each(trees, "released"))
    values = interleaved(times, in_each(trees, "released"))
    each = "   ".join(f"{name} {duration(seconds)}" for name, seconds in values.items())
    print(f"    in the kernel   {each}{to_other(values)}")
    in_browser(times)


@cache
def warm_panel() -> Any:
    from ipc_helpers import Panel, QueueFlow

    panel = Panel(QueueFlow(messages=2_000), controls=("messages", "maxsize"), run_on_release=True)
    panel.run.click()
    assert panel.wait(SECONDS)
    return panel


def released() -> float:
    panel = warm_panel()
    slider, before = panel.controls["maxsize"], panel.picture.svg
    value = 128 if slider.value == 64 else 64
    started = time.perf_counter()
    slider.set_state({"value": value, "released": slider.released + 1})  # as the browser tells it
    assert panel.wait(SECONDS)
    taken = time.perf_counter() - started
    assert panel.picture.svg != before
    return taken


def duration(seconds: list[float]) -> str:
    low, middle, high = (cut * 1e3 for cut in cuts(seconds))
    return f"{middle:.1f} ms ({low:.1f} to {high:.1f}, 95 of 100 within {cuts(seconds, 20)[-1] * 1e3:.0f})"


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
Panel(QueueFlow(messages=2_000), controls=("messages", "maxsize"), run_on_release=True)"""
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
        slider = lab.slider_of(page, "maxsize (0: no bound)")
        slider.wait_for(timeout=SECONDS * 1e3)
        # In the page, between two events of its own: the slider let go of, the picture drawn.
        script = """(slider, step) => new Promise((resolve, reject) => {
            const picture = slider.closest('.ipc-panel').querySelector('img');
            setTimeout(() => reject(new Error('no new figure')), 60000);
            new MutationObserver((_, observer) => {
                observer.disconnect();
                picture.decode().then(() => resolve(performance.now() - started));
            }).observe(picture, {attributeFilter: ['src']});
            slider.value = 7 + step;
            slider.dispatchEvent(new Event('input'));
            const started = performance.now();
            slider.dispatchEvent(new Event('change'));
        })"""
        seconds = []
        for number in range(times + 5):
            seconds.append(slider.evaluate(script, number % 2) / 1e3)
            page.wait_for_timeout(50)
        print(f"    in a browser    {duration(seconds[5:])}")


# (d) What diagnose adds.


def measure_diagnose(ask: Callable[..., float], rounds: int) -> None:
    print(f"\n(d) a program of one second: its time in diagnose by a call's, {rounds} rounds; less is better")
    for method in multiprocessing.get_all_start_methods():
        ask("called", method)  # warm: the resource tracker, the forkserver
        names = "diagnosed", "called"
        values = interleaved(rounds, {name: partial(ask, name, method) for name in names})
        times = " to ".join(milliseconds(values[name]) for name in reversed(names))
        print(f"    {method:17}  {ratio(values, *names)}   {times}")


def called(method: str) -> float:
    started = time.perf_counter()
    workers.work_a_second(multiprocessing.get_context(method))
    return time.perf_counter() - started


def diagnosed(method: str) -> float:
    from ipc_helpers import diagnose

    started = time.perf_counter()
    diagnosis = diagnose(workers.work_a_second, multiprocessing.get_context(method), deadline=SECONDS)
    taken = time.perf_counter() - started
    assert diagnosis.healthy, diagnosis
    return taken


# (e) What the measuring room finds.


def measure_ladder(rounds: int, count: int) -> None:
    from ipc_helpers import measure

    rounds = max(rounds, 3)  # fewer are no measurement
    print(f"\n(e) rate that measure finds by a bare loop's, {count:,} messages of 64 bytes, {rounds} rounds")
    loops = {
        "Queue": (workers.produce_bare, workers.consume_bare),
        "Pipe, send": (workers.send_all, workers.receive_all),
        "Pipe, send_bytes": (workers.send_all_bytes, workers.receive_all_bytes),
    }
    bare: Values = {name: [] for name in loops}

    def look(_: object) -> None:
        """Run each bare loop once, after each round of measure."""
        for name in random.sample(list(loops), len(loops)):
            bare[name].append(bare_rate_of_bytes(name, loops[name], count))

    ladder = measure(list(loops), messages=count, latencies=0, rounds=rounds, budget=3600.0, look=look)
    for name in loops:
        values = {"measure": [sample[name].rate for sample in ladder.samples], "bare": bare[name]}
        print(f"    {name:17}  {to_bare(values)}   bare {statistics.median(values['bare']):,.0f}/s")


if __name__ == "__main__":
    # A spawned child runs the main module again, and would wait for its imports; a kernel's child has none.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Compiled once, as for a reader: some machines forbid to keep bytecode, and each child would compile.
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        sys.exit(subprocess.call(**python(ROOT, "sys.exit(benchmark.main())", *sys.argv[1:])))
