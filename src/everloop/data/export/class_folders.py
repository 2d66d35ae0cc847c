"""`train/cat/<id>.jpg`: what torchvision's and Keras's folder readers take."""

from pathlib import Path

from everloop.data.export.outgoing import Outgoing, Shape
from everloop.data.formats.pictures import SPLITS
from everloop.errors import Refused
from everloop.labels import names_in

_LONGEST = 200


class ClassFoldersExport:
    """One class a picture; classes must do as folders' names."""

    name = "class-folders"
    read_as = "class-folders"

    def why_not(self, shape: Shape) -> str | None:
        """Why it cannot hold such samples; None when it can."""
        if shape.modality == "image" and shape.label_kind == "class":
            return None
        return "holds one class for each picture"

    def writer(self, folder: Path, shape: Shape) -> "_Writer":
        """Begin to write into an empty folder. `Refused` for a class that is no folder's name."""
        for name in shape.classes:
            _check(name)
        return _Writer(folder)


class _Writer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, sample: Outgoing) -> None:
        (name,) = names_in(sample.label)
        _check(name)
        place = self._folder / sample.side / name
        place.mkdir(parents=True, exist_ok=True)
        (place / sample.file).write_bytes(sample.data)

    def end(self) -> None:
        """Nothing stands at the end."""


def _check(name: str) -> None:
    safe = name.isprintable() and not name.startswith(".") and not set(name) & set('/\\:*?"|')
    if not safe or len(name.encode()) > _LONGEST or name.strip() != name or name.lower() in SPLITS:
        raise Refused(f"class {name!r} cannot be a folder's name; export as coco or parquet")
