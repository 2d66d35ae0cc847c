"""Forgetting: everything a product holds of some samples goes, and a search proves it.

Killable anywhere: tombstones come first, each step may be repeated, and the certificate comes
last. Doing it again finds what is left to do, or nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from everloop.data.erase import bury, purge, remove_rows, rows_left, subject_samples
from everloop.data.forgotten import Tombstone
from everloop.data.learnt import Held, remember_snapshots
from everloop.data.location import Location
from everloop.data.proof import Searched, search
from everloop.data.redaction import redact
from everloop.errors import Conflict, Refused
from everloop.ids import Json, SampleId
from everloop.loop.cards import drop_pictures
from everloop.loop.copies import clear, drop_captured
from everloop.loop.label_doubts import drop_doubts
from everloop.loop.project import Project
from everloop.loop.reported import drop_found, drop_reported
from everloop.state.audit import AuditEntry
from everloop_runtime.ids import digest_json, sample_id

CERTIFICATE = "forget"
_PASSES = 3
"""Others may bring a copy in while this one works; later passes find little to do."""


@dataclass(frozen=True, slots=True)
class Forgot:
    """The samples are gone."""

    certificate: AuditEntry
    in_sources: Sequence[str]
    """Files of the project's sources that still have their bytes; those are yours to remove."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom or what to forget."""

    samples: Sequence[SampleId] = ()
    subject: str | None = None

    @property
    def request(self) -> str:
        """The same for the same wish. A subject's name cannot be read from it, only tried."""
        if self.subject is not None:
            return digest_json(["subject", self.subject])
        return digest_json(["samples", sorted(self.samples)])


def forget(
    project: Project, wanted: Wanted, *, by: str, now: datetime, alone: bool = False
) -> Forgot:
    """Remove the samples from everywhere, prove it, and certify it in the audit log.

    Raises `Refused` when there is nothing to forget, and `Conflict` naming what is still there
    and what to do about it; all else is gone by then, and asking again goes on from there.
    """
    data = project.data
    tombstones = bury(data, _samples(project, wanted), wanted.request, now)
    samples = [each.sample for each in tombstones]
    held = remember_snapshots(data, wanted.request, samples)
    before = search(_places(project), tombstones)
    counts, withdrawn, removed, left = _remove(project, tombstones, now, alone=alone)
    after = search(_places(project), tombstones)
    rows = rows_left(data.place, samples)
    if rows or after.finds:
        lines = left or [find.where for find in after.finds] or [f"rows in {n}" for n in rows]
        raise Conflict(
            f"{len(samples)} samples are forgotten but for these copies; see to them and ask "
            "again:\n" + "\n".join(f"  {line}" for line in lines)
        )
    certificate = _certify(
        project,
        wanted.request,
        by,
        now,
        {
            "samples": list(samples),
            "removed": counts,
            "files_removed": list(removed),
            "bundles_withdrawn": sorted(withdrawn),
            "models": _models(project, held),
            "proof": _proof(before, after, tombstones),
        },
    )
    return Forgot(certificate, _in_sources(project, tombstones))


def _samples(project: Project, wanted: Wanted) -> list[SampleId]:
    known = [each.sample for each in project.data.forgotten.all(wanted.request)]
    if wanted.subject is None:
        found = list(wanted.samples)
    else:
        found = subject_samples(project.data, wanted.subject)
    samples = sorted({*known, *found})
    if not samples:
        raise Refused("there is no sample about that subject; everloop data usage tells of what is")
    return samples


def _places(project: Project) -> list[Location]:
    """The project's own store, and the data where that lies elsewhere."""
    own, data = Location(str(project.layout.root)), project.data.place
    inside = data.folder is not None and project.layout.root in data.folder.parents
    return [own] if inside else [own, data]


def _in_sources(project: Project, tombstones: Sequence[Tombstone]) -> list[str]:
    sizes, names = {each.size for each in tombstones}, {each.sample for each in tombstones}
    return [
        str(path)
        for source in project.policy.data.sources
        for path in sorted((project.layout.project / source).rglob("*"))
        if path.is_file() and path.stat().st_size in sizes
        if sample_id(path.read_bytes()) in names
    ]


def _remove(
    project: Project, tombstones: Sequence[Tombstone], now: datetime, *, alone: bool
) -> tuple[dict[str, int], set[str], list[str], list[str]]:
    samples = frozenset(each.sample for each in tombstones)
    counts: dict[str, int] = {}
    withdrawn: set[str] = set()
    removed: list[str] = []
    left: list[str] = []
    for _ in range(_PASSES):
        # Where samples come from first, then what was made of them.
        step = {"captured answers": drop_captured(project, samples)}
        step["pictures in cards"] = drop_pictures(project, samples)
        step["doubts about labels"] = drop_doubts(project, samples)
        step["reports with pictures"] = drop_reported(project, samples)
        step["findings that named them"] = drop_found(project, samples)
        step |= project.erasing.erase(samples)
        step |= remove_rows(project.data.place, sorted(samples))
        step["rows of snapshots"] = redact(
            project.data.place / "snapshots", samples, project.data.snapshots_cache
        )
        purge(project.data.place)
        # What this machine keeps to look things up follows.
        project.data.samples.places(sorted(samples))
        project.data.examinations.follow()
        found = search(_places(project), tombstones)
        cleared = clear(project, found.finds, now, alone=alone)
        for name, count in step.items():
            if count:
                counts[name] = counts.get(name, 0) + count
        withdrawn |= cleared.withdrawn
        removed += cleared.removed
        left = cleared.left
        if not found.finds or len(left) == len(found.finds):
            break
    return counts, withdrawn, removed, left


def _models(project: Project, held: Sequence[Held]) -> list[Json]:
    """What learnt from the samples, or was measured on them: bundles and runs by snapshot."""
    told: list[Json] = []
    runs = {
        str(entry.action.inputs["run"]): entry.outcome.result.get("run")
        for entry in project.journal.entries(("track",)).values()
        if entry.outcome is not None
    }
    for each in held:
        for key, entry in project.journal.entries(("train",)).items():
            if entry.action.inputs.get("snapshot") != each.snapshot or entry.outcome is None:
                continue
            told.append(
                {
                    "bundle": entry.outcome.result.get("bundle"),
                    "key": key,
                    "mlflow run": runs.get(key),
                    "snapshot": each.snapshot,
                    "learnt from": each.train,
                    "measured on": each.holdout,
                }
            )
    return told


def _proof(before: Searched, after: Searched, tombstones: Sequence[Tombstone]) -> dict[str, Json]:
    return {
        "files_searched": after.files,
        "bytes_searched": after.bytes,
        "found": len(after.finds),
        "found_before": len(before.finds),
        "too_short_to_search": sum(not each.marks for each in tombstones),
        "marks": digest_json([[m.digest.hex() for m in each.marks] for each in tombstones]),
    }


def _certify(
    project: Project, request: str, by: str, now: datetime, told: dict[str, Json]
) -> AuditEntry:
    """The certificate; the one of before when nothing was left to do since."""
    for entry in reversed(project.audit.entries(CERTIFICATE)):
        if entry.told["request"] == request and entry.told["samples"] == told["samples"]:
            if told["removed"] or told["files_removed"]:
                break
            return entry
    return project.audit.append(CERTIFICATE, by, {"request": request, **told}, now)
