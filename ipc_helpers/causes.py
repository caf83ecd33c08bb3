"""From what the processes of a tree wrote down to the cause, in a sentence.

:mod:`ipc_helpers.observed` writes the events, :mod:`ipc_helpers.diagnosis` runs the tree. Here is no
process and no clock: the same events give the same words.
"""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

MAIN = "main"
"""The name of the process that ran the function given."""


@dataclass
class SeenProcess:
    """What the events of one process say."""

    pid: int
    parent: int | None = None
    name: str = ""
    daemon: bool = False
    pool: bool = False
    begun: bool = False
    returned: bool = False
    ended: bool = False
    exitcode: int | None = None
    raised: dict[str, Any] | None = None
    running: dict[str, Any] | None = None
    waiting: dict[str, Any] | None = None
    dropped: list[dict[str, Any]] = field(default_factory=list)
    ended_in: str = ""  # the line of its parent's that terminated or killed it
    ended_first: bool = False  # its end was seen while its parent was in the function

    @property
    def place(self) -> dict[str, Any]:
        """Where its main thread was at the end."""
        return self.running["place"] if self.running else _NOWHERE

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

    def waits_in(self, *calls: str) -> bool:
        """Whether its main thread is inside of one of these calls: "Queue.get" for example."""
        return self.place["call"] in calls


_NOWHERE: dict[str, Any] = {
    **dict.fromkeys(("line", "function", "call", "kind"), ""),
    **dict.fromkeys(("feeds", "exiting", "serves", "within_message"), False),
    "names": [],
    "own": [],
    "key": None,
}
_QUEUES = ("Queue", "JoinableQueue", "SimpleQueue")
_GETS = tuple(f"{kind}.get" for kind in _QUEUES)
_PUTS = tuple(f"{kind}.put" for kind in _QUEUES)
_RECEIVES = tuple(f"Connection.{name}" for name in ("recv", "recv_bytes", "recv_bytes_into", "poll"))
_SENDS = ("Connection.send", "Connection.send_bytes")


class Ending(NamedTuple):
    """How a process ended, or where it was at the end; the fields are those of ``ObservedProcess``."""

    name: str
    state: str
    exitcode: int | None
    words: str
    lines: tuple[tuple[str, int], ...]
    call: str
    error: tuple[str, str]


