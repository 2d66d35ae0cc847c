"""COCO: `images/`, and one `annotations/instances_<side>.json` a side."""

import json
import shutil
from pathlib import Path
from typing import IO

from everloop.data.export.outgoing import Outgoing, Shape
from everloop.labels import BoxesLabel, names_in


class CocoExport:
    """Boxes, or categories without boxes for tasks that have none."""

    name = "coco"
    read_as = "coco"

    def why_not(self, shape: Shape) -> str | None:
        """Why it cannot hold such samples; None when it can."""
        return None if shape.modality == "image" and shape.classes else "holds pictures of classes"

    def writer(self, folder: Path, shape: Shape) -> "_Writer":
        """Begin to write into an empty folder."""
        return _Writer(folder, shape)


class _Writer:
    """Images and annotations go to two files a side, put together at the end."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self._folder = folder
        self._categories = {name: number for number, name in enumerate(shape.classes, start=1)}
        self._parts: dict[tuple[str, str], IO[str]] = {}
        self._images = 0
        self._annotations = 0
        (folder / "annotations").mkdir()

    def add(self, sample: Outgoing) -> None:
        place = self._folder / "images" / sample.side
        place.mkdir(parents=True, exist_ok=True)
        (place / sample.file).write_bytes(sample.data)
        self._images += 1
        image = {
            "id": self._images,
            "file_name": f"{sample.side}/{sample.file}",
            "width": sample.width,
            "height": sample.height,
            "original_name": sample.name,
        }
        self._put(sample.side, "images", image)
        for category, box in _stated(sample):
            self._annotations += 1
            row: dict[str, object] = {
                "id": self._annotations,
                "image_id": self._images,
                "category_id": self._categories[category],
            }
            if box is not None:
                row |= {"bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            self._put(sample.side, "annotations", row)

    def _put(self, side: str, what: str, row: dict[str, object]) -> None:
        part = self._parts.get((side, what))
        if part is None:
            part = self._parts[side, what] = self._part(side, what).open("w", encoding="utf-8")
        else:
            part.write(",\n")
        part.write(json.dumps(row))

    def _part(self, side: str, what: str) -> Path:
        return self._folder / "annotations" / f".{side}.{what}"

    def end(self) -> None:
        for part in self._parts.values():
            part.close()
        categories = [{"id": n, "name": name} for name, n in self._categories.items()]
        for side in sorted({side for side, _ in self._parts}):
            path = self._folder / "annotations" / f"instances_{side}.json"
            with path.open("w", encoding="utf-8") as file:
                file.write(f'{{"categories": {json.dumps(categories)}')
                for what in ("images", "annotations"):
                    file.write(f',\n"{what}": [\n')
                    if (side, what) in self._parts:
                        with self._part(side, what).open(encoding="utf-8") as part:
                            shutil.copyfileobj(part, file)
                        self._part(side, what).unlink()
                    file.write("\n]")
                file.write("}\n")


def _stated(sample: Outgoing) -> list[tuple[str, list[float] | None]]:
    if isinstance(sample.label, BoxesLabel):
        return [
            (b.label, [b.left, b.top, b.right - b.left, b.bottom - b.top])
            for b in sample.label.boxes
        ]
    return [(name, None) for name in names_in(sample.label)]
