"""What was served over some time, by bundle and role: the figures that service signals judge."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from everloop.ids import BundleId, PredictionId

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Served:
    """The requests to one bundle in one role."""

    bundle: BundleId
    role: str
    requests: int
    errors: int
    latencies: "NDArray[np.float32]" = field(repr=False)
    """Milliseconds of each answer, `[answers]`."""
    ids: tuple[PredictionId, ...] = field(repr=False)
    """Of the answers, for what became known of them."""

    @property
    def answers(self) -> int:
        """Requests that were answered."""
        return self.requests - self.errors

    def quantile(self, share: float) -> float | None:
        """Milliseconds within which this share was answered; None without an answer."""
        import numpy as np

        return float(np.quantile(self.latencies, share)) if self.latencies.size else None


def served(rows: "pa.Table") -> tuple[Served, ...]:
    """What captured requests (`Predictions.between`) come to, the busiest first."""
    import numpy as np

    bundles = np.asarray(rows["bundle"].to_pylist(), object)
    roles = np.asarray(rows["role"].to_pylist(), object)
    ok = np.asarray(rows["status"].to_pylist(), object) == "ok"
    ids = np.asarray(rows["id"].to_pylist(), object)
    took = np.asarray(rows["latency_ms"].to_numpy(), np.float32)
    found = []
    for bundle, role in sorted(set(zip(bundles, roles, strict=True))):
        mine = (bundles == bundle) & (roles == role)
        answered = mine & ok
        found.append(
            Served(
                bundle=BundleId(bundle),
                role=str(role),
                requests=int(mine.sum()),
                errors=int((mine & ~ok).sum()),
                latencies=took[answered],
                ids=tuple(ids[answered]),
            )
        )
    return tuple(sorted(found, key=lambda one: -one.requests))


def given(parts: tuple[Served, ...]) -> tuple[Served, ...]:
    """Those whose answers somebody got: no shadow's."""
    return tuple(part for part in parts if part.role != "shadow")


@dataclass(frozen=True, slots=True)
class Counters:
    """What the service has counted since it began."""

    instance: str = ""
    """Another one after each start: then counting has begun anew."""
    answers: float = 0.0
    cpu_seconds: float = 0.0
    capture_bytes: float = 0.0
    dropped: float = 0.0
    queue: float = 0.0
    """Images that wait for a model now."""
    in_flight: float = 0.0
    """Requests that are being answered now."""

    def since(self, before: "Counters | None") -> "Counters":
        """What was counted since `before`; everything where the service was started anew."""
        if before is None or before.instance != self.instance:
            return self
        return Counters(
            self.instance,
            self.answers - before.answers,
            self.cpu_seconds - before.cpu_seconds,
            self.capture_bytes - before.capture_bytes,
            self.dropped - before.dropped,
            self.queue,
            self.in_flight,
        )


def read_counters(told: Mapping[str, object]) -> Counters | None:
    """What `asdict` made of counters; None where there were none."""
    names = Counters.__dataclass_fields__
    if not isinstance(told, Mapping) or "instance" not in told:
        return None
    figures = {n: float(str(told[n])) for n in names if n != "instance" and n in told}
    return Counters(str(told["instance"]), **figures)
