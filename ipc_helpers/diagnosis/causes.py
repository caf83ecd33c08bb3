"""The rules that find the cause in a tree of processes, and say it and its remedy in a sentence."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from ipc_helpers.diagnosis.observed_processes import Tree, error_in_words, messages, names_of, with_verb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipc_helpers.diagnosis.observed_processes import ObservedProcess


class Conclusion(NamedTuple):
    """What went wrong, in a sentence without its full stop; what to do about it; and whether all is well."""

    cause: str
    remedy: str = ""
    healthy: bool = False


# The rules: each looks for one cause, and yields it in a sentence. The first conclusion of all counts, so
# causes stand before what they bring about.


def _dropped_message(tree: Tree) -> Iterator[Conclusion]:
    for process in tree.processes.values():
        if process.dropped:
            yield Conclusion(
                f"a message that {process.name} put into {tree.queue(process.dropped['key'])} can't be "
                "pickled, and its feeder thread drops it, after put() has returned",
                "put only what pickle takes",
            )


def _not_importable(tree: Tree) -> Iterator[Conclusion]:
    if tree.result.get("kind") == "AttributeError" and not tree.main.begun:
        yield Conclusion("the child can't find the function", "put it into a module that a child can import")
    lost = [process for process in tree.others if not process.begun and (process.exitcode or 0) > 0]
    # The exception of a child that was starting is on its error output alone.
    if lost and "FileNotFoundError" in tree.output:
        yield Conclusion(
            f"{names_of(lost)} ended before the function began: a queue or a lock that it was given was gone",
            "keep what a child is given for as long as the child runs",
        )
    if lost:
        yield Conclusion(
            f"{names_of(lost)} ended before the function began: the child could not load it, or an argument",
            "put the function into a module that a child can import",
        )


def _ended_pool(tree: Tree) -> Iterator[Conclusion]:
    for process in tree.unfinished:
        crew = [other for other in tree.others if other.pool and other.parent == process.pid]
        if process.waits_for == "result" and crew and not any(worker.alive for worker in crew):
            yield Conclusion(
                f"{process.name} waits for a result of a pool that has ended",
                "get all results before the end of the pool's with block",
            )


def _killed(tree: Tree) -> Iterator[Conclusion]:
    killed = [process for process in tree.processes.values() if process.killed]
    # To end a daemon is a way to stop it, unless somebody waits for what it took along.
    killed += [
        process for process in tree.others if tree.unfinished and process.terminated and process.ended_first
    ]
    if not killed:
        return
    line = _in_line(killed[0].ended_in if killed[0].terminated else "")
    who = f"{killed[0].name} was killed ({killed[0].signal}){line}"
    remedy = "end a process that uses a queue or a pipe with a sentinel, not with a signal"
    for process in tree.unfinished:
        if process.site.within_message:
            words = f"{who} in the middle of a message, and {process.name} waits for the rest of it"
            yield Conclusion(words, remedy)
    for lock, does in (("read", "get a message"), ("write", "have a message written")):
        for key, states in tree.queue_states().items():
            if all(state["locks"][lock] == "elsewhere" for state in states):
                held = f"the {lock} lock of {tree.queue(key)}"
                yield Conclusion(f"{who} while it held {held}, so nobody else can {does} any more", remedy)
    yield Conclusion(f"{who} before it was done{_and_who_waits(tree)}", remedy)


def _raised(tree: Tree) -> Iterator[Conclusion]:
    for process in (*tree.others, tree.main):
        if process.raised:
            rest = _and_who_waits(tree)
            if (
                process is not tree.main
                and not tree.unfinished
                and (tree.main.returned or not tree.main.raised)
            ):
                rest = "; its parent learns that from the exit code alone"
            what = f"{error_in_words(process.raised)}{_in_line(process.raised['line'])}"
            yield Conclusion(
                f"{process.name} raised {what}{rest}", "" if process is tree.main else _look(tree)
            )


def _left_early(tree: Tree) -> Iterator[Conclusion]:
    for process in tree.processes.values():
        if not process.alive and (process.exitcode or 0) > 0:
            words = f"{process.name} ended with exit code {process.exitcode}{_and_who_waits(tree)}"
            yield Conclusion(words, _look(tree))


def _both_send(tree: Tree) -> Iterator[Conclusion]:
    sending = [process for process in tree.unfinished if process.waits_for == "send" and process.site.key]
    for process in sending:
        pipe, side = process.site.key
        both = [other for other in sending if other.site.key[0] == pipe]
        if any(other.site.key[1] != side for other in both):
            yield Conclusion(
                f"{names_of(both)} both send first; the pipe is full both ways, and neither receives",
                "let one of them receive first",
            )


# For what the process that is joined waits for: what should have happened first, and why it does not end.
_BEFORE_JOIN = {
    "feeder": ("get", "got", "can't end, since its feeder thread waits for room in the pipe"),
    "send": ("receive", "received", "can't go on, since its pipe write waits for room in the pipe"),
    "put": ("get", "got", "can't go on, since its put() waits for room in the queue"),
}


def _join_before_get(tree: Tree) -> Iterator[Conclusion]:
    for process in tree.unfinished:
        target = tree.target(process)
        if target is not None and target.alive and target.waits_for in _BEFORE_JOIN:
            first, done, why = _BEFORE_JOIN[target.waits_for]
            who = f"{process.name} joins {target.name} before it has {done} the messages"
            yield Conclusion(f"{who}, and {target.name} {why}", f"{first} first, then join")


def _on_its_way(tree: Tree) -> Iterator[Conclusion]:
    for receiver in tree.unfinished:
        for sender in tree.unfinished:
            on_its_way = receiver.site.within_message and receiver.site.key and sender.waits_for == "send"
            if on_its_way and sender.site.key and sender.site.key[0] == receiver.site.key[0]:
                yield Conclusion(
                    f"a message was still on its way from {sender.name} to {receiver.name}",
                    "give the program more time",
                )


_UNREAD = {
    "put": "waits in put(): {queue} is full, and nobody gets",
    "send": "waits in a pipe write: the pipe is full, and nobody receives",
    "feeder": "can't end: its feeder thread waits for room in the pipe, and nobody gets the messages",
}


def _nobody_reads(tree: Tree) -> Iterator[Conclusion]:
    for process in tree.unfinished:
        if process.waits_for in _UNREAD:
            yield Conclusion(_unread(tree, process), "have somebody read what is sent, or stop sending")


def _unfinished_tasks(tree: Tree) -> Iterator[Conclusion]:
    for process in tree.unfinished:
        if process.waits_for == "tasks":
            states = tree.queue_states()[process.site.key]
            count = next((state["unfinished"] for state in states if "unfinished" in state), None)
            some = "some messages" if count is None else messages(count)
            yield Conclusion(
                f"{process.name} waits in JoinableQueue.join(): task_done() was not called for {some} that "
                "somebody put",
                "call task_done() for each message, in a finally block",
            )


def _open_end(tree: Tree) -> Iterator[Conclusion]:
    """Find who waits for the end of a pipe whose other end somebody holds open without using it."""
    receiving = [
        process for process in tree.unfinished if process.waits_for == "receive" and process.site.key
    ]
    for process in receiving:
        pipe, side = process.site.key
        other_end = [pipe, 1 - side]
        # Who waits for the other side of this very pipe is in a conversation.
        talking = [other for other in receiving if other.site.key == other_end]
        if talking:
            words = f"{names_of([process, *talking])} both wait for the other to send"
            yield Conclusion(words, "let one of them begin")
        holders = [other for other in tree.unfinished if other_end in other.seen("ends")]
        # Who is in code of its own may still send.
        if holders and all(other.site.call for other in holders):
            whose = f"{process.name} itself holds" if holders == [process] else with_verb(holders, "hold")
            yield Conclusion(
                f"{process.name} waits for the end of the pipe, which does not come while {whose} the other "
                f"end, {tree.end(*other_end)}, open",
                "close, in each process, the ends that it does not use",
            )


def _missing_sentinel(tree: Tree) -> Iterator[Conclusion]:
    waiting = [process for process in tree.unfinished if process.waits_for == "get"]
    others = [
        process for process in tree.unfinished if process not in waiting and tree.target(process) is None
    ]
    if not waiting or others:
        return
    queue = tree.queue(waiting[0].site.key)
    if waiting == [tree.main]:
        yield Conclusion(
            f"main waits in get() for a message that nobody puts: {queue} is empty, and no other process is "
            "left",
            "count the messages, or let a sentinel say which is the last",
        )
    yield Conclusion(
        f"{with_verb(waiting, 'wait')} in get(): {queue} is empty, and nobody is left who puts a "
        "message or a sentinel",
        "put one sentinel for each consumer",
    )


def _left_over(tree: Tree) -> Iterator[Conclusion]:
    left = [f"{messages(count)} in {queue}" for queue, count in tree.messages_left().items() if count]
    if left and not tree.unfinished:
        words = f"every process ended by itself, but nobody got {' and '.join(left)}"
        yield Conclusion(words, "get all messages before the last process ends")


def _nothing_wrong(tree: Tree) -> Iterator[Conclusion]:
    if not tree.unfinished:
        count = len(tree.processes)
        who = "the process" if count == 1 else f"each of {count} processes"
        yield Conclusion(f"{who} ended by itself", healthy=True)


def _start_without_end(tree: Tree) -> Iterator[Conclusion]:
    """Find who starts a child that has failed: start() hands it the rest of its arguments (issue 118981)."""
    for process in tree.unfinished:
        if process.site.call == "Process.start" and "in spawn_main" in tree.output:
            yield Conclusion(
                f"{process.name} waits in Process.start() for a child that has failed, to read its arguments",
                "read what the child has printed; start processes under the main guard, and put the function "
                "into a module that a child can import",
            )


def _still_running(tree: Tree) -> Iterator[Conclusion]:
    where = [f"{process.name} was still {tree.where(process, _in_line)}" for process in tree.unfinished]
    yield Conclusion("; ".join(where))


def _and_who_waits(tree: Tree) -> str:
    if not tree.unfinished:
        return ""
    if _all_unread(tree):
        return f", and {_unread(tree, tree.unfinished[0])}"
    return f", and {with_verb(tree.unfinished, 'wait')} for something that never comes"


def _look(tree: Tree) -> str:
    """Say what to do when a process has failed, and others wait."""
    if not _all_unread(tree):
        return "give each wait a limit, and look at the exit code of the process that should send"
    look = "look at the exit code of the process that should read"
    if tree.unfinished[0].waits_for == "feeder":
        return f"{look}, and then call cancel_join_thread() of the queue"
    return f"{look}, and give put() a timeout" if tree.unfinished[0].waits_for == "put" else look


def _all_unread(tree: Tree) -> bool:
    """Whether there are processes that wait, and all for somebody who reads."""
    return bool(tree.unfinished) and all(process.waits_for in _UNREAD for process in tree.unfinished)


def _unread(tree: Tree, process: ObservedProcess) -> str:
    queue = tree.queue(process.site.key) if process.waits_for == "put" else ""
    return f"{process.name} {_UNREAD[process.waits_for].format(queue=queue)}"


def _in_line(line: str) -> str:
    return f" in {line!r}" if line else ""


_RULES: tuple[Callable[[Tree], Iterator[Conclusion]], ...] = (
    _dropped_message,
    _not_importable,
    _ended_pool,
    _killed,
    _raised,
    _left_early,
    _both_send,
    _join_before_get,
    _on_its_way,
    _nobody_reads,
    _unfinished_tasks,
    _open_end,
    _missing_sentinel,
    _left_over,
    _nothing_wrong,
    _start_without_end,
    _still_running,
)


def conclusion(tree: Tree) -> Conclusion:
    """Return what went wrong, or that nothing did."""
    return next(chain.from_iterable(rule(tree) for rule in _RULES))
