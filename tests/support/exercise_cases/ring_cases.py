"""What readers might write for the exercises on rings, 10.4 and 10.5."""

from __future__ import annotations

from exercise_cases import Cases, Mutant

START = "    start = ring.count % ring.slots * ring.size\n"
PUTTING = (
    "    ring.free.acquire()\n    ring.memory[start : start + ring.size] = message\n"
    "    ring.filled.release()\n    ring.count += 1\n"
)
GETTING = (
    "    ring.filled.acquire()\n    message = bytes(ring.memory[start : start + ring.size])\n"
    "    ring.free.release()\n    ring.count += 1\n    return message\n"
)
COLLECTING = (
    "    while True:\n"
    "        was_alive = producer.is_alive()"
    "  # ask before you look: a dead producer puts nothing after the look\n"
    "        if ring.filled.acquire(timeout=0.1):\n            messages.append(ring.take())\n"
    "        elif not was_alive:\n            return messages, producer.exitcode\n"
)

RING_CASES = {
    "10.4": Cases(
        mutants={
            "tells too early": Mutant(
                {
                    PUTTING: "    ring.free.acquire()\n    ring.filled.release()\n"
                    "    ring.memory[start : start + ring.size] = message\n    ring.count += 1\n"
                },
                "the consumer was told by filled.release(), looked at once, and the message was not there",
                "ring.filled.release()",
            ),
            "a slice": Mutant(
                {"bytes(ring.memory[start : start + ring.size])": "ring.memory[start : start + ring.size]"},
                "get_from() returned message 3 in place of message 0: the slot was given back, and "
                "the producer",
                "ring.free.release()",
            ),
            "copies too late": Mutant(
                {
                    GETTING: "    ring.filled.acquire()\n    ring.free.release()\n"
                    "    message = bytes(ring.memory[start : start + ring.size])\n"
                    "    ring.count += 1\n    return message\n"
                },
                "Hint: copy the message, and give the slot back after that. A slice of a memoryview "
                "is no copy",
                "ring.free.release()",
            ),
            "writes before it waits": Mutant(
                {
                    PUTTING: "    ring.memory[start : start + ring.size] = message\n    ring.free.acquire()\n"
                    "    ring.filled.release()\n    ring.count += 1\n"
                },
                "a message was written into a slot before free.acquire() had returned",
                "def put_into(ring, message):",
            ),
            "reads before it waits": Mutant(
                {
                    GETTING: "    message = bytes(ring.memory[start : start + ring.size])\n"
                    "    ring.filled.acquire()\n    ring.free.release()\n    ring.count += 1\n"
                    "    return message\n"
                },
                "get_from() read the slot before filled.acquire() had returned",
                "def get_from(ring):",
            ),
            "does not wait": Mutant(
                {"    ring.free.acquire()\n": ""},
                "put_into() did not call free.acquire(). Hint: each end waits for one semaphore",
                "def put_into(ring, message):",
            ),
            "gives no slot back": Mutant(
                {"    ring.free.release()\n": ""},
                "get_from() did not call free.release()",
                "def get_from(ring):",
            ),
            "one semaphore": Mutant(
                {
                    PUTTING: "    with ring.free:\n        ring.memory[start : start + ring.size] = message\n"
                    "    ring.filled.release()\n    ring.count += 1\n"
                },
                "put_into() called free.acquire(), free.release(), filled.release(). Hint: "
                "free.acquire() waits",
                "def put_into(ring, message):",
            ),
            "counts nothing": Mutant(
                {"    ring.filled.release()\n    ring.count += 1\n": "    ring.filled.release()\n"},
                "message 1 belongs in slot 1, and was not there. Hint: the slots are used in turn",
                "def put_into(ring, message):",
            ),
            "gets the first again": Mutant(
                {"    ring.count += 1\n    return message\n": "    return message\n"},
                "message 1 was in slot 1, and get_from() returned another. Hint: the slots are used in turn",
                "def get_from(ring):",
            ),
            "runs past the last slot": Mutant(
                {
                    START + PUTTING: START.replace(" % ring.slots", "") + PUTTING,
                },
                "Hint: a slot has ring.size bytes, and there are ring.slots of them: where does "
                "this one begin",
                "ring.memory[start : start + ring.size] = message",
            ),
            "returns nothing": Mutant(
                {"    return message\n": ""},
                "get_from() returned None. Hint: return the message, as bytes",
                "def get_from(ring):",
            ),
        },
        others={
            "with limits": {
                PUTTING: "    if not ring.free.acquire(timeout=30):\n"
                '        raise TimeoutError("no slot became free")\n'
                "    slot = ring.memory[start : start + ring.size]\n    slot[:] = message\n"
                "    ring.count += 1\n    ring.filled.release()\n",
                GETTING: "    if not ring.filled.acquire(True, 30):\n"
                '        raise TimeoutError("no message came")\n'
                "    with ring.memory[start : start + ring.size] as slot:\n        message = slot.tobytes()\n"
                "    ring.count += 1\n    ring.free.release()\n    return message\n",
            },
            "a number of its own": (
                "from itertools import count\n\nput, got = count(), count()\n\n\n"
                "def slot_of(ring, number):\n    first = number % ring.slots * ring.size\n"
                "    return slice(first, first + ring.size)\n\n\n"
                "def put_into(ring, message):\n    ring.free.acquire()\n"
                "    ring.memory[slot_of(ring, next(put))] = message\n    ring.filled.release()\n\n\n"
                "def get_from(ring):\n    ring.filled.acquire()\n"
                "    message = bytearray(ring.memory[slot_of(ring, next(got))])\n"
                "    ring.free.release()\n    return message\n"
            ),
        },
    ),
    "10.5": Cases(
        mutants={
            "no limit": Mutant(
                {
                    COLLECTING: "    while producer.is_alive():\n        ring.filled.acquire()\n"
                    "        messages.append(ring.take())\n    return messages, producer.exitcode\n"
                },
                "the producer had died, and collect() waited for its next message, forever. Hint: "
                "give acquire()",
                "ring.filled.acquire()",
            ),
            "never asks": Mutant(
                {
                    COLLECTING: "    while len(messages) < 100:\n"
                    "        if ring.filled.acquire(timeout=0.01):\n"
                    "            messages.append(ring.take())\n    return messages, producer.exitcode\n"
                },
                "the producer had died, and collect() waited for its next message, forever",
                "if ring.filled.acquire(timeout=0.01):",
            ),
            "takes silence for the end": Mutant(
                {
                    COLLECTING: "    while ring.filled.acquire(timeout=1):\n"
                    "        messages.append(ring.take())\n    producer.join()\n"
                    "    return messages, producer.exitcode\n"
                },
                "waits in join() forever. Hint: join() waits for the producer's end",
                "producer.join()",
            ),
            "gives it up": Mutant(
                {
                    COLLECTING: "    while ring.filled.acquire(timeout=1):\n"
                    "        messages.append(ring.take())\n    return messages, producer.exitcode\n"
                },
                "the producer was alive, and silent for a while, and collect() gave it up. Hint: "
                "that no message",
                "while ring.filled.acquire(timeout=1):",
            ),
            "leaves the last": Mutant(
                {
                    COLLECTING: "    while producer.is_alive():\n"
                    "        if ring.filled.acquire(timeout=0.1):\n            messages.append(ring.take())\n"
                    "    return messages, producer.exitcode\n"
                },
                "the producer put 5 messages and died, and collect() returned 3: 2 were still in the ring",
                "while producer.is_alive():",
            ),
            "asks afterwards": Mutant(
                {
                    COLLECTING: "    while True:\n        if ring.filled.acquire(timeout=0.1):\n"
                    "            messages.append(ring.take())\n        elif not producer.is_alive():\n"
                    "            return messages, producer.exitcode\n"
                },
                "the producer put 5 messages and died, and collect() returned 3: 2 were still in the ring",
                "elif not producer.is_alive():",
            ),
            "joins first": Mutant(
                {
                    COLLECTING: "    producer.join()\n    while ring.filled.acquire(timeout=0.1):\n"
                    "        messages.append(ring.take())\n    return messages, producer.exitcode\n"
                },
                "waits in join() forever. Hint: join() waits for the producer's end, and nobody "
                "takes what it puts",
                "producer.join()",
            ),
            "takes and does not acquire": Mutant(
                {
                    COLLECTING: "    while producer.is_alive():\n        messages.append(ring.take())\n"
                    "    return messages, producer.exitcode\n"
                },
                "raised RuntimeError (no filled slot was acquired for this). Hint: acquire ring.filled once",
                "messages.append(ring.take())",
            ),
            "calls produce itself": Mutant(
                {"target=produce, args=(ring,)": "target=produce(ring)"},
                "Hint: produce(ring) is for the process that you start: target=produce, args=(ring,)",
                "producer = ctx.Process(target=produce(ring))",
            ),
            "kills it": Mutant(
                {
                    COLLECTING: "    while ring.filled.acquire(timeout=60):\n"
                    "        messages.append(ring.take())\n    producer.kill()\n    producer.join()\n"
                    "    return messages, producer.exitcode\n"
                },
                "the producer had 5 messages to put, and collect() returned 3. Hint: start it, and go on",
                "def collect(ctx, produce, ring):",
            ),
            "no exit code": Mutant(
                {"return messages, producer.exitcode": "return messages"},
                "Hint: return two things: a list of messages, and the exit code",
                "def collect(ctx, produce, ring):",
            ),
            "whether it died": Mutant(
                {"return messages, producer.exitcode": "return messages, producer.exitcode != 0"},
                "the producer died with exit code 9, and collect() returned True",
                "def collect(ctx, produce, ring):",
            ),
            "starts nobody": Mutant(
                {"    producer.start()\n": ""},
                "the producer had 5 messages to put, and collect() returned 0. Hint: start it, and go on",
                "def collect(ctx, produce, ring):",
            ),
        },
        others={
            "once more": {
                COLLECTING: "    while producer.is_alive():\n        if ring.filled.acquire(timeout=0.05):\n"
                "            messages.append(ring.take())\n    while ring.filled.acquire(block=False):\n"
                "        messages.append(ring.take())\n    producer.join()\n"
                "    return messages, producer.exitcode\n"
            },
            "the sentinel": (
                "from multiprocessing.connection import wait\n\n\ndef collect(ctx, produce, ring):\n"
                "    producer = ctx.Process(target=produce, args=(ring,))\n    producer.start()\n"
                "    messages, has_ended = [], False\n    while not has_ended:\n"
                "        has_ended = bool(wait([producer.sentinel], timeout=0.01))\n"
                "        while ring.filled.acquire(timeout=0):\n            messages.append(ring.take())\n"
                "    producer.join()\n    return [messages, producer.exitcode]\n"
            ),
            "a thread that wakes": (
                "from threading import Event, Thread\n\n\ndef collect(ctx, produce, ring):\n"
                "    producer = ctx.Process(target=produce, args=(ring,))\n    producer.start()\n"
                "    ended = Event()\n\n    def wake():\n        producer.join()\n        ended.set()\n"
                "        ring.filled.release()\n\n    Thread(target=wake).start()\n    messages = []\n"
                "    while True:\n        ring.filled.acquire()\n        if ended.is_set():\n       "
                "     break\n"
                "        messages.append(ring.take())\n    while ring.filled.acquire(False):\n"
                "        messages.append(ring.take())\n    return messages, producer.exitcode\n"
            ),
        },
    ),
}
