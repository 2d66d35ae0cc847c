"""Pascal VOC: one XML file a picture, the splits in `ImageSets/Main`.

Edges are taken as they are written, in pixels from the upper left corner. Parts, poses and
segmentations are not taken.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from everloop.data.formats.format import Fit, Wanted
from everloop.data.formats.pictures import PICTURES, SPLITS, missing, reader, split_in, unlabelled
from everloop.data.formats.shape import box, figure, of_boxes, of_names
from everloop.data.formats.sketch import Sketch
from everloop.data.incoming import Incoming
from everloop.data.sources.index import Index
from everloop.data.sources.tree import Entry, Tree
from everloop.errors import Refused
from everloop.labels import Box, Label

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_MOST_XML = 16 * 2**20
_MOST_LIST = 256 * 2**20
_MOST_TOLD = 5


class Voc:
    """`Annotations/*.xml`, `JPEGImages/*`, `ImageSets/Main/*.txt`, or the files side by side."""

    name = "voc"

    def fits(self, sketch: Sketch, wanted: Wanted) -> Fit | None:
        """Whether a source looks like this format, and why; None when it does not."""
        if wanted.modality != "image":
            return None
        found = [p for p in sketch.ending_in(".xml") if b"<annotation" in sketch.head(p)]
        return Fit(f"{found[0]} is an annotation in XML") if found else None

    def read(self, tree: Tree, wanted: Wanted) -> Iterator[Incoming]:
        """Every picture with what is stated of it; then the pictures that no file speaks of."""
        index = Index(tree)
        try:
            splits, read = _Splits(tree, index), 0
            for entry in index.all():
                if entry.path.lower().endswith(".xml"):
                    read += 1
                    yield _picture(tree, index, splits, entry, wanted)
            if not read:
                raise Refused("it holds no annotation in XML")
            yield from unlabelled(tree, index.unused())
        finally:
            index.close()


class _Splits:
    """Which list of `ImageSets/Main` names a picture; kept in a scratch table."""

    def __init__(self, tree: Tree, index: Index) -> None:
        self._db = index.database
        self._db.execute("CREATE TABLE splits (stem TEXT, split TEXT)")
        for name in SPLITS:
            for entry in index.find(f"ImageSets/Main/{name}.txt"):
                if entry.path.endswith(f"ImageSets/Main/{name}.txt"):
                    self._db.executemany(
                        "INSERT INTO splits VALUES (?, ?)",
                        ((stem, name) for stem in _stems(tree, entry.path)),
                    )
        self._db.execute("CREATE INDEX split_stem ON splits (stem)")

    def of(self, stem: str) -> list[str]:
        """The lists that name a picture."""
        found = self._db.execute("SELECT DISTINCT split FROM splits WHERE stem = ?", (stem,))
        return sorted(split for (split,) in found)


def _stems(tree: Tree, path: str) -> Iterator[str]:
    text = tree.read(path, _MOST_LIST).decode("utf-8", "replace")
    for line in text.splitlines():
        if words := line.split():
            yield words[0]


def _picture(tree: Tree, index: Index, splits: _Splits, entry: Entry, wanted: Wanted) -> Incoming:
    beside, _, name = entry.path.rpartition("/")
    stem = name[: -len(".xml")]
    try:
        root = _parsed(tree, entry.path)
        files = _files(index, root, beside, stem)
        if len(files) != 1:
            why = "is not in the source" if not files else f"may be any of {len(files)} files"
            raise Refused(f"its picture {root.findtext('filename', stem)!r} {why}")
    except (Refused, OSError) as error:
        reason = f"{entry.path}: {error}"
        beside_it = _beside(index, stem)
        if len(beside_it) != 1 or not index.use(beside_it[0].path):
            return Incoming(entry.path, missing(reason))
        found = beside_it[0]
        return Incoming(found.path, reader(tree, found.path), found.stamp, problems=(reason,))
    label, problems = _label(root, wanted)
    if not index.use(files[0].path):
        problems.insert(0, "another file speaks of the same picture")
    named = splits.of(stem)
    split = named[0] if named else split_in(entry.path)
    if len({SPLITS[one] for one in named}) > 1:
        problems.insert(0, f"it is in the lists {' and '.join(named)}, which are on two sides")
    return Incoming(
        files[0].path,
        reader(tree, files[0].path),
        files[0].stamp,
        None if problems else label,
        side=None if split is None else SPLITS[split],
        meta={} if split is None else {"split": split},
        size=_size(root),
        problems=tuple(f"{entry.path}: {problem}" for problem in problems[:_MOST_TOLD]),
    )


def _parsed(tree: Tree, path: str) -> "Element":
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    data = tree.read(path, _MOST_XML)
    try:
        root: Element = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as error:
        raise Refused(f"its XML declares entities or a document type: {error}") from error
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise Refused(f"it is not XML: {error}") from error
    if root.tag != "annotation":
        raise Refused(f"its outermost element is {root.tag!r:.80}, not 'annotation'")
    return root


def _files(index: Index, root: "Element", beside: str, stem: str) -> tuple[Entry, ...]:
    told = (root.findtext("filename") or "").strip()
    found = index.find(told, beside) if told else ()
    return found or _beside(index, stem)


def _beside(index: Index, stem: str) -> tuple[Entry, ...]:
    """Pictures called as the annotation is."""
    return tuple(e for ending in sorted(PICTURES) for e in index.find(stem + ending))


def _label(root: "Element", wanted: Wanted) -> tuple[Label | None, list[str]]:
    boxes: list[Box] = []
    names: list[str] = []
    problems: list[str] = []
    for number, row in enumerate(root.findall("object"), start=1):
        name = (row.findtext("name") or "").strip()
        if not name:
            problems.append(f"object {number} has no name")
            continue
        names.append(name)
        made = box(name, _edges(row))
        if isinstance(made, Box):
            boxes.append(made)
        elif wanted.label_kind == "boxes":
            problems.append(f"object {number} ({name}) is {made}")
    boxed = wanted.label_kind == "boxes"
    label = of_boxes(boxes, "boxes") if boxed else of_names(names, wanted.label_kind)
    if isinstance(label, str):
        return None, [*problems, label]
    return label, problems


def _edges(row: "Element") -> list[float | str]:
    edges = (row.findtext(f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax"))
    return [figure(edge.strip()) for edge in edges if edge is not None]


def _size(root: "Element") -> tuple[int, int] | None:
    told = [root.findtext(f"size/{name}") or "" for name in ("width", "height")]
    if not all(side.strip().isdecimal() and len(side) < 10 for side in told):
        return None
    width, height = (int(side) for side in told)
    return (width, height) if width and height else None
