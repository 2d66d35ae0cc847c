"""A bundle: a model ready to run anywhere, in one content-addressed folder.

    <bundle id>/
      bundle.json         the manifest, canonical JSON; its digest is the bundle's id
      model.onnx          input `image` uint8 [N, H, W, C]; outputs `probabilities` float32
                          [N, K] and `embedding` float32 [N, D]
      reference.npz       what monitoring compares live windows with
      golden/000, ...     original bytes of real inputs
      golden/outputs.npz  the probabilities they must give

Every file is named in the manifest with its size and SHA-256.
"""

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from everloop_runtime.errors import Refused
from everloop_runtime.files import sync_directory
from everloop_runtime.ids import BundleId, canonical_json, digest_bytes
from everloop_runtime.images import PREPROCESSING, ImageSpec

FORMAT = "everloop-bundle/1"
_MANIFEST = "bundle.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputSpec(_Part):
    """The pixels the graph takes."""

    height: int = Field(ge=1, le=8192)
    width: int = Field(ge=1, le=8192)
    channels: int = Field(ge=1, le=3)


class FileEntry(_Part):
    """One file of the bundle."""

    sha256: str
    bytes: int


class BundleDraft(_Part):
    """What a bundle says of itself, before its files are known."""

    product: str
    task: dict[str, Any]
    input: InputSpec
    classes: tuple[str, ...]
    lineage: dict[str, Any]
    """Run, snapshot, code, parameters and environment it comes from."""
    tolerance: float = 1e-4
    """How far an answer to a golden input may be from the recorded one."""


class Manifest(BundleDraft):
    """The whole of `bundle.json`."""

    format: Literal["everloop-bundle/1"] = "everloop-bundle/1"
    preprocessing: Literal["image/1"] = "image/1"
    files: dict[str, FileEntry]

    @property
    def spec(self) -> ImageSpec:
        """The pixels the graph takes."""
        return ImageSpec(self.input.height, self.input.width, self.input.channels)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose every file has been checked."""

    id: BundleId
    path: Path
    manifest: Manifest

    def read(self, name: str) -> bytes:
        """The bytes of one of its files, checked again; `Refused` if they changed or are none."""
        entry = self.manifest.files.get(name)
        if entry is None:
            raise Refused(f"bundle {self.id[:8]} has no file {name!r}")
        return _checked(self.path, name, entry)


def build_bundle(bundles: Path, draft: BundleDraft, files: Mapping[str, bytes]) -> BundleId:
    """Write a bundle under `bundles` and return its id; the same content is written once."""
    entries = {
        name: FileEntry(sha256=digest_bytes(data), bytes=len(data)) for name, data in files.items()
    }
    manifest = Manifest(**draft.model_dump(), files=entries)
    text = canonical_json(manifest.model_dump(mode="json"))
    bundle = BundleId(digest_bytes(text))
    final = bundles / bundle
    if final.exists():
        return bundle
    bundles.mkdir(parents=True, exist_ok=True)
    draft_folder = bundles / f".{secrets.token_hex(6)}.tmp"
    try:
        for name, data in {**files, _MANIFEST: text}.items():
            _write(draft_folder / name, data)
        for folder in [draft_folder, *(p for p in draft_folder.rglob("*") if p.is_dir())]:
            sync_directory(folder)
        _rename_unless_there(draft_folder, final)
    finally:
        shutil.rmtree(draft_folder, ignore_errors=True)
    sync_directory(bundles)
    return bundle


def _rename_unless_there(source: Path, final: Path) -> None:
    try:
        source.rename(final)
    except OSError:
        # Another process wrote the same content first.
        if not final.is_dir():
            raise


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def open_bundle(path: Path, expected: BundleId | None = None) -> Bundle:
    """The bundle in `path`, every checksum verified.

    Raises `Refused` naming the file when one is missing, changed, too many or a link, and when
    the bundle is another than `expected`.
    """
    try:
        text = (path / _MANIFEST).read_bytes()
    except OSError as error:
        raise Refused(f"{path} has no readable {_MANIFEST}: {error}") from error
    bundle = BundleId(digest_bytes(text))
    if expected is not None and bundle != expected:
        raise Refused(f"{path} holds bundle {bundle[:8]}, not {expected[:8]}: its manifest changed")
    try:
        manifest = Manifest.model_validate(json.loads(text))
    except (ValidationError, ValueError, RecursionError) as error:
        raise Refused(f"{path / _MANIFEST} is not a manifest of {FORMAT}: {error}") from error
    _check_names(path, manifest)
    for name, entry in manifest.files.items():
        _checked(path, name, entry)
    return Bundle(bundle, path, manifest)


def _check_names(path: Path, manifest: Manifest) -> None:
    for found in path.rglob("*"):
        if found.is_symlink():
            raise Refused(f"{found} is a link; a bundle holds plain files only")
        name = str(found.relative_to(path))
        if found.is_file() and name != _MANIFEST and name not in manifest.files:
            raise Refused(f"{found} is not in the manifest")
    for name in manifest.files:
        parts = Path(name).parts
        if Path(name).is_absolute() or ".." in parts:
            raise Refused(f"the manifest names {name!r}, which is not inside the bundle")


def _checked(path: Path, name: str, entry: FileEntry) -> bytes:
    try:
        data = (path / name).read_bytes()
    except OSError as error:
        raise Refused(f"{path / name} cannot be read: {error}") from error
    if len(data) != entry.bytes or digest_bytes(data) != entry.sha256:
        raise Refused(f"{path / name} is not what the manifest says: its checksum differs")
    return data


assert PREPROCESSING == "image/1"  # noqa: S101 - the literal in Manifest and the constant agree
