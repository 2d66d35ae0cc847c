"""Marks of byte strings: enough to find the bytes again in any file, too little to know them.

A mark is taken at several places of the bytes: a 64-bit number made of 16 bytes there, which is
quick to look for at every offset of a file, and the SHA-256 of up to 64 bytes there, which tells a
real find from a chance one.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WINDOW = 16
"""Shorter bytes have no mark: they cannot be told from chance."""
_SPAN = 64
_PLACES = 16
_ENOUGH = 3
"""Pictures of one camera share some stretches; so many of the places mean the picture itself."""
_VARIED = 8
"""A stretch of fewer different byte values is found anywhere."""
_BLOCK = 4_000_000
_FORM = struct.Struct("<QH32s")
_FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F
_PREFIX_BITS = 18


@dataclass(frozen=True, slots=True)
class Mark:
    """One place of some bytes."""

    number: int
    length: int
    digest: bytes


def marks_of(data: bytes) -> tuple[Mark, ...]:
    """Marks at places spread over `data`; none when it is too short."""
    last = len(data) - WINDOW
    if last < 0:
        return ()
    places = sorted({round(last * part / (_PLACES - 1)) for part in range(_PLACES)})
    varied = [at for at in places if len(set(data[at : at + _SPAN])) >= _VARIED]
    return tuple(_mark(data, at) for at in varied or places)


def _mark(data: bytes, at: int) -> Mark:
    first, second = struct.unpack_from("<QQ", data, at)
    number = (first * _FIRST + ((second * _SECOND) % 2**64 >> 7)) % 2**64
    stretch = data[at : at + _SPAN]
    return Mark(number, len(stretch), hashlib.sha256(stretch).digest())


def pack(marks: Sequence[Mark]) -> bytes:
    """Marks as bytes; `unpack` reads them."""
    return b"".join(_FORM.pack(mark.number, mark.length, mark.digest) for mark in marks)


def unpack(data: bytes) -> tuple[Mark, ...]:
    """The marks that `pack` wrote."""
    return tuple(Mark(*fields) for fields in _FORM.iter_unpack(data))


class Search:
    """Looks for the marks of many names at once, in files of any size."""

    def __init__(self, wanted: Iterable[tuple[str, Sequence[Mark]]]) -> None:
        import numpy as np

        self._owners: dict[int, list[tuple[str, Mark]]] = {}
        self._enough: dict[str, int] = {}
        for name, marks in wanted:
            self._enough[name] = min(_ENOUGH, len({mark.number for mark in marks}))
            for mark in marks:
                self._owners.setdefault(mark.number, []).append((name, mark))
        self._numbers = np.array(sorted(self._owners), np.uint64)
        self._prefixes = np.zeros(1 << _PREFIX_BITS, np.bool_)
        self._prefixes[(self._numbers >> np.uint64(64 - _PREFIX_BITS)).astype(np.int64)] = True

    def within(self, data: "bytes | memoryview") -> list[str]:
        """The names whose bytes are in `data`, whole or in good part."""
        found: dict[str, set[int]] = {}
        if not len(self._numbers):
            return []
        view = memoryview(data)
        for start in range(0, max(len(view) - WINDOW + 1, 0), _BLOCK):
            block = view[start : start + _BLOCK + WINDOW - 1]
            for at in self._candidates(block):
                for name, number in self._confirmed(view, start + at):
                    found.setdefault(name, set()).add(number)
        return sorted(name for name, hits in found.items() if len(hits) >= self._enough[name])

    def _candidates(self, block: memoryview) -> Iterator[int]:
        import numpy as np

        for shift in range(8):
            words = np.frombuffer(block, np.dtype("<u8"), (len(block) - shift) // 8, shift)
            numbers = _numbers(words)
            near = np.flatnonzero(
                self._prefixes[(numbers >> np.uint64(64 - _PREFIX_BITS)).astype(np.int64)]
            )
            hits = near[np.isin(numbers[near], self._numbers)]
            yield from (int(at) * 8 + shift for at in hits)

    def _confirmed(self, view: memoryview, at: int) -> Iterator[tuple[str, int]]:
        first, second = struct.unpack_from("<QQ", view, at)
        number = (first * _FIRST + ((second * _SECOND) % 2**64 >> 7)) % 2**64
        for name, mark in self._owners.get(number, ()):
            if hashlib.sha256(view[at : at + mark.length]).digest() == mark.digest:
                yield name, number


def _numbers(words: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    """The number of each pair of neighbouring words; wraps around, as the hash wants."""
    import numpy as np

    return words[:-1] * np.uint64(_FIRST) + ((words[1:] * np.uint64(_SECOND)) >> np.uint64(7))
