"""What the figure of a result shows, in words: its alt text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ipc_helpers.experiments.parameters import plural
from ipc_helpers.trace import RECEIVE, SEND, STOP, WRITE
from ipc_helpers.ui.result_table import stop_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ipc_helpers.experiments.result import Result
    from ipc_helpers.ui.curves import Flow


def alt_text(result: Result, flow: Flow) -> str:
    """Say in words and numbers what the figure of a result shows."""
    words = result.experiment.labels
    sent, received = words.done[SEND], words.done[RECEIVE]
    sentences = [f"{result.experiment.description}."]
    if result.stopped:
        sentences += [
            f"It {'goes on' if result.is_running else 'was ended'} after {flow.span:,.1f} milliseconds:",
            f"{result.sent:,} {plural(words.noun)} were {sent}, {result.received:,} {received}.",
        ]
    elif result.stop:
        begun = (result.stop.started - flow.start) / 1e6
        sentences += [
            f"{result.sent:,} {plural(words.noun)} were {sent}, {result.received:,} {received}.",
            f"The stop began {begun:,.1f} milliseconds after the first {words.calls[SEND]}.",
            stop_of(result),
        ]
    else:
        sentences += [
            f"All were {received} {flow.span:,.1f} milliseconds after the first {words.calls[SEND]} began:",
            f"{result.messages_per_second:,.0f} {plural(words.noun)} a second.",
        ]
    if len(flow.depth):
        peak, when = flow.depth.max(), flow.times[flow.depth.argmax()]
        sentences.append(
            f"At most {peak:,} waited between {sent} and {received}, at {when:,.1f} milliseconds."
        )
    if flow.places:
        peaks = [f"{_peak(*gates):,} {place.where}" for place, gates in flow.places.items()]
        sentences.append(f"At most {', '.join(peaks)}.")
    if result.is_running:  # the next picture comes in a moment, and what each did takes long to count
        return " ".join(sentences)
    feeders = {lane.who: len(lane) for lane in result.lanes_of(WRITE)}
    for lane, total in zip(result.lanes, result.totals, strict=True):
        counts = {SEND: total.sent, RECEIVE: total.received}
        done = " and ".join(
            f"{count:,} {words.done[operation]}" for operation, count in counts.items() if count
        )
        if total.sent + total.received > 1:
            shares = [
                f"{lane.only(operation).seconds / total.seconds:.0%} inside {words.calls[operation]}"
                for operation, count in counts.items()
                if count
            ]
            done += f", {' and '.join(shares)}".replace(" inside", " of its time inside", 1)
        if done and total.who in feeders:
            done += f"; its feeder thread wrote {feeders[total.who]:,}"
        if len(lane.only(STOP)):
            done = "stopped the others"
        end = f"; it {lane.ending}" if (result.stopped or result.stop) and lane.ending else ""
        end += f", in the line  {lane.where}" if end and lane.where else ""
        sentences.append(f"{total.who}: {done or f'no {words.noun}'}{end}.")
    return " ".join(sentences)


def _peak(come: NDArray[Any], gone: NDArray[Any]) -> int:
    """Return how many messages were at a place at most, from when they came and when they went."""
    inside = np.searchsorted(come, come, "right") - np.searchsorted(gone, come, "right")
    return int(max(len(come) > 0, inside.max(initial=0)))  # one that went as it came was there, too
