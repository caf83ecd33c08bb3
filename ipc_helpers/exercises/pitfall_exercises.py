"""Exercises on pitfalls, chapter 06."""

from __future__ import annotations

import contextlib
import sys
import time
from multiprocessing import connection

from ipc_helpers.exercises import (
    Exercise,
    Mistake,
    as_list,
    as_tuple,
    expect_list,
    expect_messages,
    expect_prediction,
    listed,
    short,
)
from ipc_helpers.exercises.trial_process import Trial, drain, gather_messages
from ipc_helpers.workers.ending_workers import get_word, put_function, put_price, put_word
from ipc_helpers.workers.pitfall_workers import get_messages, wait_until_inside_get

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ipc_helpers.exercises import Seen, Worker

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
    served = Trial(ctx, worker, late, 60, DEFAULT, about=", with a late message,")
    early = served.is_back(0.5)  # a worker that does not wait is back by now
    late.put(0)
    return {"alone": alone.wait(), "served": served.wait(), "early": early}


@Exercise(
    "06.1",
    get_or,
    get="give get() its timeout by name; its first parameter is another one, block",
    Empty="a queue has an exception of its own for this, and no TimeoutError. Look at lab 8",
    AttributeError="the exception lives in the module queue. Does the name stand for that?",
)
def _judge_get_or(seen: Seen, alone: Any, served: Any, early: bool) -> str:
    if alone != DEFAULT:
        what = f"nothing came in time, and the worker returned {short(alone)}, not the default"
        raise Mistake(what, "return the default where you catch the exception")
    if served == 0 and isinstance(served, int):
        return "with an empty queue, the default came back; with a message that was late, the message"
    if served == DEFAULT and early:
        what = "a message came within the time that was given, and the worker had left before"
        raise Mistake(what, "get() with a timeout waits up to so many seconds for a message", "empty", "get")
    what = f"the message 0 came, and the worker returned {short(served)}"
    raise Mistake(what, "a message may be 0 or empty: return what get() returns, whatever it is", "get")


