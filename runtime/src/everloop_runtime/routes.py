"""The routes document: which bundle serves which share of the traffic."""

import hashlib
import json
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from everloop_runtime.errors import Refused
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import BundleId, canonical_json

Role = Literal["champion", "canary", "variant", "shadow", "fallback"]
"""What a bundle was to a request. A shadow answers nobody; a fallback, where the champion fails."""

Leased = Literal["canary", "shadow", "experiment"]
"""The parts of the document that end by themselves when nobody renews them."""
LEASED: tuple[Leased, ...] = ("canary", "shadow", "experiment")

_Bundle = Annotated[BundleId, Field(pattern=r"^[0-9a-f]{64}$")]
_ROUNDING = 1e-9


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Lease(_Part):
    """What ends unless it is renewed."""

    lease_seconds: float = Field(gt=0)
    """Counted by the service, in its own monotonic time, from when it first saw `renewal`."""
    renewal: int
    """Each new number renews the lease."""


class CanaryRoute(Lease):
    """A candidate's share, which is a lease."""

    bundle: _Bundle
    share: float = Field(ge=0, le=1)
    keys: tuple[str, ...] = Field(default=(), max_length=10_000)
    """Keys that go to it whatever the share is: testers, one camera."""


class ShadowRoute(Lease):
    """A candidate that sees copies of requests; its answers are captured and given to nobody."""

    bundle: _Bundle
    share: float = Field(default=1.0, ge=0, le=1)
    """How much of the traffic is copied to it, when there is room."""


class Variant(_Part):
    """One arm of an experiment."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    bundle: _Bundle
    share: float = Field(gt=0, le=1)
    out: bool = False
    """Taken out: its keys are the champion's, and no other variant's key moves."""


class Experiment(Lease):
    """An A/B test: named variants with shares; who is in none of them stays with the champion."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    """A key keeps its variant within an experiment; another name draws anew."""
    variants: tuple[Variant, ...] = Field(min_length=1, max_length=16)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if sum(variant.share for variant in self.variants) > 1 + _ROUNDING:
            raise ValueError("the shares of an experiment's variants add up to more than 1")
        if len({variant.name for variant in self.variants}) < len(self.variants):
            raise ValueError("two variants of an experiment have one name")
        return self


class Routes(_Part):
    """What the service is to do; replaced whole, never edited."""

    generation: int = 0
    champion: _Bundle | None = None
    canary: CanaryRoute | None = None
    shadow: ShadowRoute | None = None
    experiment: Experiment | None = None
    fallback: _Bundle | None = None
    """The former champion: kept loaded for an instant return, and answers where this one fails."""
    warm: _Bundle | None = None
    """Loaded and verified without traffic: what is to take all of it at once."""
    deadline_seconds: float = Field(default=5.0, gt=0)
    """A bundle that is not the champion has failed on a request that takes it longer."""

    def named(self) -> frozenset[BundleId]:
        """Every bundle in the document."""
        parts = [self.champion, self.fallback, self.warm, *self.trials()]
        return frozenset(bundle for bundle in parts if bundle is not None)

    def trials(self) -> tuple[BundleId, ...]:
        """The bundles that are being tried: each is run apart from the others."""
        tried = [part.bundle for part in (self.canary, self.shadow) if part is not None]
        if self.experiment is not None:
            tried += [variant.bundle for variant in self.experiment.variants if not variant.out]
        return tuple(dict.fromkeys(tried))


@dataclass(frozen=True, slots=True)
class Choice:
    """Who answers a request."""

    role: Role
    bundle: BundleId | None
    variant: str | None = None


def read_routes(path: Path) -> Routes:
    """The document in `path`; empty routes when there is none. `Refused` when it is broken."""
    try:
        return Routes.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return Routes()
    except (ValidationError, ValueError, RecursionError) as error:
        raise Refused(f"{path} is not a routes document: {error}") from error


def write_routes(path: Path, routes: Routes) -> None:
    """Replace the document in one step. What is not used is left out: older services read it."""
    write_atomic(path, canonical_json(routes.model_dump(mode="json", exclude_defaults=True)))


def choose(routes: Routes, key: str, live: Container[Leased]) -> Choice:
    """Who answers a request with this key, given the parts whose lease is alive.

    The same key and document give the same choice, and a key that is with the canary stays with
    it while its share grows. The draws of each canary and each experiment are independent, so
    that it is not always the same users who try what is new.
    """
    canary, experiment = routes.canary, routes.experiment
    if canary is not None and "canary" in live and _draws(canary, key):
        return Choice("canary", canary.bundle)
    if experiment is not None and "experiment" in live:
        at, end = place(experiment.name, key), 0.0
        for variant in experiment.variants:
            end += variant.share
            if at < end and not variant.out:
                return Choice("variant", variant.bundle, variant.name)
            if at < end:
                break
    return Choice("champion", routes.champion)


def _draws(canary: CanaryRoute, key: str) -> bool:
    return key in canary.keys or place(canary.bundle, key) < canary.share


def lease_of(routes: Routes, part: Leased) -> Lease | None:
    """A part that ends unless it is renewed; None when it is not there."""
    found: Lease | None = getattr(routes, part)
    return found


def only_loaded(wanted: Routes, loaded: Container[BundleId]) -> Routes:
    """The document without the parts whose bundle cannot answer."""
    canary, shadow, experiment = wanted.canary, wanted.shadow, wanted.experiment
    if experiment is not None:
        experiment = _able(experiment, loaded)
    return wanted.model_copy(
        update={
            "canary": canary if canary is not None and canary.bundle in loaded else None,
            "shadow": shadow if shadow is not None and shadow.bundle in loaded else None,
            "experiment": experiment,
            "fallback": wanted.fallback if wanted.fallback in loaded else None,
            "warm": wanted.warm if wanted.warm in loaded else None,
        }
    )


def _able(experiment: Experiment, loaded: Container[BundleId]) -> Experiment | None:
    # A variant that cannot be loaded keeps its place in the draw: nobody else's key moves. Its
    # own keys have no seat with it and are answered by the champion.
    able = any(v.bundle in loaded for v in experiment.variants if not v.out)
    return experiment if able else None


def mirrored(routes: Routes, key: str, live: Container[Leased]) -> BundleId | None:
    """The bundle that is to see a copy of the request with this key, if any."""
    shadow = routes.shadow
    if shadow is None or "shadow" not in live:
        return None
    return shadow.bundle if place(f"shadow {shadow.bundle}", key) < shadow.share else None


def place(salt: str, key: str) -> float:
    """Where a key stands in [0, 1) of a draw; uniform, and independent between salts."""
    digest = hashlib.sha256(f"{salt}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
