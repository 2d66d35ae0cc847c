"""What the picture formats share: which files are pictures, and which side a name tells."""

import re
from collections.abc import Callable, Iterable, Iterator

from everloop.data.incoming import Incoming
from everloop.data.sources.tree import Entry, Tree, ending
from everloop.data.splits import Side
from everloop.errors import Refused

PICTURES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"))
SPLITS: dict[str, Side] = {
    "train": "train",
    "training": "train",
    "val": "holdout",
    "valid": "holdout",
    "validation": "holdout",
    "dev": "holdout",
    "test": "holdout",
    "testing": "holdout",
    "holdout": "holdout",
}
"""How the parts of a data set are called, and the side each is on."""
_SPLIT = re.compile(
    rf"(?:^|[_\-./])({'|'.join(sorted(SPLITS, key=len, reverse=True))})(?:\d{{4}})?(?:$|[_\-./])"
)


def is_picture(path: str) -> bool:
    """Whether a file's name says that it is a picture."""
    return ending(path) in PICTURES


def split_in(path: str) -> str | None:
    """The part of a data set that a path names.

    >>> split_in("annotations/instances_val2017.json"), split_in("images/constrain.png")
    ('val', None)
    """
    found = _SPLIT.search(path.lower())
    return found[1] if found else None


def side_in(path: str) -> Side | None:
    """The side that a path names."""
    split = split_in(path)
    return None if split is None else SPLITS[split]


def reader(tree: Tree, path: str) -> Callable[[int], bytes]:
    """How a file is read when it is its turn."""
    return lambda most: tree.read(path, most)


def missing(reason: str) -> Callable[[int], bytes]:
    """How something that is not there is read: it refuses, with the reason."""

    def refuse(_most: int) -> bytes:
        raise Refused(reason)

    return refuse


def unlabelled(tree: Tree, entries: Iterable[Entry]) -> Iterator[Incoming]:
    """The pictures among files that no annotation speaks of."""
    for entry in entries:
        if is_picture(entry.path):
            yield Incoming(
                entry.path, reader(tree, entry.path), entry.stamp, side=side_in(entry.path)
            )
