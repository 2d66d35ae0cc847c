"""What a signal found in one period: the one shape that all signals share.

Findings are kept in the journal: the result of an Action that looks at the live product has a list
`findings`, each as `Finding.as_json` makes it, and `findings_in` reads them back. There is no other
place: what is shown, reported, alerted on and exported is read from there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

from everloop.ids import Json, SampleId

Level: TypeAlias = Literal["calm", "note", "alarm"]
"""`calm`: within its limit. `note`: something changed, and nobody needs to act. `alarm`: somebody,
or the loop, does."""

Cause: TypeAlias = Literal[
    "quality", "input", "prior", "concept", "service", "business", "cost", "unknown"
]
"""What is likely behind it. `quality`: broken or degraded inputs. `input`: another kind of input.
`prior`: other shares of the classes. `concept`: the same input means something else now."""

FINDINGS = "findings"
"""Where an Action's result has them."""

LEVELS: tuple[Level, ...] = get_args(Level)
"""From the least to the worst."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One signal's judgement of one period."""

    name: str
    """The signal's, such as `input-drift`."""
    level: Level
    summary: str
    """One line for people: how bad, and what moved."""
    value: float | None = None
    """The figure that is judged; None: there was nothing to judge."""
    limit: float | None = None
    """From where on it is not calm; the summary says on which side."""
    since: datetime | None = None
    """When it began, as far as is known; None while it is calm."""
    slice: str | None = None
    """The part of the traffic that is worst, such as `class=7`; None: it is all alike."""
    samples: tuple[SampleId, ...] = ()
    """The most telling samples, first the one that tells most."""
    cause: Cause | None = None
    """None while it is calm."""
    action: str | None = None
    """What is proposed: an Action of the loop or a command, in words; None: nothing."""

    def told(self) -> str:
        """In a line: how bad, where it is worst, since when, why, and what is proposed."""
        parts = [self.summary + (f" (worst in {self.slice})" if self.slice else "")]
        if self.since is not None:
            parts.append(f"since {self.since:%Y-%m-%d %H:%M} UTC")
        if self.cause is not None:
            parts.append(f"likely cause: {self.cause}")
        if self.action is not None:
            parts.append(f"proposed: {self.action}")
        return "; ".join(parts)

    def as_json(self) -> dict[str, Json]:
        """All fields by name."""
        told: dict[str, Any] = asdict(self)
        told["since"] = None if self.since is None else self.since.isoformat()
        told["samples"] = list(self.samples)
        return told


def read_finding(told: Mapping[str, Any]) -> Finding:
    """What `as_json` made. Fields that a later version added are passed over."""
    known = {each.name: told[each.name] for each in fields(Finding) if each.name in told}
    since = known.get("since")
    known["since"] = None if since is None else datetime.fromisoformat(since)
    known["samples"] = tuple(SampleId(name) for name in known.get("samples", ()))
    return Finding(**known)


def findings_in(result: Mapping[str, Json]) -> tuple[Finding, ...]:
    """The findings in an Action's result; none in one of an older version, or that has none."""
    told = result.get(FINDINGS)
    if not isinstance(told, Sequence) or isinstance(told, str):
        return ()
    return tuple(read_finding(each) for each in told if isinstance(each, Mapping))


def worst(findings: Sequence[Finding]) -> Level:
    """The worst level of several; `calm` of none."""
    found: set[Level] = {finding.level for finding in findings}
    return next((level for level in reversed(LEVELS) if level in found), "calm")
