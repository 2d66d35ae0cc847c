"""Key pairs, and signing a bundle's id with one."""

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.errors import Refused
from everloop_runtime.bundle import SIGNATURES, Bundle
from everloop_runtime.files import write_atomic
from everloop_runtime.signatures import (
    PREFIX,
    SignatureEntry,
    SignatureFile,
    key_bytes,
    read_signatures,
    signed_text,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def make_keys(path: Path) -> str:
    """Write a new private key to `path` (PKCS #8, PEM, readable by its owner alone).

    Returns the public key's text, also written beside it as `NAME.pub`. `Refused` when a file is
    there already.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    data = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        # Never readable by others, not even before a chmod.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error}") from error
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    public = public_text(key)
    write_atomic(path.with_name(f"{path.name}.pub"), f"{public}\n".encode())
    return public


def public_text(key: "Ed25519PrivateKey") -> str:
    """The public key that belongs to a private one, as policies and services name it."""
    return PREFIX + base64.b64encode(key.public_key().public_bytes_raw()).decode()


def read_private(path: Path) -> "Ed25519PrivateKey":
    """The private key in a file; `Refused` when there is none that can be used."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refused(f"{path} holds no private key that can be used: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Refused(f"{path} holds a key of another kind; everloop package keys makes one")
    return key


def read_public(text: str) -> str:
    """A public key given as its text or as the place of a `.pub` file."""
    if not text.startswith(PREFIX):
        try:
            text = Path(text).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"{text[:200]!r} is no public key and no file of one: {error}") from error
    key_bytes(text)
    return text


def sign_bundle(bundle: Bundle, key: "Ed25519PrivateKey") -> str:
    """Add the key's signature to the bundle's, and return the public key.

    Signing again with the same key changes nothing: Ed25519 gives the same signature.
    """
    public = public_text(key)
    signature = base64.b64encode(key.sign(signed_text(bundle.id))).decode()
    others = [entry for entry in read_signatures(bundle.path) if entry.key != public]
    entries = sorted(
        [*others, SignatureEntry(key=public, signature=signature)], key=lambda entry: entry.key
    )
    told = SignatureFile(signatures=tuple(entries))
    write_atomic(bundle.path / SIGNATURES, told.model_dump_json().encode())
    return public


def sign_file(path: Path, key: "Ed25519PrivateKey") -> str:
    """Write the signature of a file's bytes (Ed25519, base64) beside it as `NAME.sig`.

    Returns the public key's text.
    """
    signature = base64.b64encode(key.sign(path.read_bytes())).decode()
    write_atomic(path.with_name(f"{path.name}.sig"), f"{signature}\n".encode())
    return public_text(key)


def check_file(path: Path, public: str) -> None:
    """Raise `Refused` unless `NAME.sig` beside a file is its signature by this public key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    beside = path.with_name(f"{path.name}.sig")
    try:
        signature = base64.b64decode(beside.read_bytes().strip(), validate=True)
        Ed25519PublicKey.from_public_bytes(key_bytes(public)).verify(signature, path.read_bytes())
    except OSError as error:
        raise Refused(f"{path} and its signature cannot be read: {error}") from error
    except (InvalidSignature, ValueError) as error:
        raise Refused(f"{beside} is no signature of {path} by {public}") from error
