"""What readers might write for the exercises on fewer and cheaper messages, 10.1 and 10.2."""

from __future__ import annotations

from exercise_cases import Cases, Mutant
from exercise_cases.measuring_cases import MEASURING_CASES
from exercise_cases.ring_cases import RING_CASES

LISTING = (
    "    batch = []\n    for message in messages:\n        batch.append(message)\n"
    "        if len(batch) == size:\n            queue.put(batch)\n            batch = []\n"
)
LEFT_OVER = "    if batch:\n        queue.put(batch)\n"
SENDING = (
    "    connection.send([buffer.raw().nbytes for buffer in buffers])\n    connection.send_bytes(data)\n"
    "    for buffer in buffers:\n        connection.send_bytes(buffer.raw())\n"
)
RECEIVING = (
    "    rooms = [bytearray(size) for size in connection.recv()]\n    data = connection.recv_bytes()\n"
    "    for room in rooms:\n        connection.recv_bytes_into(room)\n"
    "    return pickle.loads(data, buffers=rooms)\n"
)
DUMPING = "    data = pickle.dumps(record, protocol=5, buffer_callback=buffers.append)\n"

CASES = {
    "10.1": Cases(
        mutants={
            "forgets what is left over": Mutant(
                {LEFT_OVER: ""},
                "there were 10 messages, and the last 2 did not come. Hint: after the loop, put what is left",
                "queue.put(None)",
            ),
            "an empty list": Mutant(
                {LEFT_OVER: "    queue.put(batch)\n"},
                "there were 8 messages, and an empty list came. Hint: put what is left over only if there is",
                "queue.put(None)",
            ),
            "clears the list": Mutant(
                {"            batch = []\n": "            batch.clear()\n"},
                "a list was changed after put(), and out of the queue came [8, 9], [8, 9], [8, 9], None",
                "queue.put(batch)",
            ),
            "one by one": Mutant(
                {LISTING: "    for message in messages:\n        queue.put(message)\n", LEFT_OVER: ""},
                "out of the queue came 0, 1, 2. Hint: put lists, of 4 messages each",
                "queue.put(message)",
            ),
            "a list too long": Mutant(
                {"len(batch) == size": "len(batch) > size"},
                "size was 4, and a list has 5 messages. Hint: put a list as soon as it has so many",
                "queue.put(batch)",
            ),
            "no sentinel": Mutant(
                {"    queue.put(None)\n": ""},
                "no None came after the last list. Hint: put None at the end",
                "queue.put(batch)",
            ),
            "the sentinel in the list": Mutant(
                {LEFT_OVER: "", "    queue.put(None)\n": "    queue.put([*batch, None])\n"},
                "the last list was [8, 9, None]. Hint: put None by itself",
                "queue.put([*batch, None])",
            ),
            "all of them first": Mutant(
                {
                    LISTING: "    messages = list(messages)\n"
                    "    for start in range(0, len(messages), size):\n"
                    "        queue.put(messages[start : start + size])\n",
                    LEFT_OVER: "",
                },
                "the worker held 9 messages back, and had not put them when it asked for the next. "
                "Hint: there",
                "queue.put(messages[start : start + size])",
            ),
            "slices": Mutant(
                {
                    LISTING: "    for start in range(0, len(messages), size):\n"
                    "        queue.put(messages[start : start + size])\n",
                    LEFT_OVER: "",
                },
                "Hint: messages may be a generator: it has no length and no slices",
                "for start in range(0, len(messages), size):",
            ),
            "returns them": Mutant(
                {
                    LISTING: "    lists = []\n    for message in messages:\n"
                    "        lists.append([message])\n",
                    LEFT_OVER: "    return lists\n",
                    "    queue.put(None)\n": "",
                },
                "and put nothing. Hint: nobody sees what a process returns",
                "def send_lists(queue, messages, size):",
            ),
        },
        others={
            "islice": (
                "from itertools import islice\n\n\ndef send_lists(queue, messages, size):\n"
                "    messages = iter(messages)\n    while batch := list(islice(messages, size)):\n"
                "        queue.put(batch)\n    queue.put(None)\n"
            ),
            "tuples, a message late": (
                "def send_lists(queue, messages, size):\n    batch = ()\n    for message in messages:\n"
                "        if len(batch) == size:\n            queue.put(batch)\n            batch = ()\n"
                "        batch += (message,)\n    if len(batch) > 0:\n        queue.put(batch)\n"
                "    queue.put(None)\n"
            ),
            "a copy": {
                "            queue.put(batch)\n            batch = []\n": "            queue.put(batch[:])\n"
                "            batch.clear()\n"
            },
            "closes the queue": {"    queue.put(None)\n": "    queue.put(None)\n    queue.close()\n"},
            "counts": (
                "def send_lists(queue, messages, size):\n    batch, count = [], 0\n"
                "    for message in messages:\n        batch.append(message)\n        count += 1\n"
                "        if count % size == 0:\n            queue.put(batch)\n            batch = []\n"
                "    if count % size != 0:\n        queue.put(batch)\n    queue.put(None)\n"
            ),
        },
    ),
    "10.2": Cases(
        mutants={
            "pickles all": Mutant(
                {SENDING: "    connection.send(record)\n", RECEIVING: "    return connection.recv()\n"},
                "those of the arrays, once more or inside a pickle. Hint: pickle.dumps(record, protocol=5,",
                "data = pickle.dumps(record, protocol=5, buffer_callback=buffers.append)",
            ),
            "no callback": Mutant(
                {DUMPING: "    data = pickle.dumps(record, protocol=5)\n"},
                "those of the arrays, once more or inside a pickle",
                "data = pickle.dumps(record, protocol=5)",
            ),
            "a callback that returns something": Mutant(
                {"buffers.append)": "lambda buffer: not buffers.append(buffer))"},
                "what the callback returns has to be None",
                "data = pickle.dumps(record, protocol=5, buffer_callback=lambda buffer: not "
                "buffers.append(buffer))",
            ),
            "a file of NumPy's": Mutant(
                (
                    "import io\n\nimport numpy as np\n\n\ndef send_record(connection, record):\n"
                    "    file = io.BytesIO()\n    np.savez(file, **record)\n"
                    "    connection.send_bytes(file.getvalue())\n\n\ndef receive_record(connection):\n"
                    "    return dict(np.load(io.BytesIO(connection.recv_bytes())))\n"
                ),
                "name is 'first', and array('first', dtype='<U5') came. Hint: build the whole record again",
                "def receive_record(connection):",
            ),
            "an old protocol": Mutant(
                {"protocol=5, ": "protocol=4, "},
                "And buffer_callback needs protocol=5",
                "data = pickle.dumps(record, protocol=4, buffer_callback=buffers.append)",
            ),
            "loads without buffers": Mutant(
                {", buffers=rooms": ""},
                "Hint: loads() needs all buffers, in their order: pickle.loads(data, buffers=buffers)",
                "return pickle.loads(data)",
            ),
            "not raw": Mutant(
                {"send_bytes(buffer.raw())": "send_bytes(buffer)"},
                "send_bytes() was given 100 rows of bytes, and it counts the rows, not the bytes. Hint: give",
                "connection.send_bytes(buffer)",
            ),
            "read-only": Mutant(
                {
                    RECEIVING: "    sizes = connection.recv()\n    data = connection.recv_bytes()\n"
                    "    rooms = [connection.recv_bytes() for _ in sizes]\n"
                    "    return pickle.loads(data, buffers=rooms)\n"
                },
                "the record is right, and nobody can change samples: the array is read-only. Hint: "
                "it lies in",
                "rooms = [connection.recv_bytes() for _ in sizes]",
            ),
            "always one": Mutant(
                {
                    SENDING: "    connection.send_bytes(data)\n    for buffer in buffers:\n"
                    "        connection.send_bytes(buffer.raw())\n",
                    RECEIVING: "    data = connection.recv_bytes()\n"
                    "    room = bytearray(connection.recv_bytes())\n"
                    "    return pickle.loads(data, buffers=[room])\n",
                },
                "receive_record raised UnpicklingError",
                "return pickle.loads(data, buffers=[room])",
            ),
            "to the end of the pipe": Mutant(
                {
                    SENDING: "    connection.send_bytes(data)\n    for buffer in buffers:\n"
                    "        connection.send_bytes(buffer.raw())\n",
                    RECEIVING: "    data = connection.recv_bytes()\n    rooms = []\n    try:\n"
                    "        while True:\n            rooms.append(bytearray(connection.recv_bytes()))\n"
                    "    except EOFError:\n        return pickle.loads(data, buffers=rooms)\n",
                },
                "receive_record raised EOFError. Hint: nothing more comes. Receive as many messages "
                "for a record",
                "data = connection.recv_bytes()",
            ),
            "one room for all": Mutant(
                {
                    "import pickle\n": "import pickle\n\nroom = bytearray(1_000_000)\n",
                    RECEIVING: "    sizes = connection.recv()\n    data = connection.recv_bytes()\n"
                    "    rooms, start = [], 0\n    for size in sizes:\n"
                    "        rooms.append(memoryview(room)[start : start + size])\n"
                    "        connection.recv_bytes_into(rooms[-1])\n        start += size\n"
                    "    return pickle.loads(data, buffers=rooms)\n",
                },
                "as the next record came, the arrays of the one before changed. Hint: receive each "
                "array into memory",
                "connection.recv_bytes_into(rooms[-1])",
            ),
            "in another order": Mutant(
                {"buffers=rooms)": "buffers=rooms[::-1])"},
                "Hint: loads() takes the buffers in the order in which buffer_callback got them",
                "return pickle.loads(data, buffers=rooms[::-1])",
            ),
            "the names only": Mutant(
                {"pickle.loads(data, buffers=rooms)": "list(pickle.loads(data, buffers=rooms))"},
                "of the record 'first' came list, and no dictionary",
                "return list(pickle.loads(data, buffers=rooms))",
            ),
        },
        others={
            "by hand": (
                "import numpy as np\n\n\ndef send_record(connection, record):\n"
                "    rest = dict(record)\n    arrays = {}\n    for name, value in record.items():\n"
                "        if isinstance(value, np.ndarray):\n            arrays[name] = value\n"
                "            rest[name] = (value.shape, value.dtype)\n"
                "    connection.send((rest, list(arrays)))\n    for array in arrays.values():\n"
                "        connection.send_bytes(array.tobytes())\n\n\n"
                "def receive_record(connection):\n    record, names = connection.recv()\n"
                "    for name in names:\n        shape, dtype = record[name]\n"
                "        array = np.frombuffer(bytearray(connection.recv_bytes()), dtype)\n"
                "        record[name] = array.reshape(shape)\n    return record\n"
            ),
            "the pickle by send, in pieces": {
                SENDING: "    rooms = [buffer.raw() for buffer in buffers]\n"
                "    connection.send((data, [len(room) for room in rooms]))\n    for room in rooms:\n"
                "        for start in range(0, len(room), 65_536):\n"
                "            connection.send_bytes(room[start : start + 65_536])\n",
                RECEIVING: "    data, sizes = connection.recv()\n    rooms = []\n    for size in sizes:\n"
                "        room, filled = bytearray(size), 0\n        while filled < size:\n"
                "            filled += connection.recv_bytes_into(room, filled)\n"
                "        rooms.append(room)\n    return pickle.loads(data, buffers=rooms)\n",
            },
            "by hand, into place": (
                "import numpy as np\n\n\ndef send_record(connection, record):\n"
                "    arrays = {name: np.ascontiguousarray(value) for name, value in record.items() "
                "if isinstance(value, np.ndarray)}\n"
                "    connection.send([(name, arrays[name].shape, arrays[name].dtype) if name in arrays "
                "else (name, value)\n                     for name, value in record.items()])\n"
                "    for array in arrays.values():\n        connection.send_bytes(array.reshape(-1))\n\n\n"
                "def receive_record(connection):\n    record = {}\n"
                "    for name, *value in connection.recv():\n        if len(value) == 1:\n"
                "            record[name] = value[0]\n        else:\n"
                "            record[name] = np.empty(*value)\n"
                '            connection.recv_bytes_into(memoryview(record[name]).cast("B"))\n'
                "    return record\n"
            ),
            "copies": {
                SENDING: "    connection.send((data, len(buffers)))\n    for buffer in buffers:\n"
                "        connection.send_bytes(bytes(buffer.raw()))\n",
                RECEIVING: "    data, count = connection.recv()\n"
                "    rooms = [bytearray(connection.recv_bytes()) for _ in range(count)]\n"
                "    return pickle.loads(data, buffers=rooms)\n",
            },
        },
    ),
    **MEASURING_CASES,
    **RING_CASES,
}
