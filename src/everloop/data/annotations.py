"""Annotations: what people, imports and models said of samples; a history that only grows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from everloop.data.location import Place
from everloop.data.tables import LanceTable
from everloop.ids import AnnotationId, SampleId
from everloop_runtime.ids import digest_json

Kind: TypeAlias = Literal["person", "import", "model"]
_COLUMNS = ["id", "sample", "label", "by", "kind", "confidence", "at", "origin"]
_RANK = {"model": 0, "import": 1, "person": 2}


@dataclass(frozen=True, slots=True)
class Annotation:
    """One statement about a sample."""

    id: AnnotationId
    sample: SampleId
    label: str
    by: str
    kind: Kind
    confidence: float | None
    at: datetime
    origin: str
    """What it answers: a label task, or an import's source."""


def annotation_id(sample: SampleId, label: str, by: str, origin: str) -> AnnotationId:
    """The same statement by the same one on the same occasion has the same id."""
    return AnnotationId(digest_json([sample, label, by, origin]))


class Annotations:
    """Append-only; the current label of a sample is derived from its history."""

    def __init__(self, place: Place) -> None:
        import pyarrow as pa

        self._table = LanceTable(
            place / "annotations.lance",
            pa.schema(
                [
                    *(pa.field(name, pa.string()) for name in _COLUMNS[:5]),
                    pa.field("confidence", pa.float32()),
                    pa.field("at", pa.timestamp("us", tz="UTC")),
                    pa.field("origin", pa.string()),
                ]
            ),
        )
        self._seen: dict[AnnotationId, Annotation] = {}
        self._standing: dict[SampleId, Annotation] = {}
        self._seen_rows = 0

    def append(self, annotations: Sequence[Annotation]) -> int:
        """Add those that are not there yet and return how many that were."""
        import pyarrow as pa

        known = self.history()
        new = {a.id: a for a in annotations if a.id not in known}
        if not new:
            return 0
        self._table.append(
            pa.table(
                {
                    **{
                        name: pa.array([getattr(a, name) for a in new.values()], pa.string())
                        for name in _COLUMNS[:5]
                    },
                    "confidence": pa.array([a.confidence for a in new.values()], pa.float32()),
                    "at": pa.array([a.at for a in new.values()], pa.timestamp("us", tz="UTC")),
                    "origin": pa.array([a.origin for a in new.values()], pa.string()),
                }
            )
        )
        return len(new)

    @property
    def version(self) -> str:
        """Changes exactly when an annotation is added."""
        return str(self._table.version())

    def history(self) -> Mapping[AnnotationId, Annotation]:
        """Every annotation, in the order they were added; only new rows are read again."""
        total = self._table.count()
        if total > self._seen_rows:
            rows = self._table.window(_COLUMNS, "id IS NOT NULL", self._seen_rows, total)
            for row in rows.to_pylist():
                self._see(Annotation(**row))
            self._seen_rows = total
        return self._seen

    def _see(self, annotation: Annotation) -> None:
        if self._seen.setdefault(annotation.id, annotation) is not annotation:
            return
        if annotation.kind == "model":
            return
        other = self._standing.get(annotation.sample)
        if other is None or _weight(annotation) >= _weight(other):
            self._standing[annotation.sample] = annotation

    def current(self) -> Mapping[SampleId, Annotation]:
        """The standing label of each sample: a person's before an import's, then the latest.

        What a model said is history only: it never becomes a label by itself.
        """
        self.history()
        return self._standing


def _weight(annotation: Annotation) -> tuple[int, datetime]:
    return _RANK[annotation.kind], annotation.at
