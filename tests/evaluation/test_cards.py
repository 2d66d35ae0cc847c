"""A card tells what there is, and what came from outside stays text."""

import io
import re

import numpy as np
from PIL import Image
from tests.support.clock import START

from everloop.evaluation.cards.blocks import Grid
from everloop.evaluation.cards.compose import compose, matrix
from everloop.evaluation.cards.markdown import markdown, plain
from everloop.evaluation.cards.page import page
from everloop.evaluation.cards.told import Beside, Signed, Told
from everloop.evaluation.comparison import Difference
from everloop.evaluation.discovery import Discovery, WeakPart
from everloop.evaluation.evaluate import Evaluation
from everloop.evaluation.explain import Importance
from everloop.evaluation.mistakes import Taken
from everloop.evaluation.pictures import with_boxes, with_map
from everloop.evaluation.reliability import Bin
from everloop.evaluation.report import Example, Report
from everloop.evaluation.robustness.suite import Corrupted, Robustness
from everloop.ids import BundleId, SampleId, SnapshotId
from everloop.labels import Box, BoxesLabel, encode
from everloop.policy import CardPolicy
from everloop_runtime.answers.boxes import Boxes
from everloop_runtime.bundle import BundleDraft, InputSpec

EVIL = "<img src=x onerror=alert(1)>\n# \"'|`*&"
SAMPLE = SampleId("5" * 64)


def _told(**more: object) -> Told:
    draft = BundleDraft(
        product="bars", task={}, input=InputSpec(height=8, width=8, channels=1),
        classes=("lying", EVIL), lineage={"run": "r", "snapshot": "s", "params": {"a": EVIL}},
    )  # fmt: skip
    evaluation = Evaluation(
        BundleId("b" * 64), SnapshotId("s"), ("lying", EVIL), (SAMPLE, SampleId("6" * 64)),
        (EVIL, "lying"), (EVIL, "x"), np.zeros((2, 2), np.float32),
        {"accuracy": 0.5, "odd": float("nan")}, "accuracy", np.array([0.0, 1.0]),
        ((f"camera={EVIL}",), ("camera=b",)), {"accuracy": (0.25, 0.75)},
    )  # fmt: skip
    report = Report(
        "e", {"latency_p95_ms": 1.5, "bundle_mib": 0.25},
        Discovery(40, 5, (WeakPart(f"camera={EVIL}", 20, 0.5, 0.9, 0.01),)),
        (Bin(0.8, 0.9, 7, 0.85, 0.8),), (Taken(EVIL, "lying", 3), Taken("lying", "lying", 4)),
        (Example(SAMPLE, EVIL, "lying", 0.9, 0.0, "p.jpg", EVIL),),
        Robustness(16, 0.9, (Corrupted("blur", 1, 0.8), Corrupted("blur", 5, 0.4))),
        (Importance(EVIL, 0.3, 0.01), Importance("needless", -0.001, 0.01)), "v", (EVIL,),
    )  # fmt: skip
    said = CardPolicy(intended_use=EVIL, out_of_scope=EVIL, limits=(EVIL,), contact=EVIL)
    beside = Beside("c" * 64, "McNemar's exact test", 0.3,
                    {"accuracy": Difference(0.5, 0.6, -0.2, 0.1, 0.3)})  # fmt: skip
    signed = (Signed(EVIL, "yes", EVIL, EVIL, START), Signed("Open?", None))
    picture = {SAMPLE: with_map(_picture(), np.ones((2, 2)))}
    whole = {"report": report, "beside": beside, "checklist": signed, "verdict": (EVIL,),
             "decision": EVIL, "pictures": picture, "data": {"train": 9, "holdout": 2}}  # fmt: skip
    return Told("b" * 64, draft, evaluation, said, **{**whole, **more})  # type: ignore[arg-type]


def _picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 20), (10, 200, 30)).save(out, "PNG")
    return out.getvalue()


def test_nothing_from_outside_becomes_mark_up() -> None:
    card = compose(_told())
    text = page(card)
    assert "<img src=x" not in text and "onerror=alert(1)&gt;" in text
    tags = set(re.findall(r"<(\w+)", text))
    assert tags <= {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "ul", "li",
                    "table", "tr", "td", "th", "div", "br", "img", "svg", "rect", "line", "text",
                    "circle"} | {"doctype"}  # fmt: skip
    assert set(re.findall(r' src="([^"]{10})', text)) == {"data:image"}, "nothing is fetched"
    assert "default-src 'none'" in text
    told = markdown(card)
    assert "<img" not in told and '\n# "' not in told
    assert told.count("\n# ") == 0 and told.startswith("# bars, bundle bbbbbbbbbbbb")


def test_markdown_keeps_names_and_drops_mark_up() -> None:
    assert plain("expected_calibration_error 0.5") == "expected_calibration_error 0.5"
    assert plain("_a_ [x](y)") == "\\_a\\_ \\[x\\](y)"
    assert plain("a\u202eb\x00c") == "a\ufffdb\ufffdc"


def test_a_card_tells_of_each_part() -> None:
    text = markdown(compose(_told()))
    for words in (
        "Intended use", "| accuracy | 0.5000 | 0.2500 to 0.7500 |", "| odd | - | - |",
        "| accuracy | 0.5000 | 0.6000 | -0.2000 to +0.1000 | not told apart |",
        "Found by itself among 40 parts", "| blur | 0.800 | 0.400 |", "| latency_p95_ms | 1.5 |",
        "not answered", "Open?", "2026", "labelled samples to learn from: 9", "| needless |",
        "its picture is in the HTML card", "not calibrated",
    ):  # fmt: skip
        assert words in text, words


def test_a_card_of_before_there_were_reports_is_written_too() -> None:
    text = markdown(compose(_told(report=None, beside=None, pictures={}, checklist=())))
    assert "There was no champion" in text and "Under damage" not in text
    assert "Speed and size" not in text
    assert page(compose(_told(report=None))).endswith("</body></html>\n")


def test_the_matrix_is_coloured_by_the_share_of_each_truth() -> None:
    grid = matrix([Taken("a", "a", 3), Taken("a", "b", 1), Taken("b", "b", 2)], ["a", "b"])
    assert grid == Grid(
        ("truth \\ answer", "a", "b"),
        (("a", "3", "1"), ("b", "0", "2")),
        ((None, 0.75, 0.25), (None, 0.0, 1.0)),
    )


def test_boxes_and_maps_are_drawn_on_the_rendition() -> None:
    truth = encode(BoxesLabel((Box("a", 0.1, 0.1, 0.5, 0.5),)))
    answer = np.array([[0.4, 0.4, 0.9, 0.9, 0.8, 0], [0, 0, 1, 1, 0.01, 0]], np.float32)
    drawn = with_boxes(_picture(), truth, answer, Boxes(("a",)))
    with Image.open(io.BytesIO(drawn)) as image:
        assert image.format == "JPEG" and image.size == (224, 112)
        pixels = np.asarray(image.convert("RGB")).astype(int)
    # JPEG halves the resolution of colours: a thin red line on green is brown.
    red = pixels[..., 0] > 90
    assert red.any() and not red[:10].any(), "a box that is not shown is not drawn"
    with Image.open(io.BytesIO(with_map(_picture(), np.ones((3, 3))))) as both:
        assert both.size == (448, 112)
