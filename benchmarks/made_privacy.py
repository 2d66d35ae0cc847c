"""Pictures made for measuring the privacy filters, with what is in them marked."""

import io
import math
import random
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from everloop.privacy.measure import Marked

NAMES = ("Ann Smith", "Juan Garcia", "Zoe Miller")
_PERSONAL = {
    "email": ["ann.smith@example.com", "j.doe@mail.example.org", "info_42@shop.example.de"],
    "phone": ["+49 30 901820", "(415) 555-2671", "020 7946 0958", "+33 1 42 68 53 00"],
    "card": ["4111 1111 1111 1111", "5500 0000 0000 0004", "6011-0009-9013-9424"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB29 NWBK 6016 1331 9268 19"],
    "national-number": ["536-90-4399", "54362315K", "44051401359", "390.533.447-05"],
    "name": list(NAMES),
}
_LEAD = {"email": "Mail: ", "phone": "Tel. ", "card": "Card ", "iban": "IBAN ",
         "national-number": "No. ", "name": "Signed: "}  # fmt: skip
_OTHER = ["Total 1,234.50 EUR", "Best before 31.12.2026", "Serve at 180 degrees", "LOT 4471 B2",
          "Organic whole milk", "Net weight 500 g", "Gate closes 12:45", "Made in Italy",
          "Please keep refrigerated", "Order 2024-0015"]  # fmt: skip
_MEASURED = 0.02
"""Of a line's ends, not counted: a box drawn around letters has air in it."""


def fonts() -> list[Path]:
    """matplotlib's DejaVu, and what Debian's font packages have put on this machine."""
    mine = _beside("matplotlib", "mpl-data/fonts/ttf")
    found = [path for path in mine.glob("DejaVu*.ttf") if "Display" not in path.name]
    found += Path("/usr/share/fonts").rglob("Liberation*.ttf")
    return sorted(found)


def backgrounds() -> list[Image.Image]:
    """Two photographs without people that travel with scikit-learn."""
    folder = _beside("sklearn", "datasets/images")
    return [Image.open(folder / name).convert("RGB") for name in ("china.jpg", "flower.jpg")]


def portraits() -> list[tuple[Image.Image, tuple[int, int, int, int]]]:
    """Portraits with their face's box: matplotlib's, and scikit-image's where it is installed."""
    hopper = _beside("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")
    found = [(Image.open(hopper).convert("RGB"), (195, 135, 135, 185))]
    if find_spec("skimage") is not None:
        folder = _beside("skimage", "data")
        found.append((Image.open(folder / "astronaut.png").convert("RGB"), (175, 65, 95, 125)))
        found.append((Image.open(folder / "camera.png").convert("RGB"), (205, 120, 55, 80)))
    return found


def crops() -> list[Image.Image]:
    """100 faces of Labeled Faces in the Wild, 25 x 25, grey, where scikit-image has them."""
    path = _beside("skimage", "data/lfw_subset.npy") if find_spec("skimage") else None
    if path is None:
        return []
    faces = np.load(path, allow_pickle=False)[:100]
    return [Image.fromarray((face * 255).astype(np.uint8)).convert("RGB") for face in faces]


def portrait_pictures(count: int) -> Iterator[tuple[bytes, list[Marked]]]:
    """Portraits at 4% to 100% of the picture's height, leaning, dark, blurred, compressed."""
    people, places = portraits(), backgrounds()
    for seed in range(count):
        chance = random.Random(seed)
        portrait, (x, y, w, h) = chance.choice(people)
        canvas = chance.choice(places).copy()
        share = math.exp(chance.uniform(math.log(0.1), 0.0)) * canvas.height / portrait.height
        size = round(portrait.width * share), round(portrait.height * share)
        lean = chance.uniform(-20, 20)
        face = portrait.resize(size).rotate(lean, fillcolor=portrait.getpixel((2, 2)))
        left = chance.randint(0, max(0, canvas.width - size[0]))
        top = chance.randint(0, max(0, canvas.height - size[1]))
        canvas.paste(face, (left, top))
        angle, half = math.radians(-lean), (size[0] / 2, size[1] / 2)
        dx, dy = (x + w / 2) * share - half[0], (y + h / 2) * share - half[1]
        middle = (
            left + half[0] + dx * math.cos(angle) - dy * math.sin(angle),
            top + half[1] + dx * math.sin(angle) + dy * math.cos(angle),
        )
        wide, high = w * share * 0.8, h * share * 0.8
        mark = Marked("face", middle[0] - wide / 2, middle[1] - high / 2, wide, high)
        yield _worn(canvas, chance), [mark]


def crop_pictures(count: int) -> Iterator[tuple[bytes, list[Marked]]]:
    """Four tight crops a picture, 32 to 110 pixels, with soft edges, on photographs."""
    faces, places = crops(), backgrounds()
    for seed in range(count if faces else 0):
        chance = random.Random(seed)
        canvas = chance.choice(places).copy()
        marks = []
        for column in range(4):
            side = chance.randint(32, 110)
            left = 20 + 150 * column + chance.randint(0, 30)
            top = chance.randint(10, canvas.height - 130)
            soft = Image.new("L", (side, side), 0)
            ImageDraw.Draw(soft).ellipse((1, 0, side - 2, side - 1), fill=255)
            face = faces[(4 * seed + column) % len(faces)]
            canvas.paste(face.resize((side, side), Image.Resampling.BICUBIC), (left, top), soft)
            inner = side * 0.6
            marks.append(Marked("face", left + side * 0.2, top + side * 0.2, inner, inner))
        yield _worn(canvas, chance), marks


def empty_pictures(count: int, pictures: list[Path]) -> Iterator[tuple[bytes, list[Marked]]]:
    """Photographs of which nobody is on: scikit-learn's, and those given."""
    for place in backgrounds():
        yield _encoded(place, 90), []
    for path in pictures[:count]:
        yield path.read_bytes(), []


def text_pictures(count: int, *, hard: bool) -> Iterator[tuple[bytes, list[Marked]]]:
    """Six lines a picture, three of them personal; 14 to 40 pixels high, in many fonts.

    Hard: on photographs and noise, leaning by up to 6 degrees, compressed.
    """
    faces, places = fonts(), backgrounds()
    for seed in range(count):
        chance = random.Random(seed)
        canvas, dark = _ground(chance, places, hard=hard)
        kinds = chance.sample(sorted(_PERSONAL), 3)
        lines: list[tuple[str | None, str]] = [
            (kind, chance.choice(["", _LEAD[kind]]) + chance.choice(_PERSONAL[kind]))
            for kind in kinds
        ]
        lines += [(None, text) for text in chance.sample(_OTHER, 3)]
        chance.shuffle(lines)
        layer = Image.new("RGBA", canvas.size)
        draw, top, boxes = ImageDraw.Draw(layer), 20, []
        ink = (chance.randint(0, 80),) * 3 if dark else (chance.randint(230, 255),) * 3
        for kind, text in lines:
            size = chance.randint(14, 40)
            font = ImageFont.truetype(str(chance.choice(faces)), size)
            left = chance.randint(15, 50)
            box = draw.textbbox((left, top), text, font=font)
            if box[2] > canvas.width - 20:
                size = int(size * (canvas.width - 40 - left) / (box[2] - left))
                font = font.font_variant(size=size)
                box = draw.textbbox((left, top), text, font=font)
            draw.text((left, top), text, font=font, fill=(*ink, 255))
            boxes.append((kind, box))
            top += round(size * 1.2) + chance.randint(12, 34)
        lean = chance.uniform(-6, 6) if hard and seed % 2 else 0.0
        layer = layer.rotate(lean, resample=Image.Resampling.BICUBIC)
        canvas.paste(layer, (0, 0), layer)
        marks = [
            mark for kind, box in boxes if kind for mark in _marks(kind, box, canvas.size, lean)
        ]
        yield _encoded(canvas, chance.randint(40, 80) if hard else 95), marks


def _ground(
    chance: random.Random, places: list[Image.Image], *, hard: bool
) -> tuple[Image.Image, bool]:
    """A background, and whether the ink on it is dark."""
    size = chance.choice([(800, 600), (640, 480), (1280, 720)])
    sort = chance.choice(["plain", "noise", "photo"]) if hard else "plain"
    if sort == "photo":
        dark = chance.random() < 0.5
        veil = Image.new("RGB", size, "white" if dark else "black")
        return Image.blend(chance.choice(places).resize(size), veil, 0.55), dark
    if sort == "noise":
        made = np.random.default_rng(chance.randrange(1000)).normal(205, 14, (*size[::-1], 3))
        return Image.fromarray(np.clip(made, 0, 255).astype(np.uint8)), True
    return Image.new("RGB", size, (chance.randint(200, 255),) * 3), True


def _marks(
    kind: str, box: tuple[float, float, float, float], size: tuple[int, int], lean: float
) -> list[Marked]:
    """The middle of a line, as one upright box; one that leans, as a row of small ones."""
    left, top, right, bottom = box
    cut = (right - left) * _MEASURED
    left, right, middle = left + cut, right - cut, (top + bottom) / 2
    high = (bottom - top) * 0.5
    if not lean:
        return [Marked(f"text.{kind}", left, middle - high / 2, right - left, high)]
    angle, (cx, cy) = math.radians(-lean), (size[0] / 2, size[1] / 2)
    ends = [
        (
            cx + (x - cx) * math.cos(angle) - (middle - cy) * math.sin(angle),
            cy + (x - cx) * math.sin(angle) + (middle - cy) * math.cos(angle),
        )
        for x in (left, right)
    ]
    (x0, y0), (x1, y1) = ends
    low, tall = min(y0, y1) - 2, abs(y1 - y0) + 4
    return [Marked(f"text.{kind}", x0, low, x1 - x0, tall)]


def _worn(picture: Image.Image, chance: random.Random) -> bytes:
    """Brighter or darker, sometimes blurred, compressed."""
    worn = ImageEnhance.Brightness(picture).enhance(chance.uniform(0.5, 1.3))
    if chance.random() < 0.25:
        worn = worn.filter(ImageFilter.GaussianBlur(chance.uniform(0.5, 1.5)))
    return _encoded(worn, chance.randint(40, 95))


def _encoded(picture: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _beside(package: str, path: str) -> Path:
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None, f"{package} is not installed"
    return Path(spec.origin).parent / path
