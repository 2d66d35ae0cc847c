"""The search for weak parts finds what is planted, and little where nothing is."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from everloop.evaluation.discovery import clusters, discover, picture_attributes
from everloop.evaluation.evaluate import Evaluation
from everloop.evaluation.slices import quarters, told_apart
from everloop.ids import BundleId, SampleId, SnapshotId


def _evaluation(qualities: NDArray[np.float64]) -> Evaluation:
    count = len(qualities)
    return Evaluation(
        BundleId("b" * 64), SnapshotId("s"), ("a", "b"),
        tuple(SampleId(f"{n:064x}") for n in range(count)), ("a", "b") * (count // 2),
        ("labelled",) * count, np.zeros((count, 2), np.float32), {}, "accuracy", qualities,
    )  # fmt: skip


def _attributes(random: np.random.Generator, count: int) -> dict[str, list[str]]:
    return {
        name: [f"{name}={value}" for value in random.integers(0, 4, count)]
        for name in ("camera", "shift", "lens", "site")
    }


def test_a_weak_pair_is_found_and_measured_on_samples_that_did_not_find_it() -> None:
    random = np.random.default_rng(0)
    known = _attributes(random, 2000)
    dark = np.array([c == "camera=1" and s == "shift=2" for c, s in
                     zip(known["camera"], known["shift"], strict=True)])  # fmt: skip
    right = (random.random(2000) < np.where(dark, 0.5, 0.95)).astype(np.float64)
    found = discover(_evaluation(right), known)
    assert set(found.found[0].name.split(" and ")) == {"camera=1", "shift=2"}
    part = found.found[0]
    assert part.p < 0.001 and 0.3 < part.quality < 0.7 and part.rest > 0.9
    assert part.samples == dark[1::2].sum() and found.tried > 100
    errors = discover(_evaluation(-random.gamma(2, np.where(dark, 3.0, 1.0))), known)
    assert set(errors.found[0].name.split(" and ")) == {"camera=1", "shift=2"}


def test_where_nothing_is_weak_little_is_found() -> None:
    found = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        right = (random.random(400) < 0.9).astype(np.float64)
        found += bool(discover(_evaluation(right), _attributes(random, 400)).found)
    # At 5% three are expected; nine is three and a half standard deviations more.
    assert found <= 9


def test_few_samples_and_no_numbers_are_not_searched() -> None:
    assert discover(_evaluation(np.ones(20)), {}).tried == 0
    assert discover(_evaluation(np.full(200, np.nan)), {}).tried == 0


def test_what_is_known_of_samples_makes_slices_when_it_is_shared() -> None:
    known = [
        {"camera": "ab"[n % 2], "id": str(n), "format": "png", "class": "xy"[n % 2]}
        for n in range(40)
    ]
    assert told_apart(known)[:2] == [("camera=a",), ("camera=b",)]
    parts = replace(
        _evaluation((np.arange(40) % 2).astype(np.float64)), groups=tuple(told_apart(known))
    )
    assert [(s.name, s.quality) for s in parts.slices()][:2] == [
        ("camera=a", 0.0),
        ("class=a", 0.0),
    ]


def test_pictures_are_told_apart_by_light_and_look() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 60, (200, 6, 6, 1), np.uint8)
    pixels[100:] += 150
    told = picture_attributes(pixels)
    assert set(told) == {"brightness", "contrast", "sharpness"}
    assert not set(told["brightness"][:100]) & set(told["brightness"][100:])
    both = np.where(np.arange(200)[:, None] < 100, (1.0, 0.0), (0.0, 1.0)).astype(np.float32)
    alike = clusters(both + random.normal(0, 0.01, both.shape).astype(np.float32))["alike"]
    assert not set(alike[:100]) & set(alike[100:])


def test_quarters_of_few_different_figures_are_fewer() -> None:
    assert set(quarters("n", [1, 1, 1, 1, 5])) <= {"n=..1", "n=1.."}
    assert quarters("n", [float("nan"), 1.0])[0] == "n=missing"
