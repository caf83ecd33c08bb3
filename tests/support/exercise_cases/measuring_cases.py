"""What readers might write for the exercise on a fair measurement, 10.3."""

from __future__ import annotations

from exercise_cases import Cases, Mutant

WARMING = (
    "    connection.send(make(0))  # a warm-up: its reply says that the other process is ready\n"
    "    connection.recv()\n    seconds"
)
MEASURING = (
    "        message = make(number)\n        begun = clock()\n        connection.send(message)\n"
    "        connection.recv()\n        seconds.append(clock() - begun)\n"
)

MEASURING_CASES = {
    "10.3": Cases(
        mutants={
            "no warm-up": Mutant(
                {WARMING: "    seconds"},
                "the first round trip took 32.25 seconds by the clock, and the last 1. Hint: the "
                "other process",
                "begun = clock()",
            ),
            "makes inside": Mutant(
                {
                    MEASURING: "        begun = clock()\n        connection.send(make(number))\n"
                    "        connection.recv()\n        seconds.append(clock() - begun)\n"
                },
                "a round trip took 5 seconds by the clock, and 4 of them went into make()",
                "connection.send(make(number))",
            ),
            "does not wait for the reply": Mutant(
                {
                    MEASURING: "        message = make(number)\n        begun = clock()\n"
                    "        connection.send(message)\n        seconds.append(clock() - begun)\n"
                    "        connection.recv()\n"
                },
                "the clock was read before the reply had come. Hint: a round trip ends when the "
                "reply is there",
                "seconds.append(clock() - begun)",
            ),
            "begins after the send": Mutant(
                {
                    MEASURING: "        message = make(number)\n        connection.send(message)\n"
                    "        begun = clock()\n        connection.recv()\n"
                    "        seconds.append(clock() - begun)\n"
                },
                "the clock was read after the message was sent",
                "begun = clock()",
            ),
            "one beginning": Mutant(
                {
                    "    seconds = []\n    for": "    seconds = []\n"
                    "    messages = list(map(make, range(count)))\n"
                    "    begun = clock()\n    for",
                    "make(number)\n        begun = clock()\n": "messages[number]\n",
                },
                "the round trips took 1.0, 2.0, 3.0, 4.0, 5.0 seconds by the clock. Hint: read the "
                "clock before",
                "begun = clock()",
            ),
            "the mean": Mutant(
                {"    return seconds": "    return sum(seconds) / count"},
                "measure() returned 1.0. Hint: return a list, with the seconds of each round trip",
                "seconds.append(clock() - begun)",
            ),
            "one of them is the warm-up": Mutant(
                {"range(count)": "range(1, count)"},
                "there were 5 round trips to measure, and measure() returned 4 times",
                "for number in range(1, count):",
            ),
            "another clock": Mutant(
                {
                    "def measure": "import time\n\n\ndef measure",
                    "begun = clock()": "begun = time.perf_counter()",
                    "clock() - begun": "time.perf_counter() - begun",
                },
                "nobody looked at the clock. Hint: clock() returns the time in seconds",
                "def measure(connection, make, count, clock):",
            ),
            "the same message again": Mutant(
                {"message = make(number)": "message = make(0)"},
                "Hint: measure make(0) to make(4), each once",
                "message = make(0)",
            ),
            "less than nothing": Mutant(
                {"clock() - begun": "begun - clock()"},
                "measure() returned -1.0, -1.0, -1.0, -1.0, -1.0. Hint: each is a number of seconds",
                "begun = clock()",
            ),
            "all at once": Mutant(
                {
                    "    seconds = []\n    for": "    begun = clock()\n    for",
                    MEASURING: "        connection.send(make(number))\n    for _ in range(count):\n"
                    "        connection.recv()\n",
                    "    return seconds": "    return [(clock() - begun) / count] * count",
                },
                "5 messages were under way at once. Hint: receive the reply to each before you send the next",
                "connection.send(make(number))",
            ),
            "the mean, five times": Mutant(
                {
                    "    seconds = []\n    for": "    messages = list(map(make, range(count)))\n"
                    "    begun = clock()\n    for",
                    MEASURING: "        connection.send(messages[number])\n        connection.recv()\n",
                    "    return seconds": "    return [(clock() - begun) / count] * count",
                },
                "for 5 round trips, the clock was read 2 times. Hint: read it before and after each of them",
                "begun = clock()",
            ),
            "receives first": Mutant(
                {
                    "        connection.send(message)\n": "",
                },
                "measure waits in recv() forever. Hint: one reply comes for each message that you send",
                "connection.recv()",
            ),
        },
        others={
            "all messages first": {
                "    seconds = []\n": "    messages = [make(number) for number in range(count)]\n"
                "    seconds = []\n",
                "number in range(count):\n        message = make(number)\n": "message in messages:\n",
            },
            "leaves the first out": (
                "def measure(connection, make, count, clock):\n    times = []\n"
                "    for number in [0, *range(count)]:\n        message = make(number)\n"
                "        start = clock()\n        connection.send_bytes(message)\n"
                "        while not connection.poll(0.1):\n            pass\n"
                "        connection.recv_bytes()\n        stop = clock()\n"
                "        times.append(stop - start)\n    connection.close()\n    return times[1:]\n"
            ),
            "a function for a trip": (
                "def measure(connection, make, count, clock):\n    def trip(message):\n"
                "        begun = clock()\n        connection.send(message)\n        connection.recv()\n"
                '        return clock() - begun\n\n    trip(b"warm-up")\n'
                "    return tuple(trip(make(number)) for number in range(count))\n"
            ),
        },
    ),
}
