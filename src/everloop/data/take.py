"""Taking a snapshot: everything with a standing label, pinned at the cost of what changed."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from everloop.data.catalogue.questions import Noted, View
from everloop.data.fingerprint import Fingerprint
from everloop.data.leaks import Draft, LeakCheck, refuse_leaks
from everloop.data.segments import PINNED, Segment, change, keys_of, nothing, present
from everloop.data.snapshots import Snapshot, Snapshots, identity
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.ids import Json, SampleId, SnapshotId
from everloop.labels import decode, names_in
from everloop_runtime.ids import digest_json

if TYPE_CHECKING:
    import pyarrow as pa

_SIDES = ("train", "holdout")


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot just taken, and its counts."""

    id: SnapshotId
    train: int
    holdout: int
    train_counts: Mapping[str, int]
    """Training samples of each class."""


@dataclass(frozen=True, slots=True)
class LabelRule:
    """Which labels a snapshot takes."""

    kind: str
    """With the classes it names the rule; two rules of one name must be the same."""
    fits: Callable[[str], bool]
    """Asked of a label's text."""


def _naming(classes: frozenset[str]) -> LabelRule:
    return LabelRule("any", lambda label: classes.issuperset(_names(label)))


def take(
    store: DataStore,
    *,
    classes: Sequence[str],
    now: datetime,
    split: SplitRule | None = None,
    labels: LabelRule | None = None,
    leaks: LeakCheck | None = None,
) -> Taken:
    """Pin every sample with a standing label that fits and that is not left out, on its side.

    The same content gives the same id, whatever the order in which it came and whatever was
    pinned before. What the last snapshot by the same rules pins already is not read again. Raises
    `Refused`, and pins nothing, when `leaks` finds a leak between the sides.
    """
    labels = labels or _naming(frozenset(classes))
    rules: dict[str, Json] = {
        "classes": list(classes),
        "labels": labels.kind,
        "split": "content-hash" if split is None else split.as_json(),
    }
    key = digest_json(rules)
    excluded = store.exclusions.current()
    taking = _Taking(store.snapshots, rules, excluded, now, leaks)
    with store.catalogue.view() as view:
        seq = view.seq()
        noted = view.last_taken(key)
        base = None if noted is None else store.snapshots.get(noted.snapshot)
        if base is not None and not base.is_countable:
            base = None
        since = None if base is None or noted is None else noted.seq
        base = base or _newest(store.snapshots, rules)
        rows = _Rows(view, labels.fits, excluded)
        snapshot = taking.first(rows) if base is None else taking.next(base, rows, since)
    store.catalogue.note(key, Noted(snapshot.id, seq))
    counts = snapshot.manifest["counts"]["train"]
    return Taken(
        snapshot.id, snapshot.manifest["train"], snapshot.manifest["holdout"], Counter(counts)
    )


