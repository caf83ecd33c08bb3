"""Programs of chapter 06, "Break programs safely": for each lab one that fails, and one that does not.

A program takes the context that its processes are started with. Those that hang do so without a time
limit, as in real life: run them with ``diagnose``, which ends them at its deadline.
"""

import multiprocessing
import pickle
import queue
import sys
import time

# Lab 1: Join before get


def put_one(queue, message):
    """Put one message."""
    queue.put(message)


def join_then_get(ctx, size):
    """Wait for the end of the child, then get its message; return the message's length."""
    messages = ctx.Queue()
    child = ctx.Process(target=put_one, args=(messages, bytes(size)), name="child")
    child.start()
    child.join()
    return len(messages.get())


def get_then_join(ctx, size):
    """Get the child's message, then wait for its end; return the message's length."""
    messages = ctx.Queue()
    child = ctx.Process(target=put_one, args=(messages, bytes(size)), name="child", daemon=True)
    child.start()
    message = messages.get(timeout=20)
    child.join()
    return len(message)


# Lab 2: Start a worker that lives in a cell


def start_worker_of_cell(ctx, cell):
    """Run a cell in __main__, as a kernel does, and start the worker ``greet`` that it defines."""
    main = vars(sys.modules["__main__"])
    exec(cell, main)
    messages = ctx.Queue()
    child = ctx.Process(target=main["greet"], args=(messages,), name="child")
    child.start()
    return messages.get()


def greet(messages):
    """Put a greeting."""
    messages.put("hello")


def start_worker_of_module(ctx):
    """Start the worker ``greet`` that this module defines."""
    messages = ctx.Queue()
    child = ctx.Process(target=greet, args=(messages,), name="child", daemon=True)
    child.start()
    message = messages.get(timeout=20)
    child.join()
    return message


# Lab 3: Put what pickle refuses


def put_lambda(messages):
    """Put a lambda, then a word; wait until the feeder thread is done with both."""
    messages.put(lambda number: number + 1)
    messages.put("done")
    messages.close()
    messages.join_thread()


def put_pickled(messages):
    """Pickle a lambda in a line of its own, where the exception can be caught; then put a word."""
    try:
        messages.put(pickle.dumps(lambda number: number + 1))
    except Exception:
        messages.put("not picklable")
    messages.put("done")


def get_two(ctx, worker):
    """Get the two messages that a child puts."""
    messages = ctx.Queue()
    child = ctx.Process(target=worker, args=(messages,), name="child")
    child.start()
    received = [messages.get()]
    received += [messages.get()]
    child.join()
    return received


# Lab 4: Keep a copy of the sending end


def send_one(connection, message):
    """Send one message, then close this process's end."""
    with connection:
        connection.send(message)


def keep_sender(ctx):
    """Receive until the end of the pipe, with a copy of the sending end still open."""
    receiver, sender = ctx.Pipe(duplex=False)
    child = ctx.Process(target=send_one, args=(sender, "only one"), name="child")
    child.start()
    messages = []
    try:
        while True:
            messages.append(receiver.recv())
    except EOFError:
        return messages


def close_sender(ctx):
    """Close the copy of the sending end, then receive until the end of the pipe."""
    receiver, sender = ctx.Pipe(duplex=False)
    child = ctx.Process(target=send_one, args=(sender, "only one"), name="child")
    child.start()
    sender.close()
    messages = []
    try:
        while True:
            messages.append(receiver.recv())
    except (EOFError, OSError):  # OSError: the child ended within a message
        child.join()
        if child.exitcode != 0:  # the pipe ends however the child ended
            messages.append(f"the child ended with exit code {child.exitcode}")
        return messages


# Lab 5: Let two writers share an end


def send_letters(sender, letter, ready, turn):
    """Send a hundred messages, each of one letter 100,000 times; leave the lock alone."""
    ready.release()
    for _ in range(100):
        sender.send_bytes(letter * 100_000)


def send_letters_in_turn(sender, letter, ready, turn):
    """Send the same messages, each while holding the lock."""
    ready.release()
    for _ in range(100):
        with turn:
            sender.send_bytes(letter * 100_000)


