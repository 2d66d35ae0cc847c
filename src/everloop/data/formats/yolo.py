"""YOLO: one text file a picture, a line an object, in shares of the picture's sides.

With a `data.yaml` as Ultralytics writes it, or plain with the class names in `classes.txt` or
`obj.names`. A picture without a text file is unlabelled; an empty text file states that it shows
nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from everloop.data.formats.format import Fit, Wanted
from everloop.data.formats.pictures import SPLITS, is_picture, missing, reader, split_in
from everloop.data.formats.shape import box, figure, of_boxes
from everloop.data.formats.sketch import Sketch
from everloop.data.incoming import Incoming
from everloop.data.sources.index import Index
from everloop.data.sources.tree import Entry, Tree
from everloop.errors import Refused
from everloop.labels import Box, Label

_YAML = (".yaml", ".yml")
_NAME_LISTS = frozenset(("classes.txt", "obj.names", "labels.txt"))
_MOST_TEXT = 16 * 2**20
_MOST_YAML = 2**20
_MOST_TOLD = 5
_FIGURES = 5


class Yolo:
    """`data.yaml`, `images/train/1.jpg`, `labels/train/1.txt`; or the files side by side."""

    name = "yolo"

    def fits(self, sketch: Sketch, wanted: Wanted) -> Fit | None:
        """Whether a source looks like this format, and why; None when it does not."""
        if wanted.modality != "image" or wanted.label_kind == "value":
            return None
        for path in sketch.ending_in(*_YAML):
            if b"names" in sketch.head(path) and b"train" in sketch.head(path):
                return Fit(f"{path} names classes and where to train")
        for path in sketch.ending_in(".txt", ".names"):
            if path.rpartition("/")[2] in _NAME_LISTS:
                return Fit(f"{path} lists class names")
        return None

    def read(self, tree: Tree, wanted: Wanted) -> Iterator[Incoming]:
        """Every picture with what is stated of it, and the texts that no picture belongs to."""
        index = Index(tree)
        try:
            names, parts = _declared(tree, index)
            for entry in index.all():
                if is_picture(entry.path):
                    yield _picture(tree, index, entry, names, parts, wanted)
            for entry in index.unused():
                if _may_be_labels(entry.path):
                    reason = f"{entry.path}: there is no picture of that name"
                    yield Incoming(entry.path, missing(reason))
        finally:
            index.close()


def _may_be_labels(path: str) -> bool:
    return path.endswith(".txt") and "labels" in path.split("/")[:-1]


def _declared(tree: Tree, index: Index) -> tuple[Sequence[str | None], Mapping[str, str]]:
    """The class names, and the split of each folder that a `data.yaml` gives one."""
    lists = []
    for entry in index.all():
        if entry.path.lower().endswith(_YAML):
            told = _yaml(tree, entry.path)
            if isinstance(told, dict) and "names" in told:
                return _names(entry.path, told["names"]), _parts(told)
        if entry.name in _NAME_LISTS:
            lists.append(entry.path)
    if not lists:
        raise Refused("it has no data.yaml with names, nor a classes.txt: its classes are unknown")
    text = tree.read(lists[0], _MOST_YAML).decode("utf-8", "replace")
    return [line.strip() or None for line in text.splitlines()], {}


def _yaml(tree: Tree, path: str) -> object:
    import yaml

    try:
        return yaml.safe_load(tree.read(path, _MOST_YAML))
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise Refused(f"{path} is not YAML: {str(error)[:200]}") from error


def _names(path: str, told: object) -> Sequence[str | None]:
    if isinstance(told, list):
        told = dict(enumerate(told))
    if not isinstance(told, dict) or not told:
        raise Refused(f"{path}: names is neither a list nor a table of names")
    names: list[str | None] = []
    for number, name in told.items():
        if type(number) is not int or not 0 <= number < 100_000:
            raise Refused(f"{path}: names is numbered from 0 on")
        if isinstance(name, bool) or not isinstance(name, str | int | float):
            raise Refused(f"{path}: the name of class {number} is no text")
        names += [None] * (number + 1 - len(names))
        names[number] = str(name)
    return names


def _parts(told: Mapping[Any, Any]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for split in ("train", "val", "valid", "test"):
        places = told.get(split)
        for place in places if isinstance(places, list) else [places]:
            if isinstance(place, str):
                parts = [p for p in place.replace("\\", "/").split("/") if p not in {"", ".", ".."}]
                found["/".join(parts)] = split
    return found


def _split(path: str, parts: Mapping[str, str]) -> str | None:
    folder = f"/{path.rpartition('/')[0]}/"
    fitting = [place for place in parts if place and f"/{place}/" in folder]
    return parts[max(fitting, key=len)] if fitting else split_in(path)


def _picture(
    tree: Tree,
    index: Index,
    entry: Entry,
    names: Sequence[str | None],
    parts: Mapping[str, str],
    wanted: Wanted,
) -> Incoming:
    split = _split(entry.path, parts)
    label: Label | None = None
    problems: list[str] = []
    text = _text_of(index, entry.path)
    if text is not None:
        index.use(text.path)
        label, problems = _label(tree, text.path, names, wanted)
    return Incoming(
        entry.path,
        reader(tree, entry.path),
        entry.stamp,
        None if problems else label,
        side=None if split is None else SPLITS[split],
        meta={} if split is None else {"split": split},
        unit="share",
        problems=tuple(problems[:_MOST_TOLD]),
    )


def _text_of(index: Index, picture: str) -> Entry | None:
    stem = picture.rpartition(".")[0] + ".txt"
    folder, _, name = stem.rpartition("/")
    parts = folder.split("/")
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        there = "/".join([*parts[:last], "labels", *parts[last + 1 :], name])
        if (entry := index.get(there)) is not None:
            return entry
    return None if name in _NAME_LISTS else index.get(stem)


def _label(
    tree: Tree, path: str, names: Sequence[str | None], wanted: Wanted
) -> tuple[Label | None, list[str]]:
    try:
        text = tree.read(path, _MOST_TEXT).decode("utf-8")
    except (Refused, OSError, UnicodeDecodeError) as error:
        return None, [f"{path}: {error}"]
    boxes: list[Box] = []
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            made = read_line(line.split(), names)
            if isinstance(made, str):
                problems.append(f"{path}:{number}: {made}")
            else:
                boxes.append(made)
    label = of_boxes(boxes, wanted.label_kind)
    if isinstance(label, str):
        return None, [*problems, f"{path}: {label}"]
    return label, problems


def read_line(words: Sequence[str], names: Sequence[str | None]) -> Box | str:
    """The box, in shares of the picture's sides, that a line states; or why it states none."""
    if len(words) != _FIGURES:
        return f"{len(words)} figures where a class and 4 of a box are wanted"
    number = int(words[0]) if words[0].isdecimal() and len(words[0]) < 7 else -1
    name = names[number] if 0 <= number < len(names) else None
    if name is None:
        return f"class {words[0][:40]} where 0 to {len(names) - 1} are named"
    figures = [figure(word) for word in words[1:]]
    if any(isinstance(f, str) for f in figures):
        return f"figures are wanted; got {' '.join(words[1:])[:80]}"
    x, y, width, height = (float(f) for f in figures)
    made = box(name, [x - width / 2, y - height / 2, width, height],
               corner_and_size=True, share=True)  # fmt: skip
    return made if isinstance(made, Box) else f"{made} (class, then {' '.join(words[1:])[:80]})"
