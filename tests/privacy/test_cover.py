"""What is covered cannot be read back: not by looking, not by calculating."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.privacy.cover import cover
from everloop.privacy.region import Cover, Region


def _noise(seed: int, height: int = 80, width: int = 120) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def _region(how: Cover, left: int, top: int, width: int, height: int) -> Region:
    return Region("x", left, top, width, height, 1.0, how)


def test_black_is_black_and_the_rest_is_as_it_was() -> None:
    pixels = _noise(1)
    covered = cover(pixels, [_region("black", 10, 20, 30, 40)])
    assert (covered[20:60, 10:40] == 0).all()
    covered[20:60, 10:40] = pixels[20:60, 10:40]
    assert (covered == pixels).all()


def test_a_blur_depends_on_nothing_but_a_few_averages() -> None:
    """Two faces that differ in every pixel and agree in 5 x 5 averages look the same."""
    pixels = _noise(2, 100, 100)
    other = pixels.reshape(5, 20, 5, 20, 3).copy()
    flipped = other[:, ::-1, :, ::-1].reshape(100, 100, 3)
    assert (flipped != pixels).mean() > 0.9
    region = [_region("blur", 0, 0, 100, 100)]
    first, second = cover(pixels, region).astype(int), cover(flipped, region).astype(int)
    assert abs(first - second).max() <= 1


def test_text_under_a_face_is_not_averaged_out_of_its_cover() -> None:
    pixels = np.full((50, 50, 3), 255, np.uint8)
    regions = [_region("black", 0, 20, 50, 10), _region("blur", 0, 0, 50, 50)]
    assert (cover(pixels, regions)[20:30] == 0).all()


@settings(max_examples=60, deadline=None)
@given(
    box=st.tuples(*[st.integers(-200, 300)] * 2, *[st.integers(0, 400)] * 2),
    how=st.sampled_from(["blur", "black"]),
)
def test_any_region_is_taken_as_far_as_it_lies_in_the_picture(
    box: tuple[int, int, int, int], how: Cover
) -> None:
    pixels = _noise(3)
    covered = cover(pixels, [_region(how, *box)])
    assert covered.shape == pixels.shape and covered.dtype == np.uint8