def share_sender(ctx, worker):
    """Start two writers on one end, and receive once both are ready."""
    receiver, sender = ctx.Pipe(duplex=False)
    ready = ctx.Semaphore(0)
    turn = ctx.Lock()
    for name, letter in (("writer 1", b"\0"), ("writer 2", b"\1")):
        ctx.Process(target=worker, args=(sender, letter, ready, turn), name=name).start()
    sender.close()
    for _ in range(2):
        ready.acquire(timeout=10)  # a writer that fails before it is ready is missing below
    return received(receiver)


def received(receiver):
    """Receive until the end of the pipe; say whether each message is there, and whole."""
    messages = []
    try:
        while True:
            messages.append(receiver.recv_bytes())
    except (EOFError, OSError):
        receiver.close()
    sent = [letter * 100_000 for letter in (b"\0", b"\1") for _ in range(100)]
    return "whole" if sorted(messages) == sent else "mixed up"


# Lab 6: Kill a process that uses a queue


def get_messages(messages):
    """Get messages until one is None."""
    while messages.get() is not None:
        pass


def wait_until_inside_get(messages):
    """Wait until a process is inside get, where it holds the queue's lock for readers."""
    gives_up_at = time.monotonic() + 20
    while messages._rlock.acquire(block=False):
        messages._rlock.release()
        if time.monotonic() > gives_up_at:
            raise TimeoutError("nobody is inside get")
        time.sleep(0.01)


def kill_consumer(ctx):
    """Kill a child that waits for a message, then use its queue."""
    messages = ctx.Queue()
    child = ctx.Process(target=get_messages, args=(messages,), name="consumer")
    child.start()
    wait_until_inside_get(messages)
    child.kill()
    child.join()
    messages.put("hello")
    return messages.get()


def stop_consumer(ctx):
    """Ask the child to end, with a message, then use its queue."""
    messages = ctx.Queue()
    child = ctx.Process(target=get_messages, args=(messages,), name="consumer")
    child.start()
    wait_until_inside_get(messages)
    messages.put(None)
    child.join()
    messages.put("hello")
    return messages.get()


def kill_producer(ctx):
    """Kill a child in the middle of a message, then get the message; return its length."""
    messages = ctx.Queue()
    child = ctx.Process(target=put_one, args=(messages, bytes(10_000_000)), name="producer")
    child.start()
    while messages.empty():
        time.sleep(0.01)
    child.kill()
    child.join()
    return len(messages.get(timeout=0.1))


def wait_for_producer(ctx):
    """Get the message, and let the child end by itself; return the message's length."""
    messages = ctx.Queue()
    child = ctx.Process(target=put_one, args=(messages, bytes(10_000_000)), name="producer", daemon=True)
    child.start()
    message = messages.get(timeout=30)
    child.join()
    return len(message)


# Lab 7: Drain until empty is True


def drain_until_empty(ctx):
    """Put three messages, and get until empty() is True, 200 times; say whether all came each time."""
    complete = True
    for _ in range(200):
        messages = ctx.Queue()
        for message in ("one", "two", "three"):
            messages.put(message)
        received = []
        while not messages.empty():
            received.append(messages.get())
        complete = complete and len(received) == 3
        while len(received) < 3:  # so that nothing is left
            received.append(messages.get())
    return complete


def drain_until_none(ctx):
    """Put three messages and a sentinel, and get until the sentinel comes, 200 times."""
    complete = True
    for _ in range(200):
        messages = ctx.Queue()
        for message in ("one", "two", "three", None):
            messages.put(message)
        received = list(iter(messages.get, None))
        complete = complete and len(received) == 3
    return complete


# Lab 8: Catch the wrong exception


def catch_another(ctx):
    """Get from an empty queue, and catch what multiprocessing calls a timeout."""
    messages = ctx.Queue()
    try:
        return str(messages.get(timeout=0.1))
    except multiprocessing.TimeoutError:
        return "nothing came"


def catch_empty_and_full(ctx, timeout):
    """Get from an empty queue, put into a full one, and catch what the module queue has for each."""
    messages = ctx.Queue(maxsize=1)
    caught = []
    try:
        messages.get(timeout=timeout)
    except queue.Empty:
        caught.append("queue.Empty")
    messages.put("fills the queue")
    try:
        messages.put("one too many", timeout=timeout)
    except queue.Full:
        caught.append("queue.Full")
    messages.get()
    return caught


