"""What can be asked of the catalogue; each question costs what its answer does, not the whole."""

import json
import random
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.data.catalogue.chosen import Chosen, condition
from everloop.data.catalogue.file import CatalogueFile
from everloop.data.catalogue.follow import Source, catch_up
from everloop.data.catalogue.mirrors import (
    SAMPLES,
    annotations_source,
    bytes_source,
    facts_source,
    find,
    is_said,
    said_mark,
)
from everloop.data.schemas import Tables
from everloop.data.segments import COLUMNS
from everloop.data.splits import Side
from everloop.ids import AnnotationId, SampleId, SnapshotId

if TYPE_CHECKING:
    import pyarrow as pa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK = 10_000
_PASSED = 1_000_000
"""Samples that one page of chosen ones passes at most."""
_STANDING = "JOIN standing USING (n)"
_TOLD = "id, side, label, annotation, who, origin"
"""What the catalogue calls `COLUMNS`."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a sample stands."""

    side: Side
    origin: str
    group: str | None
    subject: str | None


@dataclass(frozen=True, slots=True)
class Noted:
    """The last snapshot taken from this catalogue by some rules."""

    snapshot: SnapshotId
    seq: int
    """Changes up to this number are in it."""


class Catalogue:
    """Looks samples and standing labels up, in a file beside this machine's other caches.

    It mirrors the tables, follows them fragment by fragment, and may be deleted at any time.
    """

    def __init__(self, folder: Path, tables: Tables) -> None:
        self._file = CatalogueFile(folder)
        self._facts = facts_source(tables.facts)
        self._bytes = bytes_source(tables.bytes)
        self._annotations = annotations_source(tables.annotations)
        self._compared: set[str] = set()

    @contextmanager
    def _upto(self, *sources: Source) -> Iterator[sqlite3.Connection]:
        catch_up(self._file, sources, self._compared)
        self._compared.update(source.name for source in sources)
        with self._file.reading() as connection:
            yield connection

    def placed(self, samples: Sequence[SampleId]) -> dict[SampleId, Placed]:
        """Side, origin, group and subject of samples; unknown ones are left out."""
        with self._upto(self._facts) as connection:
            return {
                SampleId(name): Placed(*row)
                for part in _parts(samples)
                for name, row in find(connection, "side, origin, team, subject", part).items()
                if row[0] is not None
            }

    def group_sides(self, groups: Sequence[str]) -> dict[str, Side]:
        """The side of each group that has one."""
        with self._upto(self._facts) as connection:
            rows = connection.execute(
                "SELECT name, side FROM team WHERE name IN (SELECT value FROM json_each(?))",
                (json.dumps(list(groups)),),
            )
            return dict(rows)

    def rows_of_bytes(self, samples: Sequence[SampleId]) -> dict[SampleId, int]:
        """The `_rowid` of each sample's bytes; those without bytes are left out."""
        with self._upto(self._bytes) as connection:
            return {
                SampleId(name): row[0]
                for part in _parts(samples)
                for name, row in find(connection, "place", part, "JOIN stored USING (n)").items()
            }

    def present(self, samples: Sequence[SampleId]) -> tuple[set[SampleId], set[SampleId]]:
        """Those of which something is known, and those of which the bytes are there."""
        known, stored = set[SampleId](), set[SampleId]()
        with self._upto(self._facts, self._bytes) as connection:
            for part in _parts(samples):
                for name, (side, place) in find(
                    connection, "side, place", part, "LEFT JOIN stored USING (n)"
                ).items():
                    if side is not None:
                        known.add(SampleId(name))
                    if place is not None:
                        stored.add(SampleId(name))
        return known, stored

    def samples(self) -> Iterator[tuple[SampleId, Placed]]:
        """Every sample, in the order the catalogue met them. Costs the whole."""
        after = 0
        while True:
            with self._upto(self._facts) as connection:
                rows = connection.execute(
                    "SELECT n, id, side, origin, team, subject FROM sample "
                    "WHERE n > ? AND side IS NOT NULL ORDER BY n LIMIT ?",
                    (after, _CHUNK),
                ).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            yield from ((SampleId(row[1]), Placed(*row[2:])) for row in rows)

    def count(self) -> int:
        """How many samples there are."""
        with self._upto(self._facts) as connection:
            return int(dict(_tally(connection)).get(SAMPLES, 0))

    def unsaid(self, statements: Sequence[tuple[AnnotationId, SampleId]]) -> set[AnnotationId]:
        """Those annotations that are not there yet."""
        # The facts are not followed for this: who adds a sample again that was removed follows them
        # first, and what was said of it is forgotten with them.
        with self._upto(self._annotations) as connection:
            said = {
                name: row[0]
                for part in _parts([sample for _, sample in statements])
                for name, row in find(connection, "said", part, _STANDING).items()
            }
        return {
            annotation
            for annotation, sample in statements
            if not is_said(said_mark(annotation), said.get(sample, b""))
        }

    def standing(
        self, samples: Sequence[SampleId]
    ) -> dict[SampleId, tuple[AnnotationId, str, str, str, float | None, datetime, str]]:
        """Annotation, label, by, kind, confidence, at and origin of the standing labels."""
        columns = "annotation, label, who, kind, confidence, at, answers"
        with self._upto(self._facts, self._annotations) as connection:
            return {
                SampleId(name): (*row[:5], _moment(row[5]), row[6])
                for part in _parts(samples)
                for name, row in find(connection, columns, part, _STANDING).items()
                if row[0] is not None
            }

    def labelled(
        self, after: int = 0, most: int = _CHUNK, label: str | None = None
    ) -> Sequence[tuple[int, SampleId]]:
        """Number and id of the next samples with a standing label, or with one; begin with 0."""
        with self._upto(self._facts, self._annotations) as connection:
            rows = connection.execute(
                "SELECT n, id FROM standing JOIN sample USING (n) "
                "WHERE n > ? AND label IS NOT NULL AND (? IS NULL OR label = ?) ORDER BY n LIMIT ?",
                (after, label, label, most),
            )
            return [(n, SampleId(name)) for n, name in rows]

    def chosen(
        self, chosen: Chosen, after: int, most: int
    ) -> tuple[Sequence[tuple[int, SampleId]], int | None]:
        """Number and id of the next labelled samples that fit, and after which to go on.

        One page looks at so many samples at most; where too few of them fit, the next one goes on.
        None: there are no more.
        """
        where, values = condition(chosen)
        with self._upto(self._facts, self._annotations) as connection:
            (last,) = connection.execute("SELECT coalesce(max(n), 0) FROM standing").fetchone()
            upto = min(last, after + _PASSED)
            rows = connection.execute(
                "SELECT n, id FROM standing JOIN sample USING (n) "  # noqa: S608 - ours
                f"WHERE n > :after AND n <= :upto AND {where} ORDER BY n LIMIT :most",
                {**values, "after": after, "upto": upto, "most": most},
            )
            found = [(n, SampleId(name)) for n, name in rows]
        end = found[-1][0] if len(found) == most else upto
        return found, end if end < last else None

    def unlabelled(self, side: Side, most: int, seed: int) -> Sequence[SampleId]:
        """Samples of a side without a standing label, at most so many, as good as at random.

        Ids are hashes: those that follow a drawn one are any. Costs what is looked at.
        """
        start = random.Random(seed).randrange(2**60)  # noqa: S311 - nobody gains by guessing it
        found: list[SampleId] = []
        with self._upto(self._facts, self._annotations) as connection:
            for least, below in ((start, 2**60), (0, start)):
                rows = connection.execute(
                    "SELECT id FROM sample LEFT JOIN standing USING (n) WHERE key >= ? AND key < ? "
                    "AND side = ? AND label IS NULL ORDER BY key LIMIT ?",
                    (least, below, side, most - len(found)),
                )
                found += [SampleId(name) for (name,) in rows]
        return found

    def labelled_counts(self) -> Mapping[str, int]:
        """How many samples of each side have a standing label."""
        with self._upto(self._facts, self._annotations) as connection:
            found = dict(_tally(connection))
        return {side: found.get(side, 0) for side in ("train", "holdout")}

    @contextmanager
    def view(self) -> Iterator["View"]:
        """Facts and annotations at one moment, for a snapshot."""
        with self._upto(self._facts, self._annotations) as connection:
            yield View(connection)

    def note(self, rules: str, taken: Noted) -> None:
        """Note the last snapshot taken by some rules (their digest)."""
        with self._file.writing() as connection:
            connection.execute(
                "REPLACE INTO taken VALUES (?, ?, ?)", (rules, taken.snapshot, taken.seq)
            )


