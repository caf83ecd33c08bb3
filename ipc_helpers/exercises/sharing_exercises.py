"""Exercises on shared values, managers and memory, the newest message, and asyncio, chapter 09."""

from __future__ import annotations

from contextlib import suppress

from ipc_helpers.exercises import (
    Exercise,
    Mistake,
    as_list,
    counted,
    listed,
    short,
)
from ipc_helpers.exercises.sharing_stand_ins import (
    LIMIT,
    MANY,
    MOMENT,
    OFTEN,
    PATIENCE,
    at_counter,
    in_a_loop,
    noting_memory,
    three_times,
    tickets_with_gate,
    with_slot,
)
from ipc_helpers.exercises.trial_process import Trial, all_noted, brief, gather_messages
from ipc_helpers.workers.sharing_workers import make_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ipc_helpers.exercises import Seen, Worker

TICKETS = 30
ORDERS = ([3, 2, 1, 3, 2, 1, 3], [1, 2, 3, 1, 2, 3, 1])
PAGES = {1: ["pipe", "queue"], 2: ["pipe", "value"]}
INDEX = {"pipe": [1, 2], "queue": [1], "value": [2]}
COUNT = 8  # items of the shared array
PARTS = ((1, 3), (4, 7))
UNTOUCHED = -1.0
LONG = 8  # seconds