# Lab 9: Send first at both ends


def talk(ctx, here, there):
    """Run one function at each end of a pipe, one of them in a child; return how many bytes came here."""
    left, right = ctx.Pipe()
    child = ctx.Process(target=there, args=(right, 10_000_000), name="child", daemon=True)
    child.start()
    right.close()
    received = here(left, 10_000_000)
    child.join()
    return received


# Lab 10: Change a message after its put


def change_after_put(ctx):
    """Put a list behind a large message, change the list, then get it."""
    messages = ctx.Queue()
    messages.put(bytes(10_000_000))
    shopping = ["bread"]
    messages.put(shopping)
    shopping.append("added after the put")
    messages.get()
    return messages.get()


def put_copy(ctx):
    """Put a copy of the list instead."""
    messages = ctx.Queue()
    messages.put(bytes(10_000_000))
    shopping = ["bread"]
    messages.put(list(shopping))
    shopping.append("added after the put")
    messages.get()
    return messages.get()


# Lab 11: Hand a queue to a task of a pool


def give_queue_to_task(ctx):
    """Hand a queue to a task of a pool, and get what the task puts."""
    messages = ctx.Queue()
    with ctx.Pool(1) as pool:
        pool.apply_async(put_one, (messages, "hello"))
        return messages.get()


def ask_task(ctx):
    """Hand a queue to a task of a pool, and ask for the task's result."""
    messages = ctx.Queue()
    with ctx.Pool(1) as pool:
        task = pool.apply_async(put_one, (messages, "hello"))
        try:
            return str(task.get())
        except RuntimeError:
            return "RuntimeError"


kept_queue = None


def keep_queue(messages):
    """Keep the queue that this process of a pool is started with."""
    global kept_queue
    kept_queue = messages


def put_kept(message):
    """Put a message into the queue that this process keeps."""
    kept_queue.put(message)


def give_queue_to_pool(ctx):
    """Hand a queue to the processes of a pool as they start, and get what a task puts."""
    messages = ctx.Queue()
    with ctx.Pool(1, initializer=keep_queue, initargs=(messages,)) as pool:
        pool.apply_async(put_kept, ("hello",)).get(timeout=20)  # raises what the task raised
        message = messages.get(timeout=20)
        pool.close()  # its processes end by themselves; the end of the block would kill them
        pool.join()
    return message


def give_proxy_to_task(ctx):
    """Hand the proxy of a manager's queue to a task of a pool, and get what the task puts."""
    with ctx.Manager() as manager, ctx.Pool(1) as pool:
        messages = manager.Queue()
        pool.apply_async(put_one, (messages, "hello")).get(timeout=20)
        message = messages.get(timeout=20)
        pool.close()
        pool.join()
        return message


# Lab 12: Die before task_done


def read_each(tasks, answers):
    """Read a number from each task, until one is None."""
    while (task := tasks.get()) is not None:
        answers.put(int(task))
        tasks.task_done()
    tasks.task_done()  # None was put as well


def read_each_or_say_why(tasks, answers):
    """Do the same, and be done with a task whatever came of it."""
    while (task := tasks.get()) is not None:
        try:
            answers.put(int(task))
        except Exception:
            answers.put("no number")
        finally:
            tasks.task_done()
    tasks.task_done()


def join_tasks(ctx, worker):
    """Give three tasks to a child, wait until all are done, and get the answers."""
    tasks = ctx.JoinableQueue()
    answers = ctx.Queue()
    child = ctx.Process(target=worker, args=(tasks, answers), name="child")
    child.start()
    for task in ("5", "five", "55"):
        tasks.put(task)
    tasks.join()
    tasks.put(None)
    received = [answers.get() for _ in range(3)]
    child.join()
    return received


# Lab 13: Put one sentinel for three consumers


