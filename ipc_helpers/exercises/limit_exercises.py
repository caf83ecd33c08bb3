"""Exercises on fewer and cheaper messages, fair measurements and rings, chapter 10."""

from __future__ import annotations

from ipc_helpers.exercises import Exercise, Mistake, as_list, counted, expect_messages, listed, short
from ipc_helpers.exercises.limit_stand_ins import (
    MAKE,
    REPLY,
    SEND,
    START,
    by_the_clock,
    receiving,
    send_back,
    sending,
    with_late_queue,
)
from ipc_helpers.exercises.ring_stand_ins import (
    FIRST,
    LAST,
    PASSED,
    ROOMY,
    SLOTS,
    Produce,
    TakenRing,
    get_all,
    getting,
    put_all,
    putting,
    small_message,
    with_producer,
)
from ipc_helpers.exercises.trial_process import Trial, all_noted, gather_messages
from ipc_helpers.workers.torn_ring import SlotRing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ipc_helpers.exercises import Seen, Worker

BATCH = 4
COUNTS = {"some": 10, "even": 8, "none": 0}  # messages of a trial
LIGHT = 10_000  # bytes: more than the names, shapes and types of all records need
TRIPS = 5
MANY, LARGE = 300, 4096
EXIT = 9
IN_TURN = "the slots are used in turn: ring.count % ring.slots, and ring.count grows with each message"


