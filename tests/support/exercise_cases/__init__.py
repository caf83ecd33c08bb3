"""Workers that readers might write, wrong and right, for the tests of the exercises: a module per chapter."""

from __future__ import annotations

from typing import NamedTuple

Changes = str | dict[str, str]
"""A whole cell without its first line; or parts of the solution's cell, and what stands there instead."""


class Mutant(NamedTuple):
    """A typical mistake.

    Attributes
    ----------
    cell : str or dict of str to str
        The cell, or what to change in that of the solution; each part occurs there once.
    says : str
        A part of the sentence that is meant for it.
    at : str
        The line that it has to name, without its indent.
    """

    cell: Changes
    says: str
    at: str


class Cases(NamedTuple):
    """For one exercise: at least three mutants, and at least one other way to write it."""

    mutants: dict[str, Mutant]
    others: dict[str, Changes]
