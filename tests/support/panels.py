"""What tests of a panel share: one to press Run on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipc_helpers.experiments.experiment import Experiment
from ipc_helpers.experiments.parameters import Choice, WholeNumber, parameter

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipc_helpers import (
        Panel,
    )

SECONDS = 60  # far more than any run here takes


@dataclass(frozen=True)
class Failing(Experiment):
    """An experiment that ends as a test wants it to."""

    amount: int = parameter(1, WholeNumber(0, 10, "Amount"))
    kind: str = parameter("a", Choice(("a", "b"), "Kind"))
    error = Exception("not set")

    start_method = "spawn"
    steps = 10
    description = "something that fails"

    def participants(self, context: Any) -> Any:
        raise self.error


def start_long_run(panel: Panel) -> None:
    panel.controls["messages"].value = 100_000
    panel.controls["maxsize"].value = 1
    panel.run.click()
    wait_until(lambda: "100,000" in panel.progress.value and "> 0 of" not in panel.progress.value)


def run(panel: Panel) -> None:
    """Press Run, and wait for the end."""
    panel.run.click()
    assert panel.wait(SECONDS)


def wait_until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < ends_at, "it did not happen in time"
        time.sleep(0.01)
