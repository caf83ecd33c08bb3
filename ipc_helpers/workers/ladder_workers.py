"""Workers of chapter 10, "From a queue up to the physical limit": pairs that hand over messages.

``turns`` of a sender gives lists of messages. ``turns`` of a receiver gives how many messages come, and what
to call with each.
"""

import os
import pickle
import select
import socket
import threading
from collections import deque
from multiprocessing.shared_memory import SharedMemory


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


def get_and_tell(queue, turns):
    """Get each message from a JoinableQueue, and tell the queue that it is done with."""
    for count, keep in turns:
        for _ in range(count):
            keep(queue.get())
            queue.task_done()


def put_batches(queue, turns):
    """Put lists of some messages into a queue."""
    for messages in turns:
        for start in range(0, len(messages), turns.batch):
            queue.put(messages[start : start + turns.batch])


def get_batches(queue, turns):
    """Get lists of messages from a queue."""
    for count, keep in turns:
        while count > 0:
            batch = queue.get()
            for message in batch:
                keep(message)
            count -= len(batch)


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


def send_bytes(connection, turns):
    """Send each message, as bytes."""
    for messages in turns:
        for message in messages:
            connection.send_bytes(message)


def receive_bytes(connection, turns):
    """Receive each message, as bytes."""
    for count, keep in turns:
        for _ in range(count):
            keep(connection.recv_bytes())


def receive_into_buffer(connection, turns):
    """Receive each message into one buffer, again and again."""
    buffer = bytearray(turns.size)
    for count, keep in turns:
        for _ in range(count):
            connection.recv_bytes_into(buffer)
            keep(buffer)


def send_joined(connection, turns):
    """Send some messages at once, joined."""
    for messages in turns:
        for start in range(0, len(messages), turns.batch):
            connection.send_bytes(b"".join(messages[start : start + turns.batch]))


def receive_joined(connection, turns):
    """Receive some messages at once, and take them apart."""
    size = turns.size
    for count, keep in turns:
        while count > 0:
            batch = connection.recv_bytes()
            for start in range(0, len(batch), size):
                keep(batch[start : start + size])
            count -= len(batch) // size


def put_into_ring(ring, turns):
    """Put each message into the ring."""
    with ring.producer() as producer:
        for messages in turns:
            for message in messages:
                producer.put(message)


def get_from_ring(ring, turns):
    """Get each message from the ring, as bytes of its own."""
    with ring.consumer() as consumer:
        for count, keep in turns:
            for _ in range(count):
                keep(consumer.get())


def get_into_buffer(ring, turns):
    """Get each message from the ring into one buffer, again and again."""
    buffer = bytearray(turns.size)
    with ring.consumer() as consumer:
        for count, keep in turns:
            for _ in range(count):
                consumer.get_into(buffer)
                keep(buffer)


def put_joined(ring, turns):
    """Put some messages at once into the ring, joined."""
    with ring.producer() as producer:
        for messages in turns:
            for start in range(0, len(messages), turns.batch):
                producer.put(b"".join(messages[start : start + turns.batch]))


def get_joined(ring, turns):
    """Get some messages at once from the ring, and take them apart."""
    size = turns.size
    with ring.consumer() as consumer:
        for count, keep in turns:
            while count > 0:
                batch = consumer.get()
                for start in range(0, len(batch), size):
                    keep(batch[start : start + size])
                count -= len(batch) // size


def write_messages(connection, turns):
    """Write each message into the os.pipe of a connection."""
    descriptor, size = connection.fileno(), turns.size
    for messages in turns:
        for message in messages:
            written = os.write(descriptor, message)
            while written < size:  # a signal arrived meanwhile
                written += os.write(descriptor, memoryview(message)[written:])


def read_messages(connection, turns):
    """Read each message from the os.pipe of a connection, in as many parts as it comes in."""
    descriptor, size = connection.fileno(), turns.size
    buffer = memoryview(bytearray(size))
    for count, keep in turns:
        if size <= select.PIPE_BUF:  # a message of this size is written as a whole, and read as a whole
            for _ in range(count):
                keep(os.read(descriptor, size))
        else:
            for _ in range(count):
                taken = 0
                while taken < size:
                    taken += os.readv(descriptor, [buffer[taken:]])
                keep(buffer)


def copy_messages(_, turns):
    """Copy each message within this process."""
    buffer = memoryview(bytearray(turns.size))
    for messages, keep in turns:
        for message in messages:
            buffer[:] = message
            keep(buffer)


# Large messages: pieces in a ring; a pickle without its data; a segment of shared memory for each


