"""Run a script in an interpreter of its own, for a limited time, and say what became of it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path

_LONGEST = 3600.0  # seconds
_GRACE = 5.0  # seconds: what was asked to end has ended by then, or is killed; what was killed is gone
# The last line of a traceback stands at the margin, below one that is indented: the exception's name, and
# perhaps the names of its module before it, and a message behind it.
_EXCEPTION = re.compile(r"(?<=\n)[ \t]+\S.*\n(?:\w+\.)*(\w+)(?=:|\n|$)")


@dataclass(frozen=True)
class ScriptRun:
    """What became of a script.

    Attributes
    ----------
    stdout, stderr : str
        What the script and all that it started wrote, until they ended or were ended.
    exitcode : int or None
        The exit code of the script; None when it, or something that it started, still ran at the limit.
    outcome : str
        That in a line: "still running after 3 s"; or "exit code 0" and the names of the exceptions whose
        tracebacks it or its children wrote, and, for exit code 0 and an expected output, how it differs.
    """

    stdout: str
    stderr: str
    exitcode: int | None
    outcome: str


def run_script(
    program: str | Path,
    seconds: float = 60.0,
    changes: Mapping[str, str] | None = None,
    expected: str | None = None,
) -> ScriptRun:
    """Run a program as a script, without your own folders, and leave nothing of it behind.

    The program is written into an empty temporary folder and started there with this Python, in its
    isolated mode (``-I``). When time is up, the script and whatever it started are ended.

    Parameters
    ----------
    program : str or Path
        The text of the program, or the file that has it, which keeps its name.
    seconds : float
        How long the script and all that it starts may take; above 0, at most 3,600.
    changes : mapping of str to str, optional
        What to put in the place of which parts of the program, before it is run.
    expected : str, optional
        The output to compare with: the outcome then says "same output", or which line is another.

    Returns
    -------
    ScriptRun
        What the script wrote, its exit code, and the outcome in a line.

    Raises
    ------
    TypeError
        For a parameter of the wrong type, before anything starts.
    ValueError
        When the seconds are out of their range, or a part to be changed is not in the program.
    KeyboardInterrupt
        When an interrupt arrived; the script and what it started are ended first.

    Notes
    -----
    A process that takes itself out of the script's session (Linux, macOS) is out of reach.
    """
    if not isinstance(program, str | Path):
        raise TypeError(f"program must be the text of a program or a Path, not {program!r}")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"seconds must be a number, not {seconds!r}")
    if not 0 < seconds <= _LONGEST:  # NaN is no such number
        raise ValueError(f"seconds must be above 0 and at most {_LONGEST:,.0f}, not {seconds!r}")
    if changes is None:
        changes = {}
    if not isinstance(changes, Mapping) or not all(
        isinstance(part, str) for pair in changes.items() for part in pair
    ):
        raise TypeError(f"changes must be a mapping of texts to texts, not {changes!r}")
    if not isinstance(expected, str | None):
        raise TypeError(f"expected must be the text of an output or None, not {expected!r}")
    if isinstance(program, Path):
        name, text = program.name, program.read_text("utf-8")
    else:
        name, text = "script.py", program
    for old, new in changes.items():
        if not old or old not in text:
            raise ValueError(f"changes must name parts of the program, not {old!r}")
        text = text.replace(old, new)

    with tempfile.TemporaryDirectory(prefix="script-", ignore_cleanup_errors=True) as folder:
        file = Path(folder, name)
        file.write_text(text, "utf-8")
        stdout, stderr, exitcode = _run(file, seconds)
    return ScriptRun(stdout, stderr, exitcode, _outcome(stdout, stderr, exitcode, seconds, expected))


def _run(file: Path, seconds: float) -> tuple[str, str, int | None]:
    """Run the file until its output has ended, which all that it started hold open; or until time is up."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-u", "-X", "utf8", file],
        cwd=file.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "NO_COLOR": "1"},  # a kernel asks for coloured tracebacks
        start_new_session=True,
    )
    with process, _ways_to_end(process) as ways:
        try:
            return *process.communicate(timeout=seconds), process.returncode
        except subprocess.TimeoutExpired:
            return *_end(process, ways), None
        except BaseException:
            _end(process, ways)
            raise


def _end(process: subprocess.Popen[str], ways: list[Callable[[], None]]) -> tuple[str, str]:
    """End the script and all that it started; return what they wrote until then."""
    for end in ways:
        end()
        try:
            return process.communicate(timeout=_GRACE)
        except subprocess.TimeoutExpired as error:
            written = error
    # Some process that is out of reach holds the pipes open.
    return _text(written.stdout), _text(written.stderr)


def _text(written: bytes | str | None) -> str:
    """Return what a process wrote as text, which subprocess does not promise for a time that is up."""
    return written.decode("utf-8", "replace") if isinstance(written, bytes) else written or ""


@contextlib.contextmanager
def _ways_to_end(process: subprocess.Popen[str]) -> Iterator[list[Callable[[], None]]]:
    """Yield what ends a script and all that it started, the gentle way first."""
    if sys.platform == "win32":
        import ctypes
        from ctypes import wintypes

        kernel32 = ctypes.WinDLL("kernel32")
        kernel32.CreateJobObjectW.restype = wintypes.HANDLE
        job = wintypes.HANDLE(kernel32.CreateJobObjectW(None, None))  # which nothing that is in it leaves
        handle = wintypes.HANDLE(int(process._handle))  # type: ignore[attr-defined]
        is_in_job = kernel32.AssignProcessToJobObject(job, handle)
        try:
            yield [partial(kernel32.TerminateJobObject, job, 1) if is_in_job else process.kill]
        finally:
            kernel32.CloseHandle(job)
    else:

        def send(number: signal.Signals) -> None:
            # PermissionError is what macOS says of a group that has ended.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)

        # Ask first: Python's resource tracker does not listen to that, and removes what the others leave.
        yield [partial(send, signal.SIGTERM), partial(send, signal.SIGKILL)]


def _outcome(stdout: str, stderr: str, exitcode: int | None, seconds: float, expected: str | None) -> str:
    if exitcode is None:
        return f"still running after {seconds:g} s"
    parts = [f"exit code {exitcode}", *sorted(set(_EXCEPTION.findall(stderr)))]
    if expected is not None and exitcode == 0:
        parts.append(_difference(stdout, expected))
    return ", ".join(parts)


def _difference(stdout: str, expected: str) -> str:
    """Say in words whether an output is the expected one, and if not, where they part."""
    for line, wanted in zip_longest(stdout.splitlines(), expected.splitlines()):
        if line != wanted:
            return "less output" if line is None else f"prints {line!r}"
    return "same output"
