"""The measuring room: what a rung does wrong is told, it ends in time, and it leaves nothing."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import group_workers
import psutil
import pytest
import rung_workers
from groups import AMPLE, SOON, ends_soon, posix, script
from rungs_for_tests import FEW, HERE, rung

from ipc_helpers import MeasureError, measure
from ipc_helpers.group.errors import Cancelled
from ipc_helpers.group.starting import start_methods
from ipc_helpers.measuring import rungs
from ipc_helpers.measuring.rungs import open_nothing, open_queue

if TYPE_CHECKING:
    from collections.abc import Callable


# How many children are killed at any moment; CONTRIBUTING says when to ask for more.
KILLS = int(os.environ.get("IPC_KILLS", "24")) // len(start_methods())


# What a rung does wrong is told, with its name and the number of the message.


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    ("send", "words"),
    [
        (rung_workers.repeat, "message 2 of 20 of the warm-up was number 0 where number 1 had to come"),
        (rung_workers.reorder, "message 1 of 20 of the warm-up was number 1 where number 0 had to come"),
        (rung_workers.tear, "message 3 of 20 of the warm-up was torn: its checksum is not that of its bytes"),
        (rung_workers.tear_later, "message 3 of 20 of a timed turn was torn"),
        (rung_workers.shorten, "message 1 of 20 of the warm-up came with 63 bytes, not 64"),
        (rung_workers.send_numbers, "message 1 of 20 of the warm-up is no bytes, but int"),
        (rung_workers.send_once, "returned before its last turn"),
        (rung_workers.fail, "its sender raised OSError: no such rung"),
    ],
)
def test_what_a_sender_does_wrong_is_told(send: Callable[..., object], words: str) -> None:
    with ends_soon(), pytest.raises(MeasureError, match=f"^mine: {words}") as caught:
        measure([rung(send)], **{**FEW, "latencies": 0})
    assert (caught.value.rung, caught.value.result) == ("mine", None)


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    ("send", "words"),
    [
        (rung_workers.lose, "message 2 of 20 of the warm-up was number 2 where number 1 had to come"),
        (
            rung_workers.lose_last,
            "message 20 of 20 of the warm-up was lost: all were sent, and none has come",
        ),
    ],
)
@pytest.mark.parametrize("platform", ["linux", "another"])
def test_a_lost_message_is_told_though_its_receiver_waits(
    platform: str, send: Callable[..., object], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere than on Linux, a thread of the receiver's waits for what a signal does there."""
    if platform != "linux":
        monkeypatch.setattr(rungs, "sys", SimpleNamespace(platform=platform))
    with ends_soon(), pytest.raises(MeasureError, match=f"^mine: {words}"):
        measure([rung(send)], **FEW)


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    ("receive", "words"),
    [
        (rung_workers.keep_once_more, "21 messages were kept of the warm-up, and 20 had to come"),
        (rung_workers.get_more_of_them, "message 21 of 20 .* was lost"),
        (rung_workers.fail, "its receiver raised OSError: no such rung"),
    ],
)
def test_what_a_receiver_does_wrong_is_told(receive: Callable[..., object], words: str) -> None:
    with ends_soon(), pytest.raises(MeasureError, match=f"^mine: {words}"):
        measure([rung(receive=receive)], **FEW)


@pytest.mark.usefixtures("nothing_left")
def test_what_happens_in_one_process_is_checked_too() -> None:
    alone = rung(rung_workers.copy_wrongly, None, open=open_nothing)
    with pytest.raises(MeasureError, match=r"^mine: message 1 of 20 of the warm-up was torn"):
        measure([alone], **FEW)


@pytest.mark.usefixtures("nothing_left")
def test_a_rung_that_can_not_be_opened_is_told() -> None:
    def refuse(context: Any, size: int, batch: int) -> Any:
        raise PermissionError("no more segments")

    with pytest.raises(MeasureError, match=r"^mine: PermissionError: no more segments"):
        measure([rung(open=refuse)], **FEW)


@pytest.mark.usefixtures("nothing_left")
def test_an_error_has_what_was_measured_before() -> None:
    opened: list[int] = []

    def open_twice(context: Any, size: int, batch: int) -> Any:
        if len(opened) == 2:
            raise PermissionError("no more segments")
        opened.append(size)
        return open_queue(context, size, batch)

    with pytest.raises(MeasureError) as caught:
        measure([rung(open=open_twice)], **FEW)
    assert caught.value.result is not None
    assert caught.value.result.rounds == 2


# It ends in time, and leaves nothing.


@posix
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("end", ["sender", "receiver"])
def test_a_killed_child_is_told(end: str) -> None:
    killed = rung(rung_workers.die) if end == "sender" else rung(receive=rung_workers.die)
    with ends_soon(), pytest.raises(MeasureError, match=f"^mine: its {end} was killed by SIGKILL"):
        measure([killed], **FEW)


