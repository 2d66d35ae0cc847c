"""Where a store lies: a folder of this machine, or a URI of an installed storage scheme."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Location:
    """A place on some storage. `location / "name"` is a place under it."""

    uri: str
    """A path, or `scheme://...`."""
    options: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    """What its scheme needs to reach it. It may hold credentials, so it is never printed."""

    def __truediv__(self, name: str) -> "Location":
        return replace(self, uri=f"{self.uri.rstrip('/')}/{name}")

    @property
    def scheme(self) -> str:
        """`file` for a folder of this machine."""
        before, mark, _ = self.uri.partition("://")
        return before if mark else "file"

    @property
    def folder(self) -> Path | None:
        """The folder, where it is one of this machine."""
        return Path(self.uri) if self.scheme == "file" else None

    @property
    def name(self) -> str:
        """Its last part, as messages call it."""
        return self.uri.rstrip("/").rpartition("/")[2]


Place: TypeAlias = Location | Path
"""What opens a store: both know `place / "name"`."""


def located(place: Place) -> Location:
    """The location that `place` names."""
    return place if isinstance(place, Location) else Location(str(place))
