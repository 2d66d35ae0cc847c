"""Who vouches for a bundle: Ed25519 signatures (RFC 8032) over its id, and which keys are trusted.

A bundle's id is the digest of its manifest, and the manifest holds the digest of every file; so a
signature of the id is a signature of all of it. `signature.json` lies beside the manifest:

    {"format": "everloop-signature/1", "signatures": [{"key": "ed25519:...", "signature": "..."}]}
"""

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from everloop_runtime.bundle import SIGNATURES, Bundle
from everloop_runtime.errors import Refused
from everloop_runtime.ids import BundleId

PREFIX = "ed25519:"
_KEY_BYTES = 32
_MOST_BYTES = 65_536


class SignatureEntry(BaseModel):
    """One signature of a bundle's id."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    key: str
    """`ed25519:` and the base64 of the public key's 32 bytes."""
    signature: str
    """Base64 of its 64 bytes."""


class SignatureFile(BaseModel):
    """The whole of `signature.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: str = Field(default="everloop-signature/1", pattern="^everloop-signature/1$")
    signatures: tuple[SignatureEntry, ...] = Field(max_length=64)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signatures count, and whether one is needed."""

    keys: tuple[str, ...] = ()
    """Public keys, each `ed25519:` and base64."""
    required: bool = False

    def __post_init__(self) -> None:
        """`Refused` when a key is not one, and when none could ever satisfy the requirement."""
        for key in self.keys:
            key_bytes(key)
        if self.required and not self.keys:
            raise Refused("signatures are required and no public key is trusted; name one")


ANYBODY = Trust()
"""Bundles are taken with and without signatures."""


def signed_text(bundle: BundleId) -> bytes:
    """What is signed; the words keep a signature made for something else from fitting."""
    return b"everloop bundle " + bundle.encode()


def key_bytes(key: str) -> bytes:
    """The 32 bytes of a public key's text; `Refused` when it is none."""
    try:
        data = base64.b64decode(key.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not key.startswith(PREFIX) or len(data) != _KEY_BYTES:
        raise Refused(
            f"{key[:80]!r} is not a public key; one is {PREFIX} and the base64 of 32 bytes"
        )
    return data


def read_signatures(folder: Path) -> tuple[SignatureEntry, ...]:
    """The signatures beside a bundle, none of them verified; `Refused` when the file is broken."""
    path = folder / SIGNATURES
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
        return SignatureFile.model_validate(json.loads(data)).signatures
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError, ValueError, RecursionError) as error:
        raise Refused(f"{path} cannot be read: {error}") from error


def check_trust(bundle: Bundle, trust: Trust) -> str | None:
    """The trusted key that vouches for the bundle; None when none does and none is required.

    Raises `Refused` when a signature is required and there is none by a trusted key, and when one
    in the name of a trusted key is wrong.
    """
    if not trust.keys:
        return None
    entries = read_signatures(bundle.path)
    by_trusted = [entry for entry in entries if entry.key in trust.keys]
    for entry in by_trusted:
        if not _is_valid(entry, bundle.id):
            raise Refused(f"bundle {bundle.id[:8]} has a wrong signature by {entry.key[:20]}...")
    if trust.required and not by_trusted:
        raise Refused(
            f"bundle {bundle.id[:8]} has {len(entries)} signatures, none by a trusted key; "
            "everloop package sign makes one"
        )
    return by_trusted[0].key if by_trusted else None


def _is_valid(entry: SignatureEntry, bundle: BundleId) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise Refused(
            "verifying signatures needs cryptography: pip install 'everloop-runtime[signatures]'"
        ) from error
    try:
        signature = base64.b64decode(entry.signature, validate=True)
        Ed25519PublicKey.from_public_bytes(key_bytes(entry.key)).verify(
            signature, signed_text(bundle)
        )
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
