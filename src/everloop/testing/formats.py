"""What every `data.formats.format.Format` must do."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from everloop.data.formats.format import Format, wanted_by
from everloop.data.formats.sketch import Sketch
from everloop.data.incoming import Incoming
from everloop.data.ingest import IngestReport, IngestRules, ingest
from everloop.data.sources.folder import FolderTree
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.labels import Label, decode
from everloop.tasks.task import Task
from everloop_runtime.images import ImageLimits

_MOST = 10_000_000


class FormatContract:
    """Subclass it, override the three methods, and let pytest collect the subclass."""

    def format(self) -> Format:
        """The format under test, as its entry point makes it."""
        raise NotImplementedError

    def task(self) -> Task:
        """A task whose labels the format can hold."""
        raise NotImplementedError

    def write(self, folder: Path) -> dict[str, Label | None]:
        """Lay out at least two good samples; their labels by name. Boxes in pixels."""
        raise NotImplementedError

    def test_it_knows_its_own_layout_and_no_empty_folder(self, tmp_path: Path) -> None:
        wanted = wanted_by(self.task())
        (tmp_path / "empty").mkdir()
        fit = self.format().fits(Sketch(FolderTree(tmp_path / "empty")), wanted)
        assert fit is None or not fit.sure
        (tmp_path / "full").mkdir()
        self.write(tmp_path / "full")
        assert self.format().fits(Sketch(FolderTree(tmp_path / "full")), wanted) is not None

    def test_every_sample_comes_once_with_its_bytes_and_a_stamp(self, tmp_path: Path) -> None:
        written = self.write(tmp_path)
        found = self._read(tmp_path)
        assert sorted(one.name for one in found) == sorted(written)
        assert not any(one.problems for one in found)
        assert all(one.stamp and one.read(_MOST) for one in found)
        with pytest.raises(Refused):
            found[0].read(1)

    def test_what_is_read_is_what_was_written(self, tmp_path: Path) -> None:
        written = self.write(tmp_path / "source")
        store = DataStore(tmp_path / "store")
        self._ingest(store, tmp_path / "source")
        by_name = {row["name"]: row["id"] for row in store.samples.facts().to_pylist()}
        standing = store.annotations.standing(list(by_name.values()))
        task = self.task()
        for name, label in written.items():
            stated = standing.get(by_name[name])
            assert (None if stated is None else decode(stated.label)) == label
            assert label is None or task.accepts(label) is None

    def test_the_same_source_twice_adds_nothing_and_opens_nothing(self, tmp_path: Path) -> None:
        written = self.write(tmp_path / "source")
        store = DataStore(tmp_path / "store")
        first = self._ingest(store, tmp_path / "source")
        assert (first.added, sum(first.quarantined.values())) == (len(written), 0)
        second = self._ingest(DataStore(tmp_path / "store"), tmp_path / "source")
        assert (second.added, second.known, second.labelled) == (0, len(written), 0)
        assert second.bytes == 0

    def test_a_source_that_is_something_else_is_refused_or_empty(self, tmp_path: Path) -> None:
        (tmp_path / "noise.bin").write_bytes(bytes(range(256)))
        try:
            found = list(self.format().read(FolderTree(tmp_path), wanted_by(self.task())))
        except Refused:
            return
        assert all(one.label is None for one in found)

    def _read(self, folder: Path) -> list[Incoming]:
        return list(self.format().read(FolderTree(folder), wanted_by(self.task())))

    def _ingest(self, store: DataStore, folder: Path) -> IngestReport:
        return ingest(
            store,
            folder,
            source="contract",
            rules=IngestRules(self.task(), ImageLimits(), SplitRule(0.3)),
            now=datetime(2026, 1, 1, tzinfo=UTC),
            format_name=self.format().name,
        )
