"""One folder a class, as torchvision and Keras read them; the parts of a split above them."""

from collections.abc import Iterator, Sequence

from everloop.data.formats.format import Fit, Wanted
from everloop.data.formats.pictures import SPLITS, reader
from everloop.data.formats.shape import of_names
from everloop.data.formats.sketch import Sketch
from everloop.data.incoming import Incoming
from everloop.data.sources.tree import Tree, is_text
from everloop.data.splits import Side
from everloop.labels import Label

_WRAPPERS = frozenset(("images", "data"))


class ClassFolders:
    """`cat/1.png`; `train/cat/1.png` and `images/cat/1.png` where those are no classes."""

    name = "class-folders"

    def fits(self, sketch: Sketch, wanted: Wanted) -> Fit | None:
        """Whether a source looks like this format, and why; None when it does not."""
        if wanted.label_kind not in {"class", "classes"} or wanted.modality != "image":
            return None
        folders = [place[1] for f in sketch.folders if (place := _place(f, wanted.classes))[1]]
        if not folders:
            return None
        named = sorted({name for name in folders if name in wanted.classes})
        if named:
            return Fit(f"its folders {', '.join(named[:3])} are classes of the task")
        told = ", ".join(sorted({str(name) for name in folders})[:3])
        return Fit(f"it has folders ({told}), though none is a class of the task", sure=False)

    def read(self, tree: Tree, wanted: Wanted) -> Iterator[Incoming]:
        """Every file, with the class that its folder names."""
        said, told = "", _said("", wanted)
        for entry in tree.walk():
            if is_text(entry.path):
                continue
            folder = entry.path.rpartition("/")[0]
            # The files of a folder come one after the other.
            if folder != said:
                said, told = folder, _said(folder, wanted)
            side, label, problems = told
            read = reader(tree, entry.path)
            yield Incoming(entry.path, read, entry.stamp, label, side=side, problems=problems)


def _said(folder: str, wanted: Wanted) -> tuple[Side | None, Label | None, tuple[str, ...]]:
    """The side and the label that a folder gives its files, and what is wrong with it."""
    side, name = _place(folder.split("/") if folder else [], wanted.classes)
    if name is None:
        return side, None, ()
    if name not in wanted.classes:
        told = ", ".join(sorted(wanted.classes))
        return side, None, (f"its folder {name!r} is no class of the task; the classes are {told}",)
    made = of_names([name], wanted.label_kind)
    return side, None if isinstance(made, str) else made, ()


def _place(folders: Sequence[str], classes: Sequence[str]) -> tuple[Side | None, str | None]:
    """The side and the class that a file's folders name.

    >>> _place(["train", "cat", "2020"], ["cat", "dog"])
    ('train', 'cat')
    >>> _place(["train", "tracks"], ["train", "ship"])
    (None, 'train')
    """
    side: Side | None = None
    for number, folder in enumerate(folders):
        below = folders[number + 1] if number + 1 < len(folders) else None
        is_class = folder in classes and below not in classes
        if is_class or (folder.lower() not in SPLITS and folder.lower() not in _WRAPPERS):
            return side, folder
        side = SPLITS.get(folder.lower(), side)
    return side, None
