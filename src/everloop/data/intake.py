"""What a source states, read and checked one by one on its way to the shelf."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeAlias

from everloop.data.arrivals import arrival_key
from everloop.data.aside import Aside
from everloop.data.bad_files import shown
from everloop.data.decoding import Decoders
from everloop.data.examinations import ExaminationLog
from everloop.data.examined import Bad, DecodingLimits, Examined, Reason
from everloop.data.fit import OutOfImage, fit
from everloop.data.incoming import Incoming
from everloop.data.read_ahead import ahead
from everloop.data.samples import NewSample
from everloop.data.shelf import Item, Shelf
from everloop.data.source import OpenSource
from everloop.data.sources.tree import TooLarge
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.labels import ClassLabel, encode
from everloop.tasks.task import Task
from everloop_runtime.ids import sample_id
from everloop_runtime.images import ImageLimits

_LOOKED_UP = 1_000
"""Samples that are looked up together among those known."""
_TEXTS = 10_000
"""Classes of which the text is remembered."""


@dataclass(frozen=True, slots=True)
class IngestRules:
    """What is taken, and how."""

    task: Task
    limits: ImageLimits
    split: SplitRule
    out_of_image: OutOfImage = "refuse"
    columns: Mapping[str, str] = field(default_factory=dict)
    """Which column of a table says what, where its name does not tell."""


class Progress(NamedTuple):
    """How far an import is."""

    done: int
    total: int
    """Files of the source; labels and notes are among them, so `done` may end below it."""
    bytes: int
    """Read so far."""
    quarantined: int


Watch: TypeAlias = Callable[[Progress], bool]
"""Told of the progress as samples are read, on any thread; True stops the import."""


def keep_going(_progress: Progress) -> bool:
    """Nobody watches."""
    return False


class _Keyed(NamedTuple):
    incoming: Incoming
    key: bytes | None


class Intake:
    """One pass over a source."""

    def __init__(
        self,
        store: DataStore,
        source: str,
        opened: OpenSource,
        rules: IngestRules,
        aside: Aside,
        shelf: Shelf,
    ) -> None:
        self._store, self._source, self._rules = store, source, rules
        self._aside, self._shelf = aside, shelf
        self._tree = opened.tree
        self._total = opened.files
        self._origin = source.rstrip("/").rpartition("/")[2] or source
        self._texts: dict[str, str] = {}
        self._fed = 0
        self._stopped = False
        self.read = 0
        """Bytes that were read."""
        self.passed = 0
        """What was known by its stamp."""

    def run(self, incoming: Iterator[Incoming], watch: Watch) -> bool:
        """Take everything in; False when the watcher stopped it first."""
        feed = self._feed(incoming, watch)
        if self._rules.task.modality == "row":
            for one, data in feed:
                self._take(one, data, None)
        else:
            limits = DecodingLimits(self._rules.limits)
            log = ExaminationLog(self._store.examinations)
            with Decoders[_Keyed](limits) as decoders, log:
                for one, data, told in decoders.examine(feed):
                    if isinstance(told, Bad):
                        self._aside.add(one.incoming.name, told.reason, told.text, data)
                    elif (sample := self._take(one, data, told)) is not None:
                        log.add(sample.id, told)
        self._shelf.store()
        return not self._stopped

    def _feed(self, incoming: Iterator[Incoming], watch: Watch) -> Iterator[tuple[_Keyed, bytes]]:
        """What is not known by its stamp, with its bytes. Runs on a thread of the decoders."""
        known = self._store.arrivals.of(self._source)
        while group := list(islice(incoming, _LOOKED_UP)):
            keys = [arrival_key(one) for one in group]
            new = [
                _Keyed(one, key)
                for one, key, there in zip(group, keys, known.has(keys).tolist(), strict=True)
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

    def _take(self, keyed: _Keyed, data: bytes, told: Examined | None) -> Item | None:
        """Put a good sample on the shelf; None when its label is none for it."""
        one = keyed.incoming
        try:
            text = self._label_of(one, told)
        except Refused as error:
            self._aside.add(one.name, "bad-label", str(error), data)
            return None
        name = sample_id(data)
        kind, width, height = ("ROW", 0, 0) if told is None else told[:3]
        sample = NewSample(
            data, shown(one.name), self._source, self._origin, kind, width, height,
            one.group, one.subject, one.taken_at, one.side, one.meta, name,
        )  # fmt: skip
        item = Item(one.name, name, sample, text, keyed.key)
        self._shelf.add(item)
        return item

    def _label_of(self, one: Incoming, told: Examined | None) -> str | None:
        """The text of its label, fitted to the picture; `Refused` when it is none of the task's."""
        label = one.label
        # Classes are few, and the same for all pictures.
        if isinstance(label, ClassLabel) and label.name in self._texts:
            return self._texts[label.name]
        if told is not None:
            label = fit(one, told.upright_size, self._rules.out_of_image)
        if label is None:
            return None
        if reason := self._rules.task.accepts(label):
            raise Refused(reason)
        text = encode(label)
        if isinstance(label, ClassLabel) and len(self._texts) < _TEXTS:
            self._texts[label.name] = text
        return text
