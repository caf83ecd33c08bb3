"""Measures rungs of the ladder, interleaved in rounds, each round beside the limits of the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from ipc_helpers.measuring.ladder import Ladder
    from ipc_helpers.measuring.rungs import Rung


def measure(
    rungs: Iterable[str | Rung],
    *,
    size: int = 64,
    batch: int | None = None,
    content: str = "bytes",
    messages: int | None = None,
    latencies: int = 100,
    rounds: int = 9,
    budget: float = 60.0,
    start_method: str = "spawn",
    together: bool = False,
    progress: Callable[[int, int], object] | None = None,
    look: Callable[[Ladder], object] | None = None,
    cancelled: threading.Event | None = None,
    seed: int | None = None,
) -> Ladder:
    """Measure some ways to hand a message to another process, and the limits of this machine beside them.

    Each round measures each rung once, in random order, with two fresh child processes. The limits, os.pipe
    and memcpy, are measured in each round, too. The contents are random bytes; each message is checked by its
    number, and by its checksum wherever it was kept whole, as in each run's first messages.

    Parameters
    ----------
    rungs : iterable of str or Rung
        Which; their names are the keys of ``RUNGS``.
    size : int
        Bytes in a message, 16 to 64 MiB.
    batch : int, optional
        Messages in a batch, for rungs that send batches, 100 by default; 1 to 100,000. A ValueError where no
        such rung is among them.
    content : {"bytes", "array"}
        What a message is: bytes, or a NumPy array of bytes.
    messages : int, optional
        How many each rung is timed with, 1 to 1,000,000. By default a first round, which is not counted,
        finds how many fill about 50 ms.
    latencies : int
        How many messages are sent one at a time for the latency, 0 to 10,000.
    rounds : int
        How many, 3 to 1,000.
    budget : float
        Seconds for all of it, above 0, at most 3,600. Rounds that no longer fit are left out, but for the
        first 3.
    start_method : str
        "spawn", and "fork" or "forkserver" where the platform has them.
    together : bool
        Whether both processes run on one core; Linux alone.
    progress : callable, optional
        Called after each run with how many are done, and how many there are.
    look : callable, optional
        Called after each round with the Ladder up to then.
    cancelled : threading.Event, optional
        Set it from another thread to end all of it.
    seed : int, optional
        What the order and the contents come from; by default a new one.

    Returns
    -------
    Ladder

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed, before anything starts; the message names it.
    MeasureError
        When a rung lost, repeated, reordered or tore a message, or failed; or when the budget was over before
        3 rounds. The message names the rung; ``result`` is the Ladder up to then.
    Cancelled
        When it was cancelled; ``result`` is the Ladder up to then.
    """
    raise NotImplementedError
