"""Detectors and moderators of others, found by their entry points."""

import io
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.support.pictures import png
from tests.support.plugins import RedDetector

from everloop.ids import SampleId
from everloop.policy import PrivacyPolicy
from everloop.privacy import plugins
from everloop.privacy.region import Detector, Region
from everloop.privacy.render import make_renderer
from everloop.privacy.rules import rules_in_force
from everloop.testing.detector import DetectorContract
from everloop_runtime.images import ImageLimits

_INSTALLED = {
    plugins.DETECTORS: EntryPoint("red", "tests.support.plugins:RedDetector", plugins.DETECTORS),
    plugins.MODERATORS: EntryPoint("no-red", "tests.support.plugins:no_red", plugins.MODERATORS),
}


def _picture() -> Image.Image:
    picture = Image.new("RGB", (60, 40), "white")
    picture.paste((230, 10, 10), (10, 10, 20, 30))
    return picture


class TestRedDetector(DetectorContract):
    def detector(self, policy: PrivacyPolicy) -> Detector:
        return RedDetector(policy)

    def picture(self) -> tuple[NDArray[np.uint8], Region]:
        return np.array(_picture()), Region("red", 10, 10, 10, 20, 1.0)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a distribution with both were installed."""
    monkeypatch.setattr(plugins, "entry_points", lambda group: [_INSTALLED[group]])


def _policy(**more: object) -> PrivacyPolicy:
    return PrivacyPolicy.model_validate({"filters": ["metadata", "red"], **more})


def test_a_detector_of_others_covers_and_is_part_of_the_version(tmp_path: Path) -> None:
    made = make_renderer(_policy(), ImageLimits())(SampleId("5" * 64), png(_picture()))
    assert made.held is None and [r.kind for r in made.regions] == ["red"]
    pixels = np.asarray(Image.open(io.BytesIO(made.data)).convert("RGB"))
    assert (pixels[10:30, 10:20] == 0).all() and (pixels[:10] == 255).all()
    deaf = _policy(options={"red": {"least": 250}})
    versions = {rules_in_force(p, tmp_path, None).version for p in (_policy(), deaf)}
    assert len(versions) == 2 and None not in versions


def test_a_moderator_of_others_holds_back_with_its_reason(tmp_path: Path) -> None:
    policy = _policy(moderators=["no-red"])
    made = make_renderer(policy, ImageLimits())(SampleId("5" * 64), png(_picture()))
    assert made.held == "red" and made.data, "a person may still release it"
    assert rules_in_force(policy, tmp_path, None).version is not None