def dismiss(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker end a consumer that waits inside get, and see whether its queue still works."""
    trial = Trial(ctx, worker, ctx, around=_with_consumer)
    trial.wait()
    return trial.noted


@Exercise(
    "06.2",
    dismiss,
    join="the consumer waits for a message, and nobody puts one. Which one ends it?",
    get="it is the consumer who gets; you put",
)
def _judge_dismiss(seen: Seen, returned: Any, alive: bool, exitcode: int | None, free: bool) -> str:
    if alive:
        what = f"the consumer still ran when the worker returned {short(returned)}"
        raise Mistake(what, "after its sentinel, wait for the end of its process", "put", "join")
    if not free:
        code = "" if exitcode is None else f" with exit code {exitcode}"
        what = f"the consumer ended{code}, and took the read lock of the queue along: nobody else can get"
        hint = "who uses a queue has to end by itself. Which message does this process take for its end?"
        raise Mistake(what, hint, "terminate", "kill")
    if returned != 0 or returned is False:
        what = f"the consumer ended with exit code 0, and the worker returned {short(returned)}"
        raise Mistake(what, "return the exitcode of the process, once it has ended")
    return "the consumer ended by itself, with exit code 0, and its queue can be used again"


def exit_codes(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Have a worker tell the exit codes of four processes, one of which never ends, and of a slow one."""
    predicted, trial = Trial(ctx, predict), Trial(ctx, worker, ctx, around=_with_processes)
    trial.wait()
    return {"predicted": predicted.wait(), **trial.noted} if trial.noted else {}


@Exercise("06.3", exit_codes, join="one of the processes never ends: give join() the seconds")
def _judge_exit_codes(seen: Seen, codes: Any, alive: list[str], slow: Any, predicted: Any) -> str:
    expected = [0, None, 0, 1]
    ends = ("terminate", "kill")
    codes = expect_list(codes, "return a list, with an exit code for each process")
    if codes != expected and [code for code in codes if code is not None] == [0, 0, 1]:
        what = f"exit_codes() returned {listed(codes)}: the None is missing, or not in its place"
        raise Mistake(what, "keep the order, and put None where a process still runs")
    if len(codes) == 4 and [*codes[:1], *codes[2:]] == [0, 0, 1] and codes[1] is not None:
        what = f"for get_word, which still ran, exit_codes() returned {short(codes[1])}"
        raise Mistake(what, "read the exit codes before you end what still runs", *ends)
    if codes != expected:
        what = f"exit_codes() returned {listed(codes)}"
        raise Mistake(what, "return the exitcode of each process, in their order")
    if alive:
        what = f"{listed(alive)} still ran when exit_codes() returned"
        raise Mistake(what, "end what still runs with terminate(), then join it", *ends)
    if as_list(slow) != [0]:
        what = f"a process that ends in half a second had 5, and exit_codes() returned {listed(slow)}"
        raise Mistake(what, "give each process the seconds: join() has a timeout", "join")
    hint = "None is for one that still runs. An exception makes it 1, but not one in the feeder thread"
    expect_prediction(predicted, (0, None, 0, 1), "the exit codes are (0, None, 0, 1)", hint)
    return "put_word and put_function ended with 0, put_price with 1, and get_word still ran, as predicted"


def serve(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Give one worker three tasks, one of which raises, and a sentinel; give another one task alone."""
    tasks, results, few, few_results = (ctx.Queue() for _ in range(4))
    for queue, text in ((tasks, TEXTS[0]), (few, "1")):
        queue.put(text)
        connection.wait([queue._reader])  # the first task is there before the worker looks for it
    busy = Trial(ctx, worker, tasks, results, float, 10)
    left = Trial(ctx, worker, few, few_results, float, 0.3, about=", left without tasks,")
    connection.wait([results._reader, busy.process.sentinel], 2)
    time.sleep(0.5)  # a worker that does not wait as long as it may is back by now
    for task in (*TEXTS[1:], None, AFTER):
        tasks.put(task)
    found, few_found = (
        gather_messages(results, busy, most=len(TEXTS)),
        gather_messages(few_results, left, most=1),
    )
    return {"results": found, "few": few_found, "returned": busy.returned}


@Exercise(
    "06.4",
    serve,
    get="no task comes any more, and no sentinel: give get() the seconds",
    ValueError="the function may raise: catch that, put it as a text, and go on",
    Empty="no task came in time: catch queue.Empty, and return",
)
def _judge_serve(seen: Seen, results: list[Any], few: list[Any], returned: Any) -> str:
    results, few = list(map(as_tuple, results)), list(map(as_tuple, few))
    good, late = ("3.5", 3.5), ("4", 4.0)
    bad = ("3,50", repr(ValueError("could not convert string to float: '3,50'")))
    if results == [good, bad, late] and few == [("1", 1.0)]:
        return "each of three tasks was answered, the one that raised too; without tasks, the worker ended"
    if results == [good, bad, late]:
        what = f"after the last task nothing came, and out of the results came {listed(few)}"
        raise Mistake(what, "when no task comes in time, return, and put nothing", "put")
    expect_messages(results, returned, "put a result for each task")
    if (AFTER, float(AFTER)) in results:
        raise Mistake("after None, a task was answered", "None says that the worker is to end", "get")
    if results == [good]:
        what = "one of three tasks was answered; the second came half a second later, well within the time"
        raise Mistake(what, "wait for each task up to the seconds that were given", "get", "empty")
    if results == [good, late]:
        what = "for the task that raised, no result came"
        raise Mistake(what, "a failure is an answer as well: put it", "put")
    if results == [good, bad]:
        what = "after the task that raised, the worker ended, and the task '4' was not answered"
        raise Mistake(what, "catch the exception inside the loop, around one task", "put")
    if len(results) == 3 and [results[0], results[2]] == [good, late]:
        what = f"for the task that raised came {short(results[1])}"
        hint = "put the task, and the repr of the exception: not every exception can be pickled, a text can"
        raise Mistake(what, hint, "put")
    if any(isinstance(item, tuple) and item[:1] == (None,) for item in results):
        hint = "look for None before you call the function"
        raise Mistake("the sentinel None was taken for a task", hint, "get")
    what = f"out of the results came {listed(results)}"
    raise Mistake(what, "for each task put a pair: the task, and what the function makes of it", "put")


def supervise(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker supervise a producer that fails twice, and one that always fails."""
    recovers, fails = Producer(ctx, GOOD_RUN), Producer(ctx, None)
    first = Trial(ctx, worker, ctx, recovers, 4)
    second = Trial(ctx, worker, ctx, fails, 2, about=", of a producer that fails,")
    for trial in (first, second):
        trial.join()
    return {
        "recovered": first.returned,
        "failed": second.returned,
        "runs": drain(recovers.runs),
        "failed_runs": drain(fails.runs),
        "alive": first.children + second.children,
    }


@Exercise(
    "06.5",
    supervise,
    EOFError="this is the end of a run, not of the worker: catch it",
    OSError="the producer gets a copy of its end at its start: close yours after that",
    TypeError="produce takes two things: the sending end, and the number of the run",
)
def _judge_supervise(
    seen: Seen, recovered: Any, failed: Any, runs: list[Any], failed_runs: list[Any], alive: int
) -> str:
    if not runs or runs != [*range(len(runs))]:
        what = f"produce was started for these runs: {listed(runs)}"
        raise Mistake(what, "start a process for each run; the first has the number 0", "Process")
    if recovered is None and len(runs) > GOOD_RUN:
        what = f"the third run ended well, and the worker returned None after {len(runs)} runs"
        hint = "a process has its exit code once it is joined; after a run with 0, return its messages"
        raise Mistake(what, hint, "join")
    if recovered is None:
        what = f"with tries=4, the worker gave up after {len(runs)} of them"
        raise Mistake(what, "start the producer again when a run has failed")
    messages = expect_list(recovered, "return a list of all messages of the run that ended well")
    if "a part" in messages:
        what = "a message of a run that failed is among those that were returned"
        hint = "the pipe ends when a run fails, too: look at its exit code; begin each run with an empty list"
        raise Mistake(what, hint, "append", "recv")
    if messages != [(number, BLOB) for number in range(BLOBS)]:
        what = f"of {BLOBS} messages of the run that ended well, the worker returned {len(messages)}"
        raise Mistake(what, "receive until EOFError, and return all of them as a list", "recv")
    if runs != [0, 1, 2]:
        what = f"the third run ended well, and {len(runs)} were started"
        raise Mistake(what, "return as soon as a run has ended well")
    if failed_runs != [0, 1]:
        what = f"with tries=2, a producer that always fails was started {len(failed_runs)} times"
        raise Mistake(what, "count the runs")
    if failed is not None:
        what = f"each run failed, and the worker returned {short(failed)}"
        raise Mistake(what, "return None when no run ended well")
    if alive:
        raise Mistake("a producer still ran when the worker returned", "join each producer", "start")
    return "the third run ended well, and its 4 messages came; a producer that always fails was given up"


class Producer:
    """Sends a part and fails in its run 0, ends with exit code 3 in others, and sends all in a good one.

    Parameters
    ----------
    ctx : multiprocessing.context.BaseContext
        Of the processes that it runs in.
    good_run : int or None
        The number of the run that ends well; None for none.

    Attributes
    ----------
    runs : multiprocessing.SimpleQueue
        The number of each run that has begun.
    """

    __name__ = "produce"

    def __init__(self, ctx: Any, good_run: int | None) -> None:
        self.runs, self._good_run = ctx.SimpleQueue(), good_run

    def __call__(self, sender: Any, run: Any) -> None:
        """Produce, as one run of several."""
        self.runs.put(run)
        if run == self._good_run:
            for number in range(BLOBS):
                sender.send((number, BLOB))
            sender.close()
            time.sleep(0.5)  # the end of the pipe comes before that of the process, and its exit code
            return
        if run == 0:
            sender.send("a part")
        sys.exit(3)


# What runs around a worker, in its process.


def _with_consumer(worker: Worker, ctx: Any) -> tuple[Any, dict[str, Any]]:
    messages = ctx.Queue()
    consumer = ctx.Process(target=get_messages, args=(messages,), name="consumer", daemon=True)
    consumer.start()
    wait_until_inside_get(messages)
    returned = worker(messages, consumer)
    alive, exitcode = _state(consumer)
    free = messages._rlock.acquire(block=False)
    return None, {"returned": returned, "alive": alive, "exitcode": exitcode, "free": free}


def _with_processes(worker: Worker, ctx: Any) -> tuple[Any, dict[str, Any]]:
    queues = [ctx.Queue() for _ in range(4)]
    processes = [
        ctx.Process(target=_ending_as_it_does, args=(function, queue), name=function.__name__, daemon=True)
        for function, queue in zip((put_word, get_word, put_function, put_price), queues, strict=True)
    ]
    begun = ctx.Event()
    slow = ctx.Process(target=_end_late, args=(begun,), name="slow")
    for process in processes:
        process.start()
    for process in processes:
        if process.name != "get_word":
            process.join()  # so that they have ended, however slow this machine is
    codes = worker(list(processes), 0.2)
    alive = [process.name for process in processes if _state(process)[0]]
    slow.start()
    begun.wait()
    return None, {"codes": codes, "alive": alive, "slow": worker([slow], 5)}


def _ending_as_it_does(function: Worker, queue: Any) -> None:
    """Run a function that may raise: the exit code is the same, and the exception is not the reader's."""
    try:
        function(queue)
    except Exception:
        sys.exit(1)


def _end_late(begun: Any) -> None:
    begun.set()
    time.sleep(0.4)


def _state(process: Any) -> tuple[bool, int | None]:
    """Return whether a process is alive, and its exit code; the reader may have closed it."""
    with contextlib.suppress(ValueError):
        return process.is_alive(), process.exitcode
    return False, None
