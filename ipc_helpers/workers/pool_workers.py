"""Workers of chapter 07, "Hand tasks to a pool"."""

from concurrent.futures import ProcessPoolExecutor
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


# The exercises: a program with a mistake, for the reader to find


class PriceError(Exception):
    """A text that is no price: with a mistake, for the reader to find."""

    def __init__(self, text, position):
        super().__init__(f"{text} is no price, see position {position}")
        self.text, self.position = text, position


def read_price_wrongly(text):
    """Return the number that a text stands for, or raise a PriceError."""
    if "," in text:
        raise PriceError(text, text.index(","))
    return float(text)


def read_prices(ctx, texts):
    """Have one worker read all texts; return their prices, with the name of an exception instead of some."""
    prices = []
    with ProcessPoolExecutor(1, mp_context=ctx) as executor:
        for future in [executor.submit(read_price_wrongly, text) for text in texts]:
            error = future.exception()
            prices.append(type(error).__name__ if error else future.result())
    return prices