def start_consumers(ctx, sentinels):
    """Start three consumers, put sentinels, and wait for all three; return their exit codes."""
    messages = ctx.Queue()
    consumers = [
        ctx.Process(target=get_messages, args=(messages,), name=f"consumer {number}") for number in (1, 2, 3)
    ]
    for consumer in consumers:
        consumer.start()
    for _ in range(sentinels):
        messages.put(None)
    for consumer in consumers:
        consumer.join()
    return [consumer.exitcode for consumer in consumers]


# Lab 14: Take the queue of threads


def use_thread_queue(ctx):
    """Hand a queue for threads to a child, and get what the child puts."""
    messages = queue.Queue()
    child = ctx.Process(target=put_one, args=(messages, "hello"), name="child")
    child.start()
    return messages.get()


def use_process_queue(ctx):
    """Hand a queue for processes to a child, and get what the child puts."""
    messages = ctx.Queue()
    child = ctx.Process(target=put_one, args=(messages, "hello"), name="child", daemon=True)
    child.start()
    message = messages.get(timeout=20)
    child.join()
    return message


# Lab 15: Wait for a child that has failed


def put_price(messages, fruit):
    """Look up a price, and put it."""
    prices = {"apples": 3}
    messages.put(prices[fruit])


def get_price(ctx, fruit):
    """Get the price that a child looks up."""
    messages = ctx.Queue()
    child = ctx.Process(target=put_price, args=(messages, fruit), name="child")
    child.start()
    return messages.get()


def get_price_or_notice(ctx, fruit):
    """Get the price that a child looks up, and notice when the child ends without one."""
    messages = ctx.Queue()
    child = ctx.Process(target=put_price, args=(messages, fruit), name="child")
    child.start()
    price = None
    while price is None:
        had_ended = child.exitcode is not None  # before the look: then all that it put is there
        try:
            price = messages.get(timeout=0.1)
        except queue.Empty:
            if had_ended:
                price = f"no price: the child ended with exit code {child.exitcode}"
    child.join()
    return price


# Lab 16: Forget what Out keeps


def forget_name(ctx):
    """Keep the sending end as ``Out`` keeps what a cell shows; then delete its name, and receive."""
    receiver, sender = ctx.Pipe(duplex=False)
    out = {1: sender}
    del sender
    try:
        return receiver.recv(), out
    except EOFError:
        return "the end of the pipe"


def close_kept(ctx):
    """Keep the sending end in the same way; but close it, then receive."""
    receiver, sender = ctx.Pipe(duplex=False)
    out = {1: sender}
    sender.close()
    del sender
    try:
        return receiver.recv(), out
    except EOFError:
        return "the end of the pipe"


# The exercises: programs with a mistake, for the reader to find


def get_or_wrongly(messages, seconds, default):
    """Get a message, or return the default: with a mistake, for the reader to find."""
    try:
        return messages.get(timeout=seconds)
    except TimeoutError:
        return default


def wait_for_news(ctx):
    """Get from a queue into which nobody puts."""
    return get_or_wrongly(ctx.Queue(), 0.2, "no news")


def dismiss_wrongly(messages, consumer):
    """End a consumer, and return its exit code: with a mistake, for the reader to find."""
    consumer.terminate()
    consumer.join()
    return consumer.exitcode


def relieve(ctx):
    """End a consumer while it waits for a message, and let a second one go on with its queue."""
    messages = ctx.Queue()
    first = ctx.Process(target=get_messages, args=(messages,), name="first")
    first.start()
    wait_until_inside_get(messages)
    dismiss_wrongly(messages, first)
    second = ctx.Process(target=get_messages, args=(messages,), name="second")
    second.start()
    messages.put("hello")
    messages.put(None)
    second.join()
    return second.exitcode


def serve_wrongly(tasks, results, function):
    """Put each task and its result, until None comes: with a mistake, for the reader to find."""
    for task in iter(tasks.get, None):
        results.put((task, function(task)))


def read_numbers(ctx):
    """Have a worker read three numbers, one of which has a comma, and get one result for each."""
    tasks, results = ctx.Queue(), ctx.Queue()
    worker = ctx.Process(target=serve_wrongly, args=(tasks, results, float), name="worker")
    worker.start()
    for task in ("3.5", "3,50", "4", None):
        tasks.put(task)
    found = [results.get() for _ in range(3)]
    worker.join()
    return found
