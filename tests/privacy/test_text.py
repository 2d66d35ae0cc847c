"""The filter `text` blacks out lines with personal data and leaves the others readable."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from everloop.policy import PrivacyPolicy
from everloop.privacy.region import Detector, Region
from everloop.privacy.text import TextDetector
from everloop.testing.detector import DetectorContract

_WHY = "the extra everloop[privacy] is not installed"
pytest.importorskip("rapidocr", reason=_WHY)
matplotlib = pytest.importorskip("matplotlib", reason="its fonts are used")
_FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def _page(*lines: str, font: str = "DejaVuSans.ttf", size: int = 22) -> Image.Image:
    page = Image.new("RGB", (560, 30 + 50 * len(lines)), "white")
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        face = ImageFont.truetype(str(_FONTS / font), size)
        draw.text((20, 15 + 50 * number), line, fill="black", font=face)
    return page


class TestTextDetector(DetectorContract):
    def detector(self, policy: PrivacyPolicy) -> Detector:
        return TextDetector(policy)

    def picture(self) -> tuple[NDArray[np.uint8], Region]:
        page = _page("Fresh milk 1.5 l", "ann.smith@example.com", "Best before Friday")
        return np.array(page), Region("text.email", 22, 70, 250, 18, 1.0)


def test_each_kind_is_found_on_its_line_and_the_others_stay() -> None:
    lines = {
        "Order of the day": None,
        "Call +49 30 901820": "text.phone",
        "Card 4111 1111 1111 1111": "text.card",
        "DE89 3704 0044 0532 0130 00": "text.iban",
        "SSN 536-90-4399": "text.national-number",
        "Total 1,234.50 EUR": None,
        "Signed: Zoe Miller": "text.name",
    }
    policy = PrivacyPolicy.model_validate({"text": {"names": ["Zoe Miller"]}})
    found = TextDetector(policy).detect(np.array(_page(*lines)))
    for number, kind in enumerate(lines.values()):
        middle = 15 + 50 * number + 13
        here = {r.kind for r in found if r.top <= middle <= r.top + r.height}
        # One number may be valid as two kinds.
        assert kind in here if kind else not here


def test_a_page_on_its_side_is_read_too() -> None:
    page = _page("write to", "ann.smith@example.com").rotate(90, expand=True)
    assert {r.kind for r in TextDetector(PrivacyPolicy()).detect(np.array(page))} == {"text.email"}
