"""Tables: `samples.parquet` or `samples.csv` beside `images/`; rows are in the table itself.

A cell of a CSV that a spreadsheet would compute begins with an apostrophe, which importing takes
off again.
"""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from everloop.data.export.outgoing import Outgoing, Shape
from everloop.data.formats.cells import quoted
from everloop.data.formats.tabular import WHOLE_ROW
from everloop.labels import BoxesLabel, ClassesLabel, ClassLabel, Label, ValueLabel

_BATCH = 5_000
_COLUMN = {"class": "label", "classes": "labels", "boxes": "boxes", "value": "label"}
_ABOUT = ("split", "group", "subject", "taken_at", "meta", "original_name")


class _Sink(Protocol):
    def write(self, rows: list[Mapping[str, str | None]]) -> None: ...

    def close(self) -> None: ...


class ParquetExport:
    """Every kind of sample and label."""

    name = "parquet"
    read_as = "manifest"

    def why_not(self, shape: Shape) -> str | None:  # noqa: ARG002
        """It holds every kind."""
        return None

    def writer(self, folder: Path, shape: Shape) -> "_Writer":
        """Begin to write into an empty folder."""
        columns = _columns(shape)
        return _Writer(folder, shape, _Parquet(folder / "samples.parquet", columns))


class CsvExport:
    """Every kind of sample and label, for spreadsheets."""

    name = "csv"
    read_as = "manifest"

    def why_not(self, shape: Shape) -> str | None:  # noqa: ARG002
        """It holds every kind."""
        return None

    def writer(self, folder: Path, shape: Shape) -> "_Writer":
        """Begin to write into an empty folder."""
        return _Writer(folder, shape, _Csv(folder / "samples.csv", _columns(shape)))


def _columns(shape: Shape) -> list[str]:
    about = [name for name in _ABOUT if name not in {shape.target, "label"}]
    if shape.modality == "row":
        return [WHOLE_ROW, shape.target or "label", *about]
    return ["path", _COLUMN[shape.label_kind], *about]


class _Writer:
    def __init__(self, folder: Path, shape: Shape, sink: _Sink) -> None:
        self._folder, self._shape, self._sink = folder, shape, sink
        self._rows: list[Mapping[str, str | None]] = []

    def add(self, sample: Outgoing) -> None:
        first, label = _columns(self._shape)[:2]
        if self._shape.modality == "row":
            stands = sample.data.decode()
        else:
            stands = f"images/{sample.file}"
            (self._folder / "images").mkdir(exist_ok=True)
            (self._folder / stands).write_bytes(sample.data)
        row = {
            "split": sample.side,
            "group": sample.group,
            "subject": sample.subject,
            "taken_at": None if sample.taken_at is None else sample.taken_at.isoformat(),
            "meta": json.dumps(dict(sample.meta)) if sample.meta else None,
            "original_name": sample.name,
            first: stands,
            label: _cell(sample.label),
        }
        self._rows.append(row)
        if len(self._rows) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._sink.write(self._rows)
        self._rows = []

    def end(self) -> None:
        self._flush()
        self._sink.close()


def _cell(label: Label) -> str:
    match label:
        case ClassLabel(name):
            return name
        case ClassesLabel(names):
            return json.dumps(list(names))
        case BoxesLabel(boxes):
            return json.dumps([[b.label, b.left, b.top, b.right, b.bottom] for b in boxes])
        case ValueLabel(value):
            return repr(value)


class _Parquet:
    def __init__(self, path: Path, columns: list[str]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._schema = pa.schema([pa.field(name, pa.string()) for name in columns])
        self._writer: Any = parquet.ParquetWriter(path, self._schema)

    def write(self, rows: list[Mapping[str, str | None]]) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pylist(rows, self._schema))

    def close(self) -> None:
        self._writer.close()


class _Csv:
    def __init__(self, path: Path, columns: list[str]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._columns = columns
        self._table = csv.writer(self._file)
        self._table.writerow([quoted(name) for name in columns])

    def write(self, rows: list[Mapping[str, str | None]]) -> None:
        self._table.writerows([quoted(row[n] or "") for n in self._columns] for row in rows)

    def close(self) -> None:
        self._file.close()
