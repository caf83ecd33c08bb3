"""Workers of chapter 05, "Build programs from queues and pipes"."""

import math
import sys
from contextlib import suppress
from time import sleep


def put_all(queue, messages):
    """Put each message."""
    for message in messages:
        queue.put(message)


def get_all(queue, seen):
    """Get messages until the sentinel None comes; then put the list of them into another queue."""
    seen.put(list(iter(queue.get, None)))


def answer_all(tasks, results, function):
    """Put each task and what a function makes of it, until the sentinel None comes."""
    for task in iter(tasks.get, None):
        results.put((task, function(task)))


def answer_or_report(tasks, results, function):
    """Answer all tasks; where the function raises, put the name of the exception instead."""
    for task in iter(tasks.get, None):
        try:
            results.put((task, function(task)))
        except Exception as error:
            results.put((task, type(error).__name__))


def finish_on_request(tasks, taken, requests):
    """Say when a task is taken, finish it on request; until the sentinel None comes."""
    while True:
        task = tasks.get()
        try:
            if task is None:
                return
            taken.release()
            if not requests.acquire(timeout=30):
                raise TimeoutError("no request came")
        finally:
            tasks.task_done()


def reply(connection, permits):
    """Reply to numbered requests, a permit for each; until None comes or the other end is closed."""
    with suppress(EOFError, OSError):
        for number, text in iter(connection.recv, None):
            if not permits.acquire(timeout=30):
                raise RuntimeError("no permit came")
            connection.send((number, text.upper()))


def answer_requests(connection, function):
    """Send what a function makes of each request, until the request None comes."""
    for request in iter(connection.recv, None):
        connection.send(function(request))


def take_and_exit(connection, function):
    """Take one request, and end with exit code 3 and without an answer."""
    connection.recv()
    sys.exit(3)


def stage(inbox, outbox, function):
    """Put what a function makes of each message into the next queue; pass the sentinel None on."""
    for message in iter(inbox.get, None):
        outbox.put(function(message))
    outbox.put(None)


def put_slowly(queue, messages, pause):
    """Put each message, after a pause of some seconds; then the sentinel None."""
    for message in messages:
        sleep(pause)
        queue.put(message)
    queue.put(None)


def take_time(seconds, message):
    """Take some seconds, and return the message as it is."""
    sleep(seconds)
    return message


def square(number):
    """Return the square."""
    return number * number


def add_one(memory, start, stop):
    """Add 1 to some bytes of a shared memory, then close it in this process."""
    numbers = memory.buf
    assert numbers is not None, "it was closed"
    for index in range(start, stop):
        numbers[index] += 1
    memory.close()


# The exercises: a program with a mistake, for the reader to find


def answer_wrongly(tasks, results, function):
    """Put each task and its answer, until None comes: with a mistake, for the reader to find."""
    while (task := tasks.get()) is not None:
        try:
            results.put((task, function(task)))
            tasks.task_done()
        except ValueError:
            results.put((task, "ValueError"))


def find_roots(ctx):
    """Have a worker answer three tasks, wait until all are done, and return its answers."""
    tasks, results = ctx.JoinableQueue(), ctx.Queue()
    worker = ctx.Process(target=answer_wrongly, args=(tasks, results, math.sqrt))
    worker.start()
    for task in (4, -1, 9):
        tasks.put(task)
    tasks.join()
    tasks.put(None)
    answers = [results.get() for _ in range(3)]
    worker.join()
    return answers
