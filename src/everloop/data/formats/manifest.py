"""A table that names pictures: a row a picture, or a row a box.

Columns are known by their names, or named in `[data] columns`. What is no known column is kept as
metadata. An apostrophe before `=`, `+`, `-` or `@`, as spreadsheets want it and as Everloop's own
tables have it, is taken off.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from everloop.data.formats.cells import boxes_in, moment, names_in, unquoted
from everloop.data.formats.format import Fit, Wanted
from everloop.data.formats.pictures import SPLITS, missing, reader, unlabelled
from everloop.data.formats.shape import box, figure, of_boxes, of_names
from everloop.data.formats.sketch import Sketch
from everloop.data.formats.tables import TABLES, columns_of, is_table, rows_of
from everloop.data.incoming import Incoming
from everloop.data.sources.index import Index
from everloop.data.sources.tree import Entry, Tree
from everloop.errors import Refused
from everloop.labels import Box, Label

ROLES: Mapping[str, Sequence[str]] = {
    "path": ("path", "uri", "file", "file_name", "filename", "image_path", "image", "img"),
    "label": ("label", "class", "class_name", "category"),
    "labels": ("labels", "classes", "tags"),
    "boxes": ("boxes",),
    "split": ("split", "subset"),
    "group": ("group", "group_id", "session", "patient", "patient_id"),
    "subject": ("subject", "subject_id"),
    "taken_at": ("taken_at", "captured_at", "timestamp", "datetime"),
    "meta": ("meta",),
}
"""What a column can say, and the names that say so."""
_EDGES = (
    (("xmin", "ymin", "xmax", "ymax"), False),
    (("left", "top", "right", "bottom"), False),
    (("x", "y", "width", "height"), True),
    (("bbox_x", "bbox_y", "bbox_width", "bbox_height"), True),
)
_MOST_TOLD = 5


class Manifest:
    """CSV or Parquet with a column of paths, beside the pictures."""

    name = "manifest"

    def fits(self, sketch: Sketch, wanted: Wanted) -> Fit | None:
        """Whether a source looks like this format, and why; None when it does not."""
        if wanted.modality != "image":
            return None
        for path in sketch.ending_in(*TABLES):
            columns = sketch.columns(path)
            if (named := _column("path", columns, wanted)) is not None:
                return Fit(f"{path} has a column {named!r} of pictures")
        return None

    def read(self, tree: Tree, wanted: Wanted) -> Iterator[Incoming]:
        """Every picture with what its rows state; then the pictures that no row names."""
        index = Index(tree)
        try:
            read = 0
            for entry in index.all():
                if is_table(entry.path):
                    columns = columns_of(tree, entry.path)
                    if _column("path", columns, wanted) is not None:
                        read += 1
                        yield from _Table(tree, index, entry.path, columns, wanted).incoming()
            if not read:
                raise Refused("no table of it has a column that names pictures, such as 'path'")
            yield from unlabelled(tree, index.unused())
        finally:
            index.close()


def _column(role: str, columns: Sequence[str], wanted: Wanted) -> str | None:
    """The column that says something, as it is written in the table."""
    if (named := wanted.columns.get(role)) is not None:
        return named if named in columns else None
    lower = {name.lower(): name for name in reversed(columns)}
    return next((lower[name] for name in ROLES[role] if name in lower), None)


@dataclass(slots=True)
class _Stated:
    """What the rows of one picture state together."""

    first: dict[str, Any]
    boxes: list[Box] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class _Table:
    def __init__(
        self, tree: Tree, index: Index, path: str, columns: Sequence[str], wanted: Wanted
    ) -> None:
        self._tree, self._index, self._path, self._wanted = tree, index, path, wanted
        self._roles = {role: _column(role, columns, wanted) for role in ROLES}
        self._beside = path.rpartition("/")[0]
        lower = {name.lower(): name for name in columns}
        self._edges, self._sized = next(
            (
                ([lower[name] for name in names], sized)
                for names, sized in _EDGES
                if all(name in lower for name in names)
            ),
            ([], False),
        )
        taken = {*self._roles.values(), *self._edges}
        self._others = [name for name in columns if name not in taken]

    def incoming(self) -> Iterator[Incoming]:
        """Every picture that the table names."""
        if self._wanted.label_kind == "boxes" and self._roles["boxes"] is None:
            if not self._edges:
                raise Refused(
                    f"{self._path} has no columns of boxes (xmin, ymin, xmax, ymax; or x, y, "
                    "width, height; or boxes)"
                )
            yield from self._by_picture()
            return
        if not self._roles["label"] and not self._roles["labels"] and not self._roles["boxes"]:
            raise Refused(
                f"{self._path} has no column 'label'; its columns are {', '.join(self._others)}: "
                "say which with --column label=NAME, or in [data] columns"
            )
        for number, row in rows_of(self._tree, self._path):
            if isinstance(row, str):
                yield self._stray(number, row)
            else:
                yield self._picture(number, _unquoted(row), _Stated(row))

    def _by_picture(self) -> Iterator[Incoming]:
        """A row a box: put together in a scratch table, wherever they stand."""
        db = self._index.database
        db.executescript(
            "DROP TABLE IF EXISTS boxes;"
            "CREATE TABLE boxes (row INTEGER PRIMARY KEY, file TEXT, told TEXT);"
        )
        for number, row in rows_of(self._tree, self._path):
            if isinstance(row, str):
                yield self._stray(number, row)
                continue
            told, file = json.dumps(_unquoted(row), default=str), json.dumps(self._file(row))
            db.execute("INSERT INTO boxes VALUES (?, ?, ?)", (number, file, told))
        db.execute("CREATE INDEX box_file ON boxes (file)")
        files = db.execute("SELECT min(row), file FROM boxes GROUP BY file ORDER BY min(row)")
        for first, file in files:
            stated: _Stated | None = None
            for number, told in db.execute(
                "SELECT row, told FROM boxes WHERE file = ? ORDER BY row", (file,)
            ):
                row = json.loads(told)
                stated = stated or _Stated(row)
                self._add_box(stated, number, row)
            if stated is not None:
                yield self._picture(first, stated.first, stated)

    def _add_box(self, stated: _Stated, number: int, row: dict[str, Any]) -> None:
        cells = [row[name] for name in self._edges]
        if all(cell is None or cell == "" for cell in cells):
            return
        name = self._cell(row, "label")
        if name is None:
            stated.problems.append(f"row {number} has a box and no label")
            return
        edges = [figure(cell) if isinstance(cell, str) else cell for cell in cells]
        made = box(str(name), edges, corner_and_size=self._sized)
        if isinstance(made, str):
            stated.problems.append(f"row {number} is {made}")
        else:
            stated.boxes.append(made)

    def _picture(self, number: int, row: dict[str, Any], stated: _Stated) -> Incoming:
        named = self._file(row)
        found: tuple[Entry, ...] = self._index.find(named, self._beside) if named else ()
        if len(found) != 1:
            why = "is not in the source" if not found else f"may be any of {len(found)} files"
            return self._stray(number, f"names {named!r}, which {why}")
        problems = stated.problems
        if not self._index.use(found[0].path):
            problems.insert(0, f"row {number} names a picture that another row names too")
        label = self._label(row, stated)
        if isinstance(label, str):
            problems.append(f"row {number}: {label}")
        split = self._cell(row, "split")
        if split is not None and str(split).lower() not in SPLITS:
            problems.append(f"row {number}: split {split!r} is none of {', '.join(SPLITS)}")
        taken_at = moment(self._cell(row, "taken_at"))
        if isinstance(taken_at, str):
            problems.append(f"row {number}: {taken_at}")
        group, subject = self._cell(row, "group"), self._cell(row, "subject")
        return Incoming(
            found[0].path,
            reader(self._tree, found[0].path),
            found[0].stamp,
            None if problems or isinstance(label, str) else label,
            None if group is None else str(group),
            None if subject is None else str(subject),
            None if isinstance(taken_at, str) else taken_at,
            None if split is None else SPLITS.get(str(split).lower()),
            self._meta(row),
            problems=tuple(f"{self._path}: {problem}" for problem in problems[:_MOST_TOLD]),
        )

    def _label(self, row: dict[str, Any], stated: _Stated) -> Label | str | None:
        kind = self._wanted.label_kind
        if kind == "boxes":
            if self._roles["boxes"] is None:
                return of_boxes(stated.boxes, kind)
            return boxes_in(self._cell(row, "boxes"))
        several = self._cell(row, "labels")
        if several is not None:
            return of_names(names_in(several), kind)
        one = self._cell(row, "label")
        if one is not None:
            return of_names([str(one)], kind)
        return None

    def _meta(self, row: dict[str, Any]) -> dict[str, str]:
        told = self._cell(row, "meta")
        meta = {n: str(row[n]) for n in self._others if row.get(n) not in {None, ""}}
        if isinstance(told, str) and told.startswith("{"):
            try:
                meta.update({str(n): str(v) for n, v in json.loads(told).items()})
            except (ValueError, RecursionError):
                meta["meta"] = told
        return meta

    def _cell(self, row: dict[str, Any], role: str) -> Any:
        """The cell that says something; None when it is empty."""
        name = self._roles[role]
        value = None if name is None else row.get(name)
        return None if value == "" else value

    def _file(self, row: dict[str, Any]) -> str:
        return str(self._cell(row, "path") or "")

    def _stray(self, number: int, why: str) -> Incoming:
        return Incoming(f"{self._path}#row {number}", missing(f"{self._path}: row {number} {why}"))


def _unquoted(row: dict[str, Any]) -> dict[str, Any]:
    return {name: unquoted(cell) for name, cell in row.items()}
