"""run_script, which runs a program alone, whole or changed, and says how it ended."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from kernels import is_running
from sessions import AMPLE, wait_until

from ipc_helpers import run_script

pytestmark = pytest.mark.usefixtures("nothing_left")

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has neither sessions nor these signals")


def test_a_program_runs_alone_in_an_empty_folder() -> None:
    run = run_script(
        "import os, sys; print(os.listdir(), sys.flags.isolated, __name__); sys.exit('that is all')"
    )
    assert run.stdout == "['script.py'] 1 __main__\n"
    assert (run.stderr, run.exitcode, run.outcome) == ("that is all\n", 1, "exit code 1")


def test_a_file_keeps_its_name_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "greeting.py"
    file.write_text("import os\nprint('hello', os.listdir())\n")
    run = run_script(file, changes={"hello": "grüß dich", "grüß": "Grüß"})
    assert run.stdout == "Grüß dich ['greeting.py']\n"
    assert "hello" in file.read_text()


@pytest.mark.parametrize(
    ("expected", "outcome"),
    [
        ("one\ntwo\n", "exit code 0, same output"),
        ("one\n", "exit code 0, prints 'two'"),
        ("two\ntwo", "exit code 0, prints 'one'"),
        ("one\ntwo\nthree\n", "exit code 0, less output"),
        (None, "exit code 0"),
    ],
)
def test_the_outcome_says_how_the_output_differs(expected: str | None, outcome: str) -> None:
    assert run_script("print('one')\nprint('two')", expected=expected).outcome == outcome


def test_the_outcome_names_the_exceptions_of_the_script_and_its_children(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as kernels do
    run = run_script(
        "import multiprocessing, queue\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context('spawn').Process(target=divmod, args=(1, 0))\n"
        "    child.start()\n"
        "    child.join(timeout=30)\n"
        "    raise queue.Empty",
        expected="",
    )
    assert run.outcome == "exit code 1, Empty, ZeroDivisionError"


# A child of the script, which says who it is, and stays; or does not even listen.
STAYS = "import os, time; print(os.getpid(), flush=True); time.sleep(99)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STAYS}"
STARTS = "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', CHILD])"


@pytest.mark.timing
@pytest.mark.parametrize("child", [STAYS, DEAF], ids=["stays", "does not listen to SIGTERM"])
@pytest.mark.parametrize("parent", ["; child.wait()", ""], ids=["parent waits", "parent has ended"])
def test_a_limit_ends_what_the_script_started(child: str, parent: str) -> None:
    seconds = 3
    began = time.monotonic()
    run = run_script(STARTS.replace("CHILD", repr(child)) + parent, seconds)
    assert time.monotonic() - began < AMPLE
    assert (run.exitcode, run.outcome) == (None, "still running after 3 s")
    wait_until(lambda: not is_running(int(run.stdout)), "the child is left")


@pytest.mark.skipif(sys.platform != "linux", reason="semaphores are files on Linux alone")
def test_a_script_that_is_ended_leaves_no_semaphores() -> None:
    run = run_script(
        "import multiprocessing, time\n"
        "if __name__ == '__main__':\n"
        "    kept = multiprocessing.get_context('spawn').Semaphore()\n"
        "    print(kept._semlock.name)\n"
        "    time.sleep(99)",
        seconds=3,
    )
    name = run.stdout.strip().removeprefix("/")
    assert name
    assert not Path(f"/dev/shm/sem.{name}").exists()


@posix
@pytest.mark.timing
def test_an_interrupt_ends_the_script_first(tmp_path: Path) -> None:
    said = tmp_path / "pid"
    text = (
        f"import os, pathlib, time; pathlib.Path({str(said)!r}).write_text(str(os.getpid())); time.sleep(99)"
    )
    timer = Timer(2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run_script(text, AMPLE)
    timer.join()
    wait_until(lambda: not is_running(int(said.read_text())), "the script is left")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"program": b"pass"}, TypeError, "program must be the text of a program or a Path, not b'pass'"),
        ({"seconds": "3"}, TypeError, "seconds must be a number, not '3'"),
        ({"seconds": True}, TypeError, "seconds must be a number, not True"),
        ({"seconds": 0}, ValueError, "seconds must be above 0 and at most 3,600, not 0"),
        ({"seconds": -1.5}, ValueError, "seconds must be above 0 and at most 3,600, not -1.5"),
        ({"seconds": math.nan}, ValueError, "seconds must be above 0 and at most 3,600, not nan"),
        ({"seconds": 3601}, ValueError, "seconds must be above 0 and at most 3,600, not 3601"),
        ({"changes": {"fail": "pass"}}, ValueError, "changes must name parts of the program, not 'fail'"),
        ({"changes": {"": "pass"}}, ValueError, "changes must name parts of the program, not ''"),
        ({"changes": "pass"}, TypeError, "changes must be a mapping of texts to texts, not 'pass'"),
        ({"changes": {"pass": 1}}, TypeError, "changes must be a mapping of texts to texts, not {'pass': 1}"),
        ({"expected": 3}, TypeError, "expected must be the text of an output or None, not 3"),
    ],
)
def test_what_is_not_allowed_is_said_before_anything_starts(
    arguments: dict[str, Any], error: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(error) as caught:
        run_script(**{"program": "pass", **arguments})
    assert str(caught.value) == words
