"""API keys: who may ask. The file holds hashes; a key itself is shown once, when it is made."""

import hmac
import secrets
from pathlib import Path

import msgspec

from everloop_runtime.errors import Refused
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import digest_bytes

_PREFIX = "evl_"
_LONGEST = 200


class ApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One client's key, as the file holds it."""

    client: str
    sha256: str
    """Of the key. It is random and long, so that a plain hash cannot be turned back."""
    made_at: float
    revoked_at: float | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    keys: list[ApiKey] = []
    format: str = "everloop-keys/1"


_decoder = msgspec.json.Decoder(_File)


def read_keys(path: Path) -> list[ApiKey]:
    """All keys of a file, the revoked ones too; `Refused` when it cannot be read."""
    try:
        return _decoder.decode(path.read_bytes()).keys
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError, RecursionError) as error:
        raise Refused(f"{path} is not a file of API keys: {error}") from error


def add_key(path: Path, client: str, now: float) -> str:
    """Make a key for a client and return it: it is not to be had again.

    A client may have several, so that one can be replaced without a gap.
    """
    if not client or len(client) > 100 or not client.isprintable():
        raise Refused(f"{client!r} is no name for a client: printable, 1 to 100 characters")
    key = _PREFIX + secrets.token_urlsafe(32)
    made = ApiKey(client, digest_bytes(key.encode()), now)
    _write(path, [*read_keys(path), made])
    return key


def revoke_key(path: Path, client: str, now: float) -> int:
    """Revoke every key of a client; how many there were. `Refused` when there is none."""
    keys = read_keys(path)
    mine = [key for key in keys if key.client == client and key.revoked_at is None]
    if not mine:
        names = sorted({key.client for key in keys if key.revoked_at is None})
        raise Refused(f"{client!r} has no key; there are: {', '.join(names) or 'none'}")
    _write(
        path,
        [msgspec.structs.replace(key, revoked_at=now) if key in mine else key for key in keys],
    )
    return len(mine)


def _write(path: Path, keys: list[ApiKey]) -> None:
    write_atomic(path, msgspec.json.format(msgspec.json.encode(_File(keys))))
    path.chmod(0o600)


class KeyRing:
    """The keys of a file, kept up to date with it."""

    def __init__(self, path: Path) -> None:
        """Raises `Refused` when the file is not there or broken."""
        self._path = path
        if not path.is_file():
            raise Refused(
                f"there is no file of API keys at {path}; everloop serve keys add makes it"
            )
        self._stamp = self._look()
        self._keys = self._live()

    def client_of(self, key: bytes) -> str | None:
        """The client whose key this is; compared with all of them in constant time."""
        given = digest_bytes(key[:_LONGEST]).encode()
        found = None
        for digest, client in self._keys:
            if hmac.compare_digest(digest, given):
                found = client
        return found

    def follow(self) -> bool:
        """Read the file again if it changed, and tell so; a broken one changes nothing."""
        stamp = self._look()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self._keys = self._live()
        except Refused:
            return False
        return True

    def _live(self) -> list[tuple[bytes, str]]:
        return [
            (key.sha256.encode(), key.client)
            for key in read_keys(self._path)
            if key.revoked_at is None
        ]

    def _look(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_ino)