@posix
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("start_method", start_methods())
def test_a_child_that_is_killed_at_any_moment_is_told(start_method: str) -> None:
    """Any of a Manager's three, or of a ring's two."""
    chance = random.Random(start_method)
    told: list[str | None] = []
    for _ in range(KILLS):
        ended = threading.Event()
        killer = threading.Thread(target=kill_any, args=(chance.uniform(0, 0.6), ended))
        killer.start()
        try:
            with ends_soon():
                measure(["Manager().Queue", "ring"], **{**FEW, "messages": 5_000}, start_method=start_method)
        except MeasureError as error:
            told.append(error.rung)
        finally:
            ended.set()
            killer.join()
    assert len(told) >= KILLS / 4
    assert set(told) <= set(HERE)


def kill_any(after: float, ended: threading.Event) -> None:
    """Kill one process below this one that is no helper of the standard library's, once there is one."""
    time.sleep(after)
    helpers = "resource_tracker", "multiprocessing.forkserver"
    while not ended.is_set():
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                command = " ".join(process.cmdline())
                is_server = "forkserver" in command and process.ppid() == os.getpid()
                if not is_server and helpers[0] not in command:
                    process.kill()
                    return
        time.sleep(0.001)


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("start_method", start_methods())
def test_it_can_be_cancelled_at_any_moment(start_method: str) -> None:
    chance = random.Random(start_method)
    for _ in range(6):
        cancelled = threading.Event()
        timer = threading.Timer(chance.uniform(0, 1.5), cancelled.set)
        timer.start()
        with ends_soon(), pytest.raises(Cancelled) as caught:
            measure(HERE, rounds=1_000, budget=600.0, start_method=start_method, cancelled=cancelled)
        assert caught.value.result is None or caught.value.result.rounds < 1_000
        timer.join()


@pytest.mark.timing
@pytest.mark.usefixtures("nothing_left")
def test_a_cancel_takes_less_than_a_second() -> None:
    cancelled = threading.Event()
    moments: list[float] = []

    def cancel(_: int, of: int) -> None:
        moments.append(time.monotonic())
        cancelled.set()

    with pytest.raises(Cancelled):
        measure(HERE, rounds=3, budget=600.0, cancelled=cancelled, progress=cancel)
    assert time.monotonic() - moments[0] < 1


@pytest.mark.usefixtures("nothing_left")
def test_a_budget_that_is_too_small_is_told() -> None:
    with ends_soon(), pytest.raises(MeasureError, match=r"budget must be more than 0\.01 s here: 3 rounds"):
        measure(["Queue"], budget=0.01)


@pytest.mark.usefixtures("nothing_left")
def test_rounds_that_do_not_fit_are_left_out() -> None:
    steps: list[tuple[int, int]] = []
    how = {**FEW, "rounds": 1_000, "budget": 4.0}
    with ends_soon(AMPLE):
        ladder = measure(["Queue"], **how, progress=lambda done, of: steps.append((done, of)))
    assert 3 <= ladder.rounds < 1_000
    assert steps[-1] == (3_000, 3_000)


@pytest.mark.usefixtures("nothing_left")
def test_a_rung_that_hangs_is_ended_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipc_helpers.measuring.measure._STUCK_AFTER", 3.0)
    with ends_soon(), pytest.raises(MeasureError, match=r"^mine: one run took more than 3 s") as caught:
        measure([rung(receive=rung_workers.hang)], **{**FEW, "budget": 3.0})
    assert "time.sleep(600)" in str(caught.value) or "in hang" in str(caught.value)


@posix
@pytest.mark.parametrize("start_method", start_methods())
@pytest.mark.parametrize("end", ["SIGKILL", "SIGINT"])
def test_no_process_outlives_its_parent(end: str, start_method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it does at that moment. After SIGKILL files of its own are left: nothing can remove them."""
    chance = random.Random(start_method)
    for _ in range(max(KILLS // 4, 1)):
        with tempfile.TemporaryDirectory(prefix="ipc", ignore_cleanup_errors=True) as folder:
            monkeypatch.setenv("TMPDIR", folder)
            with script(group_workers.run_measure, start_method) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == "measuring\n"
                time.sleep(chance.uniform(0, 0.8))
                if end == "SIGKILL":
                    process.kill()
                else:
                    os.killpg(process.pid, signal.SIGINT)
                _, errors = process.communicate(timeout=AMPLE)
            assert end == "SIGKILL" or errors.rstrip().endswith("KeyboardInterrupt")
            ends_at = time.monotonic() + SOON
            while (left := in_session(process.pid)) and time.monotonic() < ends_at:
                time.sleep(0.05)
            assert left == []
            assert list(Path("/dev/shm").glob(f"sem.mp{process.pid}-*")) == []
            assert end == "SIGKILL" or os.listdir(folder) == []


def in_session(leader: int) -> list[int]:
    """Return the process ids of a session, which a script has to itself."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader:
                found.append(pid)
    return found
