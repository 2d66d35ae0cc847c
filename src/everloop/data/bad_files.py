"""A file that is not taken in, and what is written down of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from everloop.data.examined import FORCEABLE, Reason
from everloop.ids import QuarantineId, SampleId
from everloop_runtime.ids import digest_json, sample_id

Event: TypeAlias = Literal["bad", "mended", "forced", "gone"]


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that is not taken in."""

    name: str
    """What its source calls it."""
    reason: Reason
    text: str
    """The reason in words, with the figures."""
    where: str = ""
    """Where its bytes can be found; empty: in the source, under its name."""
    data: bytes | None = None
    """Its bytes, where they could be read."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A bad file that stands: neither mended, forced nor gone."""

    id: QuarantineId
    source: str
    name: str
    reason: Reason
    text: str
    where: str
    digest: str
    """SHA-256 of its bytes; empty when they could not be read."""
    size: int
    at: datetime

    @property
    def can_be_forced(self) -> bool:
        """Whether a person may overrule the reason: the picture itself can be decoded."""
        return self.reason in FORCEABLE


def shown(name: str) -> str:
    """A file's name with whatever is not plain text escaped, as it is stored.

    >>> shown("cat/1.png"), shown('"\\u00fc"')
    ('cat/1.png', '\\\\"\\\\u00fc\\\\"')
    """
    is_plain = name.isascii() and name.isprintable() and '"' not in name and "\\" not in name
    return name if is_plain else json.dumps(name)[1:-1]


def id_of(source: str, bad: BadFile) -> QuarantineId:
    """The same file with the same fault has the same id."""
    digest = sample_id(bad.data) if bad.data else ""
    return QuarantineId(digest_json([source, shown(bad.name), bad.reason, digest]))


def row_of(
    event: Event, source: str, name: QuarantineId, bad: BadFile, now: datetime
) -> Mapping[str, Any]:
    """An event of a bad file, as it is stored."""
    return {
        "id": name,
        "event": event,
        "source": source,
        "name": shown(bad.name),
        "reason": bad.reason,
        "text": ascii(bad.text)[1:-1],
        "where": shown(bad.where or f"{source.rstrip('/')}/{bad.name}"),
        "digest": sample_id(bad.data) if bad.data else "",
        "by": "",
        "sample": "",
        "size": len(bad.data) if bad.data is not None else 0,
        "at": now,
    }


def ended(
    file: Quarantined, event: Event, by: str, sample: SampleId | None, now: datetime
) -> Mapping[str, Any]:
    """The end of a file's time in quarantine, as it is stored."""
    return {
        "id": file.id,
        "event": event,
        "source": file.source,
        "name": file.name,
        "reason": file.reason,
        "text": "",
        "where": file.where,
        "digest": file.digest,
        "by": by,
        "sample": sample or "",
        "size": file.size,
        "at": now,
    }
