"""What readers might write for the exercises on sharing, telling and waiting."""

from __future__ import annotations

from exercise_cases import Cases, Mutant
from exercise_cases.telling_cases import TELLING_CASES

SELLING = (
    "    with tickets.get_lock():\n        if tickets.value < wanted:\n            return False\n"
    "        tickets.value -= wanted\n        return True\n"
)
ENTERING = "        pages = index.get(word, [])\n        pages.append(page)\n        index[word] = pages\n"
WRITING = (
    '        with shared.buf.cast("d") as items:\n            for index in range(start, stop):\n'
    "                items[index] = index / 2\n"
)
CLOSING = "    finally:\n        shared.close()\n"
LOST = "somebody else sold a ticket between a read and a write of tickets.value, and this was lost. Hint: "

CASES = {
    "09.1": Cases(
        mutants={
            "no lock": Mutant(
                {"with tickets.get_lock()": "if True"},
                f"{LOST}tickets.value -= wanted reads, and then writes",
                "tickets.value -= wanted",
            ),
            "a lock of its own": Mutant(
                {
                    "def sell": "import multiprocessing\n\n\ndef sell",
                    "with tickets.get_lock()": "with multiprocessing.Lock()",
                },
                f"{LOST}a lock that each process makes for itself keeps nobody out",
                "with multiprocessing.Lock():",
            ),
            "looks before the lock": Mutant(
                {
                    SELLING: "    if tickets.value < wanted:\n        return False\n"
                    "    with tickets.get_lock():\n        tickets.value -= wanted\n    return True\n"
                },
                "another one was sold after you had looked, and -1 were left. Hint: look and take in one",
                "tickets.value -= wanted",
            ),
            "two blocks": Mutant(
                {
                    SELLING: "    with tickets.get_lock():\n        left = tickets.value\n"
                    "    if left < wanted:\n        return False\n"
                    "    with tickets.get_lock():\n        tickets.value = left - wanted\n    return True\n"
                },
                f"{LOST}tickets.value -= wanted reads, and then writes",
                "tickets.value = left - wanted",
            ),
            "keeps the lock where there are too few": Mutant(
                {
                    SELLING: "    tickets.get_lock().acquire()\n    if tickets.value < wanted:\n"
                    "        return False\n    tickets.value -= wanted\n    tickets.get_lock().release()\n"
                    "    return True\n"
                },
                "sell() returned, and still held the lock. Hint: release it in each case",
                "tickets.get_lock().acquire()",
            ),
            "past the lock": Mutant(
                {
                    SELLING: "    number = tickets.get_obj()\n    if number.value < wanted:\n"
                    "        return False\n    number.value -= wanted\n    return True\n"
                },
                "the number was changed while nobody held its lock. Hint: get_obj() leads past the lock",
                "number = tickets.get_obj()",
            ),
            "the object": Mutant(
                {"tickets.value < wanted": "tickets < wanted"},
                "Hint: tickets is the object that all processes have",
                "if tickets < wanted:",
            ),
            "changes a name of its own": Mutant(
                {
                    SELLING: "    with tickets.get_lock():\n        left = tickets.value\n"
                    "        if left >= wanted:\n            left -= wanted\n            return True\n"
                    "        return False\n"
                },
                "sell() returned True, and the number in the value was still the same",
                "def sell(tickets, wanted):",
            ),
            "refuses the last": Mutant(
                {"tickets.value < wanted": "tickets.value <= wanted"},
                "and sell() returned False. Hint: sell as long as there are enough, down to 0",
                "def sell(tickets, wanted):",
            ),
            "returns nothing": Mutant(
                {"        return True\n": ""},
                "sell() returned None to somebody who wanted 3. Hint: return True or False",
                "def sell(tickets, wanted):",
            ),
        },
        others={
            "acquire and release": {
                SELLING: "    tickets.acquire()\n    try:\n        enough = tickets.value >= wanted\n"
                "        if enough:\n            tickets.get_obj().value -= wanted\n"
                "    finally:\n        tickets.release()\n    return enough\n"
            },
            "looks twice": {
                SELLING: "    if tickets.value < wanted:\n        return False\n    with tickets:\n"
                "        left = tickets.value - wanted\n        if left >= 0:\n"
                "            tickets.value = left\n    return left >= 0\n"
            },
        },
    ),
    "09.2": Cases(
        mutants={
            "changes a copy": Mutant(
                {ENTERING: "        index.setdefault(word, [])\n        index[word].append(page)\n"},
                "the index has the words, and no page: {'pipe': [], 'queue': [], 'value': []}. Hint: ",
                "index[word].append(page)",
            ),
            "assigns nothing": Mutant(
                {"        index[word] = pages\n": ""},
                "the index is empty. Hint: the others see what is assigned to index[word]",
                "pages.append(page)",
            ),
            "a dictionary of its own": Mutant(
                {"    for word in words": "    index = dict(index)\n    for word in words"},
                "the index is empty",
                "pages.append(page)",
            ),
            "a new list": Mutant(
                {ENTERING: "        index[word] = [page]\n"},
                "under 'pipe', which is on both pages, is [2]. Hint: keep the pages that the list has",
                "def enter(index, page, words):",
            ),
            "no list yet": Mutant(
                {"index.get(word, [])": "index[word]"},
                "Hint: a word that is not in the index yet has no list there",
                "pages = index[word]",
            ),
            "None": Mutant(
                {"index.get(word, [])": "index.get(word)"},
                "enter, for page 1, raised AttributeError ('NoneType' object has no attribute 'append')",
                "pages.append(page)",
            ),
            "what append returns": Mutant(
                {ENTERING: "        index[word] = index.get(word, []).append(page)\n"},
                "enter, for page 2, raised AttributeError",
                "index[word] = index.get(word, []).append(page)",
            ),
            "a page, and no list": Mutant(
                {ENTERING: "        index[word] = page\n"},
                "the index is {'pipe': 2, 'queue': 1, 'value': 2}. Hint: for pages {1: ['pipe', 'queue'],",
                "def enter(index, page, words):",
            ),
            "predicts the right index": Mutant(
                {'{"pipe": [], "queue": [], "value": []}': '{"pipe": [1, 2], "queue": [1], "value": [2]}'},
                "your prediction was {'pipe': [1, 2], 'queue': [1], 'value': [2]}, and the program returned",
                "def predict():",
            ),
        },
        others={
            "adds": {ENTERING: "        index[word] = index.get(word, []) + [page]\n"},
            "adds in place, which assigns": {
                ENTERING: "        index.setdefault(word, [])\n        index[word] += [page]\n"
            },
            "all words at once": {
                "    for word in words:\n": "",
                ENTERING: "    index.update({word: [*index.get(word, ()), page] for word in words})\n",
            },
        },
    ),
    "09.3": Cases(
        mutants={
            "a view is left": Mutant(
                {
                    'with shared.buf.cast("d") as items:\n    ': 'items = shared.buf.cast("d")\n',
                    "            items[index]": "        items[index]",
                },
                "Hint: a view of the memory is still there",
                "shared.close()",
            ),
            "not closed": Mutant(
                {
                    "    try:\n": "",
                    WRITING: WRITING.replace("        with", "    with")
                    .replace("            for", "        for")
                    .replace("                items", "            items"),
                    CLOSING: "",
                },
                "the memory was still open when fill_part() returned. Hint: give up the view, and then call",
                "shared = SharedMemory(name)",
            ),
            "unlinks": Mutant(
                {"shared.close()": "shared.close()\n        shared.unlink()"},
                "fill_part() unlinked the memory, which others still need",
                "shared.unlink()",
            ),
            "makes a memory": Mutant(
                {"SharedMemory(name)": "SharedMemory(name, create=True, size=8 * stop)"},
                "Hint: the memory is there already: attach to it by its name",
                "shared = SharedMemory(name, create=True, size=8 * stop)",
            ),
            "makes another memory": Mutant(
                {"SharedMemory(name)": "SharedMemory(create=True, size=8 * stop)"},
                "fill_part() did not attach to the memory",
                "def fill_part(name, start, stop):",
            ),
            "bytes": Mutant(
                {'shared.buf.cast("d")': "shared.buf[:]"},
                "Hint: shared.buf is made of bytes, and each item takes eight of them",
                "items[index] = index / 2",
            ),
            "all up to the end": Mutant(
                {"range(start, stop)": "range(stop)"},
                "the parts were 1 to 2 and 4 to 6, and item 0 was changed. Hint: write the items from start",
                "for index in range(stop):",
            ),
            "at other places": Mutant(
                {"items[index] =": "items[index - start] ="},
                "and item 0 was changed",
                "for index in range(start, stop):",
            ),
            "without the last": Mutant(
                {"range(start, stop)": "range(start, stop - 1)"},
                "the array is -1.0, 0.5, -1.0, -1.0, 2.0, 2.5, -1.0, -1.0. Hint: it should be -1.0, 0.5, 1.0",
                "for index in range(start, stop - 1):",
            ),
            "an array that is used after the end": Mutant(
                {
                    "def fill_part": "import numpy as np\n\n\ndef fill_part",
                    WRITING: "        items = np.ndarray((stop,), buffer=shared.buf)\n"
                    "        items[start:stop] = np.arange(start, stop) / 2\n",
                    CLOSING: CLOSING + "    return items.sum()\n",
                },
                "Hint: an array of NumPy does not know that its memory is closed",
                "shared.close()",
            ),
        },
        others={
            "NumPy": {
                "def fill_part": "import numpy as np\n\n\ndef fill_part",
                WRITING: "        items = np.ndarray((stop,), dtype=float, buffer=shared.buf)\n"
                "        items[start:stop] = np.arange(start, stop) / 2\n        del items\n",
            },
            "packed": (
                "import struct\nfrom contextlib import closing\n"
                "from multiprocessing import shared_memory\n\n\n"
                "def fill_part(name, start, stop):\n"
                "    with closing(shared_memory.SharedMemory(name=name)) as shared:\n"
                "        halves = [index / 2 for index in range(start, stop)]\n"
                '        struct.pack_into(f"{len(halves)}d", shared.buf, 8 * start, *halves)\n'
            ),
            "released": {
                WRITING: '        items = shared.buf.cast("d")\n        for index in range(start, stop):\n'
                "            items[index] = index / 2\n        items.release()\n"
            },
        },
    ),
    **TELLING_CASES,
}
