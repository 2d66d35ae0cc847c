"""What a service needs to know, read once where the program is put together."""

from dataclasses import dataclass, field
from pathlib import Path

from everloop_runtime.capture import CapturePolicy
from everloop_runtime.images import ImageLimits
from everloop_runtime.signatures import ANYBODY, Trust
from everloop_runtime.tracing import Target
from everloop_runtime.trial import DEFAULT_TRIAL, TrialLimits


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What a service needs to know."""

    routes: Path
    bundles: Path
    capture: Path
    limits: ImageLimits = field(default_factory=ImageLimits)
    max_body: int = 64_000_000
    """Bytes of a request that carries several images."""
    threads: int = 1
    trust: Trust = ANYBODY
    """Whose bundles are served."""
    trial: TrialLimits = DEFAULT_TRIAL
    """What a bundle may take when it is opened first, in a process of its own."""
    policy: CapturePolicy = field(default_factory=CapturePolicy)
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    """Names by which clients may address it; a request for another is refused."""
    keys: Path | None = None
    """The file of API keys; None: nobody is asked for one."""
    in_flight: int = 1024
    """Requests that may be on their way in one process."""
    in_flight_of_one: int = 512
    """Of them, requests of one client."""
    traces: Target | None = None
    """Where spans of requests go; None: there are none."""
    deadline: float = 30.0
    """Seconds after which a request is given up."""
