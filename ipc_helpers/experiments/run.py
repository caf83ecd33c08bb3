"""One run of an experiment: its processes, what they have recorded so far, and whether they can go on."""

from __future__ import annotations

import re
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from multiprocessing.shared_memory import SharedMemory
from time import perf_counter_ns, sleep
from typing import TYPE_CHECKING, Any

from ipc_helpers.child import recorder, stacks
from ipc_helpers.experiments.result import ProtocolError, Result, mistake, plural_of
from ipc_helpers.group.child_handle import PEER_GONE
from ipc_helpers.group.errors import WorkerError, WorkerGroupError
from ipc_helpers.trace import RECEIVE, SEND, STOP, WAIT, Lane, Track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from ipc_helpers.experiments.parameters import ExperimentParameters, Participant, Stop
    from ipc_helpers.group.child_handle import Child
    from ipc_helpers.group.worker_group import WorkerGroup
    from ipc_helpers.trace import Wait

_SPARE = 100  # records of a sender for messages that it sends too often, so that the books can say how often
_STUCK_FOR = 0.5  # seconds in which no process moved
_NEAR = 0.1  # seconds before a stop, from which on its moment is waited for exactly


@dataclass(eq=False)
class Run:
    """The processes of one run: the one way to start them, and what they have recorded so far."""

    experiment: ExperimentParameters
    workers: Mapping[str, Any]
    progress: Callable[[int], object] | None
    look: Callable[[Callable[[], Result]], object] | None

    def __post_init__(self) -> None:
        self._group: WorkerGroup
        self._segments: list[SharedMemory] = []
        self._tracks: dict[str, Track] = {}  # by the name of their process, in the order of the lanes
        self._children: dict[str, list[Child]] = {role: [] for role in self.experiment.roles_here}
        self._are_alone = False  # up, and none waits for its parent
        self._running = 0
        self._changed = 0  # when one ended last, in nanoseconds of perf_counter_ns

    def begin(self, group: WorkerGroup) -> None:
        """Start the processes, and let all begin once all are ready: the clock measures no start.

        With a semaphore, which is released without waiting. Setting an Event waits until each process has
        woken up, forever when one was killed (``multiprocessing.synchronize``, ``Condition.notify``).
        """
        self._group = group
        parts = list(self.experiment.participants(group.context))
        shared = {id(each): each for part in parts for each in part.args if isinstance(each, SharedMemory)}
        self._segments += shared.values()
        for part in parts:
            enough = self.experiment.steps + 10 * _SPARE if part.records is None else part.records
            self._tracks[part.name] = Track(enough + _SPARE)
        ends = [part.args[0] for part in parts] if self._is_through("connection") else []
        go = group.context.Semaphore(0)
        with ExitStack() as stack:
            for end in ends:
                stack.enter_context(end)  # a pipe has no end while this process has it open
            for part in parts:
                if part.role:
                    self._start(part, go, unused=[end for end in ends if end is not part.args[0]])
        together = [part for part in parts if part.role and part.number is None]
        if together:
            group.wait(until=lambda: all(child.is_ready for child in group.children))
        stop = next((part.stop for part in parts if part.stop), None)
        self._are_alone = stop is None
        for _ in together:
            go.release()
        if stop is not None:
            self._stop(stop)

    def _start(self, part: Participant, go: Any, unused: Sequence[Any]) -> None:
        """Start the worker of a role in a process of its own, the series' or the reader's."""
        rule = self.experiment.roles[part.role]
        worker = self.workers.get(part.role, rule.worker)
        record, track = rule.record, self._tracks[part.name]
        recorded: AbstractContextManager[None] = nullcontext()
        if part.number is not None:
            record, go = partial(rule.record, number=part.number), None
            recorded = self._tracks["parent"].recorded(SEND, part.number)
        with recorded:
            child = self._group.start(
                recorder.run, worker, part.args, record, track, go, unused, name=part.name
            )
        self._children[part.role].append(child)

    def _stop(self, stop: Stop) -> None:
        """Stop the processes at their moment, and record how long that takes until the last has ended."""
        moment = perf_counter_ns() + int(stop.after * 1e9)

        def left() -> float:
            """Return how many seconds there are until then; 0.0 where all have ended before."""
            is_over = all(child.exitcode is not None for child in self._group.children)
            return 0.0 if is_over else max(moment - perf_counter_ns(), 0) / 1e9

        self._group.wait(until=lambda: left() < _NEAR)
        sleep(left())
        with self._tracks["parent"].recorded(STOP, 0):
            stop.moment.release()
            self._group.terminate(*self._children.get(stop.terminates, ()))
            self._are_alone = True
            self._group.wait()

    def watch(self) -> None:
        """Tell the progress, and show it; end a run whose processes wait for what can't come any more."""
        if self.progress is not None:
            done = sum(self._tracks[child.name].count for child in self._receivers)
            self.progress(min(done, self.experiment.steps))
        if self.look is not None:
            self.look(lambda: self.result(perf_counter_ns(), is_running=True))
        if self._are_alone:
            self._raise_if_stuck()

    @property
    def _receivers(self) -> list[Child]:
        return self._children[self.experiment.roles_here[-1]]

    def _is_through(self, endpoint: str) -> bool:
        """Say whether the messages go through a queue, or through a connection."""
        return any(role.takes[0] == endpoint for role in self.experiment.roles.values())

    def _raise_if_stuck(self) -> None:
        """Raise when all processes that run have waited for each other, throughout some time."""
        running = [child.name for child in self._group.children if child.exitcode is None]
        if len(running) != self._running:  # who waits for one that has ended goes on
            self._running, self._changed = len(running), perf_counter_ns()
        waits = {name: wait for name in running if (wait := self._tracks[name].wait)}
        known = [(waits[name].since, waits[name].seen) if name in waits else None for name in running]
        if stacks.have_waited(known, self._changed, _STUCK_FOR):
            result = self.result(perf_counter_ns())
            raise ProtocolError(self._why_stuck(result, waits), result)

    def _why_stuck(self, result: Result, waits: dict[str, Wait]) -> str:
        """Say why the processes wait for what can't come any more."""
        sender, receiver = self.experiment.roles_here[0], self.experiment.roles_here[-1]
        left = [child for child in self._receivers if not child.has_returned]
        things = plural_of(result)
        if self._is_through("queue") and not left:
            missing = f"{self.experiment.steps - result.received:,} {things}"
            return f"{_names(self._receivers)} returned, and {missing} were still to come"
        have_ended = all(child.exitcode == 0 for child in self._children[sender])
        if have_ended and all(wait.call.endswith("Queue.get") for wait in waits.values()):
            stages = [child for role in self.experiment.roles_here[1:-1] for child in self._children[role]]
            ended = list(takewhile(lambda stage: stage.exitcode == 0, stages))
            waiting = _names([*stages[len(ended) :], *left])
            whom, role = f"each {sender}", sender
            if ended:
                whom, role = ended[-1].name, self.experiment.roles_here[1]
            none = "None" if stages else f"None for each {receiver}"
            words = f"{waiting} waited for a message, and {whom} had ended"
            return f"{words}: a {role} puts {none} once its {things} are put"
        places = [f"{name} waits in {wait.call}, in the line  {wait.line}" for name, wait in waits.items()]
        return f"nobody can go on: {'; '.join(places)}"

    def explain(self, error: WorkerGroupError) -> None:
        """Raise what a worker did wrong, where another found the end of its pipe because of that."""
        if not isinstance(error, WorkerError) or error.kind not in PEER_GONE:
            return
        others = [child for child in self._group.children if child.name != error.worker]
        if self._is_through("connection") and all(child.has_returned for child in others):
            # Who could not send any more has not sent all because of the others.
            wrong = mistake(error.result, SEND if error.kind == EOFError.__name__ else RECEIVE)
            returned = f"{_names(others)} returned{'' if wrong else ' without sending None'}"
            words = f"{returned}, and {error.worker} raised {error.kind}"
            raise ProtocolError(f"{words}: {wrong}" if wrong else words, error.result)

    def result(self, stopped: int | None = None, is_running: bool = False) -> Result:
        """Return what was measured, as a whole or up to some moment."""
        return Result(self.experiment, tuple(self._lanes()), stopped, is_running)

    def _lanes(self) -> Iterator[Lane]:
        children = {child.name: child for child in self._group.children}
        calls = {**self.experiment.labels.calls, WAIT: "get"}
        for name, track in self._tracks.items():
            child = children.get(name)  # None for the parent, and before it is started
            ending, where = (child.ending, _line_that_raised(child.traceback)) if child else ("", "")
            records, goes_on = track.read()
            inside = [calls[operation] for operation in goes_on if operation in calls]
            if ending != "returned" and not where and (wait := track.wait):
                where = wait.line
            if ending == "was still running" and inside:
                ending = f"was still in {inside[0]}"
            yield Lane(name, records, ending, goes_on, where)

    def close(self) -> None:
        """Let go of the records, and of segments of shared memory: all processes have ended."""
        for segment in self._segments:
            segment.close()
            with suppress(FileNotFoundError):  # a worker of the reader's was first
                segment.unlink()
        for track in self._tracks.values():
            track.close()


def _line_that_raised(traceback: str) -> str:
    """Return the innermost line of a worker's own in a traceback; empty where there is none."""
    frames = re.findall(r'^  File "(.+)", line \d+, in .+\n    (.+)', traceback, re.MULTILINE)
    return next((line for file, line in reversed(frames) if not stacks.is_library_file(file)), "")


def _names(children: Sequence[Child]) -> str:
    return " and ".join(child.name for child in children)
