"""Near duplicates: copies of photographs are found, look-alikes are not."""

import io
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from tests.support.pictures import bar
from tests.support.shared import SHARED, needs_shared

from everloop.data.checks import duplicates
from everloop.data.checks.duplicates import Pair, clusters
from everloop.data.checks.neighbours import NEAREST, nearest
from everloop.data.figures import signatures, thumbnail


def _small(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(thumbnail(image.convert("L")))


def near_duplicates(small: NDArray[np.uint8]) -> Sequence[Pair]:
    return duplicates.near_duplicates(signatures(small), small.__getitem__, _large)


def _large(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.zeros(len(rows), bool)


def _tiny(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.ones(len(rows), bool)


def _names(folder: str, pattern: str) -> list[str]:
    return [str(p.relative_to(SHARED)) for p in sorted((SHARED / folder).rglob(pattern))]


def _found(names: list[str]) -> set[tuple[str, str]]:
    small = np.stack([_small(Image.open(SHARED / name)) for name in names])
    pairs = near_duplicates(small)
    short = [name.rpartition("/")[2].partition(".")[0] for name in names]
    return {(short[pair.first], short[pair.second]) for pair in pairs}


@needs_shared
def test_every_pair_reported_of_the_blood_cells_shows_one_field_twice() -> None:
    # The second was taken of the same cells too, moved by some 5%: looked at by eye.
    assert _found(_names("bccd", "*.jpg")) == {
        ("BloodImage_00037", "BloodImage_00038"),
        ("BloodImage_00386", "BloodImage_00391"),
    }


@needs_shared
def test_drawn_symbols_give_their_one_duplicate_and_no_false_alarm() -> None:
    assert _found(_names("math_symbols", "*.png")) == {("plus-0248", "plus-0443")}


@needs_shared
def test_photographs_of_one_kind_of_fruit_are_no_duplicates() -> None:
    # One melon in one hand, photographed twice.
    assert _found(_names("groceries", "*.jpg")) == {("Cantaloupe_016", "Cantaloupe_021")}


def test_small_scans_of_digits_give_no_false_alarm() -> None:
    from sklearn.datasets import load_digits

    scans = (load_digits().images * 15.9).astype(np.uint8)
    assert near_duplicates(np.stack([_small(Image.fromarray(scan)) for scan in scans])) == ()


def _encoded(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


def _cut(image: Image.Image, share: float) -> Image.Image:
    wide, high = image.size
    left, top = int(wide * share * 0.7), int(high * share * 0.3)
    return image.crop((left, top, left + int(wide * (1 - share)), top + int(high * (1 - share))))


_COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "encoded anew at quality 30": lambda image: _encoded(image, 30),
    "a third of the size": lambda image: image.resize((image.width // 3, image.height // 3)),
    "a fifth brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "cut by 5%": lambda image: _cut(image, 0.05),
    "all at once": lambda image: _encoded(
        ImageEnhance.Brightness(_cut(image, 0.04).resize((300, 300))).enhance(0.9), 60
    ),
}


@needs_shared
@pytest.mark.parametrize("kind", _COPIES)
def test_copies_of_photographs_are_found(kind: str) -> None:
    names = [*_names("groceries", "*.jpg")[::6], *_names("bccd", "*.jpg")[::6]]
    images = [Image.open(SHARED / name).convert("RGB") for name in names]
    count = len(images)
    small = np.stack([_small(i) for i in images] + [_small(_COPIES[kind](i)) for i in images])
    pairs = {(pair.first, pair.second) for pair in near_duplicates(small)}
    copies = {(row, row + count) for row in range(count)}
    assert len(copies & pairs) >= 0.99 * count
    assert len(pairs - copies) <= 2


@pytest.mark.parametrize("count", [60, 120, 250])
def test_few_drawings_give_no_false_alarm_either(count: int) -> None:
    from sklearn.datasets import load_digits

    drawings = [(scan * 15.9).astype(np.uint8) for scan in load_digits().images]
    bars = [
        np.asarray(Image.open(io.BytesIO(bar(seed % 2 == 0, seed))).convert("L"))
        for seed in range(count)
    ]
    for pictures in (drawings[:count], drawings[count : 2 * count], bars):
        small = np.stack([_small(Image.fromarray(each)) for each in pictures])
        assert duplicates.near_duplicates(signatures(small), small.__getitem__, _tiny) == ()


def test_flat_pictures_are_near_nothing() -> None:
    flat = np.full((20, 32, 32), 9, np.uint8)
    assert near_duplicates(flat) == ()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_few_pictures_are_compared_too(count: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (count, 32, 32), np.uint8)
    assert near_duplicates(noise) == ()
    twice = np.concatenate([noise, noise])
    assert len(near_duplicates(twice)) == count


def test_among_many_the_nearest_are_found_without_comparing_all() -> None:
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(300, 64))
    vectors = centres[generator.integers(0, 300, 12_000)] + generator.normal(size=(12_000, 64))
    vectors[6000:6200] = vectors[:200] + 0.1 * generator.normal(size=(200, 64))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    rows, cosines = nearest(vectors)
    assert rows.shape == cosines.shape == (12_000, NEAREST)
    assert (np.diff(cosines, axis=1) <= 0).all()
    assert (rows[:200, 0] == np.arange(6000, 6200)).mean() > 0.97
    assert all(len(set(row)) == NEAREST for row in rows[:500].tolist())
    exact = vectors[:50] @ vectors.T
    exact[np.arange(50), np.arange(50)] = -1
    told = np.take_along_axis(exact, rows[:50], axis=1)
    assert np.allclose(told, cosines[:50], atol=1e-5)


def test_brightness_and_contrast_do_not_move_a_picture() -> None:
    picture = np.random.default_rng(0).integers(50, 150, (1, 32, 32), np.uint8)
    brighter = (picture * 1.5 + 10).astype(np.uint8)
    assert signatures(picture)[0] @ signatures(brighter)[0] > 0.998


def test_new_pictures_are_compared_with_all_that_are_there() -> None:
    small = np.random.default_rng(1).integers(0, 256, (60, 32, 32), np.uint8)
    small[57], small[3] = small[20], small[9]
    new = np.arange(55, 60)
    pairs = duplicates.near_duplicates(signatures(small), small.__getitem__, _large, new)
    assert [(pair.first, pair.second) for pair in pairs] == [(20, 57)]


def test_what_hangs_together_is_one_cluster() -> None:
    pairs = [Pair(0, 3, 0.0), Pair(3, 5, 0.0), Pair(1, 2, 0.0)]
    assert sorted(clusters(pairs, 6)) == [(0, 3, 5), (1, 2)]
    assert clusters([], 6) == ()
