"""Workers for the exercises on pipes."""

from __future__ import annotations

from exercise_cases import Cases, Mutant

CASES = {
    "03.1": Cases(
        mutants={
            "polls": Mutant(
                "def receive_to_the_end(receiver):\n    messages = []\n    while receiver.poll():\n"
                "        messages.append(receiver.recv())\n    return messages\n",
                "the worker returned [] before the first message was sent",
                "while receiver.poll():",
            ),
            "takes None for a sentinel": Mutant(
                "def receive_to_the_end(receiver):\n    return list(iter(receiver.recv, None))\n",
                "the worker returned ['a'], and None and 'b' were still to come",
                "def receive_to_the_end(receiver):",
            ),
            "does not expect the end": Mutant(
                "def receive_to_the_end(receiver):\n    messages = []\n    while True:\n"
                "        messages.append(receiver.recv())\n    return messages\n",
                "receive_to_the_end raised EOFError. Hint: this is the end of the pipe",
                "messages.append(receiver.recv())",
            ),
            "skips None": Mutant(
                {
                    "            messages.append(receiver.recv())\n": (
                        "            message = receiver.recv()\n            if message:\n"
                        "                messages.append(message)\n"
                    )
                },
                "the message None is missing",
                "message = receiver.recv()",
            ),
            "returns nothing": Mutant(
                {"return messages": "return print(messages)"},
                "the worker returned None. Hint: collect the messages in a list",
                "def receive_to_the_end(receiver):",
            ),
            "loops over the connection": Mutant(
                "def receive_to_the_end(receiver):\n    return [message for message in receiver]\n",
                "Hint: a for loop can't go through a connection",
                "return [message for message in receiver]",
            ),
            "receives after close": Mutant(
                {"        try:\n": "        try:\n            receiver.close()\n"},
                "Hint: close the connection last, or not at all",
                "messages.append(receiver.recv())",
            ),
        },
        others={
            "wait, and a tuple": (
                "from multiprocessing.connection import wait\n\n\ndef receive_to_the_end(receiver):\n"
                "    messages = ()\n    with receiver:\n        while wait([receiver]):\n            try:\n"
                "                messages += (receiver.recv(),)\n            except EOFError:\n"
                "                break\n    return messages\n"
            ),
            "a generator, and the try outside": (
                "def messages_of(receiver):\n    try:\n        while True:\n"
                "            yield receiver.recv()\n"
                "    except EOFError:\n        receiver.close()\n\n\n"
                "def receive_to_the_end(receiver):\n    return list(messages_of(receiver))\n"
            ),
        },
    ),
    "03.2": Cases(
        mutants={
            "sends all first": Mutant(
                {"            replies.append(connection": "        replies.append(connection"},
                "ask waits in send() forever. Hint: the other process sends its reply before",
                "connection.send(request)",
            ),
            "receives first": Mutant(
                "def ask(connection, requests):\n    replies = []\n    for request in requests:\n"
                "        replies.append(connection.recv())\n        connection.send(request)\n"
                "    connection.close()\n    return replies\n",
                "ask waits in recv() forever. Hint: after each request comes one reply, and nothing before",
                "replies.append(connection.recv())",
            ),
            "receives one more": Mutant(
                {"    return replies": "        replies.append(connection.recv())\n    return replies"},
                "ask waits in recv() forever",
                "replies.append(connection.recv())",
            ),
            "does not close": Mutant(
                {"    with connection:\n": "    if True:\n"},
                "all 3 replies came, and the worker returned without closing the connection",
                "def ask(connection, requests):",
            ),
            "closes at once": Mutant(
                {
                    "            replies.append(connection.recv())\n": (
                        "            replies.append(connection.recv())\n            connection.close()\n"
                    )
                },
                "Hint: close the connection once, after the last reply",
                "connection.send(request)",
            ),
            "asks once": Mutant(
                {"in requests:": "in requests[:1]:"},
                "of 3 requests, the other process received 'a × 2,000,000'",
                "connection.send(request)",
            ),
            "keeps the last one": Mutant(
                {"replies.append(connection.recv())": "replies = connection.recv()"},
                "the worker returned 'C × 2,000,000'. Hint: return a list of all replies",
                "def ask(connection, requests):",
            ),
            "leaves one out": Mutant(
                {"    return replies": "    return replies[1:]"},
                "of 3 replies, the worker returned 'B × 2,000,000', 'C × 2,000,000'. Hint: let recv() wait",
                "replies.append(connection.recv())",
            ),
            "all in one": Mutant(
                "def ask(connection, requests):\n    connection.send(requests)\n"
                "    reply = connection.recv()\n    connection.close()\n    return reply\n",
                "of 3 requests, the other process received",
                "connection.send(requests)",
            ),
            "returns the requests": Mutant(
                {
                    "            replies.append(connection.recv())\n": (
                        "            connection.recv()\n            replies.append(request)\n"
                    )
                },
                "the worker returned 'a × 2,000,000', 'b × 2,000,000', 'c × 2,000,000'",
                "connection.recv()",
            ),
        },
        others={
            "a helper, a poll and a close": (
                "def ask(connection, requests):\n"
                "    replies = tuple(one(connection, request) for request in requests)\n"
                "    connection.close()\n    return replies\n\n\ndef one(connection, request):\n"
                "    connection.send(request)\n    while not connection.poll(0.01):\n        pass\n"
                "    return connection.recv()\n"
            ),
            "a thread that sends": (
                "from threading import Thread\n\n\ndef ask(connection, requests):\n"
                "    thread = Thread(target=lambda: [connection.send(request) for request in requests])\n"
                "    thread.start()\n    replies = [connection.recv() for _ in requests]\n    thread.join()\n"
                "    connection.close()\n    return replies\n"
            ),
        },
    ),
    "03.3": Cases(
        mutants={
            "leaves its copy open": Mutant(
                {"    sender.close()\n": ""},
                "collect waits in recv() forever. Hint: no message comes, and a pipe ends once each copy",
                "messages.append(receiver.recv())",
            ),
            "joins first": Mutant(
                {"    sender.close()\n": "    sender.close()\n    producer.join()\n"},
                "collect waits in join() forever. Hint: the process that it joins sends more",
                "producer.join()",
            ),
            "does not join": Mutant(
                {"        producer.join()\n": ""},
                "the producer still ran when the worker returned",
                "producer.start()",
            ),
            "closes before the start": Mutant(
                {
                    "    sender.close()\n": "",
                    "    producer.start()\n": "    sender.close()\n    producer.start()\n",
                },
                "collect raised OSError (handle is closed). Hint: Pipe(duplex=False) returns",
                "producer.start()",
            ),
            "takes the wrong ends": Mutant(
                {"receiver, sender = ctx": "sender, receiver = ctx"},
                "collect raised OSError (connection is write-only). Hint: Pipe(duplex=False) returns",
                "messages.append(receiver.recv())",
            ),
            "receives one": Mutant(
                {
                    "while True:": "if True:",
                    "    except EOFError:\n        producer.join()\n        return messages\n": (
                        "    except EOFError:\n        pass\n    receiver.close()\n    producer.join()\n"
                        "    return messages\n"
                    ),
                },
                "of 4 messages, the worker returned 1",
                "messages.append(receiver.recv())",
            ),
            "no comma": Mutant(
                {"args=(sender,)": "args=(sender)"},
                "Hint: args is a tuple: (sender,), with its comma",
                "producer = ctx.Process(target=produce, args=(sender))",
            ),
            "counts on four": Mutant(
                "def collect(ctx, produce):\n    receiver, sender = ctx.Pipe(duplex=False)\n"
                "    producer = ctx.Process(target=produce, args=(sender,))\n    producer.start()\n"
                "    sender.close()\n    messages = [receiver.recv() for _ in range(4)]\n"
                "    producer.join()\n    return messages\n",
                "collect (no messages) raised EOFError. Hint: this is the end of the pipe",
                "messages = [receiver.recv() for _ in range(4)]",
            ),
            "counts": Mutant(
                {"return messages": "return len(messages)"},
                "the worker returned 4. Hint: return a list of all messages",
                "def collect(ctx, produce):",
            ),
        },
        others={
            "a duplex pipe, with, and a daemon": {
                "ctx.Pipe(duplex=False)": "ctx.Pipe()",
                "args=(sender,))": "args=(sender,), daemon=True)",
                "    producer.start()\n    sender.close()\n": "    with sender:\n        producer.start()\n",
                "    messages = []\n": "    messages = [*()]\n",
            },
            "waits for the process as well": (
                "from multiprocessing import connection\n\n\ndef collect(ctx, produce):\n"
                "    receiver, sender = ctx.Pipe(False)\n"
                "    child = ctx.Process(target=produce, args=[sender])\n"
                "    child.start()\n    messages = []\n    while True:\n"
                "        ready = connection.wait([receiver, child.sentinel], timeout=0.1)\n"
                "        if receiver in ready:\n            messages.append(receiver.recv())\n"
                "        elif child.sentinel in ready:\n            break\n"
                "    child.join(timeout=5)\n    return messages\n"
            ),
        },
    ),
    "03.4": Cases(
        mutants={
            "does not expect a long one": Mutant(
                {"        except BufferTooShort as error:\n            messages.append(error.args[0])\n": ""},
                "receive_into raised BufferTooShort (b'abcdef'). Hint: the message did not fit",
                "size = receiver.recv_bytes_into(room)",
            ),
            "loses the long one": Mutant(
                {"messages.append(error.args[0])": "pass"},
                "the message b'abcdef', which did not fit into the room, is lost",
                "size = receiver.recv_bytes_into(room)",
            ),
            "takes the whole room": Mutant(
                {"bytes(room[:size])": "bytes(room)"},
                "the worker returned b'abc\\x00', and no message had 4 bytes",
                "size = receiver.recv_bytes_into(room)",
            ),
            "stops at the empty one": Mutant(
                {
                    "            messages.append(bytes(room[:size]))\n": (
                        "            if not size:\n                return messages\n"
                        "            messages.append(bytes(room[:size]))\n"
                    )
                },
                "the worker returned after two messages, and an empty one was the next",
                "size = receiver.recv_bytes_into(room)",
            ),
            "stops at the long one": Mutant(
                {"messages.append(error.args[0])": "return messages"},
                "the worker returned after the first message that did not fit",
                "size = receiver.recv_bytes_into(room)",
            ),
            "skips the empty one": Mutant(
                {
                    "            messages.append(bytes(room[:size]))\n": (
                        "            if size:\n                messages.append(bytes(room[:size]))\n"
                    )
                },
                "the empty message is missing",
                "size = receiver.recv_bytes_into(room)",
            ),
            "leaves the room alone": Mutant(
                "def predict():\n    return (0, b'xyc\\0')\n\n\n"
                "def receive_into(receiver, room):\n    messages = []\n    try:\n"
                "        while True:\n            messages.append(receiver.recv_bytes())\n"
                "    except EOFError:\n        return messages\n",
                "all messages came, and the room holds b'\\x00\\x00\\x00\\x00' in the end",
                "messages.append(receiver.recv_bytes())",
            ),
            "unpickles": Mutant(
                {"size = receiver.recv_bytes_into(room)": "size = receiver.recv()"},
                "receive_into raised",
                "size = receiver.recv()",
            ),
            "a wrong prediction": Mutant(
                {'return (0, b"xyc\\0")': 'return (1, b"xy\\0\\0")'},
                "your prediction was (1, b'xy\\x00\\x00'), and no message was lost",
                "def predict():",
            ),
        },
        others={
            "a list, and the end outside": (
                "import multiprocessing\n\n\ndef predict():\n    return [0, bytearray(b'xyc') + b'\\0']\n\n\n"
                "def receive_into(receiver, room):\n    messages = []\n    try:\n        while True:\n"
                "            try:\n                size = receiver.recv_bytes_into(room)\n"
                "                messages.append(room[:size])\n"
                "            except multiprocessing.BufferTooShort as error:\n"
                "                messages.extend(error.args)\n"
                "    except EOFError:\n        receiver.close()\n    return tuple(messages)\n"
            )
        },
    ),
    "03.5": Cases(
        mutants={
            "one after the other": Mutant(
                "def gather(receivers, seconds):\n    messages = {name: [] for name in receivers}\n"
                "    for name, receiver in receivers.items():\n        try:\n            while True:\n"
                "                messages[name].append(receiver.recv())\n"
                "        except EOFError:\n            pass\n    return messages, []\n",
                "waits in recv() forever. Hint: this pipe may be silent while another has a message",
                "messages[name].append(receiver.recv())",
            ),
            "no timeout": Mutant(
                {"connection.wait(list(names), seconds)": "connection.wait(list(names))"},
                "forever. Hint: a pipe may stay open and silent: give connection.wait() the seconds",
                "while names and (ready := connection.wait(list(names))):",
            ),
            "spins": Mutant(
                {"                del names[receiver]\n": "                continue\n"},
                "a pipe had ended, and the worker received from it again and again",
                "messages[names[receiver]].append(receiver.recv())",
            ),
            "does not expect the end": Mutant(
                {
                    "            try:\n": "            if True:\n",
                    "            except (EOFError, OSError):  # OSError: it ended within a message\n"
                    "                del names[receiver]\n": "",
                },
                "gather raised EOFError. Hint: one pipe has ended: catch EOFError, and go on with the others",
                "messages[names[receiver]].append(receiver.recv())",
            ),
            "stops at the first end": Mutant(
                {"                del names[receiver]\n": "                return messages, []\n"},
                "each pipe ended; of 2 sent through 'b', the worker returned 1",
                "messages[names[receiver]].append(receiver.recv())",
            ),
            "returns all names": Mutant(
                {"return messages, list(names.values())": "return messages, list(receivers)"},
                "each pipe ended, and the list of those that had not ended was ['a', 'b', 'c']",
                "def gather(receivers, seconds):",
            ),
            "returns no names": Mutant(
                {"return messages, list(names.values())": "return messages, []"},
                "the pipe 'b' stayed open, and the list of those that had not ended was []",
                "def gather(receivers, seconds):",
            ),
            "returns the receivers": Mutant(
                {"return messages, list(names.values())": "return messages, list(names)"},
                "the list of those that had not ended was ['<",
                "def gather(receivers, seconds):",
            ),
            "returns one thing": Mutant(
                {"return messages, list(names.values())": "return messages"},
                "Hint: return two things",
                "def gather(receivers, seconds):",
            ),
            "takes out of what it goes through": Mutant(
                "from multiprocessing import connection\n\n\ndef gather(receivers, seconds):\n"
                "    messages = {name: [] for name in receivers}\n"
                "    while receivers and connection.wait(list(receivers.values()), seconds):\n"
                "        for name, receiver in receivers.items():\n            try:\n"
                "                if connection.wait([receiver], 0):\n"
                "                    messages[name].append(receiver.recv())\n"
                "            except EOFError:\n                del receivers[name]\n"
                "    return messages, list(receivers)\n",
                "Hint: don't take anything out of what a for loop goes through",
                "for name, receiver in receivers.items():",
            ),
        },
        others={
            "closes, and a defaultdict": (
                "from collections import defaultdict\nfrom multiprocessing.connection import wait\n\n\n"
                "def gather(receivers, seconds):\n    messages = defaultdict(lambda: [])\n"
                "    while ends := [end for end in receivers.values() if not end.closed]:\n"
                "        ready = wait(ends, seconds)\n        if not ready:\n            break\n"
                "        for name, receiver in receivers.items():\n            if receiver in ready:\n"
                "                try:\n                    messages[name].append(receiver.recv())\n"
                "                except EOFError:\n                    receiver.close()\n"
                "    return [messages, {name for name, end in receivers.items() if not end.closed}]\n"
            ),
            "polls": (
                "import time\nfrom multiprocessing.connection import wait\n\n\n"
                "def gather(receivers, seconds):\n"
                "    messages, still_open = {name: [] for name in receivers}, dict(receivers)\n"
                "    last = time.monotonic()\n    while still_open and time.monotonic() - last < seconds:\n"
                "        for name, receiver in list(still_open.items()):\n"
                "            if wait([receiver], 0.01):\n                last = time.monotonic()\n"
                "                try:\n                    messages[name] += [receiver.recv()]\n"
                "                except EOFError:\n                    still_open.pop(name)\n"
                "    return messages, still_open.keys()\n"
            ),
        },
    ),
}
