"""Workers of chapter 07, "Hand tasks to a pool"."""

from os import getpid
from time import sleep


def square(number):
    """Return the square."""
    return number * number


def pause(seconds):
    """Sleep, and return how long."""
    sleep(seconds)
    return seconds


def name_process(number):
    """Return the id of the process that does the task."""
    return getpid()


def put_square(queue, number):
    """Put the square of a number into a queue that is an argument."""
    queue.put(square(number))


kept = None


def keep(queue):
    """Keep a queue in this process, for the tasks to come."""
    global kept
    kept = queue


def put_square_into_kept(number):
    """Put the square of a number into the queue that this process keeps."""
    kept.put(square(number))


def load_model(loaded):
    """Make something large, once in this process, and say so."""
    global kept
    kept = {number: number * number for number in range(100_000)}
    loaded.put("a model")


def ask_model(number):
    """Look a number up in the model that this process keeps."""
    return kept[number]


def work_in_steps(steps):
    """Do a task of some steps, and say after each that it is done."""
    for step in range(steps):
        sleep(0.02)
        kept.put(step)
    return steps


def add_squares(count):
    """Add up some squares: the more, the longer the task."""
    return sum(number * number for number in range(count))


def put_chunks(queue, tasks, chunk, workers):
    """Put the tasks, in lists of some length; then a sentinel for each worker."""
    for start in range(0, len(tasks), chunk):
        queue.put(tasks[start : start + chunk])
    for _ in range(workers):
        queue.put(None)


def work(queue):
    """Get lists of tasks until the sentinel None comes; each task is a sleep."""
    for tasks in iter(queue.get, None):
        for _, seconds in tasks:
            sleep(seconds)
