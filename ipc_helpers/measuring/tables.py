"""What a table of numbers looks like: as text, and in a notebook."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def as_text(rows: Sequence[Sequence[str]], align: str) -> list[str]:
    """Return the lines of a table, whose first row is its head, and whose first column are names.

    Parameters
    ----------
    rows : sequence of sequence of str
        The cells, as many in each row.
    align : {"left", "right"}
        How the cells that are no names are aligned.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    justify = {"left": str.ljust, "right": str.rjust}[align]
    return [
        "  ".join(
            (justify if place else str.ljust)(cell, width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in rows
    ]


def as_html(rows: Sequence[Sequence[str]], align: str, caption: str = "", notes: Sequence[str] = ()) -> str:
    """Return the same table for a notebook, with a caption above it and notes below where they are given."""
    style = f"text-align:{align};padding:0.2em 0.8em"
    head, *body = ([html.escape(cell) for cell in cells] for cells in rows)
    columns = "".join(f'<th scope="col" style="{style}">{name}</th>' for name in head)
    lines = ""
    for name, *cells in body:
        line = "".join(f'<td style="{style}">{cell}</td>' for cell in cells)
        lines += f'<tr><th scope="row" style="{style};text-align:left">{name}</th>{line}</tr>'
    above = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    below = f"<p>{'<br>'.join(map(html.escape, notes))}</p>" if notes else ""
    return f"<table>{above}<thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table>{below}"
