"""A bundle: a model ready to run anywhere, in one content-addressed folder.

    <bundle id>/
      bundle.json         the manifest, canonical JSON; its digest is the bundle's id
      model.onnx          input `image` uint8 [N, H, W, C], or `row` float32 [N, features];
                          outputs `embedding` float32 [N, D] and one named by the kind of answer,
                          as `probabilities` float32 [N, K]
      index.json          only where answers are hits: the sample id of each row of the index
      reference.npz       what monitoring compares live windows with
      golden/000, ...     original bytes of real inputs
      golden/outputs.npz  the answers they must give
      card.md             what it was learnt from and where it is weak
      MLmodel, ...        the same folder as MLflow describes a model
      signature.json      optional, not in the manifest: who vouches for the id

Every other file is named in the manifest with its size and SHA-256. `docs/bundle.md` is the format.
"""

import json
import os
import secrets
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from everloop_runtime.answers.declared import answer_kind
from everloop_runtime.answers.hits import Hits
from everloop_runtime.answers.kind import AnswerKind
from everloop_runtime.errors import Refused
from everloop_runtime.files import sync_directory, write_new
from everloop_runtime.ids import BundleId, canonical_json, digest_bytes
from everloop_runtime.manifest import (
    FORMAT,
    OLD_FORMAT,
    BundleDraft,
    Calibration,
    FileEntry,
    InputSpec,
    Manifest,
    RowInput,
    Thresholds,
    is_bundle_file,
    preprocessing_of,
    signature_of,
    stated_input,
)
from everloop_runtime.mlflow_files import mlflow_files

__all__ = [
    "FORMAT",
    "Bundle",
    "BundleDraft",
    "Calibration",
    "InputSpec",
    "Manifest",
    "RowInput",
    "Thresholds",
    "build_bundle",
    "open_bundle",
    "stated_input",
]

