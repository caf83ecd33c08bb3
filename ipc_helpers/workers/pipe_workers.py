"""Workers of chapter 03, "Connect two processes with a pipe"."""

from contextlib import suppress
from multiprocessing.connection import wait
from time import sleep


def send_one(connection, message):
    """Send one message, then close this process's end."""
    with connection:
        connection.send(message)


def answer(connection):
    """Answer each request with its text in capitals, until the other end is closed; return how many."""
    count = 0
    while True:
        try:
            request = connection.recv()
        except (EOFError, ConnectionResetError):
            return count
        connection.send(request.upper())
        count += 1


def receive_all(receiver, seconds):
    """Receive messages until the pipe ends, or until nothing came for some seconds; say which."""
    messages = []
    while wait([receiver], seconds):
        try:
            messages.append(receiver.recv())
        except EOFError:
            return [*messages, "end of the pipe"]
    return [*messages, "waited in vain"]


def close_and_receive_all(sender, receiver, seconds):
    """Close this process's copy of the other end first, then receive."""
    sender.close()
    return receive_all(receiver, seconds)


def send_first(connection, size):
    """Send many bytes, then receive; return how many came."""
    connection.send(bytes(size))
    return len(connection.recv())


def receive_first(connection, size):
    """Receive, then send many bytes; return how many came."""
    received = len(connection.recv())
    connection.send(bytes(size))
    return received


def send_all(connection, messages):
    """Send each message, then the sentinel None."""
    for message in messages:
        connection.send(message)
    connection.send(None)


def receive_until_none(connection):
    """Receive messages until the sentinel None comes."""
    while connection.recv() is not None:
        pass


def ask_all(connection, requests):
    """Send each request, and receive its reply; then send the sentinel None."""
    for request in requests:
        connection.send(request)
        connection.recv()
    connection.send(None)


def serve(connection, reply):
    """Receive requests until the sentinel None comes; send reply(request) for each."""
    while (request := connection.recv()) is not None:
        connection.send(reply(request))


def next_message(request):
    """Return the reply to a message: one with the next number, and the same payload."""
    number, payload = request
    return number + 1, payload


# The exercises: a program with a mistake, for the reader to find


def send_blobs(sender):
    """Send four messages of 100,000 letters each, close this end, and take a moment to end."""
    with sender, suppress(BrokenPipeError):  # nobody may receive them
        for _ in range(4):
            sender.send("x" * 100_000)
    sleep(0.5)


def send_nothing(sender):
    """Close this end, without a message."""
    sender.close()


def collect_wrongly(ctx, produce):
    """Start a producer, and receive its messages: with a mistake, for the reader to find."""
    receiver, sender = ctx.Pipe(duplex=False)
    producer = ctx.Process(target=produce, args=(sender,))
    producer.start()
    messages = []
    try:
        while True:
            messages.append(receiver.recv())
    except EOFError:
        producer.join()
        return messages
