"""What the processes of a tree wrote down, put together: how each ended, or where it is stuck.

:mod:`~ipc_helpers.child.diagnosis_probe` writes the events, :mod:`~ipc_helpers.diagnosis.diagnose` runs the
tree. Here is no process and no clock: the same events give the same words.
"""

from __future__ import annotations

import json
import re
import signal
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ipc_helpers.child.stacks import WAITS, CallSite, call_site, have_waited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from ipc_helpers.child.diagnosis_events import Event, QueueState

MAIN = "main"
"""The name of the process that ran the function given."""


@dataclass
class ObservedProcess:
    """What was seen of one process.

    Attributes
    ----------
    name : str
        Its own name, or that of its function; "main" for the process that ran the function given.
    state : {"ended", "raised", "killed", "terminated", "stuck", "idle", "lost"}
        "terminated": a daemon, at the end of the process that started it. "idle": a worker of a pool, or the
        process of a manager, that waits to be given work. "lost": it ended before its function began, or
        left without returning.
    exitcode : int or None
        As of ``multiprocessing.Process``; None where nobody was left to see it.
    words : str
        How it ended, or where it is stuck: the line of its own code, and the library's function.
    """

    name: str = ""
    state: str = ""
    exitcode: int | None = None
    words: str = ""
    # What its events say.
    pid: int = field(default=0, repr=False)
    parent: int = field(default=0, repr=False)
    daemon: bool = field(default=False, repr=False)
    pool: bool = field(default=False, repr=False)
    begun: bool = field(default=False, repr=False)
    returned: bool = field(default=False, repr=False)
    ended: bool = field(default=False, repr=False)
    raised: Event | None = field(default=None, repr=False)
    running: Event | None = field(default=None, repr=False)
    waiting: Event | None = field(default=None, repr=False)
    dropped: Event | None = field(default=None, repr=False)
    ended_in: str = field(default="", repr=False)  # the line of its parent's that terminated or killed it
    ended_first: bool = field(default=False, repr=False)  # before its parent was through with the function

    @property
    def lines(self) -> list[tuple[str, int]]:
        """Where it is stuck, or raised, in code that is not the library's: file and line, innermost first."""
        own = (
            self.raised["own_lines"] if self.raised else self.site.own_lines if self.state == "stuck" else ()
        )
        return [(file, number) for file, number in own]

    @property
    def call(self) -> str:
        """What a stuck one called: "Queue.get" for example, or "feeder's join"."""
        return str(self.site.call).removeprefix("the ") if self.state == "stuck" else ""

    @property
    def error(self) -> tuple[str, str]:
        """The type of the exception that it raised, and the first line of its text; empty without one.

        It may be stuck after that.
        """
        return (self.raised["kind"], first_line(self.raised)) if self.raised else ("", "")

    @property
    def site(self) -> CallSite:
        """Where its main thread was at the end."""
        return CallSite(*self.running["site"]) if self.running else call_site([])

    @property
    def waits_for(self) -> str:
        """What its main thread waited for at the end, in one of the words of ``WAITS``; empty for nothing."""
        return WAITS.get(self.site.call, "")

    @property
    def alive(self) -> bool:
        """Whether it had not ended at the deadline."""
        return self.running is not None or (not self.ended and self.exitcode is None)

    @property
    def killed(self) -> bool:
        """Whether a signal ended it."""
        return not self.alive and (self.exitcode or 0) < 0 and not self.terminated

    @property
    def terminated(self) -> bool:
        """Whether it was a daemon that was told to end, by the program or because its parent ended."""
        return self.daemon and self.exitcode == -signal.SIGTERM

    @property
    def signal(self) -> str:
        """The name of the signal that ended it."""
        number = -(self.exitcode or 0)
        return next((known.name for known in signal.Signals if known == number), f"signal {number}")

    def seen(self, kind: Literal["queues", "ends", "feeders"]) -> Sequence[Any]:
        """Return what it saw at the end of all its "queues", "ends" of pipes, or "feeders"."""
        return self.running[kind] if self.running else []


