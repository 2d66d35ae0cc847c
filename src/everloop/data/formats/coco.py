"""COCO: JSON files of images, annotations and categories, and the pictures they name.

Taken: the boxes (or, for tasks without boxes, the categories) of the `instances` files, or of all
COCO files where none is called so. Masks, key points and captions are not.
"""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from everloop.data.formats.format import Fit, Wanted
from everloop.data.formats.json_stream import elements
from everloop.data.formats.pictures import missing, reader, split_in, unlabelled
from everloop.data.formats.pictures import side_in as side_of_path
from everloop.data.formats.shape import box, of_boxes, of_names
from everloop.data.formats.sketch import Sketch
from everloop.data.incoming import Incoming
from everloop.data.sources.index import Index
from everloop.data.sources.tree import Tree, is_note
from everloop.errors import Refused
from everloop.labels import Box, Label

_KEYS = frozenset(("images", "annotations", "categories"))
_MOST_TOLD = 5
"""Problems told of one picture; the count is told too."""


class Coco:
    """`images`, `annotations` and `categories` of one or several JSON files."""

    name = "coco"

    def fits(self, sketch: Sketch, wanted: Wanted) -> Fit | None:
        """Whether a source looks like this format, and why; None when it does not."""
        if wanted.modality != "image":
            return None
        found = [p for p in sketch.ending_in(".json") if looks_like_coco(sketch.head(p))]
        return Fit(f"{found[0]} lists images and annotations") if found else None

    def read(self, tree: Tree, wanted: Wanted) -> Iterator[Incoming]:
        """Every picture with what is stated of it; then the pictures that no file speaks of."""
        index = Index(tree)
        try:
            files = _annotation_files(tree, index)
            if not files:
                raise Refused("no JSON file of it lists images, annotations and categories")
            for path in files:
                yield from _File(tree, index, path, wanted).incoming()
            yield from unlabelled(tree, index.unused())
        finally:
            index.close()