def sell(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have two processes sell tickets, and one sell the last, while others take one as the lock is free."""
    many, gate = tickets_with_gate(ctx, TICKETS)
    last, last_gate = tickets_with_gate(ctx, 2)
    trials = [Trial(ctx, worker, many, orders, around=at_counter) for orders in ORDERS]
    trials.append(Trial(ctx, worker, last, [2], around=at_counter, about=", with two tickets left,"))
    if not all_noted(*trials):
        return {}
    calls = [call for trial in trials for call in trial.noted["calls"]]
    held = any(trial.noted["held"] for trial in trials)
    return {"calls": calls, "held": held, "many": gate.facts(), "last": last_gate.facts()}


@Exercise(
    "09.1",
    sell,
    TypeError="tickets is the object that all processes have; the number in it is tickets.value",
    AttributeError="the number is tickets.value, and its lock is what tickets.get_lock() returns",
)
def _judge_sell(
    seen: Seen, calls: list[tuple[Any, ...]], held: bool, many: dict[str, int], last: dict[str, int]
) -> str:
    own = ("Lock", "RLock", "Semaphore")
    if held:
        what = "sell() returned, and still held the lock"
        raise Mistake(what, "release it in each case; a with block does that by itself", "acquire")
    for wanted, said, _ in calls:
        if said not in (True, False):
            what = f"sell() returned {short(said)} to somebody who wanted {wanted}"
            raise Mistake(what, "return True or False")
    if many["unlocked"] or last["unlocked"]:
        what = "the number was changed while nobody held its lock"
        hint = "get_obj() leads past the lock: hold what get_lock() returns"
        raise Mistake(what, hint, "get_obj", ".value")
    if calls[-1][1] and last["left"] == 2 - last["sold"]:
        what = "sell() returned True, and the number in the value was still the same"
        raise Mistake(what, "assign the new number to tickets.value", ".value")
    sold = many["sold"] + last["sold"] + sum(wanted for wanted, said, _ in calls if said)
    fewer = TICKETS + 2 - many["left"] - last["left"]
    if fewer != sold:
        what = "somebody else sold a ticket between a read and a write of tickets.value, and this was lost"
        if seen.calls(*own):
            hint = "a lock that each process makes for itself keeps nobody out: take that of the value, "
            hint += "get_lock()"
            raise Mistake(what, hint, *own)
        hint = "tickets.value -= wanted reads, and then writes. Hold the lock of the value for both"
        raise Mistake(what, hint, ".value")
    if many["lowest"] < 0 or last["lowest"] < 0:
        what = "there were 2 tickets and somebody wanted 2; another one was sold after you had looked, and "
        what += f"{last['lowest']} were left"
        hint = "look and take in one block: between two blocks the lock is free"
        raise Mistake(what, hint, ".value")
    for wanted, said, low in calls:
        if said is False and low >= wanted:
            what = f"somebody wanted {wanted}, there were {low}, and sell() returned False"
            raise Mistake(what, "sell as long as there are enough, down to 0")
    return "no ticket was sold twice, and none was lost, whoever else sold one in between"


def enter(ctx: Any, predict: Worker, worker: Worker) -> dict[str, Any]:
    """Have a process for each of two pages enter it into an index; run the wrong program, too."""
    predicted, program = Trial(ctx, predict), Trial(ctx, make_index, ctx, PAGES)
    with ctx.Manager() as manager:
        index = manager.dict()
        for page, words in PAGES.items():
            Trial(ctx, worker, index, page, list(words), about=f", for page {page},").wait()
        found = brief(index.copy())
    return {"index": found, "predicted": predicted.wait(), "program": program.wait()}


@Exercise(
    "09.2",
    enter,
    deadline=60,  # two managers, and six other processes
    KeyError="a word that is not in the index yet has no list there: index.get(word, [])",
    AttributeError="index.get(word, []) has a list for a new word, too; append() changes a list, and returns "
    "None",
    TypeError="under each word is a list of pages; append() changes it, and returns None",
)
def _judge_enter(seen: Seen, index: dict[str, Any], predicted: Any, program: dict[str, Any]) -> str:
    index = {word: as_list(pages) for word, pages in index.items()}
    if not index:
        what = "the index is empty"
        hint = "the others see what is assigned to index[word]; a list that you made is yours alone"
        raise Mistake(what, hint, "append", "get")
    if not any(index.values()):
        what = f"the index has the words, and no page: {short(index)}"
        hint = "index[word] returns a copy of the list. Change it, and assign it to index[word] again"
        raise Mistake(what, hint, "append", "extend", "insert")
    if index == {"pipe": [2], "queue": [1], "value": [2]}:
        what = f"under 'pipe', which is on both pages, is {short(index['pipe'])}"
        raise Mistake(what, "keep the pages that the list has, and add yours", "enter")
    if index != INDEX:
        what = f"the index is {short(index)}"
        raise Mistake(what, f"for pages {short(PAGES)}, it is {short(INDEX)}", "enter")
    if predicted != program:
        what = f"your prediction was {short(predicted)}, and the program returned {short(program)}"
        hint = "setdefault() stores the empty list, and returns a copy of it. Who gets what is appended?"
        raise Mistake(what, hint, "predict")
    return f"the index is {INDEX}; the program had returned what you predicted"


def fill_part(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have two processes fill their parts of a shared array."""
    from multiprocessing.shared_memory import SharedMemory  # other trials' children do not need it

    shared: Any = SharedMemory(create=True, size=8 * COUNT)
    try:
        with shared.buf.cast("d") as items:
            for index in range(COUNT):
                items[index] = UNTOUCHED
        trials = [Trial(ctx, worker, shared.name, *part, around=noting_memory) for part in PARTS]
        codes = [trial.join() for trial in trials]
        with shared.buf.cast("d") as items:
            found = [items[index] for index in range(COUNT)]
    finally:
        shared.close()
        shared.unlink()
    return {
        "items": found,
        "codes": codes,
        "attached": min(trial.noted.get("attached", 0) for trial in trials),
        "open": max(trial.noted.get("open", 0) for trial in trials),
        "unlinked": any(trial.noted.get("unlinked") for trial in trials),
    }


@Exercise(
    "09.3",
    fill_part,
    deadline=60,  # NumPy takes its time on a busy machine
    BufferError="a view of the memory is still there. Give it up with release(), or by the end of its with "
    "block, and close after that",
    FileExistsError="the memory is there already: attach to it by its name, without create=True",
    FileNotFoundError="attach to the memory by the name that you were given",
    TypeError="shared.buf is made of bytes, and each item takes eight of them: make a view with cast('d')",
    IndexError="the view has one item for each double: make it with cast('d')",
    ValueError="a view can't be used once it is released, nor the memory once it is closed; or what else "
    "does the exception say",
)
def _judge_fill_part(
    seen: Seen, items: list[float], codes: list[int], attached: int, open: int, unlinked: bool
) -> str:
    expected = [
        index / 2 if any(start <= index < stop for start, stop in PARTS) else UNTOUCHED
        for index in range(COUNT)
    ]
    if died := [code for code in codes if code]:
        what = f"the process ended with exit code {died[0]}"
        hint = (
            "an array of NumPy does not know that its memory is closed, and whoever touches it then is ended "
        )
        hint += "by the system. Use it, delete it, and close after that"
        raise Mistake(what, hint, "close")
    if not attached:
        what = "fill_part() did not attach to the memory"
        raise Mistake(what, "SharedMemory(name) does, without create=True")
    if unlinked:
        what = "fill_part() unlinked the memory, which others still need"
        hint = "each process closes what it has attached to; the one that made the memory unlinks it"
        raise Mistake(what, hint, "unlink")
    if open:
        what = "the memory was still open when fill_part() returned"
        raise Mistake(what, "give up the view, and then call close()", "SharedMemory")
    others = [index for index, item in enumerate(items) if item != expected[index] == UNTOUCHED]
    if others:
        what = f"the parts were {' and '.join(f'{start} to {stop - 1}' for start, stop in PARTS)}, and item "
        what += f"{others[0]} was changed"
        hint = "write the items from start to stop - 1, at their own places; an item takes eight bytes"
        raise Mistake(what, hint, "range", "cast")
    if items != expected:
        what = f"the array is {listed(items)}"
        raise Mistake(
            what, f"it should be {listed(expected)}: half of its index for each item", "range", "cast"
        )
    return "two processes filled their parts, closed the memory, and left it to its owner"


def replace(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker put a message into a queue for one: empty, full, and while others get or put."""
    slots = {
        "empty": ", with an empty queue,",
        "old": ", with an old message in the queue,",
        "taken": ", with a consumer that is quicker,",
        "unwritten": ", with an old message that is on its way,",
    }
    trials = {
        event: Trial(ctx, worker, ctx, event, around=with_slot, about=about) for event, about in slots.items()
    }
    if not all_noted(*trials.values()):
        return {}
    facts = {event: trial.noted for event, trial in trials.items()}
    if any(slot["again"] for slot in facts.values()):  # it would try on and on
        return {**facts, "quick": ([], [])}
    messages = ctx.Queue(maxsize=1)
    quick = Trial(ctx, worker, messages, around=three_times, about=", three times in a row,")
    quick.wait()
    left = gather_messages(messages, quick)
    return {**facts, "quick": (quick.noted["returned"], left)} if quick.noted else {}


@Exercise(
    "09.4",
    replace,
    put="put() waits for room, and nobody makes any. Which method raises queue.Full at once?",
    get="get() waits for a message, and a consumer may have taken it. Which method raises queue.Empty?",
    Full="between your get and your put the queue may be full again, and an old message that is not written "
    "yet can't be got. Catch queue.Full, and try again",
    Empty="there was nothing to get: a consumer was quicker, or the old message of a full queue is not "
    "yet in the pipe. Catch queue.Empty, and try again",
)
def _judge_replace(
    seen: Seen,
    empty: dict[str, Any],
    old: dict[str, Any],
    taken: dict[str, Any],
    unwritten: dict[str, Any],
    quick: tuple[list[Any], list[Any]],
) -> str:
    for slot in (empty, old, taken, unwritten):
        if slot["waited"] > MOMENT:
            what = f"put() was given {slot['waited']} seconds, and waited for room that nobody made"
            raise Mistake(what, "nobody has to wait: put_nowait() raises queue.Full at once", "put")
        if slot["again"]:
            what = f"the queue was full, and was asked {MANY} times in a row whether it still was"
            raise Mistake(what, "do not wait for a consumer: get the old message yourself", "put", "full")
    if empty["left"] != ["new"]:
        what = f"into an empty queue went {listed(empty['left'])}"
        raise Mistake(what, "put the message, once", "put")
    if old["left"] == ["old"]:
        what = "the old message stayed in the queue, and the new one was dropped"
        raise Mistake(what, "get the old message out, and put the new one", "put")
    if old["left"] != ["new"]:
        what = f"there was an old message, and in the end {listed(old['left'])} was in the queue"
        raise Mistake(what, "once the old message is out, put the new one", "get", "put")
    if taken["left"] != ["new"]:
        what = "a consumer took the old message before you got it, and in the end "
        what += f"{listed(taken['left'])} was in the queue"
        raise Mistake(what, "then there is room: put the new message", "get", "put")
    if unwritten["left"] != ["new"]:
        what = "an old message was on its way into the pipe and could not be got yet, and in the end "
        what += f"{listed(unwritten['left'])} was in the queue"
        raise Mistake(what, "try again, until the new message is in the queue", "get", "put")
    if quick[1] != ["c"]:
        what = f"of the messages a, b and c, put in this order, {listed(quick[1])} was left"
        raise Mistake(what, "try again, until the new message is in the queue", "get", "put")
    for slot, out in ((empty, None), (old, "old"), (taken, None), (unwritten, "old")):
        if slot["returned"] != out:
            took = "nothing" if out is None else short(out)
            what = f"replace() took {took} out of the queue, and returned {short(slot['returned'])}"
            raise Mistake(what, "return the message that you got, and None without one", "get")
    if quick[0] != [None, "a", "b"]:
        what = f"of the messages a, b and c, put in this order, it took out {listed(quick[0])}"
        raise Mistake(what, "return the message that you got, and None without one", "get")
    return "the newest message was left each time, whoever else got or had put one in between"


def receive(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a coroutine wait for a message beside a ticker, and for one that never comes."""
    messages, silent = ctx.Queue(), ctx.Queue()
    ticks, told = ctx.Pipe(duplex=False)
    some = Trial(ctx, worker, messages, LONG, told, around=in_a_loop)
    none = Trial(ctx, worker, silent, LIMIT, None, around=in_a_loop, about=", without a message,")
    told.close()
    with suppress(EOFError), ticks:
        ticks.recv()
        messages.put("news")
        messages.cancel_join_thread()  # nobody may get it
    return {"some": some.noted, "none": none.noted} if all_noted(some, none) else {}


@Exercise(
    "09.5",
    receive,
    deadline=40,
    running="once the seconds are over it has to return, and nothing of its own may stop the loop",
    Empty="the time is over and no message came: catch queue.Empty, and return None",
    TimeoutError="the time is over: return None. And what does the thread do that still waits in get()?",
    RuntimeError="the loop runs already: await what you wait for",
    TypeError="await takes a coroutine; to_thread() takes the function itself, and then its arguments",
)
def _judge_receive(seen: Seen, some: dict[str, Any], none: dict[str, Any]) -> str:
    waits = ("get", "to_thread", "run_in_executor", "wait_for", "timeout", "wait")
    for answer in (some, none):
        if not answer["awaitable"]:
            what = f"receive() returned {short(answer['returned'])} to a caller that awaits it"
            raise Mistake(what, "a coroutine begins with async def")
        if answer["blocked"]:
            what = "get() waited in the thread of the event loop, and the whole loop stood still"
            raise Mistake(what, "have another thread wait: asyncio.to_thread()", "get")
    if some["ticks"] < OFTEN and some["took"] < LONG - 1:
        what = f"receive() returned {short(some['returned'])} before a message had come"
        raise Mistake(what, "await the message", *waits)
    if some["ticks"] < OFTEN:
        what = f"the ticker ticked {some['ticks']} times while receive() waited, and then stood still"
        raise Mistake(
            what, "nothing may wait in the thread of the loop but an await", "sleep", "poll", *waits
        )
    if some["returned"] != "news":
        what = f"the message was 'news', and receive() returned {short(some['returned'])}"
        raise Mistake(what, "return the message", *waits)
    if none["late"]:
        what = f"receive() had {LIMIT} seconds and got no message, and still waited after {LIMIT + PATIENCE}"
        raise Mistake(what, "give get() the seconds as its timeout", *waits)
    if none["threads"]:
        what = f"receive() returned, and {counted(none['threads'], 'thread')} still waited in get()"
        hint = (
            "a thread can't be cancelled, and this one takes the next message, for nobody. Give get() itself "
        )
        hint += "the timeout"
        raise Mistake(what, hint, *waits)
    if none["returned"] is not None:
        what = f"no message came, and receive() returned {short(none['returned'])}"
        raise Mistake(what, "return None then", *waits)
    return "the loop went on while receive() waited; without a message it returned None in time"
