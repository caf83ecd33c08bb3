"""Workers of chapter 08, "Start and stop a real program"."""

import faulthandler
import logging
import signal
import threading
from logging.handlers import QueueHandler
from time import sleep


class Scale:
    """A scale that several threads may use, one at a time."""

    def __init__(self, name):
        self.name = name
        self.lock = threading.Lock()

    def weigh(self, results):
        """Put who has weighed something."""
        with self.lock:
            results.put(self.name)


class ScaleOfTheChild(Scale):
    """A scale whose lock is made in the process that weighs, for one call of weigh at a time."""

    def __init__(self, name):
        self.name = name

    def weigh(self, results):
        """Make the lock, then weigh."""
        self.lock = threading.Lock()
        super().weigh(results)


class ScaleThatTravels(Scale):
    """A scale that leaves its lock behind when it is pickled, and makes another where it arrives."""

    def __getstate__(self):
        return {"name": self.name}

    def __setstate__(self, state):
        self.__init__(state["name"])


def search(first, stop, found):
    """Try every other number until one has the square 1,234,321, or until somebody else has found it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # interrupted in is_set, it might keep the event's lock
    number = first
    while not stop.is_set():
        if number * number == 1_234_321:
            found.put(number)
            stop.set()
        number += 2


def work_until_interrupted(up):
    """Say that this process is up, and end with the exit code 5 when it is interrupted."""
    try:
        up.set()
        sleep(60)
    except KeyboardInterrupt:
        raise SystemExit(5) from None


def send_records_to(records):
    """Have all that this process logs sent to a queue, by a handler that replaces any others."""
    sender = QueueHandler(records)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[sender], force=True)


def weigh_and_log(records, count):
    """Log some lines through the queue."""
    send_records_to(records)
    for number in range(count):
        logging.info("weighed pear %d", number)


def wait_in_vain(up):
    """Say that this process is up, and wait for what never comes."""
    up.set()
    threading.Event().wait(60)


def get_stuck(path, up):
    """Write this process's stack into a file if it has not ended after half a second."""
    with open(path, "w") as file:
        faulthandler.dump_traceback_later(0.5, file=file)
        wait_in_vain(up)
        faulthandler.cancel_dump_traceback_later()


def get_stuck_and_listen(path, up):
    """Write this process's stack into a file whenever the signal SIGUSR1 comes."""
    with open(path, "w") as file:
        faulthandler.register(signal.SIGUSR1, file=file)
        wait_in_vain(up)
        faulthandler.unregister(signal.SIGUSR1)  # before the file is closed


# The experiment: a program that is stopped while it has work to do


def put_tasks(queue, tasks, moment, stop):
    """Put the tasks; wait for the moment of the stop; stop the workers."""
    for task in tasks:
        queue.put(task)
    moment.acquire()
    stop()


def put_sentinels(queue, workers):
    """Put a sentinel for each worker, behind all tasks."""
    for _ in range(workers):
        queue.put(None)


def set_event(stopping, queue, workers):
    """Set the event; put a sentinel for each worker, to wake up those that wait for a task."""
    stopping.set()
    put_sentinels(queue, workers)


def leave_it_to_the_parent():
    """Stop nobody: the parent terminates the workers."""


def work_until_stopped(queue, stopping):
    """Do tasks, each a sleep, until the event is set or the sentinel None comes."""
    while not stopping.is_set():
        task = queue.get()
        if task is None:
            break
        _, seconds = task
        sleep(seconds)