class Tree:
    """What the processes of a tree wrote down, put together.

    Parameters
    ----------
    folder : Path
        Where they wrote it.
    main : dict
        How the main process ended, as its parent saw it: "pid"; "exitcode" and "returned" once it did;
        "kind" and "message" of the exception when it could not begin.
    until : int, optional
        When the tree was ended before its deadline, since nothing could move any more; in nanoseconds of
        ``time.perf_counter_ns``. What happened after that comes from ending it.
    """

    def __init__(self, folder: Path, main: dict[str, Any], until: int | None = None) -> None:
        self.result = main
        self.processes: dict[int, SeenProcess] = {}
        self._queues: dict[str, dict[str, Any]] = {}
        self._pipes: dict[str, dict[str, Any]] = {}
        self.left: dict[str, int] = {}
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
        self._name_apart()

    def _process(self, pid: int) -> SeenProcess:
        return self.processes.setdefault(pid, SeenProcess(pid))

    def _take(self, process: SeenProcess, event: dict[str, Any]) -> None:
        kind = event["event"]
        if process.running is not None:  # what happens after the deadline comes from ending the tree
            return
        for pid, code in event.get("children", {}).items():
            if code is not None:
                if self._process(int(pid)).exitcode is None:
                    self._changed = max(self._changed, event["at"])
                    self._process(int(pid)).ended_first = not (process.returned or process.raised)
                self._process(int(pid)).exitcode = code
        self.left |= event.get("left", {})
        process.waiting = event if kind == "waiting" else None
        if kind in ("child", "returned", "raised", "ended"):
            self._changed = max(self._changed, event["at"])
        if kind == "begun":
            process.begun = True
        elif kind == "child":
            child = self._process(event["pid"])
            child.parent, child.name = process.pid, event["name"]
            child.daemon, child.pool = event["daemon"], event["pool"]
        elif kind in ("returned", "ended"):
            setattr(process, kind, True)
        elif kind == "raised":
            process.raised = event
        elif kind == "running":
            process.running = event
        elif kind == "dropped":
            process.dropped.append(event)
        elif kind == "ends":
            self._process(event["pid"]).ended_in = event["line"]
        elif kind == "queue":
            self._queues[event["key"]] = event
        elif kind == "pipe":
            self._pipes[event["key"]] = event

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
        return all(
            process.running or process.ended or process.exitcode is not None
            for process in self.processes.values()
        )

    def is_stuck(self, seconds: float) -> bool:
        """Say whether all processes that live have waited for each other, throughout so many seconds."""
        # Who waits for a process that has ended goes on once its exit is seen: not yet, if that was now.
        waiting = [process.waiting for process in self.processes.values() if self._may_move(process)]
        known = [event for event in waiting if event]
        if not known or len(known) < len(waiting):
            return False
        since = max(self._changed, *(event["since"] for event in known))
        together: int = min(event["at"] for event in known) - since
        return together >= seconds * 1e9

    def _may_move(self, process: SeenProcess) -> bool:
        """Say whether a process lives, or its parent has yet to see that it does not."""
        parent = self.processes.get(process.parent or -1)
        return process.alive or (process.exitcode is None and parent is not None and parent.alive)

    @property
    def main(self) -> SeenProcess:
        """The process that ran the function given."""
        return self.processes[self.result["pid"]]

    @property
    def others(self) -> list[SeenProcess]:
        """All but the main process."""
        return [process for process in self.processes.values() if process is not self.main]

    @property
    def stuck(self) -> list[SeenProcess]:
        """Those that had not ended at the deadline, without those that wait to be given work."""
        return [
            process for process in self.processes.values() if process.alive and not process.place["serves"]
        ]

    def endings(self) -> list[Ending]:
        """Return how each process ended, or where it was at the end."""
        return [self._with_lines(process, *self._ending(process)) for process in self.processes.values()]

    def _with_lines(self, process: SeenProcess, state: str, exitcode: int | None, words: str) -> Ending:
        raised = process.raised or (self.result if state == "raised" else None)
        at = raised or (process.place if state == "stuck" else {})
        lines = tuple((file, number) for file, number in at.get("own", ()))
        call, error = "", ("", "")
        if state == "stuck":
            call = "feeder's join" if _waits_for_feeder(process) else process.place["call"]
        if raised is not None:  # and it may be stuck after that
            error = raised["kind"], _without_addresses(raised["message"].partition("\n")[0])
        return Ending(process.name, state, exitcode, words, lines, call, error)

    def messages_left(self) -> dict[str, int]:
        """Return, for each queue that the function's processes made, how many messages were never got."""
        return {self.queue(key): count for key, count in self.left.items() if key in self._queues}

    def finding(self) -> tuple[bool, Finding]:
        """Return whether all is well, and what was found."""
        found = next((finding for rule in _RULES if (finding := rule(self))), None)
        if found is None and not self.stuck and not any(self.messages_left().values()):
            return True, Finding(self._all_is_well())
        return False, found or _unexplained(self)

    def _all_is_well(self) -> str:
        count = len(self.processes)
        return f"{'the process' if count == 1 else f'each of {count} processes'} ended by itself"

    def _ending(self, process: SeenProcess) -> tuple[str, int | None, str]:
        """Return the state of a process, its exit code, and its ending in words."""
        code = process.exitcode
        if process.alive and process.place["serves"]:
            return "idle", None, "idle, waiting to be given work"
        if process.alive:
            return "stuck", None, self.where(process)
        if process is self.main and "returned" in self.result and process.raised is None:
            return "ended", code, f"returned {self.result['returned']!r}"
        if process.raised is not None:
            at = f", in the line  {process.raised['line']}" if process.raised["line"] else ""
            return "raised", code, f"raised {_error(process.raised)}{at}"
        if process is self.main and self.result.get("kind"):
            return "raised", code, f"raised {_error(self.result)}"
        if process.pool and (process.terminated or code == 0):  # which of the two is a matter of moments
            return "ended", code, "ended with its pool"
        if process.terminated:
            if process.ended_in:
                return "terminated", code, f"terminated, in the line  {process.ended_in}"
            if process.ended_first:
                return "terminated", code, f"killed by {_signal_name(code)}"
            return "terminated", code, "terminated: a daemon ends with the process that started it"
        if process.killed:
            return "killed", code, f"killed by {_signal_name(code)}"
        if not process.begun:
            return "lost", code, f"ended with exit code {code} before its function began"
        if not process.returned:
            return "lost", code, f"left with exit code {code}, without returning"
        return "ended", code, f"ended with exit code {code or 0}"

    def queue_states(self) -> dict[str, list[dict[str, Any]]]:
        """Return, for each queue, what each process saw of it at the deadline."""
        states: dict[str, list[dict[str, Any]]] = {}
        for process in self.processes.values():
            for state in process.running["queues"] if process.running else ():
                states.setdefault(state["key"], []).append(state)
        return states

    # Words for what is where.

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
        file, number, _ = made["place"]
        calls = {other["place"][2] for other in self._queues.values() if other["place"][:2] == [file, number]}
        names: list[str] = made["names"]
        if len(calls) == len(names):  # each of them made one, from left to right
            return names[sorted(calls).index(made["place"][2])]
        return names[0] if len(names) == 1 else ""

    def end(self, pipe: str, side: int) -> str:
        """Return what a reader calls an end of a pipe."""
        names = self._pipes.get(pipe, {}).get("names", [])
        return (
            repr(names[side])
            if len(names) == 2
            else f"an end of the pipe made in {self._pipes[pipe]['line']!r}"
        )

    def target(self, process: SeenProcess) -> SeenProcess | None:
        """Return the process that another waits for."""
        place = process.place
        return self.processes.get(place["key"]) if place["kind"] == "process" else None

    def where(self, process: SeenProcess, line: str | None = None) -> str:
        """Say where a process is stuck; ``line`` stands for the words that quote its own line."""
        if process.running is None:
            return "silent: it was stopped, or C code held its interpreter"
        place = process.place
        at = line if line is not None else f", in the line  {place['line']}" if place["line"] else ""
        if place["exiting"] or process.returned or process.raised:
            at = ", after its function had ended"
        what = self._what(process)
        words = f"stuck in {what}{at}" if what else f"running{at}"
        if any(_writes(feeder) for feeder in process.running["feeders"]):
            words += "; its feeder thread: in a pipe write"
        return words

    def _lock_changes_hands(self, key: str) -> bool:
        """Say whether a process that lives holds the read lock of a queue: who waits for it will get it."""
        return any(state["read_lock"]["here"] for state in self.queue_states().get(key, ()))

    def _what(self, process: SeenProcess) -> str:
        place = process.place
        call, names = place["call"], place["names"]
        if _waits_for_feeder(process):
            return "the feeder's join"
        if (target := self.target(process)) is not None:
            return f"Process.join, waiting for {target.name}"
        if call in _GETS:
            if names[0] in ("get", "__enter__") and not self._lock_changes_hands(place["key"]):
                return f"{call}, at the read lock"
            rest = "the rest of a message" if place["within_message"] else "a message"
            return f"{call}, waiting for {rest}"
        if call in _PUTS:
            return f"{call}, {'in a pipe write' if _writes(place) else 'waiting for a free slot'}"
        if call == "JoinableQueue.join":
            return f"{call}, waiting for task_done()"
        if call in _SENDS:
            return f"{call}, in a pipe write"
        if call in _RECEIVES:
            rest = "the rest of a message" if place["within_message"] else "a message"
            return f"{call}, waiting for {rest}"
        return str(call)


