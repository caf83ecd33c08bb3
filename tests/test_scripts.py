"""The programs that readers take home: what they print, and that nothing of them is left."""

from __future__ import annotations

import ast
import contextlib
import inspect
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from refresh_outputs import ROOT, find_chapters
from sessions import AMPLE, has_child, started, still_there, wait_until

from ipc_helpers import run_script
from ipc_helpers.workers import ring

pytestmark = pytest.mark.usefixtures("nothing_left")
FOLDER = ROOT / "notebooks" / "scripts"
SCRIPTS = sorted(FOLDER.glob("*.py"))
MOST_LINES = 30  # but for classes that are the package's own, word for word
FROM_PACKAGE = {"10_limit": ring}
EXPECTED = {
    "01_processes": [
        "SpawnProcess-1: exit code 0",
        "SpawnProcess-2: exit code 3",
        "SpawnProcess-3: exit code -15",
    ],
    "02_queue": [
        *(f"message {number}: 1,000,000 bytes" for number in (1, 2, 3)),
        "exit code of the producer: 0",
    ],
    "03_pipe": ["one -> ONE", "two -> TWO", "three -> THREE", "exit code of the child: 0"],
    "04_inside_the_queue": [
        *(f"put message {number}" for number in (1, 2, 3, 4, 5)),
        "exit code of the consumer: 0",
    ],
    "05_patterns": ["[(0, 'ZeroDivisionError'), (1, 12.0), (4, 3.0)]", "ended well: 2"],
    "06_pitfalls": ["apples: 3", "pears: no price, exit code 1"],
    "07_pools": ["5: (2, 2)", "0: ZeroDivisionError", "4: (3, 0)"],
    "08_logging": [f"SpawnProcess-{number}: counted to {number}" for number in (1, 2, 3)],
    "08_programs": ["done: [0, 1, 4, 9, 16, 25]"],
    "09_asyncio": ["['one', 'two', 'three']"],
    "09_sharing": [f"slot {number % 2}: the bytes add up to {number * 1000}" for number in range(4)],
    "10_limit": [f"{number * 1000} bytes that add up to {number * number * 1000}" for number in range(5)],
}
IN_ANY_ORDER = {"08_logging"}  # lines of several children, as they come
TRACEBACKS = {"06_pitfalls": 1}  # of children: lab 15 is about one that fails

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has neither sessions nor these signals")
each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


def test_each_chapter_but_the_first_has_a_script_of_its_name() -> None:
    names = [chapter.stem.replace("-", "_") for chapter in find_chapters()[1:]]
    scripts = [script.stem for script in SCRIPTS]
    assert scripts == sorted(EXPECTED)
    assert set(names) <= set(scripts), "a chapter may have more than one"
    assert {script[:2] for script in scripts} == {name[:2] for name in names}


def printed(script: Path, stdout: str) -> list[str]:
    """Return what a script printed, in an order that is the same in each run."""
    return sorted(stdout.splitlines()) if script.stem in IN_ANY_ORDER else stdout.splitlines()


def classes(text: str) -> dict[str, str]:
    """Return the source of each class of a module."""
    nodes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    return {node.name: str(ast.get_source_segment(text, node)) for node in nodes}


@pytest.mark.parametrize("name", FROM_PACKAGE)
def test_the_classes_of_a_script_are_those_of_the_package(name: str) -> None:
    script = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert classes(script) == classes(inspect.getsource(FROM_PACKAGE[name]))


@each_script
def test_a_script_has_at_most_thirty_lines_of_its_own(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    if script.stem in FROM_PACKAGE:
        for source in classes(text).values():
            text = text.replace(f"{source}\n\n\n", "")
    assert len(text.splitlines()) <= MOST_LINES


@each_script
def test_a_script_imports_the_standard_library_alone(script: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module))
    assert {name.partition(".")[0] for name in imported} - sys.stdlib_module_names == set()


@each_script
def test_a_script_prints_what_it_should(script: Path) -> None:
    command = [sys.executable, "-I", script]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=AMPLE)
    assert printed(script, run.stdout) == EXPECTED[script.stem]
    assert run.stderr.count("Traceback") == TRACEBACKS.get(script.stem, 0), run.stderr
    assert run.returncode == 0