def _newest(snapshots: Snapshots, rules: Mapping[str, Json]) -> Snapshot | None:
    """Where another machine, or a catalogue that is gone, took the last one."""
    newest_first = reversed(snapshots.list())
    return next((s for s in newest_first if s.manifest["rules"] == rules and s.is_countable), None)


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a snapshot by these rules would say, as tables of `COLUMNS`."""

    view: View
    fits: Callable[[str], bool]
    excluded: Mapping[SampleId, str]

    def changed(self, since: int, moved: Iterable[SampleId]) -> "tuple[list[SampleId], pa.Table]":
        """Samples that may be told otherwise than at that change, or were moved; what is said now
        of those that are in."""
        import pyarrow as pa

        told = self.view.changed(since)
        names = told.column("sample").to_pylist()
        more = list(set(moved).difference(names))
        told = pa.concat_tables([told, self.view.told_of(more)])
        return names + more, self._fitting(told)

    def all(self) -> "Iterator[pa.Table]":
        """Sorted by sample, in parts."""
        return map(self._fitting, self.view.all_pinnable())

    def _fitting(self, told: "pa.Table") -> "pa.Table":
        import pyarrow as pa
        import pyarrow.compute as pc

        told = told.filter(pc.and_(told.column("side").is_valid(), told.column("label").is_valid()))
        if not told.num_rows:
            return told
        labels = told.column("label").combine_chunks().dictionary_encode()
        fits = pa.array([self.fits(label) for label in labels.dictionary.to_pylist()], pa.bool_())
        left_out = pa.array(list(self.excluded), pa.string())
        is_out = pc.is_in(told.column("sample"), left_out)
        return told.filter(pc.and_not(fits.take(labels.indices), is_out.combine_chunks()))


@dataclass(slots=True)
class _Count:
    """Rows and class names by side, kept up row by row."""

    sides: Counter[str] = field(default_factory=Counter)
    names: dict[str, Counter[str]] = field(
        default_factory=lambda: {side: Counter() for side in _SIDES}
    )

    def step(self, rows: "pa.Table", by: int) -> None:
        told = zip(*(rows.column(name).to_pylist() for name in ("side", "label")), strict=True)
        for (side, label), count in Counter(told).items():
            self.sides[side] += by * count
            for name in _names(label):
                self.names[side][name] += by * count

    def as_json(self) -> dict[str, Json]:
        total = self.names["train"] + self.names["holdout"]
        counts: dict[str, Json] = {
            side: {name: n for name, n in sorted(found.items()) if n}
            for side, found in self.names.items()
        }
        return {
            "train": self.sides["train"],
            "holdout": self.sides["holdout"],
            "classes": dict(sorted(total.items())),
            "counts": counts,
        }


@dataclass(frozen=True, slots=True)
class _Taking:
    snapshots: Snapshots
    rules: Mapping[str, Json]
    excluded: Mapping[SampleId, str]
    now: datetime
    leaks: LeakCheck | None

    def first(self, rows: _Rows) -> Snapshot:
        """Everything, read once and written as it comes."""
        fingerprint, count = Fingerprint(), _Count()

        def batches() -> "Iterator[pa.Table]":
            for part in rows.all():
                fingerprint.add(_pinned(part))
                count.step(part, 1)
                yield part

        key, written = self.snapshots.segments.write(batches())
        segment = self.snapshots.segments.open(key)
        self._check(segment.table, lambda samples: _sides(_found(segment, samples)))
        segments: Json = [[key, written]] if written else []
        return self._write(fingerprint, count, {"segments": segments, "parent": None})

    def next(self, base: Snapshot, rows: _Rows, since: int | None) -> Snapshot:
        """What changed since `base`; everything is compared with it where that is not known."""
        moved = self.snapshots.excluded(base).items() ^ self.excluded.items()
        if since is None:
            came, was = _compared(base, rows)
        else:
            samples, now = rows.changed(since, [sample for sample, _ in moved])
            came, was = _differing(now, base.rows_of(samples))
        fingerprint = Fingerprint(base.manifest["fingerprint"])
        fingerprint.remove(_pinned(was))
        fingerprint.add(_pinned(came))
        count = _counted(base)
        count.step(was, -1)
        count.step(came, 1)
        known = self.snapshots.get(identity(self._identity(fingerprint, count)))
        if known is not None:
            return known
        gone = set(_samples(was)).difference(_samples(came))
        table = change(came, gone)
        self._check(came.sort_by("sample"), lambda samples: _sides_after(base, table, samples))
        delta = self.snapshots.segments.write([table])
        grown: Json = [list(each) for each in self.snapshots.grown(base, delta)]
        made_of = {"segments": grown, "parent": base.id, "delta": delta[0], "delta_rows": delta[1]}
        return self._write(fingerprint, count, made_of)

    def _check(
        self, came: "pa.Table", sides: Callable[[Sequence[SampleId]], Mapping[SampleId, str]]
    ) -> None:
        if self.leaks is not None and came.num_rows:
            refuse_leaks(self.leaks(Draft(came, sides)))

    def _identity(self, fingerprint: Fingerprint, count: _Count) -> Json:
        return {
            "rules": self.rules,
            "excluded": [list(each) for each in sorted(self.excluded.items())],
            "rows": count.sides["train"] + count.sides["holdout"],
            "fingerprint": fingerprint.text(),
        }

    def _write(
        self, fingerprint: Fingerprint, count: _Count, made_of: Mapping[str, Json]
    ) -> Snapshot:
        manifest: dict[str, Json] = {
            "taken_at": self.now.isoformat(),
            "rules": self.rules,
            "excluded": len(self.excluded),
            "fingerprint": fingerprint.text(),
            **count.as_json(),
            **made_of,
        }
        name = identity(self._identity(fingerprint, count))
        return self.snapshots.write(name, manifest, self.excluded)


def _counted(base: Snapshot) -> _Count:
    told = base.manifest
    return _Count(
        Counter({side: told[side] for side in _SIDES}),
        {side: Counter(told["counts"][side]) for side in _SIDES},
    )


def _compared(base: Snapshot, rows: _Rows) -> "tuple[pa.Table, pa.Table]":
    """The same of everything."""
    import numpy as np
    import pyarrow as pa

    came, was, seen = [nothing()], [nothing()], [np.array([], "S64")]
    for now in rows.all():
        new, old = _differing(now, base.rows_of(_samples(now)))
        came.append(new)
        was.append(old)
        seen.append(keys_of(now))
    before = np.concatenate([seen[0], *(keys for s in base.segments for keys in s.keys)])
    left = np.setdiff1d(before, np.concatenate(seen))
    was.append(base.rows_of(SampleId(each.decode()) for each in left.tolist()))
    return pa.concat_tables(came), pa.concat_tables(was)


def _differing(now: "pa.Table", was: "pa.Table") -> "tuple[pa.Table, pa.Table]":
    """The rows that are pinned otherwise: as they are, and as they were."""
    return _without(now, was), _without(was, now)


def _without(rows: "pa.Table", others: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    known = set(_pinned(others))
    return rows.filter(pa.array([row not in known for row in _pinned(rows)], pa.bool_()))


def _pinned(rows: "pa.Table") -> list[tuple[str, ...]]:
    return list(zip(*(rows.column(name).to_pylist() for name in PINNED), strict=True))


def _samples(rows: "pa.Table") -> list[SampleId]:
    names: list[SampleId] = rows.column("sample").to_pylist()
    return names


def _sides(rows: "pa.Table") -> dict[SampleId, str]:
    return dict(zip(_samples(rows), rows.column("side").to_pylist(), strict=True))


def _found(segment: Segment, samples: Sequence[SampleId]) -> "pa.Table":
    import numpy as np

    return present(segment.find(np.array([name.encode() for name in samples], dtype="S")))


def _sides_after(
    base: Snapshot, delta: "pa.Table", samples: Sequence[SampleId]
) -> dict[SampleId, str]:
    wanted = set(samples)
    told = {name: side for name, side in _sides(delta).items() if name in wanted}
    # What the change says is gone has no side.
    return {name: side for name, side in (_sides(base.rows_of(samples)) | told).items() if side}


@lru_cache(maxsize=10_000)
def _names(label: str) -> frozenset[str]:
    """The classes that a label names."""
    return frozenset(names_in(decode(label)))