def put_pieces(ring, turns):
    """Put each message into the ring in pieces, as large as a slot."""
    with ring.producer() as producer:
        for messages in turns:
            for message in messages:
                whole = memoryview(message)
                for start in range(0, len(whole), ring.size):
                    producer.put(whole[start : start + ring.size])


def get_pieces(ring, turns):
    """Get the pieces of each message into one buffer, again and again."""
    buffer = memoryview(bytearray(turns.size))
    with ring.consumer() as consumer:
        for count, keep in turns:
            for _ in range(count):
                for start in range(0, turns.size, ring.size):
                    consumer.get_into(buffer[start:])
                keep(buffer)


def out_of_band(message):
    """Return what pickle leaves the data out of: an array as it is, but bytes only inside a PickleBuffer."""
    return pickle.PickleBuffer(message) if isinstance(message, bytes) else message


def send_out_of_band(connection, turns):
    """Send each message as a pickle without its data, then the data from where they lie."""
    for messages in turns:
        for message in messages:
            buffers = []
            head = pickle.dumps(out_of_band(message), protocol=5, buffer_callback=buffers.append)
            connection.send((head, len(buffers)))
            for buffer in buffers:
                connection.send_bytes(buffer.raw())


def receive_out_of_band(connection, turns):
    """Receive the data of each message into one buffer, and put the message together around them."""
    memory = memoryview(bytearray(turns.size))
    for count, keep in turns:
        for _ in range(count):
            head, number = connection.recv()
            buffers, start = [], 0
            for _ in range(number):
                end = start + connection.recv_bytes_into(memory, start)
                buffers.append(memory[start:end])
                start = end
            keep(pickle.loads(head, buffers=buffers))


def send_segments(end, turns):
    """Write each message into a new segment of shared memory, and send its name.

    A place has to be free first: a segment of that name is gone then. Windows removes a segment with the last
    process that has it open, so this one closes each as late as that.
    """
    connection, free, names = end
    opened = deque()
    number = 0
    try:
        for messages in turns:
            for message in messages:
                free.acquire()
                if len(opened) == len(names):
                    opened.popleft().close()
                segment = SharedMemory(names[number % len(names)], create=True, size=len(message))
                opened.append(segment)
                segment.buf[: len(message)] = message
                connection.send((segment.name, len(message)))
                number += 1
    finally:
        for segment in opened:
            segment.close()


def receive_segments(end, turns):
    """Open the segment of each message, copy the message, and remove the segment."""
    connection, free, _ = end
    for count, keep in turns:
        for _ in range(count):
            name, size = connection.recv()
            segment = SharedMemory(name)
            try:
                message = bytes(segment.buf[:size])  # the segment may be larger: its size is of whole pages
            finally:
                segment.close()
                segment.unlink()
            free.release()
            keep(message)


# A limit beside os.pipe: what the system does for two sockets


def send_through_socket(end, turns):
    """Send the bytes of each message, and nothing that says where one ends."""
    for messages in turns:
        for message in messages:
            end.sendall(message)


def receive_from_socket(end, turns):
    """Receive messages of a known size, each into the same buffer."""
    buffer = memoryview(bytearray(turns.size))
    for count, keep in turns:
        for _ in range(count):
            taken = end.recv_into(buffer, turns.size, socket.MSG_WAITALL)
            while taken < turns.size:  # a signal arrived meanwhile
                taken += end.recv_into(buffer[taken:])
            keep(buffer)


# In one process: a queue between two of its interpreters, from Python 3.14 on

OTHER_INTERPRETER = """
import os

try:
    for count, length in iter(queue.get, None):
        kept = [queue.get()[:length] for _ in range(count)]
        answers.put(tuple(map(memoryview, kept)))  # to be checked: a view goes over without its bytes
        os.write(done, b".")
finally:
    os.close(done)
"""


def put_for_interpreter(end, turns):
    """Put each message into a queue, from which another interpreter of this process gets it."""
    from concurrent import interpreters  # from Python 3.14 on

    queue, answers = interpreters.create_queue(), interpreters.create_queue()
    answered, done = os.pipe()
    other = interpreters.create()
    other.prepare_main(queue=queue, answers=answers, done=done)
    thread = threading.Thread(target=other.exec, args=(OTHER_INTERPRETER,), daemon=True)
    thread.start()
    length = None  # the first messages come back whole, and so do small ones; of others how they begin
    try:
        for messages, keep in turns:
            queue.put((len(messages), length))
            for message in messages:
                queue.put(message)
            length = 16 if turns.size > 4096 else None
            if not os.read(answered, 1):
                raise EOFError("the other interpreter has ended")
            for message in answers.get():
                keep(message)
    finally:
        queue.put(None)
        thread.join(timeout=30)
        other.close()
        os.close(answered)