IGNORE = "signal.signal(signal.SIGINT, signal.SIG_IGN)"


@each_script
def test_a_child_that_is_interrupted_goes_on(script: Path) -> None:
    run = run_script(script, AMPLE, {IGNORE: f"{IGNORE}; signal.raise_signal(signal.SIGINT)"})
    assert printed(script, run.stdout) == EXPECTED[script.stem]
    assert "KeyboardInterrupt" not in run.stderr


SLEEP = "__import__('time').sleep(99)"
NAPS = "[__import__('time').sleep(0.1) for _ in range(990) if not stopped]"  # a sleep goes on after a handler
HANDLERS = {"08_programs"}  # end as without a signal: exit code 0, no traceback
# Lines that keep a script where its children are up: (the line, what stands in its place, how many children).
HELD = {
    "01_processes": ("(30, 30, 2)", "(30, 30, 99)", 3),
    "02_queue": ("    while (", f"    {SLEEP}\n    while (", 1),  # child: in its feeder's join
    "03_pipe": ("        for", f"        {SLEEP}\n        for", 1),  # child: in recv
    "04_inside_the_queue": ("sum(", f"{SLEEP}\n    sum(", 1),  # parent: in put
    "05_patterns": (", None, None", "", 2),  # children: in get; parent: in join
    "06_pitfalls": ("messages.put(", "time.sleep(1)\n    messages.put(", 1),  # the child ends by itself
    "07_pools": ("divmod, 12, number", f"eval, {SLEEP!r}", 2),  # children: in a task; parent: in wait
    "08_logging": ("    logging.basicConfig", f"    {SLEEP}\n    logging.basicConfig", 3),  # parent: in join
    "08_programs": ("            tasks.put(task", f"            {NAPS}\n            tasks.put(task", 1),
    "09_asyncio": ("for message in (", f"{SLEEP}\n    for message in (", 1),  # parent: in its loop
    "09_sharing": ("        for _", f"        {SLEEP}\n        for _", 1),  # child: in get
    "10_limit": ("            for message", f"            {SLEEP}\n            for message", 1),  # in put
}
# An asyncio program that is interrupted has the traceback of the task that was cancelled, too.
OF_INTERRUPT = {"09_asyncio": 2}
SAY_SO = f"{IGNORE}; open('up-' + multiprocessing.current_process().name, 'w').close()"


@posix
@pytest.mark.timing
@pytest.mark.parametrize("sent", ["SIGINT to all", "SIGINT to the parent", "SIGTERM to the parent"])
@each_script
def test_a_signal_leaves_nothing_behind(script: Path, sent: str, tmp_path: Path) -> None:
    line, instead, children = HELD[script.stem]
    text = script.read_text(encoding="utf-8")
    for old, new in {line: instead, f"{IGNORE}  # leave": f"{SAY_SO}  # leave"}.items():
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    with started(text, tmp_path) as process:
        wait_until(
            lambda: process.poll() is not None or len([*tmp_path.glob("up-*")]) == children,
            "the children are not up",
        )
        assert process.poll() is None, process.communicate()
        if sent == "SIGINT to all":  # as a terminal does for Ctrl-C
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(getattr(signal, sent.split()[0]))
        _, stderr = process.communicate(timeout=AMPLE)
        wait_until(lambda: not still_there(process), "something is left")
    number = signal.SIGTERM if sent == "SIGTERM to the parent" else signal.SIGINT
    handled = script.stem in HANDLERS
    assert process.returncode == (0 if handled else -number)
    tracebacks = 0 if handled or number == signal.SIGTERM else OF_INTERRUPT.get(script.stem, 1)
    assert stderr.count("Traceback") == tracebacks, f"more than the parent's: {stderr}"


