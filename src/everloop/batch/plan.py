"""What a batch is to do, written down first, so that it goes on where it was killed."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from everloop.batch.sources import Source
from everloop.errors import Refused
from everloop_runtime.files import sync_directory, write_atomic
from everloop_runtime.ids import BundleId, Json, canonical_json

PART = 256
"""Pictures in a part: what a kill may cost, and what is in memory a process."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch that is under way in a folder of its own, beside its output."""

    folder: Path
    count: int
    """Of its pictures."""

    @property
    def parts(self) -> int:
        """How many there will be."""
        return -(-self.count // PART)

    def part(self, number: int) -> Path:
        """Where a part lies once it is done."""
        return self.folder / f"part-{number:08d}.parquet"

    def waiting(self) -> Iterator[tuple[int, list[str]]]:
        """Number and names of each part that is not done."""
        with (self.folder / "names.jsonl").open(encoding="utf-8") as lines:
            for number in range(self.parts):
                names = [json.loads(line) for line in islice(lines, PART)]
                if not self.part(number).exists():
                    yield number, names

    def done_pictures(self) -> int:
        """How many pictures are in parts that are done."""
        done = [number for number in range(self.parts) if self.part(number).exists()]
        return sum(min(PART, self.count - PART * number) for number in done)


def folder_of(out: Path) -> Path:
    """Where the parts of an output lie until it is whole."""
    return out.with_name(f"{out.name}.parts")


def make_plan(out: Path, source: Source, bundle: BundleId) -> Plan:
    """The plan for an output: the one that is under way, or else a new one.

    A plan under way keeps the pictures that it began with. Raises `Refused` when another batch is
    under way for the same output, and when there is nothing to do.
    """
    folder = folder_of(out)
    stated = folder / "plan.json"
    wanted: dict[str, Json] = {"bundle": bundle, "source": source.told, "part": PART}
    if stated.exists():
        found = json.loads(stated.read_bytes())
        count = int(found.pop("count"))
        if found != wanted:
            raise Refused(
                f"{folder} holds an unfinished batch of bundle {str(found['bundle'])[:8]} over "
                f"{found['source']}; let it end, remove the folder, or name another --out"
            )
        return Plan(folder, count)
    folder.mkdir(parents=True, exist_ok=True)
    count = _write_names(folder / "names.jsonl", source)
    if not count:
        names = folder / "names.jsonl"
        names.unlink()
        folder.rmdir()
        raise Refused(f"there is no picture in {source.told}")
    # Last: a folder without it was left by a kill, and is begun anew.
    write_atomic(stated, canonical_json({**wanted, "count": count}))
    return Plan(folder, count)


def _write_names(path: Path, source: Source) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for name in source.names():
            file.write(f"{json.dumps(name)}\n")
            count += 1
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)
    return count