def _waits_for_feeder(process: SeenProcess) -> bool:
    """Whether a process waits until its feeder thread has written all messages."""
    return bool({"_finalize_join", "join_thread"} & set(process.place["names"]))


def _writes(place: dict[str, Any]) -> bool:
    """Whether a thread is inside of a write into a pipe."""
    return not {"_send", "_send_bytes"}.isdisjoint(place["names"])


def _names(processes: Iterable[SeenProcess]) -> str:
    """Return "main", "a and b", "a, b and c"."""
    *first, last = [process.name for process in processes]
    return f"{', '.join(first)} and {last}" if first else last


def _verb(processes: list[SeenProcess], one: str, many: str) -> str:
    return f"{_names(processes)} {one if len(processes) == 1 else many}"


def messages(count: int) -> str:
    """Return "1 message", "2 messages"."""
    return f"{count:,} message{'' if count == 1 else 's'}"


def _signal_name(code: int | None) -> str:
    try:
        return signal.Signals(-(code or 0)).name
    except ValueError:
        return f"signal {-(code or 0)}"


_LOOK = "give each wait a limit, and look at the exit code of who should send"
_READ = "have somebody read what is sent, or stop sending"


class Finding(NamedTuple):
    """What went wrong, in a sentence without its full stop; and what to do about it."""

    cause: str
    remedy: str = ""


# The rules: each looks for one cause and returns it in a sentence, or None. The first that finds its own
# counts, so causes stand before what they bring about.


