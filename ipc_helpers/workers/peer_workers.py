"""Workers of chapter 10 that use packages which others have made; each imports its own, where it is there."""

import ctypes

# pyzmq: sockets over a file's name, or over TCP where the system has no such sockets


def push_messages(end, turns):
    """Push messages through a socket of ZeroMQ, to where the other process says that it is."""
    import zmq

    connection, waiting = end
    copy = turns.size < zmq.COPY_THRESHOLD  # of a large one, ZeroMQ takes the bytes where they lie
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.sndhwm = waiting
        if not connection.poll(30):
            raise TimeoutError("the other process has not said where it is")
        socket.connect(connection.recv())
        for messages in turns:
            for message in messages:
                socket.send(message, copy=copy)


def pull_messages(end, turns):
    """Pull messages from a socket of ZeroMQ, which gets its address here."""
    import zmq

    address, connection, waiting = end
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.rcvhwm = waiting
        socket.bind(address)
        connection.send(socket.last_endpoint.decode())
        for count, keep in turns:
            if turns.size < zmq.COPY_THRESHOLD:
                for _ in range(count):
                    keep(socket.recv())
            else:
                for _ in range(count):
                    keep(socket.recv(copy=False).buffer)


# faster-fifo: a queue in shared memory, with a lock of its own


def make_fast_queue(size):
    """Return a queue of faster-fifo with room for so many bytes."""
    import faster_fifo

    return faster_fifo.Queue(size)


def put_all_at_once(queue, turns):
    """Put some messages with each call."""
    for messages in turns:
        for start in range(0, len(messages), turns.batch):
            queue.put_many(messages[start : start + turns.batch])


def get_all_there_are(queue, turns):
    """Get as many messages as there are, again and again."""
    for count, keep in turns:
        while count:
            messages = queue.get_many()
            count -= len(messages)
            for message in messages:
                keep(message)


# iceoryx2: publish and subscribe in shared memory, with an event for each message


def open_iceoryx_node(end):
    """Return a node whose files and segments are where the parent finds them, and their service's name."""
    import iceoryx2

    folder, prefix, _ = end
    iceoryx2.set_log_level(iceoryx2.LogLevel.Fatal)
    config = iceoryx2.config.default()
    config.global_cfg.root_path = iceoryx2.Path.new(folder)
    config.global_cfg.prefix = iceoryx2.FileName.new(prefix)
    node = iceoryx2.NodeBuilder.new().config(config)
    # What a signal does is for this program to say.
    return node.signal_handling_mode(iceoryx2.SignalHandlingMode.Disabled).create(iceoryx2.ServiceType.Ipc)


def open_iceoryx_services(node):
    """Return a service for messages, of which none may be lost, and one for events."""
    import iceoryx2

    name = iceoryx2.ServiceName.new("messages")
    messages = node.service_builder(name).publish_subscribe(iceoryx2.Slice[ctypes.c_uint8])
    messages = messages.max_publishers(1).max_subscribers(1).subscriber_max_borrowed_samples(2)
    messages = messages.subscriber_max_buffer_size(4).enable_safe_overflow(False)
    return messages.open_or_create(), node.service_builder(name).event().open_or_create()


def publish_messages(end, turns):
    """Copy each message into memory that the other process sees, and tell it."""
    import iceoryx2

    service, events = open_iceoryx_services(open_iceoryx_node(end))
    publisher = service.publisher_builder().initial_max_slice_len(turns.size)
    publisher = publisher.backpressure_strategy(iceoryx2.BackpressureStrategy.RetryUntilDelivered).create()
    notifier = events.notifier_builder().create()
    *_, connection = end
    connection.send_bytes(b"here")
    for messages in turns:
        for message in messages:
            sample = publisher.loan_slice_uninit(turns.size)
            sample.payload().as_memory_view().cast("B")[:] = message
            sample.assume_init().send()
            notifier.notify()


def take_published(end, turns):
    """Wait until there is a message, look at it where it lies, and give its memory back."""
    import iceoryx2

    service, events = open_iceoryx_services(open_iceoryx_node(end))
    # A subscriber finds the publishers that are there. What others send is lost until it looks again.
    *_, connection = end
    connection.recv_bytes()
    subscriber = service.subscriber_builder().create()
    listener = events.listener_builder().create()
    a_second = iceoryx2.Duration.from_secs(1)
    for count, keep in turns:
        for _ in range(count):
            while (sample := subscriber.receive()) is None:
                listener.timed_wait(a_second)
            keep(sample.payload().as_memory_view().cast("B"))
            sample.delete()
