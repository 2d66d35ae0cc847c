"""YOLO as Ultralytics reads it: `data.yaml`, `images/<side>/`, `labels/<side>/`."""

from pathlib import Path

from everloop.data.export.outgoing import Outgoing, Shape
from everloop.labels import Box, BoxesLabel


class YoloExport:
    """Boxes in shares of the picture's sides; a picture without any has an empty text."""

    name = "yolo"
    read_as = "yolo"

    def why_not(self, shape: Shape) -> str | None:
        """Why it cannot hold such samples; None when it can."""
        return None if shape.label_kind == "boxes" else "holds boxes"

    def writer(self, folder: Path, shape: Shape) -> "_Writer":
        """Begin to write into an empty folder."""
        return _Writer(folder, shape)


class _Writer:
    def __init__(self, folder: Path, shape: Shape) -> None:
        self._folder = folder
        self._classes = {name: number for number, name in enumerate(shape.classes)}
        for what in ("images", "labels"):
            for side in ("train", "holdout"):
                (folder / what / side).mkdir(parents=True)

    def add(self, sample: Outgoing) -> None:
        (self._folder / "images" / sample.side / sample.file).write_bytes(sample.data)
        boxes = sample.label.boxes if isinstance(sample.label, BoxesLabel) else ()
        lines = (
            yolo_line(self._classes[box.label], box, sample.width, sample.height) for box in boxes
        )
        text = "".join(f"{line}\n" for line in lines)
        path = self._folder / "labels" / sample.side / f"{sample.id}.txt"
        path.write_text(text, encoding="utf-8")

    def end(self) -> None:
        import yaml

        told = {
            "path": ".",
            "train": "images/train",
            "val": "images/holdout",
            "names": {number: name for name, number in self._classes.items()},
        }
        text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True)
        (self._folder / "data.yaml").write_text(text, encoding="utf-8")


def yolo_line(number: int, box: Box, width: int, height: int) -> str:
    """A box of class `number` in a picture of this size, as a line of YOLO."""
    x, y = (box.left + box.right) / 2 / width, (box.top + box.bottom) / 2 / height
    sides = (box.right - box.left) / width, (box.bottom - box.top) / height
    return f"{number} {x!r} {y!r} {sides[0]!r} {sides[1]!r}"
