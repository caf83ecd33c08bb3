"""Workers of chapter 09, "Share, tell and wait"."""

import queue
from contextlib import suppress
from time import sleep


def add_when_all_have_read(number, barrier):
    """Read a number, wait until the others have read it, too, and write one more."""
    seen = number.value
    barrier.wait(timeout=30)
    number.value = seen + 1


def add_ones(number, barrier, count):
    """Add one to a number, many times."""
    barrier.wait(timeout=30)
    for _ in range(count):
        number.value += 1


def add_ones_locked(number, barrier, count):
    """Add one to a number, many times, and hold its lock for each whole step."""
    barrier.wait(timeout=30)
    for _ in range(count):
        with number.get_lock():
            number.value += 1


def move_coins(purses, count):
    """Move coins from one purse to another, and hold the lock while one is on its way."""
    for _ in range(count):
        with purses.get_lock():
            purses[0] -= 1
            purses[1] += 1


kept = None


def keep(number):
    """Keep a number in this process, for the tasks to come."""
    global kept
    kept = number


def add_to_kept(amount):
    """Add to the number that this process keeps."""
    with kept.get_lock():
        kept.value += amount


def count_visits(pages, barrier, count):
    """Count visits of a page in a shared dictionary; of the first, each process reads before one writes."""
    seen = pages["home"]
    barrier.wait(timeout=30)
    pages["home"] = seen + 1
    for _ in range(count - 1):
        pages["home"] += 1


def count_visits_locked(pages, barrier, count, lock):
    """Count visits of a page in a shared dictionary, under a lock."""
    barrier.wait(timeout=30)
    for _ in range(count):
        with lock:
            pages["home"] += 1


def fill_slots(memory, size, free, filled, count):
    """Fill a free slot of shared memory for each message, and hand its number over; then None."""
    for number in range(count):
        slot = free.get(timeout=30)
        memory.buf[slot * size : (slot + 1) * size] = bytes([number]) * size
        filled.put(slot)
    filled.put(None)
    memory.close()


def take_settings(name, inbox, outbox):
    """Say which settings arrive, until the sentinel None comes."""
    for setting in iter(inbox.get, None):
        outbox.put((name, setting))


def put_newest(box, message):
    """Put a message into a queue with maxsize=1, in place of an older one."""
    while True:  # without end only if a consumer was killed in its get, and has kept the lock
        try:
            return box.put_nowait(message)
        except queue.Full:
            with suppress(queue.Empty):
                box.get(timeout=0.01)


def film(box, pictures):
    """Put the numbers of many pictures, faster than anybody looks at them."""
    for number in range(pictures):
        put_newest(box, number)


def do_tasks(connection):
    """Do one task after the other, and say so, until None comes."""
    for task in iter(connection.recv, None):
        connection.send(f"{task} done")


def put_tagged(box, name, messages):
    """Put messages, each beside the name of who sends it."""
    for message in messages:
        box.put((name, message))


def answer_through(inbox):
    """Get a connection from a queue, and send a greeting through it."""
    with inbox.get(timeout=30) as connection:
        connection.send("hello")


def put_after_pauses(box, messages, pause):
    """Put each message after a pause of some seconds."""
    for message in messages:
        sleep(pause)
        box.put(message)


# The experiment: messages that go through slots of shared memory, or whole through a queue


def make_content(number, size):
    """Return what a message has in it: one byte that tells its number, again and again."""
    return bytes([number % 256]) * size


def check_content(number, content):
    """Raise ValueError when a message has been overwritten."""
    if {content[0], content[-1]} != {number % 256}:
        raise ValueError(f"message {number} was overwritten before it was read")


def write_into_slots(queue, free, segment, messages, size):
    """Write each message into a free slot, and put its number with that of the slot; then None."""
    for number in range(messages):
        content = make_content(number, size)
        slot = free.get()
        segment.buf[slot * size : (slot + 1) * size] = content
        queue.put((number, slot))
    queue.put(None)


def read_from_slots(queue, free, segment, size, pause):
    """Copy each message from its slot until None comes, give the slot back, and check the message."""
    for number, slot in iter(queue.get, None):
        content = bytes(segment.buf[slot * size : (slot + 1) * size])
        free.put(slot)
        check_content(number, content)
        sleep(pause)


def put_whole(queue, messages, size):
    """Put each message with its number; then None."""
    for number in range(messages):
        queue.put((number, make_content(number, size)))
    queue.put(None)


def get_whole(queue, pause):
    """Get messages until None comes, and check each."""
    for number, content in iter(queue.get, None):
        check_content(number, content)
        sleep(pause)


# For exercise 09.2: a program with a mistake, for the reader to find.


def enter_wrongly(index, page, words):
    """Enter a page under each of its words."""
    for word in words:
        index.setdefault(word, []).append(page)


def make_index(ctx, pages):
    """Have a process for each page enter it into a manager's dictionary; return what is in there then."""
    with ctx.Manager() as manager:
        index = manager.dict()
        for page, words in pages.items():
            process = ctx.Process(target=enter_wrongly, args=(index, page, words))
            process.start()
            process.join()
        return index.copy()
