"""Programs with one mistake each, or with none, for the tests of diagnose."""

from __future__ import annotations

import itertools
import operator
import os
import re
import signal
import sys
import threading
import time
import types
from queue import Empty
from typing import TYPE_CHECKING, Any

from ipc_helpers import WorkerGroup
from ipc_helpers.child import diagnosis_probe

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 200_000  # bytes: more than a pipe holds


def fill(box: Any, count: int, size: int) -> None:
    for _ in range(count):
        box.put(bytes(size))


def collect(box: Any) -> None:
    while box.get() is not None:
        pass


def listen(end: Any) -> None:
    try:
        while True:
            end.recv()
    except EOFError:
        pass


def say(end: Any, words: list[str]) -> None:
    for word in words:
        end.send(word)


def fail(box: Any, number: int) -> None:
    box.put(1 // number)


def put_a_lambda(box: Any) -> None:
    box.put(lambda: 1)
    box.put("after it")


def take_with_lock(box: Any, up: Any) -> None:
    up.set()
    box.get()


def leave_a_part(end: Any) -> None:
    os.write(end.fileno(), b"\0\0\1\0half")
    os.kill(os.getpid(), signal.SIGKILL)


def work(tasks: Any) -> None:
    while (task := tasks.get()) is not None:
        if task == "bad":
            sys.exit(3)
        tasks.task_done()


# The programs: each takes a context.


def started(ctx: Any, target: Callable[..., object], *args: Any, **options: Any) -> Any:
    child = ctx.Process(target=target, args=args, **options)
    child.start()
    return child


def start_and_forget(ctx: Any) -> Any:
    return started(ctx, fill, ctx.Queue(), 1, 1, name="forgotten")


def let_go(ctx: Any) -> Any:
    """Start a child with a queue that nobody refers to any more when the child reads its arguments."""
    child = start_and_forget(ctx)
    child.join()
    return child.exitcode


def healthy(ctx: Any) -> int:
    box = ctx.Queue()
    source = started(ctx, fill, box, 3, SIZE, name="source")
    total = sum(len(box.get(timeout=10)) for _ in range(3))
    source.join()
    return total


def healthy_pipe(ctx: Any) -> list[str]:
    ours, theirs = ctx.Pipe(duplex=False)
    speaker = started(ctx, say, theirs, ["one", "two"])
    theirs.close()
    words = []
    try:
        while True:
            words.append(ours.recv())
    except EOFError:
        speaker.join()
        return words


def prints(ctx: Any) -> None:
    print("printed by main")


def join_first(ctx: Any) -> None:
    box = ctx.Queue()
    source = started(ctx, fill, box, 1, SIZE, name="source")
    source.join()
    box.get()


def join_first_over_a_pipe(ctx: Any) -> None:
    ours, theirs = ctx.Pipe()
    speaker = started(ctx, say, theirs, ["x" * 1_000_000], name="speaker")
    speaker.join()
    ours.recv()


def no_sentinel(ctx: Any) -> None:
    box = ctx.Queue()
    readers = [started(ctx, collect, box) for _ in range(3)]
    box.put(None)
    for reader in readers:
        reader.join()


def one_get_too_many(ctx: Any) -> None:
    box = ctx.Queue()
    started(ctx, fill, box, 2, 10)
    for _ in range(3):
        box.get()


def open_end(ctx: Any) -> None:
    ours, theirs = ctx.Pipe(duplex=False)
    listener = started(ctx, listen, ours, name="listener")
    theirs.send("hello")
    listener.join()


def open_end_in_main(ctx: Any) -> None:
    ours, theirs = ctx.Pipe(duplex=False)
    started(ctx, say, theirs, ["one"], name="speaker")
    listen(ours)


def bad_message(ctx: Any) -> None:
    box = ctx.Queue()
    started(ctx, put_a_lambda, box, name="source")
    while box.get() != "never":
        pass


def bad_message_at_the_end(ctx: Any) -> None:
    box = ctx.SimpleQueue()
    later = ctx.Queue()
    later.put(lambda: 1)
    box.put(1)


def worker_fails(ctx: Any) -> None:
    box = ctx.Queue()
    started(ctx, fail, box, 0, name="divider")
    box.get()


def worker_fails_and_nobody_gets(ctx: Any) -> None:
    box = ctx.Queue()
    divider = started(ctx, fail, box, 0, name="divider")
    box.put(bytes(SIZE))
    divider.join()


def start_what_a_child_cannot_find(ctx: Any) -> None:
    globals()["mine"] = mine = types.FunctionType(fail.__code__, {}, "mine")
    mine.__module__, mine.__qualname__ = __name__, "mine"
    started(ctx, mine, bytes(SIZE), 0)


def worker_leaves(ctx: Any) -> None:
    box = ctx.Queue()
    started(ctx, os._exit, 7, name="leaver")
    box.get()


def killed_consumer(ctx: Any, after: float = 0.3) -> None:
    box = ctx.Queue()
    up = ctx.Event()
    first = started(ctx, take_with_lock, box, up, name="first")
    up.wait(10)
    time.sleep(after)
    first.kill()
    first.join()
    box.put("for the second")
    second = started(ctx, collect, box, name="second")
    second.join()


def killed_after_a_long_wait(ctx: Any) -> None:
    killed_consumer(ctx, after=2)


def killed_in_a_message(ctx: Any) -> None:
    ours, theirs = ctx.Pipe(duplex=False)
    started(ctx, leave_a_part, theirs, name="writer")
    ours.recv()


def unfinished(ctx: Any) -> None:
    tasks = ctx.JoinableQueue()
    tasks.put("one")
    tasks.put("two")
    tasks.get()
    tasks.task_done()
    tasks.join()


def dead_worker(ctx: Any) -> None:
    tasks = ctx.JoinableQueue()
    started(ctx, work, tasks, name="worker", daemon=True)
    tasks.put("good")
    tasks.put("bad")
    tasks.join()


def full_queue(ctx: Any) -> None:
    box = ctx.Queue(2)
    for number in range(3):
        box.put(number)


def both_listen(ctx: Any) -> None:
    ours, theirs = ctx.Pipe()
    started(ctx, bounce, theirs, name="other")
    theirs.close()
    ours.recv()


def both_send(ctx: Any) -> None:
    ours, theirs = ctx.Pipe()
    left = started(ctx, say, ours, ["x" * 1_000_000], name="left")
    right = started(ctx, say, theirs, ["x" * 1_000_000], name="right")
    left.join()
    right.join()


def unasked(ctx: Any) -> None:
    manager = ctx.Manager()
    pool = ctx.Pool(1)
    pool.apply_async(divmod, (1, 0))
    time.sleep(60)
    del manager, pool


def raises_in_with(ctx: Any) -> None:
    try:
        raise ValueError("own")
    finally:
        time.sleep(0.01)


def left_over(ctx: Any) -> None:
    letters = ctx.Queue()
    source = started(ctx, fill, letters, 3, 10)
    letters.get(timeout=10)
    source.join()


def main_fails(ctx: Any) -> None:
    ctx.Queue().get(timeout=0.01)


def busy(ctx: Any) -> None:
    # On one line: which of its lines a loop is in differs by version.
    all(True for _ in itertools.count())


def grandchildren(ctx: Any) -> None:
    started(ctx, no_sentinel, ctx, name="child").join()


def healthy_group(ctx: Any) -> int:
    with WorkerGroup(ctx, deadline=30) as group:
        child = group.start(operator.add, 2, 3)
    return child.result


def deletes_an_end(ctx: Any) -> str:
    receiver, sender = ctx.Pipe(duplex=False)
    ctx.Queue().close()
    del sender
    try:
        receiver.recv()
    except EOFError:
        return "the end of the pipe"
    return "?"


def keeps_what_locals_said(ctx: Any) -> list[str]:
    said = locals()
    later = ctx.Queue()
    ctx.Queue().close()
    later.close()
    return sorted(said)


def two_queues_in_a_line(ctx: Any) -> None:
    words, counts = ctx.Queue(), ctx.Queue()
    words.put("one")
    words.put("two")
    counts.put(1)


def a_list_of_queues(ctx: Any) -> None:
    boxes = [ctx.Queue() for _ in range(3)]
    boxes[1].put("one")
    boxes[2].put("two")
    boxes[2].put("three")


def terminates_a_daemon_in_get(ctx: Any, by_signal: bool) -> None:
    notices = ctx.Queue()
    helper = started(ctx, collect, notices, daemon=True)
    while not notices._rlock._semlock._is_zero():  # until it is inside get
        time.sleep(0.01)
    if by_signal:
        os.kill(helper.pid, signal.SIGTERM)
    else:
        helper.terminate()
    helper.join()
    notices.put("closed for today")
    notices.get()


def terminates_a_daemon_at_its_end(ctx: Any) -> None:
    helper = started(ctx, time.sleep, 300, daemon=True)
    helper.terminate()
    helper.join()


def answer(sender: Any, program: Callable[..., Any], *args: Any) -> None:
    sender.send(program(*args))


def healthy_pool(ctx: Any) -> list[int]:
    with ctx.Pool(2) as pool:
        return pool.map_async(abs, [-1, -2]).get(timeout=10)


def late_for_its_pool(ctx: Any) -> list[int]:
    with ctx.Pool(1) as pool:
        answers = pool.imap(abs, itertools.repeat(-1, 1_000))
    return list(answers)


def give_up_late(ctx: Any) -> str:
    try:
        ctx.Queue().get(timeout=1.5)
    except Empty:
        return "Empty"
    return "?"


def stop_oneself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def stopped(ctx: Any) -> None:
    started(ctx, stop_oneself, name="sleeper").join()


def holds_the_interpreter(ctx: Any) -> None:
    re.fullmatch(r"(a+)+", "a" * 80 + "b")


def leave_main(ctx: Any) -> None:
    os._exit(5)


def kill_main(ctx: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# Programs that wait as stuck ones do, but for something that comes.


def pause_below(ctx: Any) -> None:
    """Have a child start a child that sleeps."""
    started(ctx, pause, ctx).join()


def pause(ctx: Any) -> None:
    started(ctx, time.sleep, 60).join()


def get_late(ctx: Any) -> str:
    box = ctx.Queue()
    started(ctx, put_late, box)
    return box.get()


def put_late(box: Any) -> None:
    time.sleep(1.5)
    box.put("late")


def get_from_a_thread(ctx: Any) -> str:
    box = ctx.Queue()
    threading.Thread(target=put_late, args=(box,)).start()
    return box.get()


class Slow:
    """A message that takes a while to pickle, in code of its own."""

    def __reduce__(self) -> tuple[Any, ...]:
        time.sleep(2.5)
        return str, ("slow",)


def put_slow(box: Any, thanks: Any) -> None:
    box.put(Slow())
    thanks.get()


def get_slow(ctx: Any) -> str:
    """Wait in get() for what the feeder thread of somebody who waits in get() is at work on."""
    box, thanks = ctx.Queue(), ctx.Queue()
    source = started(ctx, put_slow, box, thanks)
    message = box.get()
    thanks.put("thanks")
    source.join()
    return message


def bounce(end: Any) -> None:
    while (ball := end.recv()) is not None:
        end.send(ball)


def play(ctx: Any) -> str:
    """Wait in recv() nearly all the time, each time for another message."""
    ours, theirs = ctx.Pipe()
    player = started(ctx, bounce, theirs)
    ends_at = time.monotonic() + 1.5
    while time.monotonic() < ends_at:
        ours.send("ball")
        ours.recv()
    ours.send(None)
    player.join()
    return "played"


def join_and_go_on(ctx: Any) -> str:
    """Wait for a child for longer than it takes to tell a stuck tree, then do something else."""
    started(ctx, time.sleep, 1.2).join()
    time.sleep(0.4)
    return "joined"


def listen_alone(end: Any, other: Any) -> None:
    other.close()
    listen(end)


def drop_an_end(ctx: Any) -> str:
    """Have the end of a pipe come from an end that nothing refers to any more, once it was looked at."""
    ours, theirs = ctx.Pipe(duplex=False)
    listener = started(ctx, listen_alone, ours, theirs)
    time.sleep(0.6)
    del theirs
    listener.join()
    return "ended"


def read_exit_codes(ctx: Any) -> set[Any]:
    """Join children while another thread looks at their exit codes, all the time."""
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            diagnosis_probe._exitcodes()

    looker = threading.Thread(target=look)
    looker.start()
    codes = set()
    for _ in range(40):
        child = started(ctx, os._exit, 7)
        child.join()
        codes.add(child.exitcode)
    over.set()
    looker.join()
    return codes


LARGE = 200_000_000  # bytes


def send_large(end: Any) -> None:
    end.send_bytes(bytes(LARGE))


def receive_large(ctx: Any) -> int:
    """Receive a message that takes a while, in one call on either side."""
    ours, theirs = ctx.Pipe(duplex=False)
    if sys.platform == "linux":  # through a page at a time: a second and more
        import fcntl

        fcntl.fcntl(theirs.fileno(), fcntl.F_SETPIPE_SZ, 4096)
    sender = started(ctx, send_large, theirs)
    theirs.close()
    size = len(ours.recv_bytes())
    sender.join()
    return size
