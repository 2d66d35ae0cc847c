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
from everloop.data.segments import Row, Segment, sorted_table, table_of
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
    """What a snapshot by these rules would say, sample by sample."""

    view: View
    fits: Callable[[str], bool]
    excluded: Mapping[SampleId, str]

    def of(self, samples: Sequence[SampleId]) -> dict[SampleId, Row]:
        return {row.sample: row for row in map(self._row, self.view.pinnable(samples)) if row}

    def all(self) -> Iterator[list[Row]]:
        """Sorted by sample, in parts."""
        for part in self.view.all_pinnable():
            yield [row for row in map(self._row, part) if row]

    def _row(self, told: tuple[str, ...]) -> Row | None:
        row = Row(SampleId(told[0]), *told[1:])
        return None if row.sample in self.excluded or not self.fits(row.label) else row


@dataclass(slots=True)
class _Count:
    """Rows and class names by side, kept up row by row."""

    sides: Counter[str] = field(default_factory=Counter)
    names: dict[str, Counter[str]] = field(
        default_factory=lambda: {side: Counter() for side in _SIDES}
    )

    def step(self, rows: Iterable[Row], by: int) -> None:
        for row in rows:
            self.sides[row.side] += by
            names = self.names[row.side]
            for name in _names(row.label):
                names[name] += by

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
                fingerprint.add(row.pinned for row in part)
                count.step(part, 1)
                yield sorted_table(part)

        key, written = self.snapshots.segments.write(batches())
        segment = self.snapshots.segments.open(key)
        self._check(segment.table, lambda samples: _sides(segment, samples))
        segments: Json = [[key, written]] if written else []
        return self._write(fingerprint, count, {"segments": segments, "parent": None})

    def next(self, base: Snapshot, rows: _Rows, since: int | None) -> Snapshot:
        """What changed since `base`; everything is compared with it where that is not known."""
        excluded = self.snapshots.excluded(base)
        if since is None:
            came, was = _compared(base, rows)
        else:
            moved = [s for s, _ in excluded.items() ^ self.excluded.items()]
            samples = list(dict.fromkeys([*rows.view.changed(since), *moved]))
            came, was = _changed(base, samples, rows.of(samples))
        fingerprint = Fingerprint(base.manifest["fingerprint"])
        fingerprint.remove(row.pinned for row in was.values())
        fingerprint.add(row.pinned for row in came.values() if row)
        count = _counted(base)
        count.step(was.values(), -1)
        count.step(filter(None, came.values()), 1)
        known = self.snapshots.get(identity(self._identity(fingerprint, count)))
        if known is not None:
            return known
        table = table_of(came)
        self._check(
            table_of({name: row for name, row in came.items() if row}),
            lambda samples: _sides_after(base, came, samples),
        )
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


def _changed(
    base: Snapshot, samples: Sequence[SampleId], now: Mapping[SampleId, Row]
) -> tuple[dict[SampleId, Row | None], dict[SampleId, Row]]:
    """Of some samples, the rows that came (None: gone) and those that they were."""
    was = base.find(samples)
    came = {
        name: now.get(name) for name in samples if _pinned(now.get(name)) != _pinned(was.get(name))
    }
    return came, {name: row for name, row in was.items() if name in came}


def _compared(
    base: Snapshot, rows: _Rows
) -> tuple[dict[SampleId, Row | None], dict[SampleId, Row]]:
    import numpy as np

    came: dict[SampleId, Row | None] = {}
    was: dict[SampleId, Row] = {}
    seen = [np.array([], "S64")]
    for part in rows.all():
        now = {row.sample: row for row in part}
        names = list(now)
        seen.append(np.array([name.encode() for name in names], "S64"))
        more, old = _changed(base, names, now)
        came.update(more)
        was.update(old)
    before = np.concatenate([keys for s in base.segments for keys in s.keys] or seen[:1])
    left = np.setdiff1d(before, np.concatenate(seen))
    for name, row in base.find(SampleId(each.decode()) for each in left.tolist()).items():
        came[name], was[name] = None, row
    return came, was


def _pinned(row: Row | None) -> tuple[str, ...] | None:
    return None if row is None else row.pinned


def _sides(segment: Segment, samples: Sequence[SampleId]) -> dict[SampleId, str]:
    import numpy as np

    wanted = np.array([name.encode() for name in samples], dtype="S")
    return {name: row.side for name, row in segment.find(wanted).items() if row is not None}


def _sides_after(
    base: Snapshot, came: Mapping[SampleId, Row | None], samples: Sequence[SampleId]
) -> dict[SampleId, str]:
    rows: dict[SampleId, Row | None] = {**base.find(samples)}
    rows.update((name, came[name]) for name in samples if name in came)
    return {name: row.side for name, row in rows.items() if row is not None}


@lru_cache(maxsize=10_000)
def _names(label: str) -> frozenset[str]:
    """The classes that a label names."""
    return frozenset(names_in(decode(label)))