def _dropped_message(tree: Tree) -> Finding | None:
    for process in tree.processes.values():
        for drop in process.dropped:
            return Finding(
                f"a message that {process.name} put into {tree.queue(drop['key'])} can't be pickled, and its "
                "feeder thread drops it, after put() has returned",
                "put only what pickle takes",
            )
    return None


def _not_importable(tree: Tree) -> Finding | None:
    if tree.result.get("kind") == "AttributeError" and not tree.main.begun:
        return Finding("the child can't find the function", "put it into a module that a child can import")
    lost = [process for process in tree.others if not process.begun and (process.exitcode or 0) > 0]
    if lost:
        return Finding(
            f"{_names(lost)} ended before the function began: the child could not load it, or an argument",
            "put the function into a module that a child can import",
        )
    return None


def _killed(tree: Tree) -> Finding | None:
    killed = [process for process in tree.processes.values() if process.killed]
    # To end a daemon is a way to stop it, unless somebody waits for what it took along.
    killed += [
        process for process in tree.others if tree.stuck and process.terminated and process.ended_first
    ]
    if not killed:
        return None
    line = f" in {killed[0].ended_in!r}" if killed[0].terminated and killed[0].ended_in else ""
    who = f"{killed[0].name} was killed ({_signal_name(killed[0].exitcode)}){line}"
    remedy = "end a process that uses a queue or a pipe with a sentinel, not with a signal"
    for process in tree.stuck:
        if process.place["within_message"]:
            words = f"{who} in the middle of a message, and {process.name} waits for the rest of it"
            return Finding(words, remedy)
    for lock, does in (("read", "get a message"), ("write", "have a message written")):
        for key, states in tree.queue_states().items():
            seen = [state[f"{lock}_lock"] for state in states if f"{lock}_lock" in state]
            if seen and all(item["taken"] for item in seen) and not any(item["here"] for item in seen):
                return Finding(
                    f"{who} while it held the {lock} lock of {tree.queue(key)}, so nobody else can {does} "
                    "any more",
                    remedy,
                )
    return Finding(f"{who} before it was done{_and_who_waits(tree)}", remedy)


def _raised_in_a_worker(tree: Tree) -> Finding | None:
    for process in tree.others:
        if process.raised is not None:
            rest = _and_who_waits(tree)
            if not tree.stuck and tree.main.raised is None:
                rest = "; its parent learns that from the exit code alone"
            return Finding(
                f"{process.name} raised {_error(process.raised)}{_in_line(process.raised)}{rest}", _LOOK
            )
    return None


def _raised_in_main(tree: Tree) -> Finding | None:
    error = tree.main.raised or (tree.result if tree.result.get("kind") else None)
    if error is None:
        return None
    return Finding(f"main raised {_error(error)}{_in_line(error)}{_and_who_waits(tree)}")


def _left_early(tree: Tree) -> Finding | None:
    for process in tree.processes.values():
        if not process.alive and (process.exitcode or 0) > 0:
            words = f"{process.name} ended with exit code {process.exitcode}{_and_who_waits(tree)}"
            return Finding(words, _LOOK)
    return None


def _join_before_get(tree: Tree) -> Finding | None:
    for process in tree.stuck:
        target = tree.target(process)
        if target is None or not target.alive:
            continue
        who = f"{process.name} joins {target.name} before it has"
        if _waits_for_feeder(target):
            return Finding(
                f"{who} got the messages, and {target.name} can't end, since its feeder thread waits for "
                "room in the pipe",
                "get first, then join",
            )
        if target.waits_in(*_SENDS):
            return Finding(
                f"{who} received the messages, and {target.name} can't go on, since its pipe write waits for "
                "room in the pipe",
                "receive first, then join",
            )
        if target.waits_in(*_PUTS):
            return Finding(
                f"{who} got the messages, and {target.name} can't go on, since its put() waits for room in "
                "the queue",
                "get first, then join",
            )
    return None


def _both_send(tree: Tree) -> Finding | None:
    sending = [process for process in tree.stuck if process.waits_in(*_SENDS) and process.place["key"]]
    for pipe in {process.place["key"][0] for process in sending}:
        both = [process for process in sending if process.place["key"][0] == pipe]
        if len({process.place["key"][1] for process in both}) == 2:
            return Finding(
                f"{_names(both)} both send first; the pipe is full both ways, and neither receives",
                "let one of them receive first",
            )
    return None


