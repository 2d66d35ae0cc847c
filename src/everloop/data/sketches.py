"""Sketches of live answers: one file a segment, merged by the hour, asked for by period.

A file's name says which time it covers, so a period is found by listing. Hours that are over are
rolled into one file each, which names its parts: while these are still there they are not counted
again. What the bytes mean, and how they are merged, is the caller's.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from everloop.data.blobs import open_blobs
from everloop.data.location import Place
from everloop.errors import Conflict
from everloop.ids import BundleId
from everloop_runtime.ids import digest_json

Merge = Callable[[Sequence[bytes]], bytes]

_SEGMENT, _HOUR = "s", "h"
_LENGTH = 4
_LOOKS = 5
_ROLLED_FROM = 2
"""Files of an hour from which rolling them into one pays."""


@dataclass(frozen=True, slots=True)
class _Part:
    key: str
    first: datetime
    last: datetime
    answers: int
    rolled: bool

    @property
    def hour(self) -> datetime:
        return self.first.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Period:
    """The sketches of some time."""

    sketches: tuple[bytes, ...]
    answers: int
    first: datetime | None
    last: datetime | None


class Sketches:
    """Sketches of every bundle's answers. Only `roll` removes files, and what it wrote has them."""

    def __init__(self, place: Place) -> None:
        self._blobs = open_blobs(place / "sketches")

    def add(
        self,
        bundle: BundleId,
        segment: str,
        sketch: bytes,
        *,
        answers: int,
        first: datetime,
        last: datetime,
    ) -> bool:
        """Keep a segment's sketch; False when it is there already."""
        name = _name(_SEGMENT, first, last, answers, digest_json(segment)[:16])
        return self._blobs.put(f"{bundle}/{name}", _framed((), sketch))

    def period(
        self, bundle: BundleId, since: datetime | None = None, until: datetime | None = None
    ) -> Period:
        """The sketches whose answers were given after `since` and before `until`.

        A file counts when most of its time is inside, so an hour that is over counts whole or not.
        """
        chosen, read = self._chosen(bundle, since, until)
        rolled = {name for members, _ in read.values() for name in members}
        counted = [part for part in chosen if part.key not in rolled]
        return Period(
            tuple(read[part.key][1] for part in counted),
            sum(part.answers for part in counted),
            min((part.first for part in counted), default=None),
            max((part.last for part in counted), default=None),
        )

    def _chosen(
        self, bundle: BundleId, since: datetime | None, until: datetime | None
    ) -> tuple[list[_Part], dict[str, tuple[tuple[str, ...], bytes]]]:
        for _ in range(_LOOKS):
            chosen = [part for part in self._parts(bundle) if _inside(part, since, until)]
            read = {part.key: self._read(part.key) for part in chosen}
            if all(sketch for _, sketch in read.values()):
                return chosen, read
        raise Conflict("sketches are being rolled faster than they are read; look again")

    def roll(self, bundle: BundleId, merge: Merge, now: datetime) -> int:
        """Make one file of those of each hour that is over for an hour; how many went.

        The whole before its parts go: whoever is killed in between leaves both, which count once.
        """
        over = now - timedelta(hours=1)
        hours: dict[datetime, list[_Part]] = {}
        for part in self._parts(bundle):
            if not part.rolled and part.hour + timedelta(hours=1) <= over:
                hours.setdefault(part.hour, []).append(part)
        return sum(
            self._roll(bundle, parts, merge)
            for parts in hours.values()
            if len(parts) >= _ROLLED_FROM
        )

    def _roll(self, bundle: BundleId, parts: Sequence[_Part], merge: Merge) -> int:
        done = {name for part in self._parts(bundle) if part.rolled
                for name in self._read(part.key)[0]}  # fmt: skip
        loose = [part for part in parts if part.key not in done]
        if loose:
            keys = tuple(sorted(part.key for part in loose))
            merged = merge([self._read(key)[1] for key in keys])
            name = _name(
                _HOUR,
                min(part.first for part in loose),
                max(part.last for part in loose),
                sum(part.answers for part in loose),
                digest_json(list(keys))[:16],
            )
            self._blobs.put(f"{bundle}/{name}", _framed(keys, merged))
        self._blobs.delete([part.key for part in parts])
        return len(parts)

    def _parts(self, bundle: BundleId) -> list[_Part]:
        found = [_part(blob.key, f"{bundle}/") for blob in self._blobs.list(str(bundle))]
        return sorted((part for part in found if part), key=lambda part: (part.first, part.key))

    def _read(self, key: str) -> tuple[tuple[str, ...], bytes]:
        """The parts that a file was made of, and its sketch; nothing when it went meanwhile."""
        data = self._blobs.get(key)
        if data is None:
            return (), b""
        size = int.from_bytes(data[:_LENGTH], "big")
        return tuple(json.loads(data[_LENGTH : _LENGTH + size])), data[_LENGTH + size :]


def _framed(members: Sequence[str], sketch: bytes) -> bytes:
    told = json.dumps(list(members)).encode()
    return len(told).to_bytes(_LENGTH, "big") + told + sketch


def _name(kind: str, first: datetime, last: datetime, answers: int, digest: str) -> str:
    begin, end = (int(moment.timestamp() * 1000) for moment in (first, last))
    return f"{begin:014d}-{end:014d}-{answers}-{kind}-{digest}"


def _part(key: str, prefix: str) -> _Part | None:
    """What a key says; None for one that is no sketch's."""
    told = key.removeprefix(prefix).split("-")
    if len(told) != 5 or not all(each.isdigit() for each in told[:3]):
        return None
    first, last = (datetime.fromtimestamp(int(each) / 1000, UTC) for each in told[:2])
    return _Part(key, first, last, int(told[2]), told[3] == _HOUR)


def _inside(part: _Part, since: datetime | None, until: datetime | None) -> bool:
    middle = part.first + (part.last - part.first) / 2
    return (since is None or middle >= since) and (until is None or middle < until)
