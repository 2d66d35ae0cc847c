"""Captured answers looked through, and what a model saw alike."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.support.captures import answer
from tests.support.clock import at
from tests.support.pictures import noise

from everloop.data import browsing
from everloop.data.browsing import Given, Region, Wanted, browse, seen_alike
from everloop.data.predictions import Predictions
from everloop.data.store import DataStore
from everloop.ids import BundleId
from everloop_runtime.ids import sample_id

ONE, TWO = BundleId("a" * 64), BundleId("b" * 64)
PICTURES = [noise(seed, 8) for seed in range(30)]


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> Predictions:
    """Thirty answers of two models by turns, every fifth a failure, every seventh a shadow's."""
    store = DataStore(tmp_path_factory.mktemp("browsing") / "data")
    records = [
        answer(
            number,
            image,
            TWO if number % 2 else ONE,
            label="cat" if number % 3 else "dog",
            confidence=number / 30,
            status="failed" if number % 5 == 0 else "ok",
            role="shadow" if number % 7 == 0 else "champion",
            embedding=(1.0, number / 30),
            key="south" if number % 4 == 1 else "north",
        )
        for number, image in enumerate(PICTURES)
    ]
    store.predictions.append(records[:20], "first")
    store.predictions.append(records[20:], "second")
    return store.predictions


def _region(bundle: BundleId, wide: int = 2) -> Region:
    """Where answers 9 to 18 lie, on a map of the embeddings as they are."""
    return Region(bundle, 0.5, 0.29, 1.5, 0.61, wide, lambda seen: seen)


GIVEN = [number for number in range(29, -1, -1) if number % 5 and number % 7]


def _numbers(answers: Sequence[Given]) -> list[int]:
    return [int(given.id[1:]) for given in answers]


@pytest.mark.parametrize("rows_at_once", [1, 4, 50_000])
def test_pages_follow_each_other_without_a_gap(
    predictions: Predictions, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr(browsing, "_AT_ONCE", rows_at_once)
    seen, before, pages = list[Given](), None, 0
    while True:
        page = browse(predictions, Wanted(), 5, before)
        seen += page.answers
        pages += 1
        if page.before is None:
            break
        before = page.before
    assert _numbers(seen) == GIVEN
    assert pages == -(-len(GIVEN) // 5) + (len(GIVEN) % 5 == 0)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Wanted(label="dog"), lambda n: n % 3 == 0),
        (Wanted(bundle=ONE[:8]), lambda n: n % 2 == 0),
        (Wanted(surest=0.5), lambda n: n <= 15),
        (Wanted(since=at(10), until=at(20)), lambda n: 10 <= n < 20),
        (Wanted("cat", TWO, 0.9), lambda n: n % 3 != 0 and n % 2 == 1 and n <= 27),
        (Wanted(key="south"), lambda n: n % 4 == 1),
        (Wanted("dog", key="south"), lambda n: n % 12 == 9),
        (Wanted(label="' OR 1 = 1"), lambda _: False),
        (Wanted(region=_region(ONE)), lambda n: n % 2 == 0 and 9 <= n <= 18),
        (Wanted("dog", region=_region(TWO)), lambda n: n % 6 == 3 and 9 <= n <= 18),
        (Wanted(region=_region(ONE, wide=3)), lambda _: False),
    ],
)
def test_answers_are_told_apart_by_what_is_known_of_them(
    predictions: Predictions, wanted: Wanted, fits: Callable[[int], bool]
) -> None:
    found = browse(predictions, wanted, 50)
    assert _numbers(found.answers) == [n for n in GIVEN if fits(n)]
    assert found.before is None


def test_a_page_that_passes_too_many_rows_goes_on_in_the_next(
    predictions: Predictions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "_PASSED", 10)
    first = browse(predictions, Wanted(surest=0.11), 5)
    assert (first.answers, first.before) == ([], 20)
    third = browse(predictions, Wanted(surest=0.11), 5, 10)
    assert (_numbers(third.answers), third.before) == ([3, 2, 1], None)


def test_what_a_model_saw_alike_is_found_nearest_first(predictions: Predictions) -> None:
    found = seen_alike(predictions, ONE, sample_id(PICTURES[12]), 3)
    places = {sample_id(picture): place for place, picture in enumerate(PICTURES)}
    assert [places[sample] for sample, _ in found] == [14, 16, 8]
    assert found[0][1] > found[1][1] > found[2][1] > 0.98
    assert seen_alike(predictions, TWO, sample_id(PICTURES[12]), 3) == [], "it never saw it"


def test_what_was_seen_long_ago_is_compared_with_the_newest_alone(
    predictions: Predictions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "_NEAR", 4)
    found = seen_alike(predictions, ONE, sample_id(PICTURES[2]), 3)
    assert [sample for sample, _ in found] == [sample_id(PICTURES[26]), sample_id(PICTURES[28])]
    monkeypatch.setattr(browsing, "_NEAR", 1)
    assert seen_alike(predictions, ONE, sample_id(PICTURES[2]), 3) == []


def test_where_nothing_was_captured_nothing_is_found(tmp_path: Path) -> None:
    empty = DataStore(tmp_path / "data").predictions
    assert browse(empty, Wanted(), 5) == browsing.GivenPage([], None)
    assert seen_alike(empty, ONE, sample_id(PICTURES[0]), 3) == []
