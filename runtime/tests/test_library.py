"""The library: a place, bytes or pixels, one answer."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.colours import PICTURES, TASK, make_colour_bundle
from tests.support.pictures import png

from everloop_runtime.admission import Admission
from everloop_runtime.errors import Refused
from everloop_runtime.images import ImageLimits, ImageSpec, pixels_to_array, to_array
from everloop_runtime.library import Predictor


@pytest.mark.parametrize("shape", [(9, 12), (9, 12, 1), (9, 12, 3), (9, 12, 4), (8, 8, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_prepared_as_a_lossless_file_of_them(
    shape: tuple[int, ...], channels: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    spec = ImageSpec(8, 8, channels)
    image = Image.fromarray(pixels[:, :, 0] if shape[2:] == (1,) else pixels)
    assert np.array_equal(pixels_to_array(pixels, spec), to_array(png(image), spec))


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((8, 8), np.float32),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((0, 8), np.uint8),
        np.zeros((100, 100), np.uint8),
    ],
)
def test_pixels_of_another_kind_or_too_many_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(Refused, match=r"wanted|at most 64"):
        pixels_to_array(wrong, ImageSpec(8, 8, 1), ImageLimits(max_pixels=64))


def test_a_place_bytes_and_pixels_give_one_answer(tmp_path: Path) -> None:
    folder = tmp_path / make_colour_bundle(tmp_path)
    predictor = Predictor(folder, admission=Admission(trial=None, limits=ImageLimits(5000, 5000)))
    (tmp_path / "picture").write_bytes(PICTURES[0])
    pixels = np.asarray(Image.open(io.BytesIO(PICTURES[0])))
    place = tmp_path / "picture"
    answers = {predictor.predict(p) for p in (str(place), place, PICTURES[0])}
    assert answers == {predictor.predict(pixels)} and predictor.classes == TASK.classes
    place.write_bytes(PICTURES[0] + b"\0" * 6000)
    with pytest.raises(Refused, match="at most 5000"):
        predictor.predict(place)
    with pytest.raises(Refused, match="cannot be read"):
        predictor.predict(tmp_path / "gone")
