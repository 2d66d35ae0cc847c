"""Answers judged by each other and by what is known; second looks and gold questions."""

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import eq, ne

import pytest
from tests.support.clock import at

from everloop.ids import Json, LabelTaskId, SampleId
from everloop.labelling.agreement import cohen_kappa, fleiss_kappa
from everloop.labelling.disputes import disputes
from everloop.labelling.overlap import Row, with_known, with_second_looks
from everloop.labelling.quality import Adjudicated, judge
from everloop.labelling.quality_sums import Part, part_of
from everloop.labels import Box, BoxesLabel, encode
from everloop.state.answer_rounds import Said
from everloop.state.label_answers import Given
from everloop.state.label_queue import Purpose


def _said(sample: str, by: str, label: str | None, known: str | None = None) -> Given:
    task = LabelTaskId(f"{sample}-{by}")
    purpose: Purpose = "train" if known is None else "gold"
    when = at(ord(by[0]))
    return Given(task, SampleId(sample), "r", purpose, label, by, when, None, known)


BOXES = encode(BoxesLabel((Box("a", 0, 0, 10, 10),)))
SHIFTED = encode(BoxesLabel((Box("a", 1, 0, 11, 10),)))
ANSWERS = (
    _said("1", "ann", "cat"), _said("1", "bob", "cat"),
    _said("2", "ann", "dog"), _said("2", "bob", "cat"),
    _said("3", "ann", "dog"), _said("3", "bob", "dog"),
    _said("4", "ann", "cat"),
    _said("5", "bob", None),
    _said("6", "ann", "cat", known="cat"), _said("6", "bob", "dog", known="cat"),
)  # fmt: skip


def test_only_different_answers_to_one_sample_of_one_round_are_a_dispute() -> None:
    (found,) = disputes(ANSWERS, 0.5)
    assert found.sample == "2"
    assert [(given.by, given.label) for given in found.answers] == [("ann", "dog"), ("bob", "cat")]


def _sums(answers: Sequence[Given]) -> Part:
    said = [Said(g.sample, g.by, g.label, g.known) for g in answers]
    return part_of(sorted(said, key=lambda each: each.sample), 0.5)


def test_people_are_scored_by_what_is_known_and_compared_by_what_they_share() -> None:
    decided = [Adjudicated("ann", "dog", None, "dog"), Adjudicated("bob", "cat", None, "dog")]
    found = judge([_sums(ANSWERS)], decided, 0.5)
    assert (found.answers, found.overlapped, found.disputed) == (9, 3, 1)
    assert (found.gold_asked, found.gold_right) == (2, 1)
    bob, ann = found.people
    assert (bob.name, bob.right, bob.checked, bob.skipped) == ("bob", 0, 2, 1)
    assert (ann.name, ann.right, ann.checked, ann.agreed, ann.shared) == ("ann", 2, 2, 2, 3)
    assert bob.interval[0] == pytest.approx(0) and bob.interval[1] < 0.7
    (pair,) = found.pairs
    assert (pair.samples, pair.agreed) == (3, 2)
    assert pair.kappa == pytest.approx(0.4) and found.fleiss == pytest.approx(1 / 3)
    assert found.raters == 2
    assert found.as_json()["people"]


def test_the_sums_of_rounds_say_what_all_answers_say() -> None:
    draw, labels = random.Random(5), ("cat", "dog", BOXES, SHIFTED)
    answers = [
        _said(f"{n}", by, draw.choice(labels), "cat" if n % 7 == 0 else None)
        for n in range(200)
        for by in draw.sample(("ann", "bob", "cleo", "dan"), draw.randint(1, 4))
    ]
    rounds = [[g for g in answers if int(g.sample) % 4 == part] for part in range(4)]
    assert _told(map(_sums, rounds)) == _told([_sums(answers)])


def _told(parts: Iterable[Part]) -> Json:
    """What is said of answers, in whatever order they were added up."""
    text = json.dumps(judge(parts, (), 0.5).as_json())
    told: Json = json.loads(text, parse_float=lambda figure: round(float(figure), 9))
    return told


def test_kappas_and_disputes_are_those_of_the_plain_answers() -> None:
    draw = random.Random(6)
    answers = [_said(f"{n}", by, draw.choice("abc")) for n in range(60) for by in ("ann", "bob")]
    found = judge([_sums(answers)], (), 0.5)
    ann, bob = ([g.label or "" for g in answers if g.by == name] for name in ("ann", "bob"))
    assert found.pairs[0].kappa == pytest.approx(cohen_kappa(ann, bob))
    assert found.fleiss == pytest.approx(fleiss_kappa(list(zip(ann, bob, strict=True))))
    assert found.disputed == len(disputes(answers, 0.5)) == sum(map(ne, ann, bob))
    assert found.likeness == pytest.approx(sum(map(eq, ann, bob)) / 60)


def test_what_was_adjudicated_outranks_what_a_gold_question_knew() -> None:
    gold = _sums([_said("1", "ann", "cat", known="cat"), _said("1", "bob", "dog", known="cat")])
    wrong = [Adjudicated("ann", "cat", "cat", "dog"), Adjudicated("bob", "dog", "cat", "dog")]
    found = judge([gold], wrong, 0.5)
    assert (found.gold_asked, found.gold_right) == (2, 1)
    assert [(one.name, one.right, one.checked) for one in found.people] == [
        ("ann", 0, 1),
        ("bob", 1, 1),
    ]


def test_nothing_answered_says_nothing() -> None:
    found = judge((), (), 0.5)
    assert found.as_json()["fleiss_kappa"] is None and not found.people


def _plan(count: int, purpose: str = "train") -> list[Row]:
    return [{"sample": str(n), "purpose": purpose, "suggestion": "cat"} for n in range(count)]


def _samples(rows: Sequence[Row]) -> list[Json]:
    return [row["sample"] for row in rows if not row.get("copy")]


def test_a_share_of_a_round_is_looked_at_by_several() -> None:
    found = with_second_looks(_plan(100), people=3, share=0.2, seed=1)
    assert len(found) == 140 and _samples(found) == [str(n) for n in range(100)]
    looks = Counter(str(row["sample"]) for row in found)
    assert sorted(Counter(looks.values()).items()) == [(1, 80), (3, 20)]
    assert found == with_second_looks(_plan(100), people=3, share=0.2, seed=1)
    assert with_second_looks(_plan(100), people=1, share=0.2, seed=1) == _plan(100)


def test_an_audits_samples_are_looked_at_once() -> None:
    assert with_second_looks(_plan(40, "audit"), people=2, share=1.0, seed=1) == _plan(40, "audit")


def test_gold_questions_lie_among_the_others() -> None:
    known: list[Row] = [{"sample": f"g{n}", "purpose": "gold", "known": "dog"} for n in range(50)]
    found = with_known(_plan(90), known, share=0.1, seed=3)
    places = [n for n, row in enumerate(found) if row["purpose"] == "gold"]
    assert len(places) == 10 and places[0] < 40 and places[-1] > 50
    assert len(with_known(_plan(90), known[:4], share=0.1, seed=3)) == 94
