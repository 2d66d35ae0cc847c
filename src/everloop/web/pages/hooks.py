"""What other programs tell the pages: that something changed with them. Nothing they send is
believed: it only has us look."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from everloop.web.asked import Answer, Asked, nothing_there, told
from everloop_runtime.problems import Problem

_MOST, _WINDOW = 600, timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Hooks:
    """Calls of a labelling tool."""

    soon: Callable[[], None] | None = None
    """Has its answers pulled in a moment; None: the policy names no such tool."""
    _seen: deque[datetime] = field(default_factory=lambda: deque(maxlen=_MOST), repr=False)
    """When the newest calls came."""

    def label_studio(self, asked: Asked) -> Answer:
        """202: the answers are pulled in a moment. Raises `Problem`, 429, for a flood; what it
        would have told is pulled all the same."""
        if self.soon is None:
            raise nothing_there("labelling tool: [label_studio] url names none")
        self.soon()
        flood = len(self._seen) == _MOST and abs(asked.now - self._seen[0]) < _WINDOW
        if flood:
            wait = {"Retry-After": str(int(_WINDOW.total_seconds()))}
            raise Problem(429, f"more than {_MOST} calls in a minute", "call less often", wait)
        self._seen.append(asked.now)
        return told({"pulled": "soon"}, 202)