class Tree:
    """What the processes of a tree wrote down, put together.

    Parameters
    ----------
    folder : Path
        Where they wrote it.
    main : dict
        How the main process ended, as its parent saw it: "pid"; "exitcode" and "returned" once it did;
        "kind" and "message" of the exception when it could not begin, or could not send what it returned.
    until : int, optional
        When the tree was ended before its deadline, since nothing could move any more; in nanoseconds of
        ``time.perf_counter_ns``. What happened after that comes from ending it.
    """

    def __init__(self, folder: Path, main: dict[str, Any], until: int | None = None) -> None:
        self.result = main
        self.processes: dict[int, ObservedProcess] = {}
        self._queues: dict[str, Event] = {}
        self._pipes: dict[str, Event] = {}
        self.left: dict[str, int] = {}
        self.output = ""  # what the processes printed, where it was collected
        self._changed = 0  # when a process was last started, returned, or was seen to be gone
        if "pid" in main:
            self._process(main["pid"]).name = MAIN
        events = [
            (event["at"], int(path.stem), event)
            for path in folder.glob("*.events")
            # Without the last part: empty, or a line that is being written.
            for event in map(json.loads, path.read_text(encoding="utf-8").split("\n")[:-1])
        ]
        for at, pid, event in sorted(events, key=lambda item: item[:2]):
            if until is None or at <= until:
                self._take(self._process(pid), event)
        if until is not None:
            for process in self.processes.values():
                # Who was killed while it waited has not said that it waits no more.
                process.running = process.waiting if process.exitcode is None else None
        if "exitcode" in main:
            self.main.ended, self.main.exitcode = True, main["exitcode"]
            if self.main.raised is None and main.get("kind"):
                self.main.raised = {
                    "kind": main["kind"],
                    "message": main["message"],
                    "line": "",
                    "own_lines": (),
                }
        self._name_apart()

    def _process(self, pid: int) -> ObservedProcess:
        return self.processes.setdefault(pid, ObservedProcess(pid=pid))

    def _take(self, process: ObservedProcess, event: Event) -> None:
        kind = event["event"]
        if process.running is not None:  # what happens after the deadline comes from ending the tree
            return
        for pid, code in event.get("children", {}).items():
            child = self._process(int(pid))
            if code is not None and child.exitcode is None:
                self._changed = event["at"]
                child.exitcode, child.ended_first = code, not (process.returned or process.raised)
        self.left |= event.get("left", {})
        process.waiting = event if kind == "waiting" else None
        if kind in ("child", "returned", "raised", "ended"):
            self._changed = event["at"]
        if kind in ("begun", "returned", "ended"):
            setattr(process, kind, True)
        elif kind in ("raised", "running", "dropped"):
            setattr(process, kind, getattr(process, kind) or event)
        elif kind == "child":
            child = self._process(event["pid"])
            child.parent, child.name = process.pid, event["name"]
            child.daemon, child.pool = event["daemon"], event["pool"]
        elif kind == "terminates":
            self._process(event["pid"]).ended_in = event["line"]
        elif kind in ("queue", "pipe"):
            (self._queues if kind == "queue" else self._pipes)[event["key"]] = event

    def _name_apart(self) -> None:
        """Give the second process of a name a number, and all after it."""
        seen: Counter[str] = Counter()
        for process in self.processes.values():
            seen[process.name] += 1
            if seen[process.name] > 1:
                process.name = f"{process.name} {seen[process.name]}"

    @property
    def is_complete(self) -> bool:
        """Whether each process that has not ended has said where it is."""
        return all(process.running or not process.alive for process in self.processes.values())

    def is_stuck(self, seconds: float) -> bool:
        """Say whether all processes that live have waited for each other, throughout so many seconds."""
        # Who waits for a process that has ended goes on once its exit is seen: not yet, if that was now.
        waiting = [process.waiting for process in self.processes.values() if self._may_move(process)]
        waits = [(event["since"], event["at"]) if event else None for event in waiting]
        return have_waited(waits, self._changed, seconds)

    def _may_move(self, process: ObservedProcess) -> bool:
        """Say whether a process lives, or its parent has yet to see that it does not."""
        parent = self.processes.get(process.parent)
        return process.alive or (process.exitcode is None and parent is not None and parent.alive)

    @property
    def main(self) -> ObservedProcess:
        """The process that ran the function given."""
        return self.processes[self.result["pid"]]

    @property
    def others(self) -> list[ObservedProcess]:
        """All but the main process."""
        return [process for process in self.processes.values() if process is not self.main]

    @property
    def unfinished(self) -> list[ObservedProcess]:
        """Those that had not ended at the deadline, without those that wait to be given work."""
        return [process for process in self.processes.values() if process.alive and not process.site.serves]

    def endings(self) -> tuple[ObservedProcess, ...]:
        """Return each process, now with how it ended, or where it was at the end."""
        for process in self.processes.values():
            process.state, process.words = self._state(process)
            if process.alive:  # at the deadline
                process.exitcode = None
        return tuple(self.processes.values())

    def messages_left(self) -> dict[str, int]:
        """Return, for each queue that the function's processes made, how many messages were never got."""
        return {self.queue(key): count for key, count in self.left.items() if key in self._queues}

    def _state(self, process: ObservedProcess) -> tuple[str, str]:
        """Return the state of a process, and how it ended in words."""
        code = process.exitcode
        if process.alive and process.site.serves:
            return "idle", "idle, waiting to be given work"
        if process.alive:
            return "stuck", self.where(process, at_line)
        if process.raised:
            return "raised", f"raised {error_in_words(process.raised)}{at_line(process.raised['line'])}"
        if process is self.main and "returned" in self.result:
            return "ended", f"returned {self.result['returned']!r}"
        if process.pool and (process.terminated or code == 0):  # which of the two is a matter of moments
            return "ended", "ended with its pool"
        if process.terminated and process.ended_in:
            return "terminated", f"terminated{at_line(process.ended_in)}"
        if process.terminated and not process.ended_first:
            return "terminated", "terminated: a daemon ends with the process that started it"
        if process.terminated or process.killed:
            return "killed" if process.killed else "terminated", f"killed by {process.signal}"
        if not process.begun:
            return "lost", f"ended with exit code {code} before its function began"
        if not process.returned:
            return "lost", f"left with exit code {code}, without returning"
        return "ended", f"ended with exit code {code or 0}"

    def queue_states(self) -> dict[str, list[QueueState]]:
        """Return, for each queue, what each process saw of it at the deadline."""
        states = defaultdict(list)
        for process in self.processes.values():
            for state in process.seen("queues"):
                states[state["key"]].append(state)
        return states

    # Labels for what is where.

    def queue(self, key: str | None) -> str:
        """Return what a reader calls a queue, with a number where several are called the same."""
        name = self._queue_name(key)
        namesakes = [other for other in self._queues if self._queue_name(other) == name]
        words = "the queue" if name in ("", "queue") else f"the queue {name!r}"
        if len(namesakes) < 2 or key not in namesakes:
            return words
        return f"{words} ({namesakes.index(key) + 1} of {len(namesakes)})"

    def _queue_name(self, key: str | None) -> str:
        """Return the variable that a queue was assigned to; empty where the line does not tell."""
        made = self._queues.get(key or "")
        if made is None:
            return ""
        file, number, _ = made["made_at"]
        calls = {
            other["made_at"][2] for other in self._queues.values() if other["made_at"][:2] == [file, number]
        }
        names = made["names"]
        if len(calls) == len(names):  # each of them made one, from left to right
            return names[sorted(calls).index(made["made_at"][2])]
        return names[0] if len(names) == 1 else ""

    def end(self, pipe: str, side: int) -> str:
        """Return what a reader calls an end of a pipe."""
        made = self._pipes[pipe]
        if len(made["names"]) == 2:
            return repr(made["names"][side])
        return f"an end of the pipe made in {made['line']!r}"

    def target(self, process: ObservedProcess) -> ObservedProcess | None:
        """Return the process that another waits for."""
        site = process.site
        return self.processes.get(site.key) if site.kind == "process" else None

    def where(self, process: ObservedProcess, quoted: Callable[[str], str]) -> str:
        """Say where a process is stuck; ``quoted`` puts its own line into words."""
        if process.running is None:
            return "silent: it was stopped, or C code held its interpreter"
        at = quoted(process.site.line)
        if process.site.is_exiting or process.returned or process.raised:
            at = ", after its function had ended"
        what = self._what(process)
        words = f"stuck in {what}{at}" if what else f"running{at}"
        if any(CallSite(*feeder).is_writing for feeder in process.seen("feeders")):
            words += "; its feeder thread: in a pipe write"
        return words

    def _lock_changes_hands(self, key: str) -> bool:
        """Say whether a process that lives holds the read lock of a queue: who waits for it will get it."""
        return any(state["locks"]["read"] == "here" for state in self.queue_states()[key])

    def _what(self, process: ObservedProcess) -> str:
        """Return the call that a process is stuck in, and what it waits for there."""
        site, waits_for = process.site, process.waits_for
        call: str = site.call
        target = self.target(process)
        if target is not None and waits_for != "feeder":
            return f"Process.join, waiting for {target.name}"
        if waits_for == "get" and site.is_at_lock and not self._lock_changes_hands(site.key):
            return f"{call}, at the read lock"
        if waits_for in ("get", "receive"):
            return f"{call}, waiting for {'the rest of ' if site.within_message else ''}a message"
        if waits_for == "send" or (waits_for == "put" and site.is_writing):
            return f"{call}, in a pipe write"
        if waits_for == "put":
            return f"{call}, waiting for a free slot"
        return f"{call}, waiting for task_done()" if waits_for == "tasks" else call


def names_of(processes: Iterable[ObservedProcess]) -> str:
    """Return "main", "a and b", "a, b and c"."""
    *first, last = [process.name for process in processes]
    return f"{', '.join(first)} and {last}" if first else last


def with_verb(processes: list[ObservedProcess], verb: str) -> str:
    """Return "main waits", "a and b wait"."""
    return f"{names_of(processes)} {verb}{'s' if len(processes) == 1 else ''}"


def messages(count: int) -> str:
    """Return "1 message", "2 messages"."""
    return f"{count:,} message{'' if count == 1 else 's'}"


def at_line(line: str) -> str:
    """Return what quotes a line, after what happened there; empty without a line."""
    return f", in the line  {line}" if line else ""


def error_in_words(error: Event) -> str:
    """Return the type and the first line of the message of an exception."""
    return ": ".join(filter(None, (error["kind"], first_line(error))))


def first_line(error: Event) -> str:
    """Return the first line of an exception's message, without addresses, which differ in each run."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", error["message"].partition("\n")[0])