def looks_like_coco(head: bytes) -> bool:
    """Whether a JSON file that begins so may be COCO's."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return start == b"{" and (b'"images"' in head or b'"annotations"' in head)


def _annotation_files(tree: Tree, index: Index) -> list[str]:
    found = []
    for entry in index.all():
        if entry.path.lower().endswith(".json") and not is_note(entry.path):
            with tree.open(entry.path) as file:
                head = file.read(64 * 1024)
            if looks_like_coco(head):
                found.append(entry.path)
    instances = [path for path in found if "instances" in path.rpartition("/")[2]]
    return instances or found


class _File:
    """One JSON file, its rows put into scratch tables and joined there."""

    def __init__(self, tree: Tree, index: Index, path: str, wanted: Wanted) -> None:
        self._tree, self._index, self._path, self._wanted = tree, index, path, wanted
        self._beside = path.rpartition("/")[0]
        self._side = side_of_path(path)
        self._split = split_in(path)
        self._db: sqlite3.Connection = index.database
        self._categories: dict[str, str | None] = {}
        self._strays: list[Incoming] = []
        self._doubled: dict[str, frozenset[str]] = {}

    def incoming(self) -> Iterator[Incoming]:
        """Every picture of the file, then every row that belongs to none."""
        self._load()
        yield from self._strays
        rows = self._db.execute("SELECT id, file, width, height FROM images ORDER BY row")
        for name, file, width, height in rows:
            yield self._picture(name, file, width, height)
        lost = self._db.execute(
            "SELECT id, image FROM rows WHERE image NOT IN (SELECT id FROM images) ORDER BY row"
        )
        for name, image in lost:
            yield self._stray(f"annotation {name}", f"names image {image}, which is not listed")

    def _load(self) -> None:
        self._db.executescript(
            "DROP TABLE IF EXISTS images; DROP TABLE IF EXISTS rows;"
            "CREATE TABLE images (row INTEGER PRIMARY KEY, id TEXT, file TEXT, width, height);"
            "CREATE TABLE rows (row INTEGER PRIMARY KEY, id TEXT, image TEXT, told TEXT);"
        )
        keep = {"images": self._image, "annotations": self._annotation, "categories": self._name}
        with self._tree.open(self._path) as file:
            try:
                for number, (key, told) in enumerate(elements(file, _KEYS)):
                    if isinstance(told, dict):
                        keep[key](number, told)
                    else:
                        self._strays.append(
                            self._stray(f"{key} row {number}", "is not a JSON object")
                        )
            except Refused as error:
                raise Refused(f"{self._path}: {error}") from error
        self._db.executescript(
            "CREATE INDEX image_id ON images (id); CREATE INDEX row_id ON rows (id);"
            "CREATE INDEX row_image ON rows (image);"
        )
        self._doubled = {name: self._ids_listed_twice(name) for name in ("images", "rows")}

    def _image(self, row: int, told: dict[str, Any]) -> None:
        file = told.get("file_name")
        sides = (told.get("width"), told.get("height"))
        stated = [s if type(s) is int and 0 < s < 2**31 else None for s in sides]
        if not isinstance(file, str) or "id" not in told:
            what = f"image {_key(told.get('id'))}"
            self._strays.append(self._stray(what, "has no id or no file_name"))
            return
        self._db.execute(
            "INSERT INTO images VALUES (?, ?, ?, ?, ?)",
            (row, _key(told["id"]), json.dumps(file), *stated),
        )

    def _annotation(self, row: int, told: dict[str, Any]) -> None:
        kept = json.dumps([told.get("category_id"), told.get("bbox")])
        self._db.execute(
            "INSERT INTO rows VALUES (?, ?, ?, ?)",
            (row, _key(told.get("id")), _key(told.get("image_id")), kept),
        )

    def _name(self, _row: int, told: dict[str, Any]) -> None:
        key, name = _key(told.get("id")), told.get("name")
        if not isinstance(name, str) or not name:
            self._strays.append(self._stray(f"category {key}", "has no name"))
        elif self._categories.setdefault(key, name) != name:
            self._categories[key] = None
            self._strays.append(self._stray(f"category {key}", "is listed under two names"))

    def _picture(
        self, name: str, told_file: str, width: int | None, height: int | None
    ) -> Incoming:
        file = json.loads(told_file)
        found = self._index.find(file, self._beside)
        if len(found) > 1 and self._split is not None:
            found = tuple(e for e in found if split_in(e.path) == self._split) or found
        if len(found) != 1:
            why = "is not in the source" if not found else f"may be any of {len(found)} files"
            return Incoming(file, missing(f"{self._path}: image {name}: {file!r} {why}"))
        label, problems = self._label(name)
        if not self._index.use(found[0].path):
            problems.insert(0, f"image {name}: its file is listed more than once")
        if name in self._doubled["images"]:
            problems.insert(0, f"image id {name} is listed more than once")
        return Incoming(
            found[0].path,
            reader(self._tree, found[0].path),
            found[0].stamp,
            None if problems else label,
            side=self._side,
            meta={} if self._split is None else {"split": self._split},
            size=None if width is None or height is None else (width, height),
            problems=tuple(f"{self._path}: {problem}" for problem in _told(problems)),
        )

    def _label(self, image: str) -> tuple[Label | None, list[str]]:
        boxes: list[Box] = []
        names: list[str] = []
        problems: list[str] = []
        for name, told in self._db.execute(
            "SELECT id, told FROM rows WHERE image = ? ORDER BY row", (image,)
        ):
            category, edges = json.loads(told)
            key = _key(category)
            if name in self._doubled["rows"]:
                problems.append(f"annotation id {name} is listed more than once")
            label = self._categories.get(key)
            if label is None:
                problems.append(f"annotation {name} names category {key}, which is not listed")
                continue
            names.append(label)
            if self._wanted.label_kind == "boxes":
                made = box(label, edges if isinstance(edges, list) else [], corner_and_size=True)
                if isinstance(made, str):
                    problems.append(f"annotation {name} is {made}")
                else:
                    boxes.append(made)
        if self._wanted.label_kind == "boxes":
            label_or_why = of_boxes(boxes, "boxes")
        else:
            label_or_why = of_names(names, self._wanted.label_kind)
        if isinstance(label_or_why, str):
            return None, [*problems, label_or_why]
        return label_or_why, problems

    def _ids_listed_twice(self, table: str) -> frozenset[str]:
        doubled = self._db.execute(
            f"SELECT id FROM {table} GROUP BY id HAVING count(*) > 1"  # noqa: S608 - ours
        )
        return frozenset(name for (name,) in doubled)

    def _stray(self, what: str, why: str) -> Incoming:
        return Incoming(f"{self._path}#{what}", missing(f"{self._path}: {what} {why}"))


def _key(value: object) -> str:
    """An id as text: 7 and "7" are two."""
    return json.dumps(value)[:200]


def _told(problems: list[str]) -> list[str]:
    if len(problems) <= _MOST_TOLD:
        return problems
    return [*problems[:_MOST_TOLD], f"and {len(problems) - _MOST_TOLD} more of this picture"]
