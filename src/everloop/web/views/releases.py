"""What serves which share, how what is tried does, and what served before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from everloop.ids import BundleId, Json
from everloop.state.releases import Change, Release
from everloop.web.asked import mapping


@dataclass(frozen=True, slots=True)
class Share:
    """One bundle's part of the traffic."""

    bundle: str
    role: str
    share: float


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that would send a candidate back, and what it says now."""

    name: str
    says: str
    is_fine: bool


@dataclass(frozen=True, slots=True)
class Side:
    """The figures of one side of a comparison."""

    name: str
    figures: tuple[tuple[str, Json], ...]


@dataclass(frozen=True, slots=True)
class ReleasesView:
    """All of the page."""

    generation: int
    shares: tuple[Share, ...]
    decision: str
    """What the loop says of the candidate."""
    watch: str
    signals: tuple[Signal, ...]
    sides: tuple[Side, ...]
    findings: str
    """Of the experiment that runs."""
    history: tuple[Change, ...]
    """Newest first."""
    back: str
    """What a rollback would do; empty where there is nothing to go back from."""


_FINE = "within its limit"


def releases_view(
    release: Release, told: Mapping[str, Json], history: Sequence[Change], most: int = 100
) -> ReleasesView:
    """`told` is what `loop.releases.released` says."""
    figures = mapping(told.get("figures"))
    return ReleasesView(
        generation=release.generation,
        shares=shares(release),
        decision=str(told.get("decision") or ""),
        watch=str(told.get("watch") or ""),
        signals=tuple(
            Signal(name, str(says), says == _FINE)
            for name, says in mapping(told.get("signals")).items()
        ),
        sides=tuple(
            Side(called, tuple((n, _plain(v)) for n, v in mapping(figures[name]).items()))
            for name, called in _names(release).items()
            if name in figures
        ),
        findings=str(mapping(told.get("experiment")).get("findings", "")),
        history=tuple(reversed(history))[:most],
        back=back(release),
    )


def _names(release: Release) -> Mapping[str, str]:
    """What the two sides are called; after a promotion the challenger is the champion."""
    if release.canary is None:
        return {"champion": "champion before", "challenger": "champion now"}
    return {"champion": "champion", "challenger": "challenger"}


def shares(release: Release) -> tuple[Share, ...]:
    """Each bundle's part of the traffic now; copies of requests are no traffic."""
    found: list[Share] = []
    if release.experiment is not None:
        found = [
            Share(variant.bundle, f"variant {variant.name}", variant.share)
            for variant in release.experiment.live
        ]
    canary = release.canary
    if canary is not None:
        share = canary.share if canary.mode == "canary" else 0.0
        found.append(Share(canary.bundle, canary.mode, share))
    if release.champion is not None:
        rest = max(0.0, 1.0 - sum(each.share for each in found))
        found.insert(0, Share(release.champion, "champion", rest))
    return tuple(found)


def back(release: Release) -> str:
    """What a rollback would do now, in words."""
    if release.canary is not None:
        return f"takes its share back from {_named(release.canary.bundle)}"
    if release.experiment is not None:
        return f"ends experiment {release.experiment.name}"
    if release.previous is not None:
        return f"makes {_named(release.previous)} the champion again"
    return ""


def _named(bundle: BundleId) -> str:
    return f"bundle {bundle[:8]}"


def _plain(value: Json) -> Json:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {item}" for name, item in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " to ".join("-" if v is None else f"{v:.4g}" for v in value)
    return value
