"""How often somebody may be wrong before nobody listens to them for a while."""

from collections import OrderedDict

from everloop_runtime.problems import Problem

_REMEMBERED = 1000


class Tries:
    """Counts wrong tokens by where they come from, in windows; what it remembers is bounded."""

    def __init__(self, most: int = 10, window: float = 60.0) -> None:
        """`most` wrong ones within `window` seconds close the door until the window is over."""
        self._most, self._window = most, window
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait(self, peer: str, now: float) -> int:
        """Seconds until this one may try again; 0: now."""
        began, wrong = self._seen.get(peer, (now, 0))
        left = began + self._window - now
        return int(left) + 1 if wrong >= self._most and 0 < left <= self._window else 0

    def refusal(self, peer: str, now: float) -> Problem | None:
        """429 while this one was wrong too often."""
        seconds = self.wait(peer, now)
        if not seconds:
            return None
        told = {"Retry-After": str(seconds)}
        return Problem(429, "too many wrong tokens came from here", f"wait {seconds} s", told)

    def wrong(self, peer: str, now: float) -> bool:
        """Note a wrong token; whether the door has just closed by it."""
        began, count = self._seen.pop(peer, (now, 0))
        if not 0 <= now - began < self._window:
            began, count = now, 0
        self._seen[peer] = (began, count + 1)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return count + 1 == self._most

    def right(self, peer: str) -> None:
        """Forget what was wrong before."""
        self._seen.pop(peer, None)
