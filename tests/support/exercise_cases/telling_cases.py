"""What readers might write for the exercises on telling and waiting, chapter 09."""

from __future__ import annotations

from exercise_cases import Cases, Mutant

TRYING = (
    "    older = None\n    while True:\n        try:\n            box.put_nowait(message)\n"
    "            return older\n        except queue.Full:\n            try:\n"
    "                older = box.get(timeout=0.01)\n            except queue.Empty:\n"
    "                pass  # a consumer was quicker, or the message is not written yet\n"
)
WAITING = "return await asyncio.to_thread(messages.get, timeout=seconds)"
RECEIVING = f"    try:\n        {WAITING}\n    except queue.Empty:\n        return None\n"

TELLING_CASES = {
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
