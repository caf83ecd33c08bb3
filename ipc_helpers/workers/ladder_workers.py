"""Workers of chapter 10, "From a queue up to the physical limit": pairs that hand over messages.

``turns`` of a sender gives lists of messages. ``turns`` of a receiver gives how many messages come, and what
to call with each.
"""


def put_messages(queue, turns):
    """Put each message into a queue."""
    for messages in turns:
        for message in messages:
            queue.put(message)


def get_messages(queue, turns):
    """Get each message from a queue."""
    for count, keep in turns:
        for _ in range(count):
            keep(queue.get())


def send_messages(connection, turns):
    """Send each message, as an object, which is pickled."""
    for messages in turns:
        for message in messages:
            connection.send(message)


def receive_messages(connection, turns):
    """Receive each message, an object."""
    for count, keep in turns:
        for _ in range(count):
            keep(connection.recv())