@dataclass(frozen=True, slots=True)
class View:
    """One moment of the catalogue."""

    _connection: sqlite3.Connection

    def seq(self) -> int:
        """The number of the last change."""
        row = self._connection.execute("SELECT coalesce(max(seq), 0) FROM change").fetchone()
        return int(row[0])

    def last_taken(self, rules: str) -> Noted | None:
        """The last snapshot taken by these rules, as far as this catalogue knows."""
        row = self._connection.execute(
            "SELECT snapshot, seq FROM taken WHERE rules = ?", (rules,)
        ).fetchone()
        return None if row is None else Noted(SnapshotId(row[0]), int(row[1]))

    def changed(self, since: int) -> "pa.Table":
        """`COLUMNS` of samples whose side or standing label changed after a change of that
        number; side or label is null where there is none now."""
        ranges = self._connection.execute(
            "SELECT first, last FROM change WHERE seq > ? ORDER BY first", (since,)
        )
        rows: list[tuple[str | None, ...]] = []
        upto = 0
        for first, last in ranges.fetchall():
            rows += self._connection.execute(
                f"SELECT {_TOLD} FROM sample LEFT JOIN standing USING (n) "  # noqa: S608 - ours
                "WHERE n BETWEEN ? AND ?",
                (max(first, upto + 1), last),
            )
            upto = max(upto, last)
        return _table(rows)

    def told_of(self, samples: Sequence[SampleId]) -> "pa.Table":
        """The same of samples by their ids, those with a standing label."""
        return _table(
            [
                (name, *row)
                for part in _parts(samples)
                for name, row in find(
                    self._connection, _TOLD.partition(", ")[2], part, _STANDING
                ).items()
            ]
        )

    def all_pinnable(self) -> "Iterator[pa.Table]":
        """The same of all samples that have side and label, sorted by sample, in parts.

        Costs the whole.
        """
        rows = self._connection.execute(
            f"SELECT {_TOLD} FROM sample JOIN standing USING (n) "  # noqa: S608 - columns are ours
            "WHERE side IS NOT NULL AND label IS NOT NULL ORDER BY key, id"
        )
        while part := rows.fetchmany(_CHUNK):
            yield _table(part)


def _table(rows: Sequence[tuple[str | None, ...]]) -> "pa.Table":
    import pyarrow as pa

    values = zip(*rows, strict=True) if rows else [()] * len(COLUMNS)
    return pa.table(
        {name: pa.array(each, pa.string()) for name, each in zip(COLUMNS, values, strict=True)}
    )


def _tally(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    return connection.execute("SELECT name, samples FROM tally").fetchall()


def _parts(samples: Sequence[SampleId]) -> Iterator[Sequence[SampleId]]:
    return (samples[start : start + _CHUNK] for start in range(0, len(samples), _CHUNK))


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
