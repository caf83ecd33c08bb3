"""The payloads of numbered messages: the number decides the content, so a mixed-up message is found out."""

from __future__ import annotations

from itertools import cycle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_PERIOD = 251  # a prime, so that neighbouring messages, and those a power of two apart, differ
_CUT_BEFOREHAND = 4096  # bytes; all payloads of a period are then a megabyte at most


class Payloads:
    """The payloads of one run, all of one size.

    Parameters
    ----------
    size : int
        Bytes in each, 0 or more.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._pattern = (bytes(range(_PERIOD)) * (size // _PERIOD + 2))[: size + _PERIOD]
        starts = range(_PERIOD) if size <= _CUT_BEFOREHAND else ()
        self._small = [self._pattern[start : start + size] for start in starts]

    def of(self, number: int) -> bytes:
        """Return the payload of the message with this number."""
        start = number % _PERIOD
        return self._small[start] if self._small else self._pattern[start : start + self._size]

    def messages(self, numbers: range) -> Iterable[tuple[int, bytes]]:
        """Return a message for each of some consecutive numbers: the number and its payload."""
        if not self._small:
            return zip(numbers, map(self.of, numbers), strict=True)
        start = numbers.start % _PERIOD
        return zip(numbers, cycle(self._small[start:] + self._small[:start]))  # no call for each message

    def check(self, number: int, payload: bytes) -> None:
        """Check the payload that a message arrived with.

        Raises
        ------
        ValueError
            When it is not the one that belongs to the number.
        """
        if payload != self.of(number):
            raise ValueError(f"message {number} arrived with another content than it was sent with")
