"""Checked samples put into the store a batch at a time, each batch whole before the next."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from everloop.data.annotations import Annotation
from everloop.data.arrivals import Arrived
from everloop.data.aside import Aside
from everloop.data.bad_files import shown
from everloop.data.restated import Stating, restate
from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.ids import SampleId

_BATCH_BYTES = 64_000_000
_BATCH_ROWS = 20_000


class Item(NamedTuple):
    """A sample that was checked, on its way into the store."""

    name: str
    """What its source calls it."""
    id: SampleId
    sample: NewSample
    label: str | None
    """The text of its label."""
    key: bytes | None
    """What it is known by when its source is read again."""


class Shelf:
    """Takes items of one source, and stores them when they are many."""

    def __init__(
        self,
        store: DataStore,
        source: str,
        split: SplitRule,
        now: datetime,
        aside: Aside,
        is_there: Callable[[str], bool],
    ) -> None:
        """`is_there`: whether the source still has a file of a name."""
        self._store, self._source, self._split, self._now = store, source, split, now
        self._by = f"import:{source}"
        self._aside, self._is_there = aside, is_there
        self._batch: list[Item] = []
        self._bytes = 0
        self.good = 0
        """Items that were stored or known."""
        self.added = 0
        """Samples that were new."""
        self.labelled = 0
        """Labels that were new."""

    def add(self, item: Item) -> None:
        """Take an item."""
        self._batch.append(item)
        self._bytes += len(item.sample.data)
        if self._bytes >= _BATCH_BYTES or len(self._batch) >= _BATCH_ROWS:
            self.store()

    def store(self) -> None:
        """Samples, then labels, then that they are in: each may name what came before it."""
        taken, self._batch, self._bytes = self._batch, [], 0
        if not taken:
            return
        labelled = [item.id for item in taken if item.label is not None]
        standing = self._store.annotations.standing(labelled)
        batch = self._agreeing(taken, standing)
        self.good += len(batch)
        samples = (item.sample for item in batch)
        added = self._store.samples.add(samples, self._now, split=self._split)
        self.added += len(added)
        self._store.twins.append(self._source, _met_again(batch, added))
        labels = {item.id: item.label for item in batch if item.label is not None}
        stating = Stating(self._by, self._source, self._now)
        self.labelled += restate(self._store.annotations, labels, standing, stating)
        arrived = [Arrived(item.key, item.id, item.label) for item in batch if item.key is not None]
        self._store.arrivals.append(self._source, arrived)

    def _agreeing(
        self, batch: Sequence[Item], standing: Mapping[SampleId, Annotation]
    ) -> Sequence[Item]:
        """Without the samples of which the source says another thing under another name."""
        said: dict[SampleId, tuple[str, str | None]] = {
            sample: (told.label, None) for sample, told in standing.items() if told.by == self._by
        }
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

    def _elsewhere(self, item: Item, name: str | None) -> str | None:
        """The other name of a sample, if there still is such a file: what was moved is not."""
        if name is None:
            name = str(json.loads(f'"{self._store.samples.name_of(item.id)}"'))
        return name if name != item.name and self._is_there(name) else None


def _met_again(batch: Sequence[Item], added: Sequence[SampleId]) -> Iterator[tuple[SampleId, str]]:
    """What was in the store already, or came twice in one batch, with each of its names."""
    times, new = Counter(item.id for item in batch), set(added)
    for item in batch:
        if times[item.id] > 1 or item.id not in new:
            yield item.id, shown(item.name)


def _short(label: str) -> str:
    return repr(label if len(label) <= 60 else f"{label[:60]}...")
