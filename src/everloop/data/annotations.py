"""Annotations: what people, imports and models said of samples; a history that only grows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from json.encoder import encode_basestring
from operator import attrgetter
from typing import Literal, TypeAlias, cast

from everloop.data.catalogue.questions import Catalogue
from everloop.data.forgotten import Forgotten
from everloop.data.schemas import Tables
from everloop.data.tables import text
from everloop.ids import AnnotationId, SampleId
from everloop_runtime.ids import digest_bytes

Kind: TypeAlias = Literal["person", "client", "import", "accepted", "model"]
"""Who said it. `accepted`: a model, under a rule that lets its answer stand for a label."""


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


def annotation_id(
    sample: SampleId, label: str, by: str, origin: str, *, supersedes: AnnotationId | None = None
) -> AnnotationId:
    """The same statement by the same one on the same occasion has the same id.

    `supersedes`: their last statement on that occasion, where this one changes it.
    """
    said = (sample, label, by, origin, *(() if supersedes is None else (supersedes,)))
    # Their canonical JSON, written by hand: an import makes one a sample.
    return AnnotationId(digest_bytes(f"[{','.join(map(encode_basestring, said))}]".encode()))


class Annotations:
    """Append-only; the current label of a sample is derived from its history."""

    def __init__(self, tables: Tables, catalogue: Catalogue, forgotten: Forgotten) -> None:
        self._forgotten = forgotten
        self._table = tables.annotations
        self._catalogue = catalogue

    def append(self, annotations: Sequence[Annotation]) -> int:
        """Add those that are not there yet and return how many that were.

        What is said of forgotten samples is passed over.
        """
        gone = self._forgotten.ids()
        annotations = [a for a in annotations if a.sample not in gone]
        unsaid = self._catalogue.unsaid([(a.id, a.sample) for a in annotations])
        new = list({a.id: a for a in annotations if a.id in unsaid}.values())
        if not new:
            return 0
        values = zip(*map(attrgetter(*self._table.columns), new), strict=True)
        columns = dict(zip(self._table.columns, values, strict=True))
        self._table.append(self._table.table(columns))
        return len(new)

    @property
    def version(self) -> str:
        """Changes when an annotation is added."""
        return str(self._table.version())

    def history(self, sample: SampleId | None = None) -> Sequence[Annotation]:
        """Every annotation, or those of one sample, in the order they were added."""
        where = None if sample is None else f"sample = {text(sample)}"
        rows = self._table.rows(self._table.columns, where).to_pylist()
        return list({row["id"]: Annotation(**row) for row in reversed(rows)}.values())[::-1]

    def last_by(self, by: str, samples: Sequence[SampleId]) -> dict[SampleId, Annotation]:
        """What one of those who annotate said last of samples. Reads all that they ever said."""
        import pyarrow as pa
        from pyarrow import compute

        last: dict[SampleId, Annotation] = {}
        rows = self._table.rows(self._table.columns, f"`by` = {text(by)}")
        wanted = compute.is_in(rows.column("sample"), pa.array(samples, pa.string()))
        for row in rows.filter(wanted).to_pylist():
            told = Annotation(**row)
            if told.sample not in last or told.at >= last[told.sample].at:
                last[told.sample] = told
        return last

    def standing(self, samples: Sequence[SampleId]) -> dict[SampleId, Annotation]:
        """The standing labels: a person's before a client's before an import's before a model's
        that was accepted, then the latest.

        What a model said otherwise is history only: it never becomes a label by itself.
        """
        return {
            sample: Annotation(row[0], sample, row[1], row[2], cast("Kind", row[3]), *row[4:])
            for sample, row in self._catalogue.standing(samples).items()
        }

    def current(self) -> "Standing":
        """The standing label of each sample, looked up when it is asked for."""
        return Standing(self, self._catalogue)


class Standing(Mapping[SampleId, Annotation]):
    """Standing labels by sample. To look many up, `Annotations.standing` is faster."""

    def __init__(self, annotations: Annotations, catalogue: Catalogue) -> None:
        self._annotations = annotations
        self._catalogue = catalogue

    def __getitem__(self, sample: SampleId) -> Annotation:
        return self._annotations.standing([sample])[sample]

    def __iter__(self) -> Iterator[SampleId]:
        after = 0
        while part := self._catalogue.labelled(after):
            after = part[-1][0]
            yield from (sample for _, sample in part)

    def __len__(self) -> int:
        return sum(1 for _ in self)
