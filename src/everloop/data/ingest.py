"""A source taken in: read, checked and stored batch by batch; what is bad is set aside.

A batch is whole in the store before the next one is begun, and what is in is remembered by its
stamp: an import that was killed goes on where it was, and one that is repeated opens no file
again.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from everloop.data.aside import Aside
from everloop.data.formats.format import wanted_by
from everloop.data.incoming import Incoming
from everloop.data.intake import IngestRules, Intake, Progress, Watch, keep_going
from everloop.data.location import Place, located
from everloop.data.shelf import Shelf
from everloop.data.source import open_source
from everloop.data.store import DataStore
from everloop.ids import Json

__all__ = ["IngestReport", "IngestRules", "Progress", "Watch", "ingest", "keep_going"]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of a source's samples."""

    added: int
    known: int
    labelled: int
    quarantined: Mapping[str, int]
    """How many were set aside, by reason."""
    bytes: int = 0
    """Read from the source."""
    format: str = ""
    why: str = ""
    """Why it was taken to be in this format."""
    finished: bool = True
    """False: it was stopped, and goes on where it was when it is repeated."""

    def as_json(self) -> dict[str, Json]:
        """The counts, and the format."""
        return {
            "format": self.format,
            "added": self.added,
            "known": self.known,
            "labelled": self.labelled,
            "quarantined": sum(self.quarantined.values()),
            "reasons": dict(self.quarantined),
        }


def ingest(
    store: DataStore,
    place: Place,
    *,
    source: str,
    rules: IngestRules,
    now: datetime,
    format_name: str | None = None,
    watch: Watch = keep_going,
) -> IngestReport:
    """Take in what is new at a place: a folder, a file, an archive or an `s3://` prefix.

    `source` is what it is called in labels. Raises `Refused` when there is no such source, or
    nobody can tell its format.
    """
    wanted = wanted_by(rules.task, rules.columns)
    with open_source(place, wanted, format_name) as opened:
        aside = Aside(store.quarantine, source, located(place).uri, now)
        shelf = Shelf(store, source, rules.split, now, aside, opened.tree.has)
        intake = Intake(store, source, opened, rules, aside, shelf)
        with closing(_generator(opened.format.read(opened.tree, wanted))) as incoming:
            finished = intake.run(incoming, watch)
        aside.finish(whole=finished)
        return IngestReport(
            shelf.added,
            intake.passed + shelf.good - shelf.added,
            shelf.labelled,
            dict(aside.reasons.most_common()),
            intake.read,
            opened.format.name,
            opened.why,
            finished,
        )


def _generator(incoming: Iterator[Incoming]) -> Generator[Incoming]:
    yield from incoming
