"""Wheels written file by file: the same content gives the same bytes (PEP 427)."""

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from everloop_runtime.files import write_atomic

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip archive can state."""
_PLAIN_FILE = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pure Python wheel before it is written."""

    name: str
    version: str
    metadata: str
    """The whole of its METADATA file."""
    files: Mapping[str, bytes]
    """What it installs, by its place in site-packages."""
    entry_points: str = ""

    @property
    def file_name(self) -> str:
        """As installers expect it."""
        return f"{escaped(self.name)}-{self.version}-py3-none-any.whl"


def escaped(name: str) -> str:
    """A distribution's name as file names hold it.

    >>> escaped("My.Product-model")
    'my_product_model'
    """
    return re.sub(r"[-_.]+", "_", name).lower()


def write_wheel(wheel: Wheel, folder: Path) -> Path:
    """Write the wheel into `folder`, whole or not at all, and return its place.

    Nothing is compressed: two versions of zlib may compress the same bytes differently.
    """
    place = f"{escaped(wheel.name)}-{wheel.version}.dist-info"
    told = {
        f"{place}/METADATA": wheel.metadata.encode(),
        f"{place}/WHEEL": b"Wheel-Version: 1.0\nGenerator: everloop\n"
        b"Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if wheel.entry_points:
        told[f"{place}/entry_points.txt"] = wheel.entry_points.encode()
    content = [*sorted(wheel.files.items()), *sorted(told.items())]
    record = f"{place}/RECORD"
    content.append((record, _record(content, record)))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in content:
            info = zipfile.ZipInfo(name, _FIRST_DAY)
            info.external_attr = _PLAIN_FILE
            info.create_system = 3  # Unix, wherever it is written.
            archive.writestr(info, data)
    path = folder / wheel.file_name
    write_atomic(path, out.getvalue())
    return path


def _record(content: Sequence[tuple[str, bytes]], record: str) -> bytes:
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in content]
    return "\n".join([*lines, f"{record},,", ""]).encode()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
