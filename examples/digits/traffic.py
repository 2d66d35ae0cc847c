"""The clients of the product: one request an image, each answer held to the truth."""

import time
from dataclasses import dataclass, field

from digits import Digit

from everloop_runtime.client import Client
from everloop_runtime.errors import EverloopError


@dataclass(frozen=True)
class Served:
    """One answered request."""

    at: float
    season: int
    bundle: str
    role: str
    right: bool


@dataclass
class Traffic:
    """Sends images at a pace and remembers what came back. A request is never sent twice."""

    url: str
    season: int = 1
    served: list[Served] = field(default_factory=list)
    dropped: int = 0

    def __post_init__(self) -> None:
        self._client = Client(self.url, retries=0)
        self._due = time.monotonic()

    def wait_ready(self) -> None:
        """Return when the service answers."""
        self._client.wait_ready(30)

    def send(self, digit: Digit, per_second: float) -> None:
        """Send one image when its time has come."""
        self._due = max(self._due + 1 / per_second, time.monotonic() - 0.5)
        time.sleep(max(0.0, self._due - time.monotonic()))
        try:
            answer = self._client.predict(digit.png)
        except EverloopError as error:
            self.dropped += 1
            print(f"DROPPED: {error}")
            return
        right = answer.label == digit.label
        self.served.append(Served(time.time(), self.season, answer.bundle, answer.role, right))
