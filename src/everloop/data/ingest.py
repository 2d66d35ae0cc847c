"""A source taken in: read, checked and stored batch by batch; what is bad is set aside.

A batch is whole in the store before the next one is begun, and what is in is remembered by its
stamp: an import that was killed goes on where it was, and one that is repeated opens no file
again.
"""

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.arrivals import arrival_key
from everloop.data.aside import Aside
from everloop.data.decoding import Decoders
from everloop.data.examinations import ExaminationLog
from everloop.data.examined import Bad, DecodingLimits, Examined, Reason
from everloop.data.fit import OutOfImage, fit
from everloop.data.formats.format import wanted_by
from everloop.data.incoming import Incoming
from everloop.data.location import Place, located
from everloop.data.quarantine import shown
from everloop.data.read_ahead import ahead
from everloop.data.samples import NewSample
from everloop.data.source import OpenSource, open_source
from everloop.data.sources.tree import TooLarge, Tree
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import Json, SampleId
from everloop.labels import encode
from everloop.tasks.task import Task
from everloop_runtime.ids import sample_id
from everloop_runtime.images import ImageLimits

_LOOKED_UP = 1_000
"""Samples that are looked up together among those known."""
_BATCH_BYTES = 64_000_000
_BATCH_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class IngestRules:
    """What is taken, and how."""

    task: Task
    limits: ImageLimits
    split: SplitRule
    out_of_image: OutOfImage = "refuse"
    columns: Mapping[str, str] = field(default_factory=dict)
    """Which column of a table says what, where its name does not tell."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is."""

    done: int
    total: int
    """Files of the source; labels and notes are among them, so `done` may end below it."""
    bytes: int
    """Read so far."""
    quarantined: int


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


Watch: TypeAlias = Callable[[Progress], bool]
"""Told of the progress as samples are read, on any thread; True stops the import."""


def keep_going(_progress: Progress) -> bool:
    """Nobody watches."""
    return False


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
        intake = _Intake(store, source, opened, rules, now, aside)
        with closing(_generator(opened.format.read(opened.tree, wanted))) as incoming:
            finished = intake.run(incoming, watch)
        aside.finish(whole=finished)
        return IngestReport(
            intake.added,
            intake.passed + intake.good - intake.added,
            intake.labelled,
            dict(aside.reasons.most_common()),
            intake.read,
            opened.format.name,
            opened.why,
            finished,
        )


def _generator(incoming: Iterator[Incoming]) -> Generator[Incoming]:
    yield from incoming


@dataclass(frozen=True, slots=True)
class _Keyed:
    incoming: Incoming
    key: bytes | None


@dataclass(frozen=True, slots=True)
class _Item:
    """A sample that was checked, on its way into the store."""

    name: str
    id: SampleId
    sample: NewSample
    label: str | None
    key: bytes | None