def _nobody_reads(tree: Tree) -> Finding | None:
    for process in tree.stuck:
        if process.waits_in(*_PUTS):
            queue = tree.queue(process.place["key"])
            return Finding(f"{process.name} waits in put(): {queue} is full, and nobody gets", _READ)
        if process.waits_in(*_SENDS):
            return Finding(
                f"{process.name} waits in a pipe write: the pipe is full, and nobody receives", _READ
            )
        if _waits_for_feeder(process):
            return Finding(
                f"{process.name} can't end: its feeder thread waits for room in the pipe, and nobody gets "
                "the messages",
                _READ,
            )
    return None


def _unfinished_tasks(tree: Tree) -> Finding | None:
    for process in tree.stuck:
        if process.waits_in("JoinableQueue.join"):
            states = tree.queue_states().get(process.place["key"], [])
            count = next((state["unfinished"] for state in states if "unfinished" in state), None)
            some = "some messages" if count is None else messages(count)
            return Finding(
                f"{process.name} waits in JoinableQueue.join(): task_done() was not called for {some} that "
                "somebody put",
                "call task_done() for each message, in a finally block",
            )
    return None


def _open_end(tree: Tree) -> Finding | None:
    """Find who waits for the end of a pipe whose other end somebody holds open without using it."""
    receiving = [process for process in tree.stuck if process.waits_in(*_RECEIVES) and process.place["key"]]
    for process in receiving:
        pipe, side = process.place["key"]
        holders = [
            other
            for other in tree.stuck
            if other.running
            and any(
                end["pipe"] == pipe and end["side"] != side and end["writable"]
                for end in other.running["ends"]
            )
        ]
        # Who waits for the other side of this very pipe is in a conversation.
        talking = [other for other in receiving if other.place["key"] == [pipe, 1 - side]]
        if talking:
            words = f"{_names([process, *talking])} both wait for the other to send"
            return Finding(words, "let one of them begin")
        # Who is in code of its own may still send.
        if holders and all(other.place["call"] for other in holders):
            whose = (
                f"{process.name} itself holds" if holders == [process] else _verb(holders, "holds", "hold")
            )
            return Finding(
                f"{process.name} waits for the end of the pipe, which does not come while {whose} the other "
                f"end, {tree.end(pipe, 1 - side)}, open",
                "close, in each process, the ends that it does not use",
            )
    return None


def _missing_sentinel(tree: Tree) -> Finding | None:
    waiting = [process for process in tree.stuck if process.waits_in(*_GETS)]
    others = [process for process in tree.stuck if process not in waiting and tree.target(process) is None]
    if not waiting or others:
        return None
    queue = tree.queue(waiting[0].place["key"])
    if waiting == [tree.main]:
        return Finding(
            f"main waits in get() for a message that nobody puts: {queue} is empty, and no other process is "
            "left",
            "count the messages, or let a sentinel say which is the last",
        )
    return Finding(
        f"{_verb(waiting, 'waits', 'wait')} in get(): {queue} is empty, and nobody is left who puts a "
        "message or a sentinel",
        "put one sentinel for each consumer",
    )


def _unexplained(tree: Tree) -> Finding:
    if not tree.stuck:
        left = [f"{messages(count)} in {queue}" for queue, count in tree.messages_left().items() if count]
        words = f"every process ended by itself, but nobody got {' and '.join(left)}"
        return Finding(words, "get all messages before the last process ends")
    where = [
        f"{process.name} was still {tree.where(process, line=_in_line(process.place))}"
        for process in tree.stuck
    ]
    return Finding("; ".join(where))


def _and_who_waits(tree: Tree) -> str:
    if not tree.stuck:
        return ""
    return f", and {_verb(tree.stuck, 'waits', 'wait')} for something that never comes"


def _in_line(error: dict[str, Any]) -> str:
    return f" in {error['line']!r}" if error.get("line") else ""


def _error(error: dict[str, Any]) -> str:
    """Return the type and the first line of the message of an exception."""
    message = _without_addresses(error["message"].partition("\n")[0])
    return f"{error['kind']}: {message}" if message else str(error["kind"])


def _without_addresses(text: str) -> str:
    """Return a text without the addresses of objects, which differ in each run."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


_RULES: tuple[Callable[[Tree], Finding | None], ...] = (
    _dropped_message,
    _not_importable,
    _killed,
    _raised_in_a_worker,
    _raised_in_main,
    _left_early,
    _both_send,
    _join_before_get,
    _nobody_reads,
    _unfinished_tasks,
    _open_end,
    _missing_sentinel,
)
