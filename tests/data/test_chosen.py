"""Labelled samples chosen: the catalogue's SQL and the same question of one sample agree."""

from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from tests.support.pictures import noise

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.catalogue import questions
from everloop.data.catalogue.chosen import Chosen
from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.ids import SampleId
from everloop.labels import Box, BoxesLabel, ClassesLabel, ClassLabel, encode

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUOTES = 'say "cheese"\n'
LABELS = [
    encode(label)
    for label in (
        ClassLabel("cat"), ClassLabel("{cat"), ClassLabel("cats"), ClassesLabel(("cat", "dog")),
        ClassesLabel(("cats",)), BoxesLabel((Box("cat", 0, 0, 1, 1),)), BoxesLabel(()),
        ClassLabel(QUOTES), ClassesLabel((QUOTES,)), ClassLabel("' OR 1=1 --"),
    )
]  # fmt: skip


def _filled(folder: Path) -> DataStore:
    store = DataStore(folder)
    new = [
        NewSample(noise(n, 4), f"{n}.png", f"origin {n % 2}", "test", "PNG", 4, 4)
        for n in range(2 * len(LABELS))
    ]
    samples = store.samples.add(new, NOW, split=SplitRule(0.5))
    store.annotations.append(
        [
            Annotation(
                annotation_id(s, LABELS[n % len(LABELS)], f"person {n % 3}", "x"), s,
                LABELS[n % len(LABELS)], f"person {n % 3}", "import", None,
                NOW + timedelta(hours=n), "x",
            )
            for n, s in enumerate(samples)
        ]
    )  # fmt: skip
    return store


def test_what_is_chosen_fits_and_nothing_else_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _filled(tmp_path)
    every, end = store.catalogue.chosen(Chosen(), 0, 100)
    ids = [sample for _, sample in every]
    assert end is None and len(ids) == 2 * len(LABELS)
    standing, places = store.annotations.standing(ids), store.samples.places(ids)
    labels = ("", "cat", "dog", QUOTES, "' OR 1=1 --", "{cat", "%")
    sides, moments = ("", "holdout"), (None, NOW + timedelta(hours=9))
    for label, side, origin, by, since, until in product(
        labels, sides, ("", "origin 1"), ("", "person 2"), moments, moments
    ):
        chosen = Chosen(label, side, origin, by, since, until)
        told = {s: (standing[s], places[s]) for s in ids}
        wanted = [
            s for s, (said, place) in told.items()
            if chosen.fits(said.label, place.side, place.origin, said.by, said.at)
        ]  # fmt: skip
        assert [s for _, s in store.catalogue.chosen(chosen, 0, 100)[0]] == wanted, chosen
    assert len(store.catalogue.chosen(Chosen("cat"), 0, 100)[0]) == 6
    # A page looks through a part; pages together show each once.
    monkeypatch.setattr(questions, "_PASSED", 3)
    found = list[tuple[int, SampleId]]()
    after: int | None = 0
    while after is not None:
        part, after = store.catalogue.chosen(Chosen("cat"), after, 2)
        found += part
    assert len(found) == 6 and found == sorted(found)
