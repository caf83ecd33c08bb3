"""Facts that a trial may return, and what its judge has to say of them: for mistakes that no mutant makes."""

from __future__ import annotations

from typing import Any

from ipc_helpers.exercises.trial_process import Nothing

HALVES = [4, "ValueError('3 is odd')", 0]
PARTS = [b"abc", b"abcdef", b"", b"xy"]
DONE = [(4, 5), (9, 4), (-1, 3), (16, 2)]
ANSWERS = [(4, 2.0), (-1, "ValueError"), ("nine", "TypeError"), (9, 3.0)]
RUNS = {"failed": None, "failed_runs": [0, 1], "alive": 0}
SENT = [(number, bytes(100_000)) for number in range(4)]
PRICE_ERROR = {
    "name": "PriceError",
    "text": "3,50",
    "position": 1,
    "words": "3,50 is no price, see position 1",
}
REPORTS = [(1, 3), (2, 3), (3, 3)]
STOPPED = {"stopped": [1, 4, 9], "begun": 3, "early": [], "begun_early": 0, "still_set": True}
FED = {"alive": 0, "done": ["a", "b", "c", "d"], "left": 2}
ENDED = {
    "interrupted": {**FED, "raised": "KeyboardInterrupt"},
    "failed": {**FED, "raised": "ArithmeticError"},
    "whole": {**FED, "raised": ""},
}
KNOWN = {"returned": {"a": "A", "b": "B"}, "alive": 0, "late": 0, "answered": ["a", "b"]}
SLOT = {"waited": 0.0, "again": False, "left": ["new"], "returned": None}
HELD_OLD = {**SLOT, "returned": "old"}
SLOTS = {
    "empty": SLOT,
    "old": HELD_OLD,
    "taken": SLOT,
    "unwritten": HELD_OLD,
    "quick": ([None, "a", "b"], ["c"]),
}
WAITED = {"awaitable": True, "blocked": False, "late": False, "threads": 0, "took": 0.5, "ticks": 20}
LISTS = {
    "some": [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], None],
    "even": [[0, 1, 2, 3], [4, 5, 6, 7], None],
    "none": [None],
    "returned": None,
    "held": 3,
    "changed": False,
}
MEASURED = {"reads": 10, "most": 1, "sent": [b"message 0"] + [b"message %d" % number for number in range(5)]}
PUT = (["free.acquire()", "filled.release()"], [bytes(8), b"\1" * 8], b"\1" * 8)
GOT = ["filled.acquire()", "free.release()"]
COLLECTED = {"forever": False, "alive": 0, "left": 0}
TAKEN = [b"message%d" % number for number in range(5)]