# A random moment is what a reader's Ctrl-C has, once there is a child. Before it, any program may leave a
# semaphore that Python has made and not yet given to its resource tracker (synchronize, SemLock.__init__).
# Names of its own show what of a script is left.
MOMENTS = int(os.environ.get("IPC_KILLS", "200")) // 100  # of each script, for each signal
NAMED = """\
import multiprocessing.shared_memory
multiprocessing.current_process()._config["semprefix"] = "/mp-MARK"
multiprocessing.shared_memory._SHM_NAME_PREFIX = "/psm-MARK"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what is left are files on Linux alone")
@pytest.mark.timing
@pytest.mark.parametrize("sent", ["SIGINT to all", "SIGTERM to the parent"])
@each_script
def test_a_signal_at_any_moment_leaves_nothing_behind(script: Path, sent: str, tmp_path: Path) -> None:
    text = script.read_text(encoding="utf-8")
    begin = text.index("\nimport ") + 1
    named = text[:begin] + NAMED + text[begin:]
    began = time.monotonic()
    assert printed(script, run_script(named, AMPLE).stdout) == EXPECTED[script.stem]
    lasts = time.monotonic() - began
    for number in range(MOMENTS):
        mark, moment = f"{os.getpid()}-{number}-", random.uniform(0, lasts)
        with started(named.replace("MARK", mark), tmp_path) as process:
            wait_until(lambda p=process: p.poll() is not None or has_child(p.pid), "no child has come")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moment)
            with contextlib.suppress(ProcessLookupError):
                if sent == "SIGINT to all":
                    os.killpg(process.pid, signal.SIGINT)
                else:
                    process.terminate()
            process.communicate(timeout=AMPLE)
            wait_until(
                lambda p=process: not still_there(p), f"something is left, {sent} after {moment:.3f} s"
            )
        left = [file.name for file in Path("/dev/shm").glob(f"*{mark}*")]
        left += [file.name for file in tmp_path.iterdir() if file.name != "script.py"]
        assert left == [], f"{sent} after {moment:.3f} s"


# Ctrl-C in the middle of a put, when it has woken its feeder thread and not yet noted so: the feeder's next
# wait is never ended (threading.Condition.notify, CPython 3.11 to 3.15).
UPSET = """\
import os as _os, threading as _threading, time as _time
from multiprocessing.queues import Queue as _Queue
_put = _Queue.put
_puts = []
def _upset_put(self, *args, **kwargs):
    _puts.append(self)
    if __name__ == "__main__" and len(_puts) == NUMBER:
        while not self._notempty._waiters:  # until the feeder waits
            _time.sleep(0.01)
        with self._notempty:
            self._sem.acquire(timeout=10)
            self._buffer.append(args[0])
            self._notempty._waiters[0].release()
            _os.kill(_os.getpid(), 2)
            _time.sleep(0)
            self._notempty._waiters.popleft()
    else:
        _put(self, *args, **kwargs)
