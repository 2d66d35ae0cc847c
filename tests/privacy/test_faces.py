"""The filter `faces` finds a real face, upright, turned, small and large, and no cat."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from everloop.policy import PrivacyPolicy
from everloop.privacy.faces import FaceDetector
from everloop.privacy.region import Detector, Region
from everloop.testing.detector import DetectorContract


def _beside(package: str, path: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package}, which carries the picture, is not installed")
    return Path(spec.origin).parent / path


def _portrait() -> Image.Image:
    """A portrait (Grace Hopper) that travels with matplotlib, 512 x 600."""
    path = _beside("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")
    return Image.open(path).convert("RGB")


_FACE = Region("face", 195, 135, 135, 185, 1.0)


class TestFaceDetector(DetectorContract):
    def detector(self, policy: PrivacyPolicy) -> Detector:
        return FaceDetector(policy)

    def picture(self) -> tuple[NDArray[np.uint8], Region]:
        return np.array(_portrait()), _FACE


@pytest.mark.parametrize("share", [0.08, 0.25, 1.0, 3.5])
def test_a_face_is_found_at_any_size(share: float) -> None:
    portrait = _portrait()
    size = round(portrait.width * share), round(portrait.height * share)
    canvas = Image.new("RGB", (max(size[0], 640), max(size[1], 480)), (90, 120, 90))
    canvas.paste(portrait.resize(size), (0, 0))
    found = FaceDetector(PrivacyPolicy()).detect(np.array(canvas))
    centre = 262 * share, 228 * share
    assert any(
        r.left < centre[0] < r.left + r.width and r.top < centre[1] < r.top + r.height
        for r in found
    )


@pytest.mark.parametrize("degrees", [-25, 25])
def test_a_face_that_leans_is_found(degrees: int) -> None:
    leaning = _portrait().rotate(degrees, expand=True, fillcolor="white")
    assert FaceDetector(PrivacyPolicy()).detect(np.array(leaning))


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_a_picture_without_people_stays_as_it_is(name: str) -> None:
    picture = np.array(Image.open(_beside("sklearn", f"datasets/images/{name}")).convert("RGB"))
    assert list(FaceDetector(PrivacyPolicy()).detect(picture)) == []