FACTS: list[tuple[str, dict[str, Any], str]] = [
    (
        "01.2",
        {"three": (5, 4), "five": (7, 6), "predicted": 5},
        "your prediction was 5, and it was (5, 4). Hint: follow your list",
    ),
    (
        "01.2",
        {"three": 4, "five": 5, "predicted": (5, 4)},
        "prove() returned 4. Hint: return two",
    ),
    (
        "01.2",
        {"three": [3, 2], "five": [5, 4], "predicted": (5, 4)},
        "for a list of three numbers, prove() returned (3, 2)",
    ),
    (
        "01.3",
        {"returned": Nothing(9), "begun": 3, "alive": 0},
        "the worker returned nothing, and left with exit code 9. Hint: it is the children that leave",
    ),
    (
        "01.3",
        {"returned": 9, "begun": 3, "alive": 0},
        "the worker returned 9. Hint: it is the children that leave: return a list",
    ),
    (
        "01.3",
        {"returned": [0], "begun": 3, "alive": 0},
        "the children left 4, 2, 3, and count_all() returned 0",
    ),
    (
        "01.4",
        {"watched": Nothing(1)},
        "the worker returned nothing, and left with exit code 1. Hint: return True or False",
    ),
    (
        "01.5",
        {"returned": Nothing(1), "alive": 0},
        "the worker returned nothing, and left with exit code 1. Hint: return one thing",
    ),
    (
        "01.5",
        {"returned": (0, HALVES[1], 4), "alive": 0},
        "for 8, 3 and 0 came 0, \"ValueError('3 is odd')\", 4",
    ),
    ("01.5", {"returned": HALVES, "alive": 1}, "a child still ran when try_all() returned"),
    ("02.2", {"results": [9], "returned": None}, "of 1, 2, 3 and 4 came 9. Hint: add up all numbers until"),
    ("02.3", {"returned": 1, "alive": 0}, "the worker returned 1, not the 400,000 bytes that were put"),
    (
        "02.5",
        {"sent": ["b"], "left": [], "got": [], "left_in_time": []},
        "into a queue of maxsize=2 went 'b'. Hint: put the messages in order",
    ),
    (
        "02.5",
        {"sent": ["a", "b"], "left": 2, "got": [], "left_in_time": []},
        "of a, b, c and d, two fitted; the worker returned 2",
    ),
    (
        "03.3",
        {"some": ["x × 100,000"] * 4, "none": None, "alive": 0},
        "a producer sent nothing, and the worker returned None. Hint: then the list is empty",
    ),
    ("03.4", {"returned": 2, "predicted": ()}, "the worker returned 2. Hint: return a list of all messages"),
    (
        "03.4",
        {"returned": [], "predicted": ()},
        "of b'abc', b'abcdef', b'', b'xy', the worker returned nothing. Hint: return the bytes",
    ),
    (
        "03.4",
        {"returned": PARTS, "predicted": (), "room": b"xy\0\0"},
        "the room holds b'xy\\x00\\x00' in the end, not b'xyc\\x00'",
    ),
    (
        "04.1",
        {"messages": [], "returned": None},
        "out of the queue came nothing. Hint: for the letters a, b and c",
    ),
    (
        "04.2",
        {"messages": [1], "returned": None},
        "out of the queue came 1. Hint: put one message for each value",
    ),
    (
        "04.3",
        {"kept": [1, 2, 3], "lost": [1], "exitcode": 0, "predicted": (3, 0)},
        "your prediction was (3, 0), and (3, 1) came",
    ),
    (
        "04.4",
        {"returned": Nothing(0), "unfinished": 5},
        "work() was called for nothing, and the tasks were 4, 9, -1, 16",
    ),
    (
        "04.4",
        {"returned": [-1], "unfinished": 2, "done": DONE},
        "2 messages are unfinished when the worker has returned",
    ),
    (
        "04.5",
        {"results": ["a"], "returned": None},
        "the worker got 0 of 6 messages, and stopped. Hint: get until as many sentinels",
    ),
    (
        "05.1",
        {"messages": [*"abcd", *[None] * 4], "returned": None},
        "4 sentinels came for 3 consumers. Hint: put None once for each",
    ),
    (
        "05.3",
        {"results": ANSWERS, "unfinished": 3, "returned": None},
        "3 messages are unfinished when the worker has returned",
    ),
    (
        "05.3",
        {"results": [], "unfinished": 5, "returned": ANSWERS[:1]},
        "the worker returned [(4, 2.0)], and put nothing",
    ),
    ("05.5", {"answers": {}, "asked": ["c", "c"]}, "spare was asked for 'c', 'c', and one worker had died"),
    (
        "06.1",
        {"alone": "no news", "served": 2, "early": False},
        "the message 0 came, and the worker returned 2",
    ),
    (
        "06.3",
        {"codes": 10, "alive": [], "slow": [0], "predicted": ()},
        "the worker returned 10. Hint: return a list, with an exit code",
    ),
    (
        "06.3",
        {"codes": [], "alive": [], "slow": [0], "predicted": ()},
        "exit_codes() returned nothing. Hint: return the exitcode of each process",
    ),
    (
        "06.4",
        {"results": [], "few": [], "returned": None},
        "out of the results came nothing. Hint: for each task",
    ),
    (
        "06.5",
        {"recovered": 2, "runs": [0], **RUNS},
        "the worker returned 2. Hint: return a list of all messages of the run that ended well",
    ),
    (
        "06.5",
        {"recovered": [], "runs": [0], **RUNS},
        "of 4 messages of the run that ended well, the worker returned 0",
    ),
    (
        "06.5",
        {"recovered": None, "runs": [], **RUNS},
        "produce was started for these runs: nothing. Hint: start a process for each",
    ),
    (
        "06.5",
        {"recovered": SENT, "runs": [0, 1, 2, 3], **RUNS},
        "the third run ended well, and 4 were started. Hint: return as soon",
    ),
    (
        "07.1",
        {"returned": [2.0, "ValueError", 3.0, "TypeError", 1], "alone": 0},
        "for 4, -1, 'nine' and 9 came 2.0, 'ValueError', 3.0, 'TypeError', 1. Hint: for each task return",
    ),
    (
        "07.2",
        {"answers": [[2, 30, 2], [9, 2]], "loads": 2, "messages": []},
        "for 'book', 'pen', 'lamp', look_up() returned 9, 2. Hint: return the price of the item",
    ),
    (
        "07.3",
        {"came": [3, PRICE_ERROR, 4], "predicted": (), "program": []},
        "for '3.50' and '4' came 3, 4. Hint: read_price() was right",
    ),
    (
        "07.3",
        {"came": [3.5, {**PRICE_ERROR, "name": "NotImplementedError"}, 4.0], "predicted": (), "program": []},
        "for '3,50' came NotImplementedError. Hint: one part of the cell is still to be written",
    ),
    (
        "07.4",
        {"returned": {"a": "A"}, "reports": REPORTS, "late": 0},
        "the worker returned {'a': 'A'}. Hint: return a dictionary, from each task to its answer",
    ),
    (
        "07.5",
        {"slow": KNOWN, "deadly": {**KNOWN, "returned": {"a": "A"}}},
        "with the task that kills its worker among them, 'b' had been answered, and the worker returned {",
    ),
    (
        "07.5",
        {"slow": KNOWN, "deadly": {**KNOWN, "alive": 1}},
        "1 worker still ran when the function returned. Hint: end the workers",
    ),
    (
        "08.1",
        {**STOPPED, "whole": [1, 4, 9, 16, 25, 36], "early": [0]},
        "with the event set before the first step, the worker returned 0. Hint: return what the function",
    ),
    (
        "08.1",
        {**STOPPED, "whole": [1, 4, 9, 16, 25, 36], "stopped": [9]},
        "with the event set during step 3, the worker returned 9",
    ),
    (
        "08.2",
        {**ENDED, "whole": {**FED, "raised": "", "left": 1}},
        "1 of 2 workers had got None when feed() returned. Hint: put None for each worker",
    ),
    (
        "08.2",
        {**ENDED, "whole": {**FED, "raised": "", "alive": 1}},
        "1 worker still ran when feed() returned. Hint: put the sentinels and join in a finally block",
    ),
    (
        "08.2",
        {**ENDED, "failed": {**FED, "raised": "", "alive": 2}},
        "2 workers still ran when feed() returned. Hint: put the sentinels and join in a finally block",
    ),
    (
        "08.1",
        {**STOPPED, "whole": [(1, 1), (2, 4)]},
        "without the event, the worker returned (1, 1), (2, 4). Hint: return what the function returned",
    ),
    (
        "08.5",
        {"answers": [(-1, 1), (-2, 2), (-3, 3)], "idle": True, "left": True, "ended": True},
        "for -1, -2, -3 came (-1, 1), (-2, 2), (-3, 3). Hint: send what the function returns for each task",
    ),
    (
        "08.3",
        {"records": [], "returned": "<QueueHandler>"},
        "log_to() returned '<QueueHandler>', and no record came. Hint: add a QueueHandler to the root",
    ),
    (
        "09.4",
        {**SLOTS, "empty": {**SLOT, "left": []}},
        "into an empty queue went nothing. Hint: put the message, once",
    ),
    (
        "09.4",
        {**SLOTS, "unwritten": {**HELD_OLD, "left": ["old"]}},
        "could not be got yet, and in the end 'old' was in the queue. Hint: try again",
    ),
    (
        "09.4",
        {**SLOTS, "quick": ([None, "a", None], ["b"])},
        "of the messages a, b and c, put in this order, 'b' was left. Hint: try again",
    ),
    (
        "09.4",
        {**SLOTS, "quick": ([None, "a", None], ["c"])},
        "of the messages a, b and c, put in this order, it took out None, 'a', None. Hint: return",
    ),
    (
        "09.5",
        {"some": {**WAITED, "returned": ["news"]}, "none": {**WAITED, "returned": None}},
        "the message was 'news', and receive() returned ['news']. Hint: return the message",
    ),
    (
        "09.5",
        {"some": {**WAITED, "returned": "news"}, "none": {**WAITED, "returned": False}},
        "no message came, and receive() returned False. Hint: return None then",
    ),
    (
        "10.1",
        {**LISTS, "even": [[0, 1, 2, 3], [4, 5], [6, 7], None]},
        "there were 8 messages, and out of the queue came [0, 1, 2, 3], [4, 5], [6, 7], None. Hint: it",
    ),
    (
        "10.1",
        {**LISTS, "none": []},
        "no None came after the last list",
    ),
    (
        "10.3",
        {**MEASURED, "returned": [1.0, 2.0, 1.0, 1.0, 1.0]},
        "each round trip takes 1 second by the clock, and measure() returned 1.0, 2.0, 1.0, 1.0, 1.0",
    ),
    (
        "10.3",
        {**MEASURED, "returned": [(1.0, 2.0)] * 5},
        "measure() returned (1.0, 2.0), (1.0, 2.0), (1.0, 2.0), (1.0, 2.0), (1.0, 2.0). Hint: each is",
    ),
    (
        "10.4",
        {"puts": [PUT], "gets": [(GOT, b"\2" * 8)], "good": 0},
        "message 0 was in slot 0, and get_from() returned another. Hint: the slots are used in turn",
    ),
    (
        "10.4",
        {"puts": [PUT], "gets": [(GOT, [1] * 8)], "good": 0},
        "get_from() returned [1, 1, 1, 1, 1, 1, 1, 1]. Hint: return the message, as bytes",
    ),
    (
        "10.4",
        {"puts": [PUT], "gets": [(GOT, b"\1" * 8)], "good": 299},
        "of 300 messages between two processes, 299 came whole and in their turn. Hint: each end counts",
    ),
    (
        "10.5",
        {"dies": {**COLLECTED, "returned": (TAKEN[:1] * 5, 9)}, "ends": {}},
        "and collect() returned b'message0', b'message0', b'message0', b'message0', b'message0'. Hint: call",
    ),
    (
        "10.5",
        {"dies": {**COLLECTED, "returned": (TAKEN, 9)}, "ends": {**COLLECTED, "returned": (TAKEN, None)}},
        "the producer ended with exit code 0, and collect() returned None. Hint: the process has it",
    ),
]
