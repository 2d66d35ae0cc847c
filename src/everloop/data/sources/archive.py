"""What an archive may be, checked member by member before anything of it is used."""

from dataclasses import dataclass

from everloop.errors import Refused

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What is unpacked at most."""

    max_bytes: int = 500 * 2**30
    """Of all members together."""
    max_members: int = 5_000_000
    max_ratio: int = 200
    """Unpacked to packed, of a member or an archive beyond `free_bytes`."""
    free_bytes: int = 4 * _MIB
    """A member up to this size may be packed as tightly as it likes."""


DEFAULT_ARCHIVE_LIMITS = ArchiveLimits()


def safe_name(archive: str, name: str) -> str:
    """The path of a member. Raises `Refused` for one that leads out of the archive.

    >>> safe_name("a.zip", "./cat/1.png")
    'cat/1.png'
    """
    plain = name.replace("\\", "/")
    drive = len(plain) > 1 and plain[1] == ":"
    parts = plain.split("/")
    if plain.startswith("/") or drive or ".." in parts:
        raise Refused(f"{archive} has a member {name!r} that leads out of it; nothing is taken")
    return "/".join(part for part in parts if part not in {"", "."})


class Tally:
    """Members and bytes counted as they come; `Refused` beyond the limits."""

    def __init__(self, archive: str, packed: int, limits: ArchiveLimits) -> None:
        self._archive = archive
        self._packed = max(packed, 1)
        self._limits = limits
        self._members = 0
        self._bytes = 0

    def add(self, name: str, size: int, packed: int | None) -> None:
        """Count a member of `size` bytes, `packed` in the archive where that is known."""
        limits = self._limits
        self._members += 1
        self._bytes += size
        if self._members > limits.max_members:
            self._refuse(f"more than {limits.max_members} members")
        if size < 0 or self._bytes > limits.max_bytes:
            self._refuse(f"more than {limits.max_bytes} bytes")
        if packed is not None and size > limits.free_bytes and size > packed * limits.max_ratio:
            self._refuse(f"a member {name!r} that unpacks to {size} bytes from {packed}")
        if self._bytes > limits.free_bytes and self._bytes > self._packed * limits.max_ratio:
            self._refuse(f"{self._bytes} bytes in {self._packed}")

    def _refuse(self, what: str) -> None:
        raise Refused(
            f"{self._archive} holds {what}: it is taken for a bomb and nothing of it is used; "
            "unpack it yourself and import the folder if you trust it"
        )
