"""Slots of shared memory: who waits for one, and that their segment is gone after any end."""

from __future__ import annotations

import threading
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import pytest
import reader_workers
import slot_workers
from experiment_runs import AMPLE, checked_slots, ended

from ipc_helpers.experiments import slot_exchange
from ipc_helpers.experiments.slot_exchange import SlotExchange
from ipc_helpers.group.errors import Cancelled, DeadlineError, WorkerError
from ipc_helpers.group.starting import start_methods

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize("through", ["slots", "queue"])
def test_producer_waits_for_a_slot_while_the_consumer_pauses(through: str) -> None:
    exchange = SlotExchange(messages=20, size=64, slots=2, pause=10, through=through)
    producer, consumer = checked_slots(exchange.run(deadline=AMPLE)).totals
    assert producer.seconds_in_calls > 0.1  # of 20 pauses, of which the first slots and places save some
    assert consumer.seconds > 0.19 > consumer.seconds_in_calls


@pytest.mark.parametrize("start_method", start_methods())
@pytest.mark.parametrize("end", ["returns", "fails", "removes it", "is cancelled", "is late"])
def test_segment_of_slots_is_gone_after_any_end(
    end: str, start_method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make(**how: Any) -> SharedMemory:
        made.append((segment := SharedMemory(**how)).name)
        return segment

    monkeypatch.setattr(slot_exchange, "SharedMemory", make)
    exchange = SlotExchange(messages=4, size=1, slots=2, start_method=start_method)
    cancelled = threading.Event()
    if end == "returns":
        exchange.run(deadline=AMPLE)
    elif end == "fails":
        ended(WorkerError, exchange, consumer=reader_workers.fail)
    elif end == "removes it":
        exchange.run(deadline=AMPLE, consumer=slot_workers.read_slots_and_remove_them)
    elif end == "is cancelled":
        how = {"cancelled": cancelled, "progress": lambda _: cancelled.set()}
        ended(Cancelled, exchange, consumer=reader_workers.hang, **how)
    else:
        ended(DeadlineError, exchange, consumer=reader_workers.doze, deadline=2)
    assert len(made) == 1
    with pytest.raises(FileNotFoundError):
        SharedMemory(name=made[0])