MANIFEST = "bundle.json"
INDEX = "index.json"
SIGNATURES = "signature.json"
"""The one file that may lie in a bundle and is not in its manifest, which it signs."""
_MLFLOW_NOTE = "registered_model_meta"
"""MLflow writes this beside a model that it has fetched from its registry."""
_MOST_MANIFEST = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose every file has been checked."""

    id: BundleId
    path: Path
    manifest: Manifest
    answers: AnswerKind

    def read(self, name: str) -> bytes:
        """The bytes of one of its files, checked again; `Refused` if they changed or are none."""
        entry = self.manifest.files.get(name)
        if entry is None:
            raise Refused(f"bundle {self.id[:8]} has no file {name!r}")
        return _checked(self.path, name, entry)


def build_bundle(bundles: Path, draft: BundleDraft, files: Mapping[str, bytes]) -> BundleId:
    """Write a bundle under `bundles` and return its id; the same content is written once.

    The files that make it an MLflow model are added here. `Refused` when `files` names one that
    a bundle does not hold.
    """
    draft = _with_signature(draft)
    files = {**files, **mlflow_files(draft)}
    for name in files:
        if not is_bundle_file(name):
            raise Refused(f"a bundle does not hold files called {name!r}")
    entries = {
        name: FileEntry(sha256=digest_bytes(data), bytes=len(data)) for name, data in files.items()
    }
    how = preprocessing_of(draft.input)
    manifest = Manifest(**draft.model_dump(), files=entries, preprocessing=how)
    text = canonical_json(manifest.model_dump(mode="json"))
    bundle = BundleId(digest_bytes(text))
    final = bundles / bundle
    if final.exists():
        return bundle
    bundles.mkdir(parents=True, exist_ok=True)
    draft_folder = bundles / f".{secrets.token_hex(6)}.tmp"
    try:
        for name, data in {**files, MANIFEST: text}.items():
            _write(draft_folder / name, data)
        for folder in [draft_folder, *(p for p in draft_folder.rglob("*") if p.is_dir())]:
            sync_directory(folder)
        _rename_unless_there(draft_folder, final)
    finally:
        shutil.rmtree(draft_folder, ignore_errors=True)
    sync_directory(bundles)
    return bundle


def _with_signature(draft: BundleDraft) -> BundleDraft:
    if draft.signature is not None:
        return draft
    kind = answer_kind(draft.answer, draft.classes)
    signature = signature_of(draft.spec, kind.output, kind.raw_shape)
    return draft.model_copy(update={"signature": signature})


def _rename_unless_there(source: Path, final: Path) -> None:
    try:
        source.rename(final)
    except OSError:
        # Another process wrote the same content first.
        if not final.is_dir():
            raise


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_new(path, data)


def open_bundle(path: Path, expected: BundleId | None = None) -> Bundle:
    """The bundle in `path`, every checksum verified.

    Raises `Refused` naming the file when one is missing, changed, too many, a link or no plain
    file, and when the bundle is another than `expected`.
    """
    text = _plain_bytes(path / MANIFEST, _MOST_MANIFEST)
    bundle = BundleId(digest_bytes(text))
    if expected is not None and bundle != expected:
        raise Refused(f"{path} holds bundle {bundle[:8]}, not {expected[:8]}: its manifest changed")
    try:
        manifest = Manifest.model_validate(json.loads(text))
    except (ValidationError, ValueError, RecursionError) as error:
        raise Refused(f"{path / MANIFEST} is not a manifest of {FORMAT}: {error}") from error
    _check_names(path, manifest)
    for name, entry in manifest.files.items():
        _checked(path, name, entry)
    _check_mlflow(path, manifest)
    return Bundle(bundle, path, manifest, _answers(path, manifest))


def _answers(path: Path, manifest: Manifest) -> AnswerKind:
    """How its answers are to be taken; a search's index is read, as its rows are named there."""
    index: Sequence[str] = ()
    if manifest.answer.get("kind") == Hits.name:
        entry = manifest.files.get(INDEX)
        if entry is None:
            raise Refused(f"{path} answers by searching, and has no {INDEX}")
        try:
            index = [str(sample) for sample in json.loads(_checked(path, INDEX, entry))["samples"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Refused(f"{path / INDEX} names no samples: {error}") from error
    return answer_kind(manifest.answer, manifest.classes, index)


def _check_names(path: Path, manifest: Manifest) -> None:
    for name in manifest.files:
        parts = Path(name).parts
        if Path(name).is_absolute() or ".." in parts:
            raise Refused(f"the manifest names {name!r}, which is not inside the bundle")
        # Bundles of the first format were made by this program alone, with the same names.
        if not is_bundle_file(name):
            raise Refused(f"the manifest names {name!r}; a bundle does not hold such a file")
    known = {*manifest.files, MANIFEST, SIGNATURES, _MLFLOW_NOTE}
    for found in path.rglob("*"):
        if found.is_symlink():
            raise Refused(f"{found} is a link; a bundle holds plain files only")
        if not found.is_dir() and str(found.relative_to(path)) not in known:
            raise Refused(f"{found} is not in the manifest")


def _check_mlflow(path: Path, manifest: Manifest) -> None:
    """What MLflow is told to do with this folder is exactly what this program would tell it."""
    if manifest.format == OLD_FORMAT:
        return
    for name, data in mlflow_files(manifest).items():
        entry = manifest.files.get(name)
        if entry is None or entry.sha256 != digest_bytes(data):
            raise Refused(f"{path / name} is not the file that a bundle of {manifest.format} holds")


def _checked(path: Path, name: str, entry: FileEntry) -> bytes:
    data = _plain_bytes(path / name, entry.bytes)
    if len(data) != entry.bytes or digest_bytes(data) != entry.sha256:
        raise Refused(f"{path / name} is not what the manifest says: its checksum differs")
    return data


def _plain_bytes(path: Path, most: int) -> bytes:
    """A plain file's bytes; a pipe would be waited for, a device read without end."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error}") from error
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise Refused(f"{path} is no plain file")
        if found.st_size > most:
            raise Refused(
                f"{path} is not what the manifest says: {found.st_size} bytes, not {most}"
            )
        return file.read(most + 1)
