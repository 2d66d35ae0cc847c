"""Feedback: late, twice and out of order, joined to answers by their ids."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import lance
import pyarrow as pa
import pytest
from tests.support.captures import answer
from tests.support.clock import at
from tests.support.pictures import noise

from everloop.data.collect import collect
from everloop.data.corrections import Becomes, annotate
from everloop.data.predictions import Predictions
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.data.tables import LanceTable
from everloop.ids import BundleId, PredictionId, SampleId
from everloop.rollout import tally
from everloop.rollout.tally import Slice, Tallies
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.capture import CaptureWriter, sealed_segments
from everloop_runtime.ids import sample_id
from everloop_runtime.routes import Role
from everloop_runtime.segments import Captured, FeedbackKind, FeedbackRecord

A, B = BundleId("a" * 64), BundleId("b" * 64)
TASK = ImageClassification(classes=["dark", "bright"], size=(8, 8), channels=1)
KINDS: dict[str, Becomes] = {"label": "client", "correction": "person"}


def _answer(n: int, bundle: BundleId = A, role: Role = "champion", label: str = "dark") -> Captured:
    return answer(n, noise(n), bundle, role=role, label=label)


def _said(
    n: int, value: object, kind: FeedbackKind = "label", by: str = "shop", when: float = 100
) -> FeedbackRecord:
    return FeedbackRecord(PredictionId(f"p{n}"), at(when).timestamp(), kind, value, by)  # type: ignore[arg-type]


def _take(store: DataStore, folder: Path, *records: Captured | FeedbackRecord) -> int:
    """Write the records as a service does and collect them; the annotations made are counted."""
    writer = CaptureWriter(folder)
    for record in records:
        writer.append(record)
    writer.close()
    for segment in sealed_segments(folder):
        collect(store, segment, now=at(0), split=SplitRule(0.2))
        segment.unlink()
    return annotate(store, TASK.accepts, KINDS)


@pytest.fixture
def store(tmp_path: Path) -> DataStore:
    return DataStore(tmp_path / "store")


def test_feedback_that_comes_before_its_answer_is_joined_when_the_answer_comes(
    store: DataStore, tmp_path: Path
) -> None:
    assert _take(store, tmp_path / "c", _said(1, "bright")) == 0
    assert _take(store, tmp_path / "c", _answer(1), _answer(2)) == 1
    standing = store.annotations.standing([sample_id(noise(1)), sample_id(noise(2))])
    (said,) = standing.values()
    assert (said.sample, said.label, said.by, said.kind) == (
        sample_id(noise(1)), "bright", "shop", "client"
    )  # fmt: skip


def test_the_same_statement_sent_again_is_there_once(store: DataStore, tmp_path: Path) -> None:
    _take(store, tmp_path / "c", _answer(1), _said(1, "bright"))
    assert _take(store, tmp_path / "c", _said(1, "bright", when=500)) == 0
    assert len(store.feedback.history()) == 1
    again = DataStore(tmp_path / "store")
    assert annotate(again, TASK.accepts, KINDS) == 0
    assert len(again.annotations.history()) == 1


def test_a_correction_stands_before_a_label_whichever_came_first(
    store: DataStore, tmp_path: Path
) -> None:
    said = [_said(1, "bright", "correction", "ann", 100), _said(1, "dark", "label", "shop", 900)]
    _take(store, tmp_path / "c", _answer(1), *said)
    standing = store.annotations.standing([sample_id(noise(1))])
    assert [(a.label, a.kind) for a in standing.values()] == [("bright", "person")]
    assert store.feedback.labels() == {"p1": "bright"}


def test_what_is_no_label_or_said_by_a_model_never_teaches(
    store: DataStore, tmp_path: Path
) -> None:
    said = [
        _said(1, "purple"), _said(1, '{"boxes": 3}'), _said(1, "x" * 100_000),
        _said(1, "bright", by="model:abc"), _said(1, {"accepted": True}, "event"),
    ]  # fmt: skip
    assert _take(store, tmp_path / "c", _answer(1), *said) == 0
    assert list(store.annotations.history()) == []


def test_policy_may_keep_feedback_from_teaching(store: DataStore, tmp_path: Path) -> None:
    kinds: dict[str, Becomes] = {"label": "keep", "correction": "keep"}
    writer = CaptureWriter(tmp_path / "c")
    for record in (_answer(1), _said(1, "bright")):
        writer.append(record)
    writer.close()
    (segment,) = sealed_segments(tmp_path / "c")
    collect(store, segment, now=at(0), split=SplitRule(0.2))
    assert annotate(store, TASK.accepts, kinds) == 0
    assert store.feedback.labels() == {"p1": "bright"}


def test_events_are_summed_by_name_and_answer(store: DataStore, tmp_path: Path) -> None:
    said = [
        _said(1, {"accepted": True, "basket": 12.5, "id": "x"}, "event"),
        _said(1, {"basket": 2, "id": "y"}, "event"), _said(2, "clicked", "event"),
    ]  # fmt: skip
    _take(store, tmp_path / "c", *said)
    assert store.feedback.events() == {
        "p1": {"accepted": 1.0, "basket": 14.5}, "p2": {"clicked": 1.0}
    }  # fmt: skip


class _Read:
    """Counts the rows that are read of every table, and the answers that are asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows = self.asked = 0
        for name in ("rows", "since", "window", "take"):
            monkeypatch.setattr(LanceTable, name, self._counting(getattr(LanceTable, name)))
        whole = Predictions.samples_of

        def asked(
            table: Predictions, wanted: Sequence[PredictionId]
        ) -> Mapping[PredictionId, SampleId]:
            self.asked += len(wanted)
            return whole(table, wanted)

        monkeypatch.setattr(Predictions, "samples_of", asked)

    def _counting(self, read: Callable[..., pa.Table]) -> Callable[..., pa.Table]:
        def counted(*given: object, **more: object) -> pa.Table:
            rows = read(*given, **more)
            self.rows += rows.num_rows
            return rows

        return counted

    def by(self, work: Callable[[], int]) -> tuple[int, int, int]:
        """What some work gives, the rows it reads and the answers it asks for."""
        self.rows = self.asked = 0
        return work(), self.rows, self.asked


