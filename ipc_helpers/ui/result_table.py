"""A result in words and as a table, below its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipc_helpers.experiments.parameters import counted, plural
from ipc_helpers.measuring.tables import as_html
from ipc_helpers.trace import RECEIVE, SEND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipc_helpers.experiments.result import Result
    from ipc_helpers.measuring.ladder import Ladder


def summary_of(result: Result) -> str:
    """Say what a whole run sent and received, and at which rate."""
    words = result.experiment.labels
    done = f"Done: {result.sent:,} {words.done[SEND]}, {result.received:,} {words.done[RECEIVE]}."
    if result.stop:
        return f"{done} {stop_of(result)}"
    rate = f" {result.messages_per_second:,.0f} {plural(words.noun)} a second."
    return done + rate if result.received > 1 else done


def summary_of_ladder(ladder: Ladder) -> str:
    """Say at which rate each rung handed over messages, and how near to the limit that is."""
    sentences = []
    for row in ladder.values():
        if not row.is_limit and row.name != ladder.rate_limit:
            rate = f"{row.name}, {row.rate.median:,.0f} messages a second"
            share = "" if row.share is None else f", {row.share.median:.2f} of what {ladder.rate_limit} does"
            sentences.append(f"{rate}{share}.")
    return " ".join(["Done:", *sentences, *filter(None, [ladder.noise])])


def stop_of(result: Result) -> str:
    """Say what the stop of a run took, and which messages it lost, or left."""
    assert result.stop is not None
    noun = result.experiment.labels.noun
    milliseconds = (result.stop.ended - result.stop.started) / 1e6
    lost = f"{counted(result.lost, noun)} under way {'was' if result.lost == 1 else 'were'} lost"
    left = f"{result.left:,} {'was' if result.left == 1 else 'were'} never begun"
    return f"The stop took {milliseconds:,.0f} milliseconds: {lost}, and {left}."


def table_of(result: Result) -> str:
    """Return the counts and rates of a run, and each process's share, as an HTML table."""
    words = result.experiment.labels
    per_second = f"{plural(words.noun)} a second"
    head = ("", words.done[SEND], words.done[RECEIVE], "bytes", "seconds", per_second, "time inside calls")
    rows: list[tuple[Any, ...]] = []
    for total in result.totals:
        count = total.sent + total.received
        rate = count / total.seconds if count > 1 else None
        share = total.seconds_in_calls / total.seconds if total.seconds else None
        rows.append((total.who, total.sent, total.received, total.payload_bytes, total.seconds, rate, share))
    whole = f"all, first {words.done[SEND]} to last {words.done[RECEIVE]}"
    size = result.received * result.experiment.bytes_each
    rows.append((whole, result.sent, result.received, size, result.seconds, result.messages_per_second, None))
    forms = ("{:,}", "{:,}", "{:,}", "{:.3f}", "{:,.0f}", "{:.0%}")
    table: list[Sequence[str]] = [head]
    for name, *numbers in rows:
        shown = zip(forms, numbers, strict=True)
        table.append([name, *("" if number is None else form.format(number) for form, number in shown)])
    return as_html(table, "right")
