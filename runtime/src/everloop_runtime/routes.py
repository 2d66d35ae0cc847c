"""The routes document: which bundle serves which share of the traffic."""

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from everloop_runtime.errors import Refused
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import BundleId, canonical_json

Role = Literal["champion", "canary"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CanaryRoute(_Part):
    """A candidate's share, which is a lease."""

    bundle: BundleId = Field(pattern=r"^[0-9a-f]{64}$")
    share: float = Field(ge=0, le=1)
    lease_seconds: float = Field(gt=0)
    """Counted by the service, in its own monotonic time, from when it first saw `renewal`."""
    renewal: int
    """Each new number renews the lease."""


class Routes(_Part):
    """What the service is to do; replaced whole, never edited."""

    generation: int = 0
    champion: BundleId | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    canary: CanaryRoute | None = None


def read_routes(path: Path) -> Routes:
    """The document in `path`; empty routes when there is none. `Refused` when it is broken."""
    try:
        return Routes.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return Routes()
    except (ValidationError, ValueError, RecursionError) as error:
        raise Refused(f"{path} is not a routes document: {error}") from error


def write_routes(path: Path, routes: Routes) -> None:
    """Replace the document in one step."""
    write_atomic(path, canonical_json(routes.model_dump(mode="json")))


def choose(routes: Routes, key: str, *, lease_alive: bool) -> Role:
    """Who answers a request with this key; the same key and share give the same role."""
    canary = routes.canary
    if canary is None or not lease_alive:
        return "champion"
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    return "canary" if place < canary.share else "champion"
