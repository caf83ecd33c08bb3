"""What readers might write for the exercises on sharing, telling and waiting."""

from __future__ import annotations

from exercise_cases import Cases, Mutant

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
TRYING = (
    "    older = None\n    while True:\n        try:\n            box.put_nowait(message)\n"
    "            return older\n        except queue.Full:\n            try:\n"
    "                older = box.get(timeout=0.01)\n            except queue.Empty:\n"
    "                pass  # a consumer was quicker, or the message is not written yet\n"
)
WAITING = "return await asyncio.to_thread(messages.get, timeout=seconds)"
RECEIVING = f"    try:\n        {WAITING}\n    except queue.Empty:\n        return None\n"
LOST = "another process sold a ticket between a read and a write of tickets.value, and this was lost. Hint: "

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
                "another process sold one after you had looked, and -1 were left. Hint: look and take in one",
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
    "09.4": Cases(
        mutants={
            "waits for room": Mutant(
                {"box.put_nowait(message)": "box.put(message)"},
                "replace, with an old message in the queue, waits in put() forever. Hint: put() waits",
                "box.put(message)",
            ),
            "waits for a message": Mutant(
                {"box.get(timeout=0.01)": "box.get()"},
                "replace, with a consumer that is quicker, waits in get() forever. Hint: get() waits",
                "older = box.get()",
            ),
            "waits for room, for a while": Mutant(
                {"box.put_nowait(message)": "box.put(message, timeout=0.5)"},
                "put() was given 0.5 seconds, and waited for room that nobody made",
                "box.put(message, timeout=0.5)",
            ),
            "tries without a get": Mutant(
                {
                    TRYING: "    while True:\n        try:\n            return box.put_nowait(message)\n"
                    "        except queue.Full:\n            pass\n"
                },
                "the queue was full, and was asked 100 times in a row whether it still was. Hint: do",
                "return box.put_nowait(message)",
            ),
            "asks whether it is full": Mutant(
                {
                    TRYING: "    older = None\n    if box.full():\n        older = box.get_nowait()\n"
                    "    box.put_nowait(message)\n    return older\n"
                },
                "replace, with a consumer that is quicker, raised Empty. Hint: there was nothing to get",
                "older = box.get_nowait()",
            ),
            "gets first": Mutant(
                {
                    TRYING: "    try:\n        older = box.get_nowait()\n    except queue.Empty:\n"
                    "        older = None\n    box.put_nowait(message)\n    return older\n"
                },
                "replace, with an old message that is on its way, raised Full. Hint: between your get and",
                "box.put_nowait(message)",
            ),
            "tries twice": Mutant(
                {
                    TRYING: "    older = None\n    try:\n        box.put_nowait(message)\n"
                    "    except queue.Full:\n        try:\n            older = box.get_nowait()\n"
                    "        except queue.Empty:\n            pass\n        box.put_nowait(message)\n"
                    "    return older\n"
                },
                "with an old message that is on its way, raised Full",
                "box.put_nowait(message)",
            ),
            "drops the new one": Mutant(
                {
                    TRYING: "    try:\n        box.put_nowait(message)\n"
                    "    except queue.Full:\n        return message\n"
                },
                "the old message stayed in the queue, and the new one was dropped",
                "box.put_nowait(message)",
            ),
            "does not put again": Mutant(
                {
                    TRYING: "    try:\n        box.put_nowait(message)\n    except queue.Full:\n"
                    "        try:\n            return box.get_nowait()\n"
                    "        except queue.Empty:\n            return None\n"
                },
                "there was an old message, and in the end nothing was in the queue. Hint: once the old",
                "return box.get_nowait()",
            ),
            "gives up when a consumer was quicker": Mutant(
                {
                    "                pass  # a consumer was quicker, or the message is not written yet\n": (
                        "                return None\n"
                    )
                },
                "a consumer took the old message before you got it, and in the end nothing was in the queue",
                "older = box.get(timeout=0.01)",
            ),
            "returns nothing": Mutant(
                {"return older": "return"},
                "replace() took 'old' out of the queue, and returned None. Hint: return the message that you",
                "older = box.get(timeout=0.01)",
            ),
            "returns the new one": Mutant(
                {"return older": "return older or message"},
                "replace() took nothing out of the queue, and returned 'new'",
                "older = box.get(timeout=0.01)",
            ),
        },
        others={
            "at once": {
                TRYING: "    older = None\n    for _ in range(10_000):\n        try:\n"
                "            box.put(message, block=False)\n            break\n"
                "        except queue.Full:\n            pass\n        try:\n"
                "            older = box.get_nowait()\n        except queue.Empty:\n"
                "            time.sleep(0.001)\n    return older\n",
                "import queue\n": "import queue\nimport time\n",
            },
            "gets first, in a loop": {
                TRYING: "    older, placed = None, False\n    while not placed:\n"
                "        with suppress(queue.Empty):\n            older = box.get(True, 0.02)\n"
                "        with suppress(queue.Full):\n            box.put(message, timeout=0.02)\n"
                "            placed = True\n    return older\n",
                "import queue\n": "import queue\nfrom contextlib import suppress\n",
            },
        },
    ),
    "09.5": Cases(
        mutants={
            "waits in the loop": Mutant(
                {WAITING: "return messages.get(timeout=seconds)"},
                "get() waited in the thread of the event loop, and the whole loop stood still. Hint: have",
                "return messages.get(timeout=seconds)",
            ),
            "waits in the loop, without a limit": Mutant(
                {RECEIVING: "    return messages.get()\n"},
                "get() waited in the thread of the event loop",
                "return messages.get()",
            ),
            "calls get itself": Mutant(
                {WAITING: "return await asyncio.to_thread(messages.get(timeout=seconds))"},
                "receive raised TypeError ('NoneType' object is not callable). Hint: await takes a coroutine",
                "return await asyncio.to_thread(messages.get(timeout=seconds))",
            ),
            "gives up waiting for the thread": Mutant(
                {
                    WAITING: "return await asyncio.wait_for(asyncio.to_thread(messages.get), seconds)",
                    "except queue.Empty": "except TimeoutError",
                },
                "receive() returned, and 1 thread still waited in get(). Hint: a thread can't be cancelled",
                "return await asyncio.wait_for(asyncio.to_thread(messages.get), seconds)",
            ),
            "gives up, and raises": Mutant(
                {WAITING: "return await asyncio.wait_for(asyncio.to_thread(messages.get), seconds)"},
                "receive, without a message, raised TimeoutError. Hint: the time is over: return None. And",
                "return await asyncio.wait_for(asyncio.to_thread(messages.get), seconds)",
            ),
            "cancels the task": Mutant(
                {
                    RECEIVING: "    task = asyncio.create_task(asyncio.to_thread(messages.get))\n"
                    "    done, _ = await asyncio.wait({task}, timeout=seconds)\n    if done:\n"
                    "        return task.result()\n    task.cancel()\n    return None\n"
                },
                "receive() returned, and 1 thread still waited in get()",
                "task = asyncio.create_task(asyncio.to_thread(messages.get))",
            ),
            "without a limit": Mutant(
                {"messages.get, timeout=seconds": "messages.get"},
                "receive() had 0.5 seconds and got no message, and still waited after 3.5. Hint: give get()",
                "return await asyncio.to_thread(messages.get)",
            ),
            "does not catch Empty": Mutant(
                {RECEIVING: f"    {WAITING}\n"},
                "receive, without a message, raised Empty. Hint: the time is over and no message came",
                WAITING,
            ),
            "no coroutine": Mutant(
                {
                    "async def": "def",
                    WAITING: "return messages.get(timeout=seconds)",
                },
                "receive() returned None to a caller that awaits it. Hint: a coroutine begins with async def",
                "def receive(messages, seconds):",
            ),
            "does not await": Mutant(
                {WAITING: WAITING.replace("await ", "")},
                "receive() returned '<coroutine>' before a message had come. Hint: await the message",
                WAITING.replace("await ", ""),
            ),
            "sleeps in the loop": Mutant(
                {
                    RECEIVING: "    ends_at = time.monotonic() + seconds\n    while messages.empty():\n"
                    "        if time.monotonic() > ends_at:\n            return None\n"
                    "        time.sleep(0.01)\n    return messages.get_nowait()\n",
                    "import queue\n": "import time\n",
                },
                "the ticker ticked 0 times while receive() waited",
                "time.sleep(0.01)",
            ),
        },
        others={
            "an executor": {
                "import asyncio\n": "import asyncio\nfrom functools import partial\n",
                WAITING: "loop = asyncio.get_running_loop()\n"
                "        return await loop.run_in_executor(None, partial(messages.get, True, seconds))",
            },
            "looks from time to time": {
                RECEIVING: "    try:\n        async with asyncio.timeout(seconds):\n            while True:\n"
                "                try:\n                    return messages.get_nowait()\n"
                "                except queue.Empty:\n                    await asyncio.sleep(0.01)\n"
                "    except TimeoutError:\n        return None\n"
            },
            "both limits": {
                WAITING: "waiting = asyncio.to_thread(messages.get, timeout=seconds)\n"
                "        return await asyncio.wait_for(waiting, seconds)",
                "except queue.Empty": "except (queue.Empty, TimeoutError)",
            },
        },
    ),
}
