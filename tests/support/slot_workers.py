"""Workers as a reader would write them for slots of shared memory: right and wrong ones."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def fill_two_slots_at_once(queue: Any, free: Any, segment: Any, messages: int, size: int) -> None:
    for number in range(0, messages, 2):
        pair = [free.get(), free.get()]
        for place, slot in enumerate(pair):
            content = bytes([number + place]) * size
            with segment.buf[slot * size :] as view:
                view[:size] = content
            queue.put((number + place, slot))
    queue.put(None)


def fill_slots_and_leave(queue: Any, free: Any, *_: Any) -> None:
    queue.put((0, free.get()))


def put_slots_alone(queue: Any, free: Any, *_: Any) -> None:
    queue.put(free.get())


def read_slots_and_remove_them(queue: Any, free: Any, segment: Any, *_: Any) -> None:
    """The name of the segment, which its parent would remove."""
    for _, slot in iter(queue.get, None):
        free.put(slot)
    with contextlib.suppress(OSError):  # Windows has no unlink, and it does nothing
        segment.unlink()


def keep_slots(queue: Any, *_: Any) -> None:
    for _ in iter(queue.get, None):
        pass


def consume_pairs(queue: Any, _: float) -> None:
    while queue.get(timeout=30) is not None:
        pass
