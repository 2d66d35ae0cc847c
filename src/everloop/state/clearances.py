"""Clearances: which samples labellers may see, under which policy version, as which rendition.

This is the gate's book. A label task can only be made of a `Cleared`, only this module makes
one, and only from a row that names a rendition which the store holds. The database checks the
same once more by triggers (migration `privacy_gate`), so that a bare insert fails as well.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

from sqlalchemy import Row, func, insert, select, update

from everloop.errors import Conflict, Refused
from everloop.ids import PolicyVersion, RenditionId, SampleId
from everloop.state.database import Database
from everloop.state.lease import Fence, check_fence
from everloop.state.tables import clearances, label_tasks

_C = clearances.c
_T = label_tasks.c
_SEAL = object()
_CHUNK = 500
"""SQLite bounds how many values one statement may name."""

Verdict: TypeAlias = Literal["cleared", "held", "released"]
"""By the filters and moderators: cleared or held. By a person: a held one released."""


Claim: TypeAlias = tuple[SampleId, PolicyVersion, RenditionId]
"""That this is the rendition of the sample under the version."""


class RenditionStore(Protocol):
    """What is asked of the store before a clearance is believed."""

    def held(self, claims: Sequence[Claim]) -> Set[Claim]:
        """Those claims that are true: the sample's rendition under the version, bytes and all."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """The proof that labellers may see a sample, as this rendition and no other.

    Only the book of clearances can make one; anybody else gets `Refused`.
    """

    sample: SampleId
    rendition: RenditionId
    version: PolicyVersion
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise Refused("only the privacy gate clears a sample; see everloop privacy --help")


@dataclass(frozen=True, slots=True)
class Judged:
    """What the filters and moderators made of one sample."""

    sample: SampleId
    version: PolicyVersion
    rendition: RenditionId | None
    """None: no picture could be made."""
    held: str | None
    """Why it is held back; None: it is cleared."""


@dataclass(frozen=True, slots=True)
class Clearance:
    """One line of the book."""

    sample: SampleId
    version: PolicyVersion
    rendition: RenditionId | None
    verdict: Verdict
    reason: str | None
    """Why it was held back."""
    at: datetime
    released_by: str | None
    released_because: str | None


class Clearances:
    """One line a sample and policy version. What is written stays; a person may release."""

    def __init__(self, database: Database, renditions: RenditionStore) -> None:
        self._database = database
        self._renditions = renditions

    def record(self, judged: Iterable[Judged], fence: Fence, now: datetime) -> None:
        """Write lines, all or none; those that are there already stay as they are.

        Raises `Refused` for a rendition that the store does not hold.
        """
        lines = list(judged)
        claims = [(j.sample, j.version, j.rendition) for j in lines if j.rendition is not None]
        true = self._renditions.held(claims)
        rows = [_row(line, true, now) for line in lines]
        with self._database.write() as connection:
            check_fence(connection, fence)
            for row in rows:
                connection.execute(insert(clearances).prefix_with("OR IGNORE"), row)

    def of(
        self, samples: Iterable[SampleId], version: PolicyVersion
    ) -> Mapping[SampleId, Clearance]:
        """The lines of samples under one version; those without one are left out."""
        wanted = list(dict.fromkeys(samples))
        found: dict[SampleId, Clearance] = {}
        with self._database.read() as connection:
            for start in range(0, len(wanted), _CHUNK):
                some = _C.sample.in_(wanted[start : start + _CHUNK])
                query = select(clearances).where(_C.version == version, some)
                for row in connection.execute(query):
                    found[row.sample] = _clearance(row)
        return found

    def cleared(
        self, samples: Iterable[SampleId], version: PolicyVersion | None
    ) -> Mapping[SampleId, Cleared]:
        """The proofs of those samples that labellers may see under this version; without one the
        gate is closed, and they may see none."""
        if version is None:
            return {}
        return {
            sample: Cleared(sample, line.rendition, version, _SEAL)
            for sample, line in self.of(samples, version).items()
            if line.verdict != "held" and line.rendition is not None
        }

    def list(self, version: PolicyVersion, verdict: Verdict | None = None) -> Sequence[Clearance]:
        """All lines of one version, or those of one verdict, oldest first."""
        query = select(clearances).where(_C.version == version).order_by(_C.at, _C.sample)
        if verdict is not None:
            query = query.where(_C.verdict == verdict)
        with self._database.read() as connection:
            return [_clearance(row) for row in connection.execute(query)]

    def count_held(self, version: PolicyVersion) -> int:
        """How many samples are held back under a version."""
        these = (_C.version == version) & (_C.verdict == "held")
        with self._database.read() as connection:
            return connection.execute(
                select(func.count()).select_from(clearances).where(these)
            ).scalar_one()

    def release(
        self, sample: SampleId, version: PolicyVersion, *, by: str, because: str, now: datetime
    ) -> None:
        """Let labellers see a sample that is held back, on a person's word.

        Its held label tasks open in the same step. Raises `Refused` when it is not held back,
        has no rendition, or no reason is given.
        """
        if not because.strip():
            raise Refused("a release needs a reason: it goes into the record")
        with self._database.write() as connection:
            this = (_C.sample == sample) & (_C.version == version)
            row = connection.execute(select(clearances).where(this)).one_or_none()
            if row is None or row.verdict == "cleared":
                raise Refused(f"sample {sample[:8]} is not held back by the policy in force")
            if row.rendition is None:
                raise Refused(
                    f"sample {sample[:8]} has no rendition ({row.reason}): nothing can be shown"
                )
            if row.verdict == "released":
                raise Conflict(f"sample {sample[:8]} was released by {row.released_by} already")
            values = {"verdict": "released", "released_by": by, "released_because": because,
                      "released_at": now}  # fmt: skip
            connection.execute(update(clearances).where(this).values(values))
            connection.execute(
                update(label_tasks)
                .where(_T.sample == sample, _T.status == "held")
                .values(rendition=row.rendition, policy_version=version, status="open")
            )


def _row(line: Judged, true: Set[Claim], now: datetime) -> dict[str, Any]:
    if line.rendition is None:
        fits = line.held is not None
    else:
        fits = (line.sample, line.version, line.rendition) in true
    if not fits:
        raise Refused(
            f"sample {line.sample[:8]} has no rendition {str(line.rendition)[:8]} in the store: "
            "it cannot be cleared"
        )
    return {
        "sample": line.sample,
        "version": line.version,
        "rendition": line.rendition,
        "verdict": "cleared" if line.held is None else "held",
        "reason": line.held,
        "at": now,
    }


def restored(sample: SampleId, rendition: RenditionId, version: PolicyVersion) -> Cleared:
    """The proof that a stored label task carries; for `label_queue` only."""
    return Cleared(sample, rendition, version, _SEAL)


def _clearance(row: Row[Any]) -> Clearance:
    return Clearance(
        row.sample,
        row.version,
        row.rendition,
        row.verdict,
        row.reason,
        row.at,
        row.released_by,
        row.released_because,
    )
