"""What became known of answers after they were given: labels, corrections, business events."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from everloop.data.location import Place
from everloop.data.tables import LanceTable, text
from everloop.ids import Json, PredictionId
from everloop_runtime.ids import canonical_json, digest_json
from everloop_runtime.segments import FeedbackKind, FeedbackRecord

_COLUMNS = ["id", "prediction", "kind", "value", "by", "segment"]
_LARGEST = 16_384
"""Characters of one value; a longer one is no label and no figure."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """One statement about one answer."""

    id: str
    """The same statement by the same one about the same answer has the same id."""
    prediction: PredictionId
    at: datetime
    kind: FeedbackKind
    value: Json
    by: str


@dataclass(frozen=True, slots=True)
class Followed:
    """How far statements were made annotations, by which rules; whoever does it keeps it."""

    rules: object = None
    """Under other rules everything is looked at again."""
    statements: int = 0
    """So many were looked at."""
    answers: int = 0
    """Rows of answers among which the waiting ones were looked for."""
    waiting: Sequence[Feedback] = ()
    """Statements whose answers were not there."""


class FeedbackTable:
    """Statements in the order they came in: late, twice and out of order as clients send them."""

    def __init__(self, place: Place) -> None:
        import pyarrow as pa

        self._table = LanceTable(
            place / "feedback.lance",
            pa.schema(
                [
                    *(pa.field(name, pa.string()) for name in _COLUMNS),
                    pa.field("at", pa.timestamp("us", tz="UTC")),
                ]
            ),
        )
        self._seen: dict[str, Feedback] = {}
        self._order: list[Feedback] = []
        self._seen_rows = 0
        self._moves = 0
        self.followed = Followed()
        """How far this process has made annotations of statements."""

    def append(self, records: Sequence[FeedbackRecord], segment: str) -> int:
        """Add a segment's statements that are not there yet; how many that were.

        An event that may truly happen twice carries something of its own, such as an `id`.
        """
        import pyarrow as pa

        if not records or self._table.count(f"segment = {text(segment)}"):
            return 0
        known = self.history()
        new = {made.id: made for record in records if (made := _made(record)) is not None}
        new = {name: made for name, made in new.items() if name not in known}
        if not new:
            return 0
        columns: dict[str, Any] = {
            "id": list(new),
            "prediction": [made.prediction for made in new.values()],
            "kind": [made.kind for made in new.values()],
            "value": [canonical_json(made.value).decode() for made in new.values()],
            "by": [made.by for made in new.values()],
            "segment": [segment] * len(new),
        }
        arrays = {name: pa.array(columns[name], pa.string()) for name in _COLUMNS}
        moments = [made.at for made in new.values()]
        arrays["at"] = pa.array(moments, pa.timestamp("us", tz="UTC"))
        self._table.append(pa.table(arrays))
        return len(new)

    @property
    def version(self) -> str:
        """Changes exactly when a statement is added."""
        return str(self._table.version())

    def history(self) -> Mapping[str, Feedback]:
        """Every statement by its id, in the order they came in; only new rows are read again."""
        moves = self._table.moves()
        if moves != self._moves:
            # Rows were taken out: all are read again.
            self._seen, self._order, self._seen_rows, self._moves = {}, [], 0, moves
        total = self._table.count()
        if total > self._seen_rows:
            columns = ["id", "prediction", "at", "kind", "value", "by"]
            rows = self._table.since(columns, self._seen_rows, total - self._seen_rows)
            for row in rows.to_pylist():
                said = Feedback(**{**row, "value": json.loads(row["value"])})
                if self._seen.setdefault(said.id, said) is said:
                    self._order.append(said)
            self._seen_rows = total
        return self._seen

    def since(self, start: int) -> Sequence[Feedback]:
        """The statements from number `start` on, in the order they came in."""
        self.history()
        return self._order[start:]

    def moves(self) -> int:
        """Grows when statements were taken out: their numbers are void then."""
        return self._table.moves()

    def labels(self) -> Mapping[PredictionId, str]:
        """The truth of answers: a person's correction before a client's label, then the latest."""
        found: dict[PredictionId, Feedback] = {}
        for said in self.history().values():
            if said.kind == "event" or not isinstance(said.value, str):
                continue
            other = found.get(said.prediction)
            if other is None or _weight(said) >= _weight(other):
                found[said.prediction] = said
        return {prediction: str(said.value) for prediction, said in found.items()}

    def events(self) -> Mapping[PredictionId, Mapping[str, float]]:
        """By answer and name: the sum of the figures of its events."""
        found: dict[PredictionId, Counter[str]] = {}
        for said in self.history().values():
            if said.kind != "event":
                continue
            for name, value in figures_of(said.value).items():
                found.setdefault(said.prediction, Counter())[name] += value  # type: ignore[assignment]
        return found

    def counts(self) -> Mapping[str, int]:
        """How many statements of each kind there are."""
        return Counter(said.kind for said in self.history().values())


def figures_of(value: Json) -> Mapping[str, float]:
    """The named figures an event carries: `{"accepted": true}`, or a name alone, which counts 1.

    >>> figures_of({"accepted": True, "basket": 12.5, "id": "a7"})
    {'accepted': 1.0, 'basket': 12.5}
    >>> figures_of("clicked")
    {'clicked': 1.0}
    """
    if isinstance(value, str):
        return {value: 1.0}
    if not isinstance(value, Mapping):
        return {}
    return {
        name: float(item)
        for name, item in value.items()
        if isinstance(item, bool | int | float) and math.isfinite(item)
    }


def _made(record: FeedbackRecord) -> Feedback | None:
    said = [record.prediction, record.kind, record.value, record.by]
    try:
        size, name = len(canonical_json(record.value)), digest_json(said)
    except (ValueError, RecursionError):
        return None
    if size > _LARGEST:
        return None
    moment = datetime.fromtimestamp(record.at, UTC)
    return Feedback(name, record.prediction, moment, record.kind, record.value, record.by)


def _weight(said: Feedback) -> tuple[bool, datetime]:
    return said.kind == "correction", said.at