def send_lists(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker put messages in lists: with some left over, with none left over, and with none."""
    trials, came = {}, {}
    for name, count in COUNTS.items():
        queue = ctx.Queue()
        about = f", with {counted(count, 'message')},"
        trials[name] = Trial(ctx, worker, queue, count, BATCH, around=with_late_queue, about=about), queue
    for name, (trial, queue) in trials.items():
        came[name] = gather_messages(queue, trial)
    noted = [trial.noted for trial, _ in trials.values()]
    if not all(noted):
        return {}
    return {
        **came,
        "returned": trials["some"][0].returned,
        "held": max(facts["held"] for facts in noted),
        "changed": any(facts["changed"] for facts in noted),
    }


@Exercise(
    "10.1",
    send_lists,
    TypeError="messages may be a generator: it has no length and no slices. Go through it once, with for",
    StopIteration="next() raises this where no message is left: a for loop ends by itself",
    RuntimeError="next() raises StopIteration where no message is left: a for loop ends by itself",
)
def _judge_send_lists(
    seen: Seen, some: list[Any], even: list[Any], none: list[Any], returned: Any, held: int, changed: bool
) -> str:
    some, even, none = ([as_list(message) for message in messages] for messages in (some, even, none))
    expect_messages(some, returned)
    if changed:
        what = f"a list was changed after put(), and out of the queue came {listed(some)}"
        hint = "put() returns before the feeder thread has pickled the list. Make a new list for what follows"
        raise Mistake(what, hint, "put")
    lists = [message for message in some if message is not None]
    if any(not isinstance(message, list) for message in lists):
        what = f"out of the queue came {listed(some[:3])}"
        raise Mistake(what, f"put lists, of {BATCH} messages each", "put")
    if lists and lists[-1] and lists[-1][-1] is None:
        what = f"the last list was {short(lists[-1])}"
        raise Mistake(what, "put None by itself, after the last list", "put", last=True)
    if longer := [message for message in lists if len(message) > BATCH]:
        what = f"size was {BATCH}, and a list has {len(longer[0])} messages"
        raise Mistake(what, "put a list as soon as it has so many, and begin a new one", "put")
    sent = [number for message in lists for number in message]
    if sent == list(range(COUNTS["some"] - COUNTS["some"] % BATCH)):
        what = f"there were {COUNTS['some']} messages, and the last {COUNTS['some'] % BATCH} did not come"
        raise Mistake(what, "after the loop, put what is left over", "put", last=True)
    for name, messages in {"some": some, "even": even, "none": none}.items():
        if [] in messages:
            what = f"there were {counted(COUNTS[name], 'message')}, and an empty list came"
            raise Mistake(what, "put what is left over only if there is something", "put", last=True)
        numbers = list(range(COUNTS[name]))
        lists = [numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH)]
        if messages == lists:
            what = "no None came after the last list"
            raise Mistake(what, "put None at the end, so that the consumer can stop", "put", last=True)
        if messages != [*lists, None]:
            what = f"there were {counted(COUNTS[name], 'message')}, and out of the queue came "
            what += listed(messages)
            raise Mistake(what, f"it should be {listed([*lists, None])}", "put")
    if held > BATCH:
        what = f"the worker held {held} messages back, and had not put them when it asked for the next"
        hint = (
            "there may be more than fit into memory, and they may come slowly: put each list once it is full"
        )
        raise Mistake(what, hint, "put", "list")
    return f"{COUNTS['some']} messages came in 3 lists, {COUNTS['even']} in 2, and no message was lost"


def receive_record(ctx: Any, send_record: Worker, worker: Worker) -> dict[str, Any]:
    """Have one process send three records with arrays, and another receive them."""
    receiver, sender = ctx.Pipe(duplex=False)
    sends = Trial(ctx, send_record, sender, around=sending)
    sender.close()
    receives = Trial(ctx, worker, receiver, around=receiving)
    receiver.close()
    return {**sends.noted, **receives.noted} if all_noted(receives, sends) else {}


@Exercise(
    "10.2",
    receive_record,
    deadline=60,  # NumPy takes its time on a busy machine
    recv="the other process has sent all it had. Receive as many messages as it sends, and no more",
    EOFError="nothing more comes. Receive as many messages for a record as the other process sends: how many "
    "buffers there are differs by record, so send their number, too",
    UnpicklingError="loads() needs all buffers, in their order: pickle.loads(data, buffers=buffers). And "
    "each receive has to get what the other process sent for it",
    TypeError="the bytes of a buffer, whatever its shape, are buffer.raw(), and a transposed array has "
    "to be copied before it is sent; or read what the exception says",
    PicklingError="send() makes a pickle, too. Send buffer.raw() with send_bytes()",
    BufferError="the bytes of a buffer, whatever its shape, are buffer.raw()",
    ValueError="loads() takes the buffers in the order in which buffer_callback got them. And "
    "buffer_callback needs protocol=5",
    BufferTooShort="the room has to be as long as the message: send the length of each buffer before",
)
def _judge_receive_record(seen: Seen, other: int, rows: int, differs: str, kept: bool, frozen: str) -> str:
    if rows:
        what = f"send_bytes() was given {rows} rows of bytes, and it counts the rows, not the bytes"
        hint = "give it the bytes of all rows, one after the other: buffer.raw(), or a flat array"
        raise Mistake(what, hint, "send_bytes", last=True)
    if differs:
        hint = "build the whole record again, and each array with its shape, its type and its bytes"
        raise Mistake(differs, hint, "loads", "receive_record")
    if not kept:
        what = "as the next record came, the arrays of the one before changed"
        raise Mistake(what, "receive each array into memory of its own", "recv_bytes_into", "receive_record")
    if other > LIGHT:
        what = (
            f"beside the bytes of the arrays, {other:,} bytes were sent: those of the arrays, once more or "
        )
        what += "inside a pickle"
        hint = "pickle.dumps(record, protocol=5, buffer_callback=buffers.append) leaves them out, and calls "
        hint += "append for each; what the callback returns has to be None"
        raise Mistake(what, hint, "dumps", "send", "send_record")
    if frozen:
        what = f"the record is right, and nobody can change {frozen}: the array is read-only"
        hint = "it lies in the bytes that loads() was given, which never change. Receive into a bytearray"
        raise Mistake(what, hint, "recv_bytes", "loads", last=True)
    return "three records came whole, and the bytes of their arrays went through no pickle"


def measure(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker measure round trips to another process, by a clock that goes on by what happens."""
    end, theirs = ctx.Pipe()
    other = ctx.Process(target=send_back, args=(theirs,), name="other")
    other.start()
    theirs.close()
    trial = Trial(ctx, worker, end, TRIPS, around=by_the_clock)
    end.close()
    trial.wait()
    other.join()
    return {"returned": trial.returned, **trial.noted} if trial.noted else {}


@Exercise(
    "10.3",
    measure,
    recv="one reply comes for each message that you send. Send first, then receive",
    poll="one reply comes for each message that you send. Send first, then receive",
    TypeError="make(number) returns a message, and clock() returns the seconds",
    OSError="the connection has to be open for all round trips",
)
def _judge_measure(seen: Seen, returned: Any, reads: int, sent: list[Any], most: int) -> str:
    trip = SEND + REPLY
    if not reads:
        raise Mistake("nobody looked at the clock", "clock() returns the time in seconds", "measure")
    if not isinstance(returned, (list, tuple)):
        what = f"measure() returned {short(returned)}"
        raise Mistake(what, "return a list, with the seconds of each round trip", "append", "measure")
    seconds = list(returned)
    if len(seconds) != TRIPS:
        what = f"there were {TRIPS} round trips to measure, and measure() returned {len(seconds)} times"
        raise Mistake(what, "return the seconds of each of them; the warm-up is one more", "range", "measure")
    if most > 1:
        what = f"{most} messages were under way at once"
        raise Mistake(what, "receive the reply to each before you send the next", "send", last=True)
    if reads <= TRIPS:
        what = f"for {TRIPS} round trips, the clock was read {reads} times"
        raise Mistake(what, "read it before and after each of them: they need not be alike", "clock")
    if any(not isinstance(second, (int, float)) or second < 0 for second in seconds):
        what = f"measure() returned {listed(seconds)}"
        raise Mistake(what, "each is a number of seconds: the clock after it, less the clock before", "clock")
    if seconds[0] >= START:
        what = f"the first round trip took {seconds[0]:g} seconds by the clock, and the last {seconds[-1]:g}"
        hint = "the other process was still starting: make one round trip first, and leave it out"
        raise Mistake(what, hint, "clock", "measure")
    if seconds == [number * trip for number in range(1, TRIPS + 1)]:
        what = f"the round trips took {listed(seconds)} seconds by the clock"
        raise Mistake(what, "read the clock before each of them", "clock")
    if min(seconds) >= trip + MAKE:
        what = f"a round trip took {seconds[0]:g} seconds by the clock, and {MAKE:g} of them went into make()"
        raise Mistake(what, "make a message before you read the clock", "make", last=True)
    if max(seconds) == SEND:
        what = "the clock was read before the reply had come"
        raise Mistake(what, "a round trip ends when the reply is there", "clock", last=True)
    if max(seconds) == REPLY:
        what = "the clock was read after the message was sent"
        raise Mistake(what, "a round trip begins with send(): read the clock before it", "clock")
    if seconds != [trip] * TRIPS:
        what = f"each round trip takes {trip:g} second by the clock, and measure() returned {listed(seconds)}"
        raise Mistake(what, "between two looks at the clock, send one message and receive its reply", "clock")
    expected = [b"message %d" % number for number in range(TRIPS)]
    if sent[-TRIPS:] != expected and sent[:TRIPS] != expected:
        what = f"the messages that were sent are {listed(sent)}"
        raise Mistake(what, f"measure make(0) to make({TRIPS - 1}), each once", "make", "measure", last=True)
    return f"{TRIPS} round trips took {trip:g} second each by the clock, and nothing else was measured"


def get_from(ctx: Any, put_into: Worker, worker: Worker) -> dict[str, Any]:
    """Have each end of a ring work with a stand-in that is quick; then both, in two processes."""
    puts, gets = Trial(ctx, put_into, around=putting), Trial(ctx, worker, around=getting)
    if not all_noted(puts, gets):
        return {}
    facts = {**puts.noted, **gets.noted}
    try:
        _judge_ends(**facts)
    except Mistake:  # with two processes, it might wait forever
        return {**facts, "good": 0}
    ring = SlotRing(ctx, SLOTS, LARGE)
    producer = Trial(ctx, put_into, ring, MANY, around=put_all, about=", in two processes,")
    consumer = Trial(ctx, worker, ring, MANY, around=get_all, about=", in two processes,")
    producer.wait()
    consumer.wait()
    return {**facts, "good": consumer.noted.get("good", 0)}


def _judge_ends(puts: list[tuple[Any, ...]], gets: list[tuple[Any, ...]]) -> None:
    for number, (calls, looks, there) in enumerate(puts):
        message = small_message(number)
        _expect_calls("put_into", calls, "free.acquire()", "filled.release()")
        if looks[0] == message:
            what = "a message was written into a slot before free.acquire() had returned"
            raise Mistake(what, "until then the consumer may still read the slot", "put_into")
        if there != message:
            what = f"message {number} belongs in slot {number % SLOTS}, and was not there"
            raise Mistake(what, IN_TURN, "put_into")
        if looks[1] != message:
            what = "the consumer was told by filled.release(), looked at once, and the message was not there"
            raise Mistake(what, "write the message first, and tell the consumer after that", "release")
    for number, (calls, got) in enumerate(gets):
        _expect_calls("get_from", calls, "filled.acquire()", "free.release()")
        if not isinstance(got, bytes):
            what = f"get_from() returned {short(got)}"
            raise Mistake(what, "return the message, as bytes", "get_from")
        if got == small_message(number + SLOTS):
            what = f"get_from() returned message {number + SLOTS} in place of message {number}: the slot was "
            what += "given back, and the producer filled it again at once"
            hint = "copy the message, and give the slot back after that. A slice of a memoryview is no copy: "
            hint += "bytes() makes one"
            raise Mistake(what, hint, "release", last=True)
        if number == 0 and got == bytes(len(got)):
            what = "get_from() read the slot before filled.acquire() had returned"
            raise Mistake(what, "wait first: until then the producer may still write", "get_from")
        if got != small_message(number):
            what = f"message {number} was in slot {number % SLOTS}, and get_from() returned another"
            raise Mistake(what, IN_TURN, "get_from")


def _expect_calls(function: str, calls: list[str], first: str, last: str) -> None:
    for call in (first, last):
        if call not in calls:
            hint = "each end waits for one semaphore, and releases the other"
            raise Mistake(f"{function}() did not call {call}", hint, function)
    if calls != [first, last]:
        what = f"{function}() called {', '.join(calls)}"
        hint = f"{first} waits, and {last} tells the other end: each of them once, in this order"
        raise Mistake(what, hint, function)


@Exercise(
    "10.4",
    get_from,
    running="one end waits for a semaphore that the other has to release",
    ValueError="a slot has ring.size bytes, and there are ring.slots of them: where does this one begin",
    TypeError="the messages are bytes; ring.memory is a memoryview",
    AttributeError="a ring has slots, size, count, memory, free and filled",
)
def _judge_get_from(seen: Seen, puts: list[tuple[Any, ...]], gets: list[tuple[Any, ...]], good: int) -> str:
    _judge_ends(puts, gets)
    if good < MANY:
        what = f"of {MANY} messages between two processes, {good} came whole and in their turn"
        raise Mistake(what, "each end counts its own messages, in ring.count", "put_into")
    return f"{PASSED} messages came whole however quick the other end was, and {MANY} between two processes"


def collect(ctx: Any, worker: Worker) -> dict[str, Any]:
    """Have a worker take the messages of a producer that dies, and of one that ends."""
    trials, rings = {}, {}  # the semaphores have to be there when a child opens them
    for name, exitcode in (("dies", EXIT), ("ends", 0)):
        waits, go = ctx.Pipe(duplex=False)
        rings[name] = TakenRing(ctx, ROOMY, len(FIRST[0]))
        about = f", whose producer {name},"
        produce = Produce(waits, exitcode)
        trials[name] = Trial(ctx, worker, ctx, produce, rings[name], go, around=with_producer, about=about)
        waits.close()
        go.close()
    if not all_noted(*trials.values()):
        return {}
    return {name: {"returned": trial.returned, **trial.noted} for name, trial in trials.items()}


@Exercise(
    "10.5",
    collect,
    deadline=40,  # a worker may wait a second each time that no message comes
    join="join() waits for the producer's end, and nobody takes what it puts meanwhile. Ask is_alive(), and "
    "go on until it has ended",
    recv="produce(ring) is for the process that you start: target=produce, args=(ring,)",
    TypeError="args is a tuple: (ring,), with its comma",
    RuntimeError="acquire ring.filled once before each take()",
    AttributeError="a ring has filled, a semaphore, and take(), which returns a message",
    AssertionError="a process is made, then started once; and is_alive() is for the process that started it",
)
def _judge_collect(seen: Seen, dies: dict[str, Any], ends: dict[str, Any]) -> str:
    messages = [*FIRST, *LAST]
    for facts, how, exitcode in ((dies, "died", EXIT), (ends, "ended", 0)):
        if facts["forever"]:
            what = f"the producer had {how}, and collect() waited for its next message, forever"
            hint = "give acquire() a timeout, and ask is_alive() each time that it returned False"
            raise Mistake(what, hint, "acquire", "collect")
        if facts["alive"]:
            what = "the producer was alive, and silent for a while, and collect() gave it up"
            hint = "that no message comes does not mean that it is dead: ask is_alive()"
            raise Mistake(what, hint, "acquire", "collect")
        returned = facts["returned"]
        if not (
            isinstance(returned, (list, tuple))
            and len(returned) == 2
            and isinstance(as_list(returned[0]), list)
        ):
            what = f"collect() returned {short(returned)}"
            raise Mistake(what, "return two things: a list of messages, and the exit code", "collect")
        got = as_list(returned[0])
        if len(got) + facts["left"] < len(messages):
            what = f"the producer had {len(messages)} messages to put, and collect() returned {len(got)}"
            raise Mistake(what, "start it, and go on until it has ended by itself", "collect")
        if got != messages and got == messages[: len(got)]:
            what = f"the producer put {len(messages)} messages and {how}, and collect() returned {len(got)}: "
            what += f"{facts['left']} were still in the ring"
            hint = (
                "it may put some after your acquire() gave up, and end before you ask is_alive(). Once you "
            )
            hint += "know that it has ended, look into the ring once more"
            raise Mistake(what, hint, "is_alive", "acquire")
        if got != messages:
            what = f"the producer put {listed(messages)}, and collect() returned {listed(got)}"
            raise Mistake(what, "call take() once for each acquire() that returned True", "take", "acquire")
        if returned[1] != exitcode:
            what = (
                f"the producer {how} with exit code {exitcode}, and collect() returned {short(returned[1])}"
            )
            raise Mistake(what, "the process has it: exitcode, once it has ended", "exitcode", "collect")
    return f"all {len(messages)} messages came from a producer that died, and from one that ended by itself"
