"""Exercises on programs of queues and pipes, chapter 05."""

from __future__ import annotations

import ast
import math
import sys
import time
from contextlib import suppress
from multiprocessing import active_children

from ipc_helpers.exercises import (
    Around,
    Exercise,
    Mistake,
    Seen,
    Trial,
    count_unfinished,
    get_all,
    listed,
    returned_instead,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from typing import Any

    Worker = Callable[..., Any]


MESSAGES = ("a", "b", "c", "d")


CONSUMERS = 3


NUMBERS = (1, 2, 3, 4, 5, 6)


TASKS = (4, -1, "nine", 9)


WORKERS = 2


PAGE = 100_000  # letters: more than a pipe holds


_EVEN = [number for number in NUMBERS if number % 2 == 0]


_ANSWERS = [(4, 2.0), (-1, "ValueError"), ("nine", "TypeError"), (9, 3.0)]


def send_to_all(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a producer put four messages for three consumers, and get whatever comes."""
    queue = ctx.Queue()
    trial = Trial(ctx, worker, queue, list(MESSAGES), CONSUMERS)
    return {"messages": get_all(queue, trial), "returned": trial.returned}


def _judge_send_to_all(seen: Seen) -> str | Mistake:
    messages = seen.facts["messages"]
    expected, consumers = list(MESSAGES), CONSUMERS
    line = seen.line_of("put", "put_nowait", "send_to_all")
    if not messages and (mistake := returned_instead(seen, "send_to_all")):
        return mistake
    if any(isinstance(message, (list, tuple)) for message in messages):
        return Mistake("a list came in one message", "call put() once for each message", _last_put(seen))
    sentinels = messages.count(None)
    if [message for message in messages if message is not None] != expected:
        what = f"out of the queue came {listed(messages)}"
        return Mistake(what, f"put {listed(expected)}, each once, and then the sentinels", line)
    if None in messages[: len(expected)]:
        what = "a sentinel came before the last message, and a consumer may stop at it"
        return Mistake(
            what, "put all messages first, then the sentinels, in a loop of their own", _last_put(seen)
        )
    if sentinels < consumers:
        what = (
            f"{_counted(sentinels, 'sentinel')} came for {consumers} consumers, "
            f"so {consumers - sentinels} of them would wait for ever"
        )
        return Mistake(
            what, "each consumer takes one message out, and a sentinel is a message", _last_put(seen)
        )
    if sentinels > consumers:
        what = f"{sentinels} sentinels came for {consumers} consumers"
        return Mistake(what, "put None as often as there are consumers", _last_put(seen))
    return f"{len(expected)} messages came in order, and then a sentinel for each of {consumers} consumers"


def keep_even(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Have two workers of a stage share six numbers, with a sentinel for each of them."""
    inbox, outbox = ctx.Queue(), ctx.Queue()
    for message in (*NUMBERS, *[None] * WORKERS):
        inbox.put(message)
    stage = [Trial(ctx, worker, inbox, outbox) for _ in range(WORKERS)]
    messages = get_all(outbox, *stage)
    inbox.cancel_join_thread()  # nobody may get them
    predicted = Trial(ctx, predict)
    predicted.is_back(None)
    returned = next((trial.returned for trial in stage if trial.returned is not None), None)
    return {"messages": messages, "predicted": predicted.returned, "returned": returned}


def _judge_keep_even(seen: Seen) -> str | Mistake:
    messages, predicted = seen.facts["messages"], seen.facts["predicted"]
    numbers = [message for message in messages if message is not None]
    sentinels = len(messages) - len(numbers)
    line = seen.line_of("put", "put_nowait", "keep_even")
    if not messages and (mistake := returned_instead(seen, "keep_even")):
        return mistake
    if sorted(map(repr, numbers)) != sorted(map(repr, _EVEN)):
        what = f"of the numbers 1 to 6, {listed(sorted(numbers, key=repr))} came out of the stage"
        return Mistake(what, "hand on the even ones, each once, in a message of its own", line)
    if sentinels == 0:
        what = "the even numbers came out, and no sentinel, so the stage below would wait for ever"
        return Mistake(what, "a worker that gets None hands it on before it returns", _last_put(seen))
    if sentinels != WORKERS:
        what = f"{_counted(sentinels, 'sentinel')} came out of a stage of {WORKERS} workers"
        return Mistake(what, "each worker hands on the one None that it got", _last_put(seen))
    if predicted not in ((5, 2), [5, 2]):
        what = (
            f"your prediction was {predicted!r}, and {len(messages)} messages came, {sentinels} of them None"
        )
        hint = "count what each of the two workers hands on, its sentinel too"
        return Mistake(what, hint, seen.line_of("predict"))
    return "3 even numbers and 2 sentinels came out, as you had predicted: the next stage has to count those"


def answer(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give a worker four tasks, two of which raise, and count what is unfinished then."""
    tasks, results = ctx.JoinableQueue(), ctx.Queue()
    for task in (*TASKS, None):
        tasks.put(task)
    trial = Trial(ctx, worker, tasks, results, _CountingRoot(tasks))
    messages = get_all(results, trial)
    pairs = [item for item in messages if isinstance(item, (list, tuple)) and len(item) == 2]
    counts = {str(task): root.unfinished for task, root in pairs if isinstance(root, _Root)}
    unfinished = count_unfinished(tasks)
    return {"results": messages, "counts": counts, "unfinished": unfinished, "returned": trial.returned}


def _judge_answer(seen: Seen) -> str | Mistake:
    facts = seen.facts
    unfinished, counts, put = facts["unfinished"], facts["counts"], len(TASKS) + 1
    results = [tuple(item) if isinstance(item, list) else item for item in facts["results"]]
    line = seen.line_of("task_done", "answer")
    if not results and (mistake := returned_instead(seen, "answer")):
        return mistake
    if results != _ANSWERS:
        what = f"out of the results came {listed(results)}"
        hint = "for each task put a pair: the task, and its answer or the name of the exception"
        return Mistake(what, hint, seen.line_of("put", "put_nowait", "answer"))
    if unfinished == put:
        what = f"task_done() was never called: join() would wait for {put} messages"
        return Mistake(what, "call it once for each message that you got", line)
    first, last = (str(TASKS[number]) for number in (0, -1))
    if counts.get(first, put) < put:
        what = f"task_done() was called for the task {first} before its answer was there"
        return Mistake(what, "join() returns too early then: call the function first", line)
    skipped = counts.get(last, 2) - 2
    if skipped > 0:
        what = f"task_done() was not called for {_counted(skipped, 'task')} that raised"
        return Mistake(what, "a task that raised is done, too; finally is the place for it", line)
    if unfinished == 1:
        what = "one message is unfinished when the worker has returned: the sentinel"
        return Mistake(
            what, "None was put as well; a finally block also runs when you return in its try", line
        )
    if unfinished:
        what = f"{unfinished} messages are unfinished when the worker has returned"
        return Mistake(what, "call task_done() for each task, and for None", line)
    return "all 4 tasks came back, 2 of them with the name of an exception, and nothing is left unfinished"


def run_tasks(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have four tasks answered by two workers, the first task last of all."""
    pages = _Pages(ctx)
    trial = Trial(ctx, Around(_with_brief_answers, worker), ctx, pages, list(MESSAGES), WORKERS)
    trial.is_back(None)
    trial.process.join()
    said = []
    while not pages.log.empty():
        said.append(pages.log.get())
    return {
        "answers": trial.returned,
        "alive": trial.children,
        "started": said.count("started"),
        "ended": said.count("ended"),
    }


def _judge_run_tasks(seen: Seen) -> str | Mistake:
    answers = seen.facts["answers"]
    expected = [message.upper() for message in MESSAGES]
    if answers == dict(zip(MESSAGES, expected, strict=True)):
        what = "the function returned a dictionary"
        hint = "look each task up in it, in the order of todo, and return the list"
        return Mistake(what, hint, seen.line_of("run_tasks"))
    if not isinstance(answers, (list, tuple)):
        what = f"the function returned {answers!r}"
        return Mistake(what, "return the answers as a list", seen.line_of("run_tasks"))
    if any(isinstance(item, (list, tuple)) for item in answers):
        return Mistake("pairs came back", "return the answers without their tasks", seen.line_of("run_tasks"))
    if list(answers) != expected and sorted(map(str, answers)) == expected:
        what = f"the answers came in the order in which they were ready: {', '.join(map(str, answers))}"
        hint = "each result names its task: keep them in a dictionary, and look up one task after the other"
        return Mistake(what, hint, seen.line_of("get", "run_tasks"))
    if list(answers) != expected:
        what = f"{_counted(len(answers), 'answer')} came back for {len(expected)} tasks"
        if len(answers) == len(expected):
            what = f"for the tasks a, b, c and d, {listed(answers)} came back"
        hint = "get as many results as there are tasks, and return one answer for each task"
        return Mistake(what, hint, seen.line_of("empty", "get", "run_tasks"))
    if seen.facts["started"] != WORKERS:
        what = f"{WORKERS} workers were to be started, and {seen.facts['started']} did"
        return Mistake(what, "start as many as the last argument says", seen.line_of("start", "run_tasks"))
    if seen.facts["ended"] != WORKERS:
        what = f"{_counted(WORKERS - seen.facts['ended'], 'worker')} did not get a sentinel"
        return Mistake(what, "put one None for each of them, and let them end by it", _last_put(seen))
    if seen.facts["alive"]:
        what = f"{_counted(seen.facts['alive'], 'worker')} still ran when the function returned"
        return Mistake(what, "join each of them, once all results are got", seen.line_of("start"))
    return "the answers came back in the order of the tasks, and by then both workers had ended"


def finish(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Watch over three workers: one has answered and ended, one answers late, and one dies late."""
    begun, go = ctx.Event(), ctx.Semaphore(0)
    trial = Trial(ctx, Around(_with_crew, worker), ctx, begun, go)
    begun.wait()
    trial.is_back(0.5)  # who takes a worker that is at work for a dead one has asked the spare one by now
    for _ in range(2):
        go.release()
    trial.is_back(None)
    noted = trial.returned if isinstance(trial.returned, tuple) and len(trial.returned) == 2 else (None, [])
    return {"answers": noted[0], "asked": noted[1]}


def _judge_finish(seen: Seen) -> str | Mistake:
    answers, asked = seen.facts["answers"], seen.facts["asked"]
    line = seen.line_of("send", "finish")
    if "a" in asked:
        what = "the worker of 'a' had answered and ended, and spare was asked for 'a' again"
        return Mistake(what, "an answer stays in the pipe when its worker ends: look there first", line)
    if "b" in asked:
        what = "the worker of 'b' was alive and at work, and spare was asked for 'b' as well"
        return Mistake(what, "no answer yet is not a death: wait for the pipe and the sentinel", line)
    if not isinstance(answers, dict):
        what = f"the function returned {answers!r}"
        return Mistake(what, "return a dictionary, from each request to its answer", seen.line_of("finish"))
    if asked != ["c"] and asked:
        what = f"spare was asked for {listed(asked)}, and one worker had died, that of 'c'"
        return Mistake(what, "send spare what the dead worker had, once", line)
    for request, text in zip("abc", "ABC", strict=True):
        if answers.get(request) == text:
            continue
        what = f"for {request!r} the dictionary has {answers.get(request)!r}, not {text!r}"
        hint = "receive what its worker has sent"
        if request == "c":
            hint = "its worker died: send the request to spare, and receive the answer from there"
        return Mistake(what, hint, seen.line_of("finish"))
    if len(answers) != len("abc"):
        what = f"the dictionary has {len(answers)} entries for 3 requests"
        return Mistake(what, "let the requests be its keys, and nothing else", seen.line_of("finish"))
    return "'a' and 'b' were done once, and 'c', whose worker had died, was done by the spare one"


# What the readers' workers are given.


class _Root(float):
    """An answer, which carries along how many messages were unfinished when it was asked for."""

    unfinished = 0


class _CountingRoot:
    def __init__(self, tasks: Any) -> None:
        self.tasks = tasks

    def __call__(self, task: Any) -> _Root:
        unfinished = count_unfinished(self.tasks)
        for _ in range(unfinished):
            self.tasks._unfinished_tasks.release()
        root = _Root(math.sqrt(task))
        root.unfinished = unfinished
        return root


class _Pages:
    """A worker that answers a letter with a page of it; it says when it starts, and when it got its None."""

    def __init__(self, ctx: Any) -> None:
        self.__name__ = "write_pages"
        self.log = ctx.SimpleQueue()
        self.another = ctx.Semaphore(0)

    def __call__(self, tasks: Any, results: Any) -> None:
        self.log.put("started")
        for task in iter(tasks.get, None):
            if task == MESSAGES[0]:
                self.another.acquire(timeout=5)  # a worker alone would wait for itself
                time.sleep(0.2)  # the other one's feeder thread writes meanwhile
            results.put((task, str(task).upper() * PAGE))
            self.another.release()
        self.log.put("ended")
        time.sleep(0.5)  # who does not join is seen


def answer_and_end(end: Connection[Any, Any], go: Any) -> None:
    """Answer one request, and end."""
    end.send(end.recv().upper())


def answer_late(end: Connection[Any, Any], go: Any) -> None:
    """Answer the first request when the time has come, then wait for more until None comes."""
    with suppress(EOFError, OSError):
        for request in iter(end.recv, None):
            go.acquire()
            end.send(request.upper())
            go.release()


def die_late(end: Connection[Any, Any], go: Any) -> None:
    """Take one request, and end with exit code 3 when the time has come, without an answer."""
    end.recv()
    go.acquire()
    sys.exit(3)


def stand_in(end: Connection[Any, Any], asked: Any) -> None:
    """Note each request and answer it, until None comes."""
    with suppress(EOFError, OSError):
        for request in iter(end.recv, None):
            asked.put(request)
            end.send(str(request).upper())


# What runs around a worker, in its process.


def _with_brief_answers(worker: Worker, *args: Any) -> Any:
    try:
        return _brief(worker(*args))
    except BaseException:
        _end_children()  # or what was raised would be covered up by the wait for them
        raise


def _with_crew(worker: Worker, ctx: Any, begun: Any, go: Any) -> tuple[Any, list[Any]]:
    asked = ctx.SimpleQueue()
    crew, kept = {}, []  # the workers' ends stay open here, as copies do after a fork
    for request, target in (("a", answer_and_end), ("b", answer_late), ("c", die_late)):
        end, workers_end = ctx.Pipe()
        child = ctx.Process(target=target, args=(workers_end, go))
        child.start()
        end.send(request)
        crew[request] = (end, child)
        kept.append(workers_end)
    spare, workers_end = ctx.Pipe()
    kept.append(workers_end)
    ctx.Process(target=stand_in, args=(workers_end, asked), daemon=True).start()
    crew["a"][1].join()
    begun.set()
    try:
        returned = _brief(worker(crew, spare))
    finally:
        _end_children()
    requests = []
    while not asked.empty():
        requests.append(asked.get())
    return returned, requests


def _end_children() -> None:
    for child in active_children():
        child.kill()
        child.join()


def _brief(value: Any) -> Any:
    """Return a value that can be pickled: long texts by their first letters, other objects by their types."""
    if isinstance(value, str):
        return value if len(value) < PAGE else value[0]
    if isinstance(value, (list, tuple)):
        return type(value)(_brief(item) for item in value) if type(value) in (list, tuple) else "…"
    if isinstance(value, dict):
        return {_brief(key): _brief(item) for key, item in value.items()}
    return value if value is None or isinstance(value, (int, float)) else f"<{type(value).__name__}>"


def _counted(count: int, word: str) -> str:
    return f"{count or 'no'} {word}{'' if count < 2 else 's'}"


def _last_put(seen: Seen) -> int | None:
    """Return the last line that calls put: where a sentinel is put, or should be."""
    calls = [node for node in ast.walk(ast.parse(seen.cell.source)) if isinstance(node, ast.Call)]
    puts = ("put", "put_nowait")
    return max((call.lineno + 1 for call in calls if getattr(call.func, "attr", "") in puts), default=None)


_WAIT_FOR_BOTH = (
    "one worker answers and lives on, another dies and says nothing. "
    "What do you have to wait for, to learn of either?"
)


EXERCISES = {
    exercise.key: exercise
    for exercise in (
        Exercise(
            "05.1",
            ("send_to_all",),
            send_to_all,
            _judge_send_to_all,
            raised={
                "TypeError": "consumers is a number, and messages is a list",
                "ValueError": "after close() this process puts no more",
            },
        ),
        Exercise(
            "05.2",
            ("predict", "keep_even"),
            keep_even,
            _judge_keep_even,
            stuck={"get": "after None, no message comes for this worker: hand it on, and return"},
            raised={
                "TypeError": "None is the sentinel, not a number: look for it before you calculate",
                "ValueError": "after close() this process puts no more",
            },
        ),
        Exercise(
            "05.3",
            ("answer",),
            answer,
            _judge_answer,
            stuck={
                "get": "after None no message comes: return then",
                "join": "you are the one who calls task_done(): you would wait for yourself",
            },
            raised={
                "TypeError": "the function may raise anything: catch Exception, and put the name of its type",
                "ValueError": "did the function raise it, or task_done() that was called once too often?",
            },
        ),
        Exercise(
            "05.4",
            ("run_tasks",),
            run_tasks,
            _judge_run_tasks,
            stuck={
                "get": "one result comes for each task, and no sentinel after them: count",
                "join": "a worker ends when it got a None of its own, and when all its results are got. "
                "Which of the two is missing?",
            },
            raised={
                "KeyError": "an answer is missing. Get one result for each task; "
                "an empty queue does not say that no more will come"
            },
        ),
        Exercise(
            "05.5",
            ("finish",),
            finish,
            _judge_finish,
            stuck={
                "recv": "nothing comes from a worker that died, nor from one that was not asked; and no "
                "EOFError, since its end is open here. Wait for the pipe and the sentinel before you receive",
                "poll": _WAIT_FOR_BOTH,
                "join": "a worker that has answered waits for its next request, and lives on",
            },
        ),
    )
}
