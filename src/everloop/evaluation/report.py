"""What was measured of a bundle beside its answers' quality; stored once, under its digest."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from everloop.errors import Refused
from everloop.evaluation.discovery import Discovery
from everloop.evaluation.explain import Importance
from everloop.evaluation.mistakes import Taken
from everloop.evaluation.reliability import Bin
from everloop.evaluation.robustness.suite import Robustness
from everloop.ids import SampleId
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import digest_bytes


@dataclass(frozen=True, slots=True)
class Example:
    """One of the answers that are furthest off."""

    sample: SampleId
    truth: str
    answer: str
    confidence: float | None
    quality: float
    picture: str | None
    """The name of its picture's file; None: there is none."""
    why: str = ""
    """Why there is none, or what the picture shows."""


@dataclass(frozen=True, slots=True)
class Report:
    """Facts by name, and what people look at on the card."""

    evaluation: str
    """The digest of the evaluation it belongs to."""
    facts: Mapping[str, float] = field(default_factory=dict)
    """What gates can be held to, such as `latency_p95_ms`; all are numbers."""
    discovery: Discovery | None = None
    """None: not looked for."""
    reliability: tuple[Bin, ...] = ()
    confusion: tuple[Taken, ...] = ()
    examples: tuple[Example, ...] = ()
    robustness: Robustness | None = None
    """None: not tried."""
    importance: tuple[Importance, ...] = ()
    privacy: str | None = None
    """The version of the privacy policy that its pictures passed; None: it has no picture."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""


def finite(facts: Mapping[str, float]) -> dict[str, float]:
    """Those that are numbers."""
    return {name: float(value) for name, value in facts.items() if math.isfinite(value)}


def save_report(folder: Path, report: Report) -> str:
    """Store a report and return its digest."""
    data = msgspec.json.encode(report)
    digest = digest_bytes(data)
    write_atomic(folder / f"{digest}.report.json", data)
    return digest


def load_report(folder: Path, digest: str) -> Report:
    """A stored report; `Refused` when there is none or it was changed."""
    try:
        data = (folder / f"{digest}.report.json").read_bytes()
    except OSError as error:
        raise Refused(f"there is no report {digest[:8]}: {error}") from error
    if digest_bytes(data) != digest:
        raise Refused(f"report {digest[:8]} was changed after it was stored")
    try:
        return msgspec.json.decode(data, type=Report)
    except msgspec.ValidationError as error:
        raise Refused(f"report {digest[:8]} is of another version: {error}") from error
