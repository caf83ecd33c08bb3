"""Exercises on what is inside a queue, chapter 04."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipc_helpers.checks import Exercise, Mistake, listed, returned_instead
from ipc_helpers.trials import inside

if TYPE_CHECKING:
    from ipc_helpers.checks import Seen


def _judge_send_states(seen: Seen) -> str | Mistake:
    messages = [
        list(message) if isinstance(message, (list, tuple)) else message for message in seen.facts["messages"]
    ]
    line = seen.line_of("put", "put_nowait", "send_states")
    if messages == [["a"], ["a", "b"], ["a", "b", "c"]]:
        return "the list came as it was at each put: with one letter, with two and with three"
    if not messages and (mistake := returned_instead(seen, "send_states", "put the list after each letter")):
        return mistake
    if messages == [["a", "b", "c"]] * 3:
        what = "three messages came, and each was ['a', 'b', 'c'], the list as it was at the end"
        hint = "the deque holds the list itself, and it is pickled later. What can you put instead of it?"
        return Mistake(what, hint, line)
    if messages == ["a", "b", "c"]:
        what = "each message was a letter alone"
        return Mistake(what, "put the list of all letters up to this one", line)
    if messages[:1] == [[]]:
        return Mistake("the first message was an empty list", "add the letter before you put", line)
    if len(messages) == 1:
        what = f"one message came, {messages[0]!r}"
        return Mistake(what, "put after each letter, inside of the loop", line)
    hint = "for the letters a, b and c, put ['a'], then ['a', 'b'], then ['a', 'b', 'c']"
    return Mistake(f"out of the queue came {listed(messages)}", hint, line)


def _judge_put_or_describe(seen: Seen) -> str | Mistake:
    messages = seen.facts["messages"]
    line = seen.line_of("put", "put_nowait", "put_or_describe")
    if messages == [1, "<a lock>", "three", "<a function>"]:
        return "1 and 'three' came as they are, and a description for each of the two that pickle refuses"
    if "can't be pickled" in seen.diagnosis.cause:
        what = "put() took a value that can't be pickled, and the feeder thread dropped it"
        hint = "put() raises nothing then. Find out whether pickle takes the value before you put it"
        return Mistake(what, hint, line)
    if not messages and (mistake := returned_instead(seen, "put_or_describe", "put one for each value")):
        return mistake
    if messages == [1, "three"]:
        what = "the two values that can't be pickled were left out"
        return Mistake(what, "put their repr instead: whoever counts the messages waits for them", line)
    if any(isinstance(message, bytes) for message in messages):
        what = "the consumer got bytes"
        return Mistake(what, "pickle the value to try it, and put the value: the queue pickles again", line)
    if messages == ["1", "<a lock>", "'three'", "<a function>"]:
        what = "of each value the repr came, even of 1 and 'three'"
        return Mistake(what, "put the value itself where pickle takes it", line)
    hint = "put one message for each value, in their order: the value, or its repr"
    return Mistake(f"out of the queue came {listed(messages)}", hint, line)


def _judge_leave(seen: Seen) -> str | Mistake:
    kept, lost, predicted = seen.facts["kept"], seen.facts["lost"], seen.facts["predicted"]
    if kept != [1, 2, 3] and set(map(repr, kept)) < {"1", "2", "3"}:
        what = f"with waits=True, {len(kept)} of the messages 1, 2 and 3 came"
        hint = "there the process has to wait for its feeder thread"
        return Mistake(what, hint, seen.line_of("cancel_join_thread", "put", "put_nowait", "leave"))
    if kept != [1, 2, 3]:
        what = f"with waits=True, {listed(kept)} came out of the queue"
        return Mistake(what, "put 1, 2 and 3, each once", seen.line_of("put", "put_nowait", "leave"))
    if lost:
        what = f"with waits=False, {listed(lost)} came out of the queue"
        return Mistake(what, "put into the queue that was given", seen.line_of("put", "leave"))
    if predicted not in ((3, 0), [3, 0]):
        what = f"your prediction was {predicted!r}, and (3, 0) came"
        hint = "the deque and the feeder thread are parts of the process: what happens to them as it ends?"
        return Mistake(what, hint, seen.line_of("predict"))
    return (
        "all 3 messages came from the process that waited, and none from the other one, "
        f"which ended with exit code {seen.facts['exitcode']}"
    )


def _judge_do_tasks(seen: Seen) -> str | Mistake:
    done, unfinished, returned = (seen.facts[name] for name in ("done", "unfinished", "returned"))
    tasks = [task for task, _ in done]
    line = seen.line_of("task_done", "do_tasks")
    if tasks != list(inside.TASKS):
        what = f"work() was called for {listed(tasks)}, and the tasks were {listed([*inside.TASKS])}"
        return Mistake(what, "call it once for each task", seen.line_of("work", "do_tasks"))
    if unfinished == len(inside.TASKS) + 1:
        what = f"task_done() was never called: a join() would wait for {unfinished} messages"
        return Mistake(what, "call it once for each message that you got", line)
    for number, (task, count) in enumerate(done):
        due = len(inside.TASKS) + 1 - number
        if count < due:
            what = f"task_done() was called for the task {task} before its work was done"
            return Mistake(what, "a join() returns too early then: call work() first", line)
        if count > due:
            what = f"task_done() was not called for the task {tasks[number - 1]}"
            return Mistake(what, "call it for a task that raised, too; finally is the place for it", line)
    if unfinished == 1:
        what = "one message is still unfinished when the worker has returned: the sentinel"
        return Mistake(what, "None was put as well, and a join() waits for it", line)
    if unfinished:
        what = f"{unfinished} messages are still unfinished when the worker has returned"
        return Mistake(what, "call task_done() for each task, and for None", line)
    if returned not in ([inside.REFUSED], (inside.REFUSED,)):
        what = f"the worker returned {returned!r}, and the task that raised was {inside.REFUSED}"
        return Mistake(what, "return a list of the tasks that raised", seen.line_of("do_tasks"))
    return "4 tasks and the sentinel are done, the one that raised too, so that a join() returns"


def _judge_in_order(seen: Seen) -> str | Mistake:
    results, got = seen.facts["results"], seen.facts["got"]
    line = seen.line_of("put", "put_nowait", "in_order")
    values = [value for value in results if value is not None]
    if not results and (
        mistake := returned_instead(seen, "in_order", "put the values into the queue for the results")
    ):
        return mistake
    if len(got) < len(inside.VALUES):
        what = f"the worker got {len(got)} of {len(inside.VALUES)} messages, and stopped"
        one = len(got) == inside.ARRIVING.index(None)
        hint = "one sentinel says that one producer is done, and there are two"
        hint = hint if one else "get until as many sentinels have come as there are producers"
        return Mistake(what, hint, seen.line_of("get", "in_order"))
    if any(isinstance(value, (list, tuple)) for value in values):
        return Mistake("pairs came, or lists", "put each value alone, without its number", line)
    if values == [inside.VALUES[number] for number in inside.ARRIVING if number is not None]:
        what = f"the values came in the order in which they had arrived: {', '.join(values)}"
        hint = "keep a value whose turn has not come, until those before it are passed on"
        return Mistake(what, hint, line)
    if values != list(inside.VALUES):
        what = f"out of the queue for the results came {listed(results)}"
        return Mistake(what, "of the numbers 0 to 5 it should be a, b, c, d, e, f and then None", line)
    for number, count in got:
        if count < inside.PASSED_ON[number]:
            what = (
                f"when message number {number} was got, {count} values had been passed on, "
                f"and {inside.PASSED_ON[number]} could have been"
            )
            return Mistake(what, "after each get(), pass on all values whose turn has come", line)
    if results[-1:] != [None]:
        return Mistake("the values came, but no sentinel", "put None after the last value", line)
    if len(results) != len(values) + 1:
        what = f"{len(results) - len(values)} sentinels came"
        return Mistake(what, "put None once, after the last value", line)
    return "a to f came in order, each as soon as all before it were there, and then the sentinel"


EXERCISES = {
    exercise.key: exercise
    for exercise in (
        Exercise(
            "04.1",
            ("send_states",),
            inside.send_states,
            _judge_send_states,
            raised={"ValueError": "after close() this process puts no more"},
        ),
        Exercise(
            "04.2",
            ("put_or_describe",),
            inside.put_or_describe,
            _judge_put_or_describe,
            raised=dict.fromkeys(
                ("TypeError", "PicklingError", "AttributeError"),
                "pickle raises more than one type of exception. Catch this one, too",
            ),
        ),
        Exercise(
            "04.3",
            ("predict", "leave"),
            inside.leave,
            _judge_leave,
            stuck={
                "join": "with waits=False the process is to end although nobody gets. "
                "Which method cancels its wait for the feeder thread?"
            },
            raised={"AssertionError": "join_thread() is allowed after close() only; do you need it?"},
        ),
        Exercise(
            "04.4",
            ("do_tasks",),
            inside.do_tasks,
            _judge_do_tasks,
            stuck={
                "get": "after None no message comes: leave the loop then",
                "join": "you are the one who calls task_done(): you would wait for yourself",
            },
            raised={
                "ValueError": "work() raises it for a task that it can't do: catch it. "
                "And task_done() raises it when it is called once too often"
            },
        ),
        Exercise(
            "04.5",
            ("in_order",),
            inside.in_order,
            _judge_in_order,
            stuck={"get": "each producer ends with None: stop when all of them have"},
            raised={"TypeError": "None is a sentinel, not a pair: look for it first"},
        ),
    )
}
