"""A circuit breaker: a bundle that keeps failing goes out of the way."""

from collections import deque

_IN_A_ROW = 5
_LAST, _MOST_OF_LAST = 20, 10


class Breaker:
    """Opens after 5 failures in a row, or when half of the last 20 requests failed.

    It stays open: a bundle comes back by a new routes document that named others in between,
    never by itself, so that clients are not the ones who find out that it is still broken.

    >>> breaker = Breaker()
    >>> for _ in range(5):
    ...     breaker.failed("it gave no number")
    >>> breaker.reason
    '5 of its last 5 requests failed, the last: it gave no number'
    """

    def __init__(self) -> None:
        self._last: deque[bool] = deque(maxlen=_LAST)
        self._in_a_row = 0
        self.reason: str | None = None
        """Why it is open; None while it is closed."""

    def answered(self) -> None:
        """The bundle answered a request."""
        self._last.append(True)
        self._in_a_row = 0

    def failed(self, why: str) -> None:
        """The bundle failed on a request."""
        self._last.append(False)
        self._in_a_row += 1
        bad = self._last.count(False)
        if self._in_a_row >= _IN_A_ROW or (len(self._last) == _LAST and bad >= _MOST_OF_LAST):
            self.trip(f"{bad} of its last {len(self._last)} requests failed, the last: {why}")

    def trip(self, why: str) -> None:
        """Open it at once; the first reason stands."""
        self.reason = self.reason or why
