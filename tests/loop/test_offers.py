"""What is offered to people: boxes in pixels of the picture as people see it."""

import io
from pathlib import Path

from PIL import Image
from tests.support.clock import at
from tests.support.pages import things_project

from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.labelling.overlap import Row
from everloop.labels import Box, BoxesLabel, decode
from everloop.loop.offers import in_pixels


def _lying(wide: int, high: int) -> bytes:
    """A picture that its EXIF data turn by a quarter."""
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (wide, high), 9).save(out, "JPEG", exif=exif)
    return out.getvalue()


def test_boxes_told_as_shares_are_offered_in_pixels_of_the_upright_picture(tmp_path: Path) -> None:
    project = things_project(tmp_path / "boxes", boxes=True)
    new = [
        NewSample(data, f"{n}.jpg", "test", "test", "JPEG", 0, 0)
        for n, data in enumerate((_lying(40, 20), b"no picture"))
    ]
    turned, broken = project.data.samples.add(new, at(0), split=SplitRule(0.3))
    told = '{"boxes":[["dark",0.5,0.25,1.0,0.5]]}'
    plan: list[Row] = [
        {"sample": turned, "suggestion": told, "purpose": "train"},
        {"sample": turned, "suggestion": None, "purpose": "train"},
        {"sample": broken, "suggestion": told, "purpose": "train"},
    ]
    offered = in_pixels(project, plan)
    first, *others = (row["suggestion"] for row in offered if isinstance(row, dict))
    assert decode(str(first)) == BoxesLabel((Box("dark", 10.0, 10.0, 20.0, 20.0),))
    assert others == [None, None]


def test_other_answers_are_offered_as_they_are(tmp_path: Path) -> None:
    project = things_project(tmp_path / "things")
    plan: list[Row] = [{"sample": "a" * 64, "suggestion": "dark", "purpose": "train"}]
    assert in_pixels(project, plan) == plan