_Queue.put = _upset_put
"""
PUTS = {"04_inside_the_queue": 6, "05_patterns": 5, "08_programs": 7}  # of the parent


@posix
@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, puts in PUTS.items() for number in range(2, puts + 1)]
)
def test_an_interrupted_put_keeps_no_script(name: str, number: int, tmp_path: Path) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    begin = text.index("\nimport ") + 1
    with started(text[:begin] + UPSET.replace("NUMBER", str(number)) + text[begin:], tmp_path) as process:
        stdout, stderr = process.communicate(timeout=AMPLE)
        wait_until(lambda: not still_there(process), "something is left")
    if name in HANDLERS:
        assert stdout.startswith("done: [0, 1"), stderr
    else:
        assert stderr.count("KeyboardInterrupt") == 1, stderr


@each_script
def test_it_is_known_which_parents_put(script: Path) -> None:
    parent = script.read_text(encoding="utf-8").partition('if __name__ == "__main__"')[2]
    starts_no_feeder = "free, filled, memory = ctx.SimpleQueue()" in parent
    assert (script.stem in PUTS) == (".put(" in parent and not starts_no_feeder)


# Each failure that a chapter lets happen without a precaution, here with it. Limits are a second.
LAST_PUT, LAST_JOIN = "messages.put(None, timeout=30)", "worker.join(timeout=20)"
STUCK = {"[fruit])": "[fruit]), time.sleep(99)"}
STUCK_TASK = {"divmod, 12, number": f"eval, {SLEEP!r}"}
FAILURES: dict[str, list[dict[str, str]]] = {
    "01_processes": [{"child.join(timeout=limit)": "1 / 0"}, {"child.terminate()": "os._exit(1)"}],
    "02_queue": [
        {"messages.put(None)": "1 / 0", "timeout=30": "timeout=1"},
        {"number, payload =": "1 / 0  #"},
        {"number, payload =": "os._exit(1)  #"},
    ],
    "03_pipe": [
        {"end.send(end.recv().upper())": "raise SystemExit(len(end.recv()))"},
        {"end.send(end.recv().upper())": "end.recv()", "timeout=30": "timeout=1"},
        {"own_end.send(request)": "1 / 0"},
        {"own_end.send(request)": "__import__('os')._exit(1)"},
    ],
    "04_inside_the_queue": [
        {"iter(messages.get, None)": "()", "timeout=30": "timeout=1"},
        {LAST_PUT: "1 / 0"},
        {LAST_PUT: "os._exit(1)"},
    ],
    "05_patterns": [
        {"except Exception": "except NameError", "timeout=30": "timeout=1"},
        {", None, None": "", LAST_JOIN: "1 / 0"},
        {", None, None": "", LAST_JOIN: "os._exit(1)"},
    ],
    "06_pitfalls": [{"messages.put(": "time.sleep(99), (", "+ 30": "+ 1"}, STUCK | {"print(": "1 / 0  #"}],
    "07_pools": [
        {"divmod, 12,": "os._exit,"},
        {"divmod, 12,": "__import__('sys').exit,"},
        STUCK_TASK | {"timeout=30": "timeout=1"},
        STUCK_TASK | {"wait(futures": "1 / 0, wait(futures"},
        STUCK_TASK | {"wait(futures": "os._exit(1), wait(futures"},
    ],
    "08_logging": [
        {"logging.info": "1 / 0  #"},
        {"logging.info": f"{SLEEP}  #", "timeout=30": "timeout=1"},
        {"worker.join(": "1 / 0  #", "logging.info": f"{SLEEP}  #"},
        {"worker.join(": "os._exit(1)  #", "logging.info": f"{SLEEP}  #"},
    ],
    "08_programs": [
        {"results.put(task * task)": "1 / 0", "timeout=20": "timeout=1", "timeout=30": "timeout=1"},
        {"results.put(task * task)": SLEEP, "timeout=20": "timeout=1", "timeout=30": "timeout=1"},
        {"tasks.put(task, timeout=30)": "tasks.put(task, timeout=30); 1 / 0"},
        {"tasks.put(task, timeout=30)": "tasks.put(task, timeout=30); os._exit(1)"},
    ],
    "09_asyncio": [
        {"for message in (": "1 / 0\n    for message in (", "timeout=30": "timeout=1"},
        {"for message in (": "os._exit(1)\n    for message in (", "timeout=30": "timeout=1"},
        {"messages.append(": "1 / 0, ("},
        {"messages.append(": "os._exit(1), ("},
    ],
    "09_sharing": [
        {"filled.put(slot)": "1 / 0", "timeout=30": "timeout=1"},
        {"filled.put(slot)": "os._exit(1)", "timeout=30": "timeout=1"},
        {"free.put(slot)": "1 / 0"},
        {"free.put(slot)": "os._exit(1)"},
    ],
    "10_limit": [
        {"producer.put(": "1 / 0, ("},
        {"producer.put(": "os._exit(1), ("},
        {"producer.put(": f"{SLEEP}, (", "consumer.get, None": "lambda: consumer.get(1), None"},
        {"print(": "1 / 0, ("},
        {"print(": "os._exit(1), ("},
    ],
}


@pytest.mark.parametrize(
    ("name", "failure"), [(name, failure) for name, failures in FAILURES.items() for failure in failures]
)
def test_a_script_with_its_precautions_ends_after_a_failure(name: str, failure: dict[str, str]) -> None:
    run = run_script(FOLDER / f"{name}.py", AMPLE, failure, "\n".join(EXPECTED[name]))
    assert run.exitcode is not None, run.outcome
    assert "SyntaxError" not in run.outcome
    assert not run.outcome.endswith("same output"), "the failure did not happen"
