"""Every rung of the catalogue that this machine has moves messages rightly, and leaves nothing behind."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from rungs_for_tests import HERE

from ipc_helpers.child import turns
from ipc_helpers.group.errors import WorkerError
from ipc_helpers.group.starting import start_methods
from ipc_helpers.group.worker_group import WorkerGroup
from ipc_helpers.measuring import openings
from ipc_helpers.measuring.rungs import RUNGS, Rung, start_turns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.context import BaseContext

pytestmark = pytest.mark.usefixtures("nothing_left", "no_segment_left")

WITH_ARRAYS = [name for name in HERE if RUNGS[name].arrays]
PAIRS = [name for name in HERE if RUNGS[name].receive is not None]
PEERS = ("pyzmq", "faster-fifo", "faster-fifo, batches", "iceoryx2")
LATENCIES = 3


@pytest.fixture
def no_segment_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Check that no segment is left of those whose names come from here."""
    mark = random.randbytes(4).hex()
    monkeypatch.setattr(openings.secrets, "token_hex", lambda count: mark)
    yield
    assert [path.name for path in Path("/dev/shm").glob(f"ipc{mark}*")] == []


def plan_of(rung: Rung, size: int, counts: tuple[int, ...], array: bool = False) -> turns.Plan:
    return turns.Plan(
        size=size,
        batch=10 if rung.batched else 1,
        array=array,
        seed=1,
        warm_up=20,
        counts=counts,
        latencies=LATENCIES,
        reuses_buffer=rung.reuses_buffer,
        wraps=array and rung.arrays == "buffers",
        cores=None,
    )


def move(rung: Rung, context: BaseContext, size: int, array: bool = False) -> None:
    """Have a rung move some messages, whose number, order and bytes are checked."""
    counts = (100, 7) if size < 4096 else (5, 2)
    plan = plan_of(rung, size, counts, array)
    with (
        rung.open(context, size, plan.batch) as ends,
        WorkerGroup(context, deadline=60) as group,
    ):
        children = start_turns(group, rung, ends, plan)
    ended = children[0].result if rung.receive else children[0].result[1]
    assert len(ended) == len(plan.turns)


@pytest.mark.parametrize("name", HERE)
def test_rung_moves_bytes(name: str, context: BaseContext) -> None:
    move(RUNGS[name], context, 64)
    move(RUNGS[name], context, 100_000)  # more than a pipe holds


@pytest.mark.parametrize("name", WITH_ARRAYS)
def test_rung_moves_arrays(name: str, context: BaseContext) -> None:
    move(RUNGS[name], context, 100_000, array=True)


@pytest.mark.parametrize("which", ["receiver", "sender"])
@pytest.mark.parametrize("name", PAIRS)
def test_rung_leaves_nothing_when_a_process_is_killed(name: str, which: str, spawn: BaseContext) -> None:
    rung = RUNGS[name]
    plan = plan_of(rung, 20_000, (1_000,) * 1_000)
    began = time.monotonic()
    with (
        pytest.raises(WorkerError, match=r"killed|exit code"),
        rung.open(spawn, plan.size, plan.batch) as ends,
        WorkerGroup(spawn, deadline=60) as group,
    ):
        child = start_turns(group, rung, ends, plan)[which == "sender"]
        time.sleep(random.uniform(0, 0.4))  # while they come up, or send
        psutil.Process(child.pid).kill()
    assert time.monotonic() - began < 20


KILL = """
import multiprocessing, sys, time
import psutil
from test_rungs import RUNGS, WorkerError, WorkerGroup, plan_of, start_turns

if __name__ == "__main__":
    name, which, method, pause = sys.argv[1:]
    rung, context = RUNGS[name], multiprocessing.get_context(method)
    plan = plan_of(rung, 20_000, (1_000,) * 1_000)
    try:
        with rung.open(context, plan.size, 1) as ends, WorkerGroup(context, deadline=60) as group:
            child = start_turns(group, rung, ends, plan)[int(which)]
            time.sleep(float(pause))
            psutil.Process(child.pid).kill()
    except WorkerError:
        print("ended")
"""


@pytest.mark.parametrize("method", start_methods())
@pytest.mark.parametrize("which", [0, 1], ids=["receiver", "sender"])
def test_resource_tracker_knows_of_no_segment_after_a_kill(
    which: int, method: str, nothing_left: Path
) -> None:
    """It would complain when the program ends."""
    script = nothing_left / "kill.py"
    script.write_text(KILL, encoding="utf-8")
    pause = str(random.uniform(0.1, 0.4))
    done = subprocess.run(
        [sys.executable, script, "SharedMemory, one each", str(which), method, pause],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("ended\n", "", 0)


def test_segments_of_killed_processes_are_removed() -> None:
    names = [f"ipc{random.randbytes(4).hex()}_0" for _ in range(2)]
    SharedMemory(names[0], create=True, size=10).close()
    openings.remove_segments(names)
    with pytest.raises(FileNotFoundError):
        SharedMemory(names[0])


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /dev/shm")
def test_segment_whose_process_was_killed_before_it_had_a_size_is_removed() -> None:
    name = f"ipc{random.randbytes(4).hex()}_0"
    Path("/dev/shm", name).touch()
    openings.remove_segments([name])
    assert not Path("/dev/shm", name).exists()


@pytest.mark.parametrize("name", ["SharedMemory, one each", "ring", "ring, in pieces"])
def test_memory_that_does_not_fit_is_refused(
    name: str, spawn: BaseContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = openings.shutil.disk_usage("/")._replace(free=2**20)
    monkeypatch.setattr(openings.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(openings, "_SEGMENTS", Path("/"))
    with (
        pytest.raises(OSError, match=r"4 MiB of shared memory are needed, and .* has 1 MiB"),
        RUNGS[name].open(spawn, 2**20, 1),
    ):
        pass


@pytest.mark.parametrize("name", PEERS)
def test_peer_that_is_not_installed_says_what_to_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openings, "find_spec", lambda module: None)
    why = RUNGS[name].why_missing()
    assert why is not None
    assert any(words in why for words in ("pip install", "no wheel", "Linux"))


def test_queue_between_interpreters_says_since_when_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for version, why in (((3, 13), "concurrent.interpreters is new in Python 3.14"), ((3, 14), None)):
        monkeypatch.setattr(sys, "version_info", version)
        assert RUNGS["interpreters queue"].why_missing() == why