def test_annotating_costs_what_is_new_however_much_was_said_before(
    store: DataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [_answer(n) for n in range(120)]
    _take(store, tmp_path / "c", *before, *(_said(n, "bright") for n in range(400)))
    assert len(store.annotations.history()) == 120, "280 wait for their answers"
    read = _Read(monkeypatch)
    again = read.by(lambda: annotate(store, TASK.accepts, KINDS))
    assert again == (0, 0, 0)
    segment: list[Captured | FeedbackRecord] = [_answer(200), _answer(500)]
    segment += [_said(n, "dark", by="ann") for n in (1, 2, 501)]
    writer = CaptureWriter(tmp_path / "c")
    for record in segment:
        writer.append(record)
    writer.close()
    (sealed,) = sealed_segments(tmp_path / "c")
    collect(store, sealed, now=at(0), split=SplitRule(0.2))
    made, rows, asked = read.by(lambda: annotate(store, TASK.accepts, KINDS))
    assert made == 3, "two of the new ones, and one that waited for answer 200"
    assert asked == 3, "the new statements"
    assert rows <= 2 + 2 + 3, "the new answers, those of the new statements, and the statements"


def test_statements_are_looked_at_again_under_other_rules_and_after_forgetting(
    store: DataStore, tmp_path: Path
) -> None:
    keep: dict[str, Becomes] = {"label": "keep", "correction": "keep"}
    _take(store, tmp_path / "c", _answer(1), _answer(2))
    writer = CaptureWriter(tmp_path / "c")
    for n in (1, 2, 3):
        writer.append(_said(n, "bright"))
    writer.close()
    (segment,) = sealed_segments(tmp_path / "c")
    collect(store, segment, now=at(0), split=SplitRule(0.2))
    assert annotate(store, TASK.accepts, keep) == 0
    assert annotate(store, TASK.accepts, KINDS) == 2
    lance.dataset(str(tmp_path / "store" / "predictions.lance")).delete("id = 'p1'")
    segment.unlink()
    assert _take(store, tmp_path / "c", _answer(3)) == 1


def test_figures_follow_what_comes_in_and_each_row_is_read_once(
    store: DataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tallies = Tallies()
    since = datetime.fromtimestamp(at(3).timestamp(), UTC)
    one = Slice(B, frozenset({"shadow"}), since)
    two = Slice(A, frozenset({"champion"}), since)
    _take(store, tmp_path / "c", *(_answer(n) for n in range(8)))
    before = tallies.beside(store, one, two)
    assert (before.challenger.requests, before.champion.requests) == (0, 5)
    copies = [_answer(n, B, "shadow", "bright") for n in range(4, 8)]
    broken = _answer(9, B, "shadow")
    failed = replace(broken, status="error", error="late", label=None, confidence=None)
    read: list[int] = []
    whole = store.predictions.from_row

    def counted(start: int, most: int) -> pa.Table:
        read.append(most)
        return whole(start, most)

    monkeypatch.setattr(store.predictions, "from_row", counted)
    said = [_said(4, "bright"), _said(5, "bright"), _said(6, "dark")]
    _take(store, tmp_path / "c", *copies, failed, *said)
    after = tallies.beside(store, one, two)
    assert sum(read) == 5, "only the new rows were read"
    assert (after.challenger.requests, after.challenger.errors) == (5, 1)
    assert after.challenger.answers == {"bright": 4}
    assert after.challenger.labelled == {"bright": (2, 0), "dark": (1, 1)}
    pairs = after.pairs
    assert (pairs.pairs, pairs.differ, pairs.labelled) == (4, 4, 3)
    assert (pairs.only_challenger_wrong, pairs.only_champion_wrong) == (1, 2)


def test_what_became_known_of_answers_is_kept_when_they_are_forgotten(
    store: DataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the side that answers more would seem to earn less."""
    monkeypatch.setattr(tally, "_REMEMBERED", 3)
    one = Slice(B, frozenset({"variant"}), at(0))
    two = Slice(A, frozenset({"champion"}), at(0))
    tallies = Tallies()
    for first in (0, 4):
        some = range(first, first + 4)
        told = [_said(n, {"basket": 2.0}, "event") for n in some]
        labels = [_said(n, "bright") for n in some]
        _take(store, tmp_path / "c", *told, *labels, *(_answer(n) for n in some))
        champion = tallies.beside(store, one, two).champion
        assert champion.events == {"basket": 2.0 * (first + 4)}
        assert champion.labelled == {"bright": (first + 4, first + 4)}
    again = Tallies().beside(store, one, two).champion
    assert again == champion
