"""Pascal VOC: `JPEGImages/`, `Annotations/`, `ImageSets/Main/train.txt` and `val.txt`."""

import re
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from everloop.data.export.outgoing import Outgoing, Shape
from everloop.errors import Refused
from everloop.labels import BoxesLabel

_LISTS = {"train": "train", "holdout": "val"}
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


class VocExport:
    """Boxes, edges as they are."""

    name = "voc"
    read_as = "voc"

    def why_not(self, shape: Shape) -> str | None:
        """Why it cannot hold such samples; None when it can."""
        return None if shape.label_kind == "boxes" else "holds boxes"

    def writer(self, folder: Path, shape: Shape) -> "_Writer":
        """Begin to write into an empty folder. `Refused` for a class that XML cannot hold."""
        for name in shape.classes:
            if _NO_XML.search(name) or name.strip() != name:
                raise Refused(f"XML cannot hold the class {name!r}; export as coco or parquet")
        return _Writer(folder)


class _Writer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
            (folder / name).mkdir(parents=True)
        self._lists: dict[str, IO[str]] = {
            side: (folder / "ImageSets" / "Main" / f"{name}.txt").open("w", encoding="utf-8")
            for side, name in _LISTS.items()
        }

    def add(self, sample: Outgoing) -> None:
        (self._folder / "JPEGImages" / sample.file).write_bytes(sample.data)
        root = Element("annotation")
        SubElement(root, "folder").text = "JPEGImages"
        SubElement(root, "filename").text = sample.file
        size = SubElement(root, "size")
        for name, value in (("width", sample.width), ("height", sample.height), ("depth", 3)):
            SubElement(size, name).text = str(value)
        boxes = sample.label.boxes if isinstance(sample.label, BoxesLabel) else ()
        for box in boxes:
            row = SubElement(root, "object")
            SubElement(row, "name").text = box.label
            edges = SubElement(row, "bndbox")
            for name, edge in zip(
                ("xmin", "ymin", "xmax", "ymax"),
                (box.left, box.top, box.right, box.bottom),
                strict=True,
            ):
                SubElement(edges, name).text = str(int(edge) if edge.is_integer() else edge)
        indent(root)
        path = self._folder / "Annotations" / f"{sample.id}.xml"
        ElementTree(root).write(path, encoding="utf-8")
        self._lists[sample.side].write(f"{sample.id}\n")

    def end(self) -> None:
        for file in self._lists.values():
            file.close()
