"""A source of 20,000 files of 8 KB looked through: what reading costs beyond listing and hashing.

The floor lists the folders, asks for each file's facts, reads it and hashes it. Beside it: the
reader of class folders with the same hashing; a look at what changed, from nothing and again; and
the same source taken in a second time, when no file is opened. Decoding is left out: the files
are no pictures (`bench_import.py` measures that).
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from everloop.data.arrivals import Arrivals, Arrived, arrival_key
from everloop.data.formats.class_folders import ClassFolders
from everloop.data.formats.format import wanted_by
from everloop.data.incoming import Incoming
from everloop.data.listing import Listings
from everloop.data.sources.folder import FolderTree
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.ids import sample_id

FILES, SIZE, ROUNDS = 20_000, 8 * 1024, 3
ALLOWED = 1.3
"""Times the floor."""
TASK = ImageClassification(["cat", "dog"])


def main() -> int:
    """Measure, print the ratios, and exit with 1 when reading is not about as fast as the floor."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "source"
        for number in range(FILES):
            path = root / TASK.classes[number % 2] / f"{number}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(SIZE))
        arrivals = Arrivals(Path(name) / "store")
        keys = [(key, one) for one in _read(root) if (key := arrival_key(one))]
        arrived = [Arrived(key, sample_id(one.name.encode()), None) for key, one in keys]
        arrivals.append("in", arrived)
        _settle(root)
        rows = [
            ("floor: list, read, hash", _best(lambda: _floor(root))),
            ("reader of class folders, hashing", _best(lambda: _hash_all(root))),
            ("the same again: nothing opened", _best(lambda: _pass_over(root, arrivals))),
            ("a look from nothing", _best(lambda: Listings().look(root))),
        ]
        listings = Listings()
        listings.look(root)
        rows.append(("a look again", _once(lambda: listings.look(root))))
    table = Table("20,000 files of 8 KB", "seconds", "times the floor")
    for what, seconds in rows:
        table.add_row(what, f"{seconds:.4f}", f"{seconds / rows[0][1]:.3f}")
    Console().print(table)
    return int(rows[1][1] > ALLOWED * rows[0][1])


def _floor(root: Path) -> None:
    with os.scandir(root) as folders:
        for folder in folders:
            with os.scandir(folder.path) as files:
                for file in files:
                    file.stat()
                    hashlib.sha256(Path(file.path).read_bytes()).hexdigest()


def _read(root: Path) -> Iterator[Incoming]:
    return ClassFolders().read(FolderTree(root), wanted_by(TASK))


def _hash_all(root: Path) -> None:
    for one in _read(root):
        arrival_key(one)
        hashlib.sha256(one.read(SIZE)).hexdigest()


def _pass_over(root: Path, arrivals: Arrivals) -> None:
    known = arrivals.of("in")
    assert known.has([arrival_key(one) for one in _read(root)]).all()


def _settle(root: Path) -> None:
    for path in (root, *root.iterdir()):
        os.utime(path, (1_600_000_000, 1_600_000_000))


def _once(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _best(work: Callable[[], object]) -> float:
    return min(_once(work) for _ in range(ROUNDS))


if __name__ == "__main__":
    raise SystemExit(main())
