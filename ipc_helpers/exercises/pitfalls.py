"""Exercises on pitfalls, chapter 06."""

from __future__ import annotations

import contextlib
import sys
import time
from multiprocessing import connection

from ipc_helpers.exercises import (
    Around,
    Exercise,
    Mistake,
    Seen,
    Trial,
    listed,
    returned_instead,
    short,
)
from ipc_helpers.workers.endings import get_word, put_function, put_price, put_word
from ipc_helpers.workers.pitfalls import get_messages, wait_until_inside_get

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Worker = Callable[..., Any]


DEFAULT = "no news"


TEXTS = ("3.5", "3,50", "4")


AFTER = "5"  # comes after the sentinel


BLOB = bytes(100_000)  # more than a pipe holds


BLOBS = 4


GOOD_RUN = 2


def get_or(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker get from a queue that stays empty, and from one into which 0 is put late."""
    empty, late = ctx.Queue(), ctx.Queue()
    alone = Trial(ctx, worker, empty, 0.2, DEFAULT)
    served = Trial(ctx, Around(_plainly, worker, about=", with a late message,"), late, 60, DEFAULT)
    served.wait_until_up()
    early = served.is_back(0.5)  # a worker that does not wait is back by now
    late.put(0)
    alone.is_back(None)
    served.is_back(None)
    return {"alone": alone.returned, "served": served.returned, "early": early}


def _judge_get_or(seen: Seen) -> str | Mistake:
    alone, served = seen.facts.get("alone"), seen.facts.get("served")
    line = seen.line_of("get", "get_nowait", "get_or")
    if alone != DEFAULT:
        what = f"nothing came in time, and the worker returned {short(alone)}, not the default"
        return Mistake(what, "return the default where you catch the exception", seen.line_of("get_or"))
    if served == 0 and isinstance(served, int):
        return "with an empty queue, the default came back; with a message that was late, the message"
    if served == DEFAULT and seen.facts.get("early"):
        what = "a message came within the time that was given, and the worker had left before"
        hint = "get() with a timeout waits up to so many seconds for a message"
        return Mistake(what, hint, seen.line_of("empty", "get_nowait", "get", "get_or"))
    if served == DEFAULT:
        what = "the message 0 came, and the worker returned the default"
        return Mistake(what, "a message may be 0 or empty: return it whatever it is", line)
    what = f"the message 0 came, and the worker returned {short(served)}"
    return Mistake(what, "return what get() returns", line)


def dismiss(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker end a consumer that waits inside of get, and see whether its queue still works."""
    trial = Trial(ctx, Around(_with_consumer, worker), ctx)
    trial.is_back(None)
    return trial.returned if isinstance(trial.returned, dict) else {}


def _judge_dismiss(seen: Seen) -> str | Mistake:
    returned, exitcode = seen.facts.get("returned"), seen.facts.get("exitcode")
    if seen.facts.get("alive"):
        what = f"the consumer still ran when the worker returned {short(returned)}"
        hint = "after its sentinel, wait for the end of its process"
        return Mistake(what, hint, seen.line_of("put", "put_nowait", "join", "dismiss"))
    if not seen.facts.get("free"):
        code = "" if exitcode is None else f" with exit code {exitcode}"
        what = f"the consumer ended{code}, and took the read lock of the queue along: nobody else can get"
        hint = (
            "a process that uses a queue has to end by itself. Which message does this one take for its end?"
        )
        return Mistake(what, hint, seen.line_of("terminate", "kill", "dismiss"))
    if returned != 0 or returned is False:
        what = f"the consumer ended with exit code 0, and the worker returned {short(returned)}"
        hint = "return the exitcode of the process, once it has ended"
        return Mistake(what, hint, seen.line_of("dismiss"))
    return "the consumer ended by itself, with exit code 0, and its queue can be used again"


def exit_codes(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Have a worker tell the exit codes of four processes, one of which never ends, and of a slow one."""
    predicted = Trial(ctx, predict)
    trial = Trial(ctx, Around(_with_processes, worker), ctx)
    trial.is_back(None)
    predicted.is_back(None)
    seen = trial.returned if isinstance(trial.returned, dict) else {}
    return {**seen, "predicted": predicted.returned} if seen else {}


def _judge_exit_codes(seen: Seen) -> str | Mistake:
    codes, slow, predicted = (seen.facts.get(name) for name in ("codes", "slow", "predicted"))
    expected = [0, None, 0, 1]
    line = seen.line_of("exit_codes")
    ended = seen.line_of("terminate", "kill", "exit_codes")
    if not isinstance(codes, (list, tuple)):
        what = f"exit_codes() returned {short(codes)}"
        return Mistake(what, "return a list, with an exit code for each process", line)
    if list(codes) != expected and [code for code in codes if code is not None] == [0, 0, 1]:
        what = f"exit_codes() returned {listed(codes)}: the None is missing, or not in its place"
        return Mistake(what, "keep the order, and put None where a process still runs", line)
    if len(codes) == 4 and [*codes[:1], *codes[2:]] == [0, 0, 1] and codes[1] is not None:
        what = f"for get_word, which still ran, exit_codes() returned {short(codes[1])}"
        return Mistake(what, "read the exit codes before you end what still runs", ended)
    if list(codes) != expected:
        what = f"exit_codes() returned {listed(codes)}"
        return Mistake(what, "return the exitcode of each process, in their order", line)
    if alive := seen.facts.get("alive"):
        what = f"{listed(alive)} still ran when exit_codes() returned"
        return Mistake(what, "end what still runs with terminate(), then join it", ended)
    if not isinstance(slow, (list, tuple)) or list(slow) != [0]:
        what = f"a process that ends in half a second had 5, and exit_codes() returned {listed(slow)}"
        hint = "give each process the seconds: join() has a timeout"
        return Mistake(what, hint, seen.line_of("join", "exit_codes"))
    if not isinstance(predicted, (list, tuple)) or list(predicted) != expected:
        what = f"your prediction was {short(predicted)}, and the exit codes are (0, None, 0, 1)"
        hint = (
            "None is for one that still runs. An exception in the worker makes it 1, one in the feeder "
            "thread does not"
        )
        return Mistake(what, hint, seen.line_of("predict"))
    return "put_word and put_function ended with 0, put_price with 1, and get_word still ran, as predicted"


def serve(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give one worker three tasks, one of which raises, and a sentinel; give another one task alone."""
    tasks, results, few, few_results = (ctx.Queue() for _ in range(4))
    for queue, text in ((tasks, TEXTS[0]), (few, "1")):
        queue.put(text)
        connection.wait([queue._reader])  # the first task is there before the worker looks for it
    busy = Trial(ctx, worker, tasks, results, float, 10)
    left = Trial(ctx, Around(_plainly, worker, about=", left without tasks,"), few, few_results, float, 0.3)
    connection.wait([results._reader, busy.process.sentinel], 2)
    time.sleep(0.5)  # a worker that does not wait as long as it may is back by now
    for task in (*TEXTS[1:], None, AFTER):
        tasks.put(task)
    found = _get_until_ended(results, busy, len(TEXTS))
    few_found = _get_until_ended(few_results, left, 1)
    return {"results": found, "few": few_found, "returned": busy.returned}


def _judge_serve(seen: Seen) -> str | Mistake:
    results, few = _tuples(seen.facts.get("results")), _tuples(seen.facts.get("few"))
    good, late = ("3.5", 3.5), ("4", 4.0)
    bad = ("3,50", repr(ValueError("could not convert string to float: '3,50'")))
    line = seen.line_of("put", "put_nowait", "serve")
    if results == [good, bad, late]:
        if few == [("1", 1.0)]:
            return (
                "each of three tasks was answered, the one that raised too; without tasks, the worker ended"
            )
        what = f"after the last task nothing came, and out of the results came {listed(few)}"
        return Mistake(what, "when no task comes in time, return, and put nothing", line)
    if not results and (mistake := returned_instead(seen, "serve", "put a result for each task")):
        return mistake
    if (AFTER, float(AFTER)) in results:
        what = "after None, a task was answered"
        return Mistake(what, "None says that the worker is to end", seen.line_of("get", "serve"))
    if results == [good]:
        what = "one of three tasks was answered; the second came half a second later, well within the time"
        hint = "wait for each task up to the seconds that were given"
        return Mistake(what, hint, seen.line_of("get", "get_nowait", "empty", "serve"))
    if results == [good, late]:
        what = "for the task that raised, no result came"
        return Mistake(what, "a failure is an answer as well: put it", line)
    if results == [good, bad]:
        what = "after the task that raised, the worker ended, and the task '4' was not answered"
        return Mistake(what, "catch the exception inside of the loop, around one task", line)
    if any(isinstance(part, BaseException) for pair in results if isinstance(pair, tuple) for part in pair):
        what = "the exception itself came"
        return Mistake(what, "put its repr: not every exception can be pickled, a text can", line)
    if results in ([3.5, bad[1], 4.0], [3.5, bad, 4.0]):
        return Mistake("results came without their tasks", "put a pair: the task, and its result", line)
    if len(results) == 3 and [results[0], results[2]] == [good, late]:
        what = f"for the task that raised came {short(results[1])}"
        return Mistake(what, "put the task, and the repr of the exception", line)
    if any(isinstance(pair, tuple) and pair[:1] == (None,) for pair in results):
        what = "the sentinel None was taken for a task"
        return Mistake(what, "look for None before you call the function", seen.line_of("get", "serve"))
    what = f"out of the results came {listed(results)}"
    return Mistake(what, "for each task put a pair: the task, and what the function makes of it", line)


def supervise(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker supervise a producer that fails twice, and one that always fails."""
    recovers, fails = Producer(ctx, GOOD_RUN), Producer(ctx, None)
    failing = Around(_plainly, worker, about=", of a producer that fails,")
    first, second = Trial(ctx, worker, ctx, recovers, 4), Trial(ctx, failing, ctx, fails, 2)
    for trial in (first, second):
        trial.is_back(None)
        trial.process.join()
    return {
        "recovered": first.returned,
        "failed": second.returned,
        "runs": recovers.begun(),
        "failed_runs": fails.begun(),
        "alive": first.children + second.children,
    }


def _judge_supervise(seen: Seen) -> str | Mistake:
    recovered, failed = seen.facts.get("recovered"), seen.facts.get("failed")
    runs, failed_runs = seen.facts.get("runs"), seen.facts.get("failed_runs")
    expected = [(number, BLOB) for number in range(BLOBS)]
    line = seen.line_of("supervise")
    receives = seen.line_of("recv", "supervise")
    if not runs:
        what = "the producer was never started"
        return Mistake(what, "start a process for each run", seen.line_of("Process", "supervise"))
    if runs != [*range(len(runs))]:
        what = f"produce was given the numbers {listed(runs)} for its runs"
        hint = "the first run has the number 0, and the next one the next number"
        return Mistake(what, hint, seen.line_of("Process", "supervise"))
    if recovered == ["a part"]:
        what = "the first run failed after one message, and the worker returned that message"
        hint = "the pipe ends when the producer fails, too: look at its exit code"
        return Mistake(what, hint, receives)
    if isinstance(recovered, (list, tuple)) and "a part" in recovered:
        what = "a message of a run that failed is among those that were returned"
        hint = "begin each run with an empty list"
        return Mistake(what, hint, seen.line_of("append", "recv", "supervise"))
    if recovered is None and len(runs) > GOOD_RUN:
        what = f"the third run ended well, and the worker returned None after {len(runs)} runs"
        hint = (
            "a process has its exit code once it is joined; after a run with exit code 0, return its messages"
        )
        return Mistake(what, hint, seen.line_of("join", "supervise"))
    if recovered is None:
        what = f"with tries=4, the worker gave up after {len(runs)} of them"
        return Mistake(what, "start the producer again when a run has failed", line)
    if recovered == [] or recovered == ():
        what = f"the worker returned no messages, after {len(runs)} runs"
        return Mistake(what, "return what the run sent that ended well", line)
    if not isinstance(recovered, (list, tuple)) or list(recovered) != expected:
        count = f"{len(recovered)} messages" if isinstance(recovered, (list, tuple)) else short(recovered)
        what = f"of {BLOBS} messages of the run that ended well, the worker returned {count}"
        return Mistake(what, "receive until EOFError, and return all of them as a list", receives)
    if runs != [0, 1, 2]:
        what = f"the third run ended well, and {len(runs)} were started"
        return Mistake(what, "return as soon as a run has ended well", line)
    if failed_runs != [0, 1]:
        what = f"with tries=2, a producer that always fails was started {len(failed_runs or ())} times"
        return Mistake(what, "count the runs", line)
    if failed is not None:
        what = f"each run failed, and the worker returned {short(failed)}"
        return Mistake(what, "return None when no run ended well", line)
    if seen.facts.get("alive"):
        what = "a producer still ran when the worker returned"
        return Mistake(what, "join each producer", seen.line_of("start", "supervise"))
    return "the third run ended well, and its 4 messages came; a producer that always fails was given up"


# The producer of exercise 5.


class Producer:
    """Sends a part and fails in its run 0, ends with exit code 3 in others, and sends all in a good one.

    Parameters
    ----------
    ctx : multiprocessing.context.BaseContext
        Of the processes that it runs in.
    good_run : int or None
        The number of the run that ends well; None for none.
    """

    __name__ = "produce"

    def __init__(self, ctx: Any, good_run: int | None) -> None:
        self._runs, self._good_run = ctx.SimpleQueue(), good_run

    def __call__(self, sender: Any, run: Any) -> None:
        """Produce, as one run of several."""
        self._runs.put(run)
        if run == self._good_run:
            for number in range(BLOBS):
                sender.send((number, BLOB))
            sender.close()
            time.sleep(0.5)  # the end of the pipe comes before that of the process, and its exit code
            return
        if run == 0:
            sender.send("a part")
        sys.exit(3)

    def begun(self) -> list[Any]:
        """Return the number of each run that has begun, once all have ended."""
        runs = []
        while not self._runs.empty():
            runs.append(self._runs.get())
        return runs


# What runs around a worker, in its process.


def _get_until_ended(queue: Any, trial: Trial, most: int) -> list[Any]:
    """Get messages until the worker's process has ended; end it when it has put more than it should."""
    messages: list[Any] = []
    while len(messages) <= most:
        connection.wait([queue._reader, trial.process.sentinel])
        alive = trial.process.is_alive()
        if queue._reader.poll():
            messages.append(queue.get(timeout=60))
        elif not alive:
            break
    else:
        trial.process.terminate()
    trial.is_back()
    return messages


def _plainly(worker: Worker, *args: Any) -> Any:
    return worker(*args)


def _with_consumer(worker: Worker, ctx: Any) -> dict[str, Any]:
    messages = ctx.Queue()
    consumer = ctx.Process(target=get_messages, args=(messages,), name="consumer")
    consumer.start()
    wait_until_inside_get(messages)
    try:
        returned = _plain(worker(messages, consumer))
        alive, exitcode = _state(consumer)
        free = messages._rlock.acquire(block=False)
        return {"returned": returned, "alive": alive, "exitcode": exitcode, "free": free}
    finally:
        _end(consumer)  # or the end of this process would wait for it


def _with_processes(worker: Worker, ctx: Any) -> dict[str, Any]:
    queues = [ctx.Queue() for _ in range(4)]
    processes = [
        ctx.Process(target=_ending_as_it_does, args=(function, queue), name=function.__name__)
        for function, queue in zip((put_word, get_word, put_function, put_price), queues, strict=True)
    ]
    begun = ctx.Event()
    slow = ctx.Process(target=_end_late, args=(begun,), name="slow")
    for process in processes:
        process.start()
    try:
        for process in processes:
            if process.name != "get_word":
                process.join()  # so that they have ended, however slow this machine is
        codes = _plain(worker(list(processes), 0.2))
        alive = [process.name for process in processes if _state(process)[0]]
        slow.start()
        begun.wait()
        slow_codes = _plain(worker([slow], 5))
    finally:
        for process in processes:
            _end(process)
    return {"codes": codes, "alive": alive, "slow": slow_codes}


def _ending_as_it_does(function: Worker, queue: Any) -> None:
    """Run a function that may raise: the exit code is the same, and the exception is not the reader's."""
    try:
        function(queue)
    except Exception:
        sys.exit(1)


def _end_late(begun: Any) -> None:
    begun.set()
    time.sleep(0.4)


def _end(process: Any) -> None:
    if _state(process)[0]:
        process.terminate()


def _plain(value: Any) -> Any:
    """Return exit codes as they are, and the repr of anything else: it may be something pickle refuses."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, int) else repr(value)


def _state(process: Any) -> tuple[bool, int | None]:
    """Return whether a process is alive, and its exit code; the reader may have closed it."""
    with contextlib.suppress(ValueError):
        return process.is_alive(), process.exitcode
    return False, None


def _tuples(values: Any) -> list[Any]:
    values = values if isinstance(values, list) else []
    return [tuple(value) if isinstance(value, list) else value for value in values]


EXERCISES = {
    exercise.key: exercise
    for exercise in (
        Exercise(
            "06.1",
            ("get_or",),
            get_or,
            _judge_get_or,
            stuck={"get": "give get() its timeout by name; its first parameter is another one, block"},
            raised={
                "Empty": "a queue has an exception of its own for this, and no TimeoutError. Look at lab 8",
                "AttributeError": "the exception lives in the module queue. Does the name stand for that?",
            },
        ),
        Exercise(
            "06.2",
            ("dismiss",),
            dismiss,
            _judge_dismiss,
            stuck={
                "join": "the consumer waits for a message, and nobody puts one. Which one ends it?",
                "get": "it is the consumer who gets; you put",
            },
        ),
        Exercise(
            "06.3",
            ("predict", "exit_codes"),
            exit_codes,
            _judge_exit_codes,
            stuck={"join": "one of the processes never ends: give join() the seconds"},
        ),
        Exercise(
            "06.4",
            ("serve",),
            serve,
            _judge_serve,
            stuck={"get": "no task comes any more, and no sentinel: give get() the seconds"},
            raised={
                "ValueError": "the function may raise: catch that, put it as a text, and go on",
                "Empty": "no task came in time: catch queue.Empty, and return",
                "TypeError": "None is the sentinel, not a task: look for it first",
            },
        ),
        Exercise(
            "06.5",
            ("supervise",),
            supervise,
            _judge_supervise,
            stuck={
                "recv": "the pipe ends once every copy of its sending end is closed. Who still has one?",
                "join": "the producer sends more than the pipe holds: receive all of it first, then join",
            },
            raised={
                "EOFError": "this is the end of a run, not of the worker: catch it",
                "OSError": "the producer gets a copy of its end at its start: close yours after that",
                "TypeError": "produce takes two things: the sending end, and the number of the run",
            },
        ),
    )
}
