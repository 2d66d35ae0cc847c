"""Where the pictures of a batch come from: a folder, a list in a file, the product's store."""

import csv
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from everloop.data.owner import owner_only
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import SampleId

_SIDES = ("train", "holdout")
_HIDDEN = "."


class Source(Protocol):
    """Pictures by name."""

    @property
    def told(self) -> str:
        """What makes two sources the same one."""

    def names(self) -> Iterator[str]:
        """One a picture, always in the same order while nothing changes."""

    def load(self, names: Sequence[str]) -> list[Path | bytes]:
        """Each picture's place or, where it has none of its own, its bytes."""


@dataclass(frozen=True, slots=True)
class FolderSource:
    """All files below a folder, hidden ones left out, by their place in it."""

    folder: Path

    @property
    def told(self) -> str:
        return f"folder {self.folder.resolve()}"

    def names(self) -> Iterator[str]:
        return _below(self.folder, "")

    def load(self, names: Sequence[str]) -> list[Path | bytes]:
        return [self.folder / name for name in names]


def _below(folder: Path, prefix: str) -> Iterator[str]:
    """One folder's names at a time are held in memory; links to folders are not followed."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith(_HIDDEN):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path), f"{prefix}{entry.name}/")
        elif entry.is_file():
            yield f"{prefix}{entry.name}"


@dataclass(frozen=True, slots=True)
class ListSource:
    """The places that a file lists: `.csv` or `.jsonl` with a field `path`, else one a line.

    Places are relative to the list's own folder.
    """

    file: Path

    @property
    def told(self) -> str:
        return f"list {self.file.resolve()}"

    def names(self) -> Iterator[str]:
        try:
            with self.file.open(encoding="utf-8", newline="") as lines:
                yield from self._read(lines)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise Refused(f"{self.file} cannot be read as a list: {error}") from error

    def _read(self, lines: Iterator[str]) -> Iterator[str]:
        if self.file.suffix == ".csv":
            table = csv.DictReader(lines)
            if "path" not in (table.fieldnames or ()):
                raise Refused(f"{self.file} has no column called 'path'; it has {table.fieldnames}")
            yield from (row["path"] for row in table)
            return
        for number, line in enumerate(lines, start=1):
            text = line.rstrip("\r\n")
            if text:
                yield _listed(text, number) if self.file.suffix == ".jsonl" else text

    def load(self, names: Sequence[str]) -> list[Path | bytes]:
        return [self.file.parent / name for name in names]


def _listed(text: str, number: int) -> str:
    try:
        path = json.loads(text)["path"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused(f"line {number} of the list is not an object with a 'path'") from error
    if not isinstance(path, str):
        raise Refused(f"line {number} of the list has a 'path' that is no text")
    return path


@dataclass(frozen=True, slots=True)
class StoreSource:
    """Samples of the product's store, by their ids: all of them, or a snapshot's."""

    store: DataStore
    snapshot: str | None = None
    """An id or how it begins."""
    side: str | None = None
    """`train` or `holdout`; None is both."""

    @property
    def told(self) -> str:
        which = "store" if self.snapshot is None else self.store.snapshots.find(self.snapshot).id
        return f"samples {which} {self.side or 'all'}"

    def names(self) -> Iterator[str]:
        if self.snapshot is None:
            yield from sorted(map(str, self.store.samples.facts()["id"].to_pylist()))
            return
        snapshot = self.store.snapshots.find(self.snapshot)
        for side in (self.side,) if self.side else _SIDES:
            yield from sorted(map(str, snapshot.side(side)["sample"].to_pylist()))

    def load(self, names: Sequence[str]) -> list[Path | bytes]:
        return list(owner_only(self.store.samples, [SampleId(name) for name in names]))


def find_source(text: str, store: DataStore | None) -> Source:
    """The source a person named: a folder, a list, `store`, `snapshot:ID` or `snapshot:ID/SIDE`."""
    if text == "store" or text.startswith("snapshot:"):
        if store is None:
            raise Refused(f"{text!r} is a project's; name one with --project")
        snapshot, _, side = text.removeprefix("snapshot:").partition("/")
        if side and side not in _SIDES:
            raise Refused(f"{side!r} is no side of a snapshot; there are train and holdout")
        return StoreSource(store, None if text == "store" else snapshot, side or None)
    path = Path(text)
    if path.is_dir():
        return FolderSource(path)
    if path.is_file():
        return ListSource(path)
    raise Refused(f"no folder or list {text!r}; a store's pictures are `store` or `snapshot:ID`")