class _Intake:
    def __init__(
        self,
        store: DataStore,
        source: str,
        opened: OpenSource,
        rules: IngestRules,
        now: datetime,
        aside: Aside,
    ) -> None:
        self._store, self._source, self._rules, self._now = store, source, rules, now
        self._tree: Tree = opened.tree
        self._total = opened.files
        self._origin = source.rstrip("/").rpartition("/")[2] or source
        self._by = f"import:{source}"
        self.read = 0
        self._fed = 0
        self._stopped = False
        self._batch: list[_Item] = []
        self._batch_bytes = 0
        self._aside = aside
        self.passed = 0
        """What was known by its stamp."""
        self.good = 0
        self.added = 0
        self.labelled = 0

    def run(self, incoming: Iterator[Incoming], watch: Watch) -> bool:
        """Take everything in; False when the watcher stopped it first."""
        feed = self._feed(incoming, watch)
        if self._rules.task.modality == "row":
            for one, data in feed:
                self._take(one, data, None, None)
        else:
            limits = DecodingLimits(self._rules.limits)
            log = ExaminationLog(self._store.examinations)
            with Decoders[_Keyed](limits) as decoders, log:
                for one, data, told in decoders.examine(feed):
                    self._take(one, data, told, log)
        self._store_batch()
        return not self._stopped

    def _feed(self, incoming: Iterator[Incoming], watch: Watch) -> Iterator[tuple[_Keyed, bytes]]:
        """What is not known by its stamp, with its bytes. Runs on a thread of the decoders."""
        known = self._store.arrivals.of(self._source)
        for group in _groups(incoming, _LOOKED_UP):
            keys = [arrival_key(one) for one in group]
            is_in = known.has(keys)
            new = [
                _Keyed(one, key)
                for one, key, there in zip(group, keys, is_in, strict=True)
                if key is None or not there
            ]
            self.passed += len(group) - len(new)
            self._fed += len(group) - len(new)
            for keyed, data in ahead(self._bytes_of, new, self._tree.readers):
                self._fed += 1
                if data is not None:
                    self.read += len(data)
                    yield keyed, data
                if watch(self._progress()):
                    self._stopped = True
                    return
            if watch(self._progress()):
                self._stopped = True
                return

    def _bytes_of(self, keyed: _Keyed) -> bytes | None:
        """A sample's bytes; None when it is set aside. Runs on any thread."""
        one = keyed.incoming
        problem = "; ".join(one.problems)
        try:
            data = one.read(self._rules.limits.max_bytes)
        except (Refused, OSError) as error:
            reason: Reason = "too-many-bytes" if isinstance(error, TooLarge) else "unreadable"
            self._aside.add(one.name, reason, problem or str(error), None)
            return None
        if problem:
            self._aside.add(one.name, "bad-label", problem, data)
            return None
        return data

    def _progress(self) -> Progress:
        return Progress(self._fed, max(self._total, self._fed), self.read, len(self._aside))

    def _take(
        self,
        keyed: _Keyed,
        data: bytes,
        told: Examined | Bad | None,
        log: ExaminationLog | None,
    ) -> None:
        one = keyed.incoming
        if isinstance(told, Bad):
            self._aside.add(one.name, told.reason, told.text, data)
            return
        label = one.label
        try:
            if told is not None:
                label = fit(one, told.upright_size, self._rules.out_of_image)
            if label is not None and (reason := self._rules.task.accepts(label)):
                raise Refused(reason)
        except Refused as error:
            self._aside.add(one.name, "bad-label", str(error), data)
            return
        text = None if label is None else encode(label)
        sample = sample_id(data)
        if told is not None and log is not None:
            log.add(sample, told)
        item = _Item(one.name, sample, self._sample(one, sample, data, told), text, keyed.key)
        self._batch.append(item)
        self._batch_bytes += len(data)
        if self._batch_bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH_ROWS:
            self._store_batch()

    def _sample(
        self, one: Incoming, name: SampleId, data: bytes, told: Examined | None
    ) -> NewSample:
        form, width, height = ("ROW", 0, 0) if told is None else (
            told.format, told.width, told.height
        )  # fmt: skip
        return NewSample(
            data,
            shown(one.name),
            self._source,
            self._origin,
            form,
            width,
            height,
            one.group,
            one.subject,
            one.taken_at,
            one.side,
            one.meta,
            name,
        )

    def _store_batch(self) -> None:
        """Samples, then labels, then that they are in: each may name what came before it."""
        batch, self._batch, self._batch_bytes = self._agreeing(self._batch), [], 0
        self.good += len(batch)
        samples = (item.sample for item in batch)
        added = self._store.samples.add(samples, self._now, split=self._rules.split)
        self.added += len(added)
        self._store.twins.append(self._source, _met_again(batch, added))
        labels = {item.id: item.label for item in batch if item.label is not None}
        self.labelled += self._store.annotations.append(
            [
                Annotation(
                    annotation_id(sample, label, self._by, self._source),
                    sample,
                    label,
                    self._by,
                    "import",
                    None,
                    self._now,
                    self._source,
                )
                for sample, label in labels.items()
            ]
        )
        self._store.arrivals.append(
            self._source, [item.key for item in batch if item.key is not None]
        )

    def _agreeing(self, batch: Sequence[_Item]) -> Sequence[_Item]:
        """Without the samples of which the source says another thing under another name."""
        labelled = [item.id for item in batch if item.label is not None]
        stated = {
            sample: (standing.label, None)
            for sample, standing in self._store.annotations.standing(labelled).items()
            if standing.by == self._by
        }
        said: dict[SampleId, tuple[str, str | None]] = {**stated}
        kept = []
        for item in batch:
            if item.label is not None:
                before, name = said.get(item.id, (item.label, item.name))
                if before != item.label and (other := self._elsewhere(item, name)):
                    why = f"the same picture is labelled {_short(before)} as {shown(other)} "
                    why += f"and {_short(item.label)} here"
                    self._aside.add(item.name, "contradiction", why, item.sample.data)
                    continue
                said[item.id] = item.label, item.name
            kept.append(item)
        return kept

    def _elsewhere(self, item: _Item, name: str | None) -> str | None:
        """The other name of a sample, if there still is such a file: what was moved is not."""
        if name is None:
            name = str(json.loads(f'"{self._store.samples.name_of(item.id)}"'))
        return name if name != item.name and self._tree.has(name) else None


def _met_again(batch: Sequence[_Item], added: Sequence[SampleId]) -> Iterator[tuple[SampleId, str]]:
    """What was in the store already, or came twice in one batch, with each of its names."""
    times, new = Counter(item.id for item in batch), set(added)
    for item in batch:
        if times[item.id] > 1 or item.id not in new:
            yield item.id, shown(item.name)


def _groups(incoming: Iterator[Incoming], most: int) -> Iterator[Sequence[Incoming]]:
    group: list[Incoming] = []
    for one in incoming:
        group.append(one)
        if len(group) >= most:
            yield group
            group = []
    if group:
        yield group


def _short(label: str) -> str:
    return repr(label if len(label) <= 60 else f"{label[:60]}...")
