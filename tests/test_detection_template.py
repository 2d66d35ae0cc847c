"""A product made from the template for object detection learns to find what it is shown."""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tests.support.projects import everloop, told

SIDE, PICTURES = 96, 90
SHAPES = ("round", "square")


def _picture(seed: int) -> tuple[Image.Image, list[tuple[str, list[int]]]]:
    """Dark shapes on grain, each in a quarter of its own, and their boxes."""
    generator = np.random.default_rng(seed)
    grain = generator.integers(130, 256, (SIDE, SIDE, 3), np.uint8)
    image, found = Image.fromarray(grain), []
    draw = ImageDraw.Draw(image)
    for quarter in generator.permutation(4)[: generator.integers(1, 4)]:
        width, height = (int(n) for n in generator.integers(16, 34, 2))
        left = SIDE // 2 * int(quarter % 2) + int(generator.integers(4, 12))
        top = SIDE // 2 * int(quarter // 2) + int(generator.integers(4, 12))
        shape = SHAPES[int(generator.integers(2))]
        paint = draw.ellipse if shape == "round" else draw.rectangle
        paint((left, top, left + width - 1, top + height - 1), fill=(40, 60, 90))
        found.append((shape, [left, top, width, height]))
    return image, found


def _coco(folder: Path) -> Path:
    """The pictures and one file of boxes."""
    (folder / "images").mkdir(parents=True)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number in range(PICTURES):
        picture, found = _picture(number)
        name = f"{number:03}.png"
        picture.save(folder / "images" / name)
        images.append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
        annotations += [
            {
                "id": len(annotations) + n,
                "image_id": number,
                "category_id": SHAPES.index(shape),
                "bbox": box,
            }
            for n, (shape, box) in enumerate(found)
        ]
    categories = [{"id": n, "name": shape} for n, shape in enumerate(SHAPES)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def test_shapes_are_found_by_a_product_of_the_template(tmp_path: Path) -> None:
    project = tmp_path / "shapes"
    assert everloop(None, "init", project, "--template", "object-detection").code == 0
    _replace(project / "product.py", '["cat", "dog"], size=(256, 320)', f"{SHAPES}, size=(96, 96)")
    _replace(project / "everloop.toml", "epochs = 60", "epochs = 16")
    _replace(project / "everloop.toml", "width = 16", "width = 8")
    taken = told(project, "data", "import", _coco(tmp_path / "made"))
    assert taken["labelled"] == PICTURES
    assert everloop(project, "train", seconds=400).code == 0
    metrics = told(project, "evaluate")["metrics"]
    assert metrics["map_50"] > 0.5
    verified = told(project, "verify")
    assert verified["passed"] is True
    assert verified["live"] == verified["evaluated"]


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
