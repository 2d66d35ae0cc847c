"""One fingerprint of any number of rows, kept up row by row.

LtHash16 with 1,024 lanes: each row is stretched to 2,048 bytes by SHAKE128, and the rows' lanes are
added modulo 2**16. The sum does not depend on the order, and rows can be taken out again; to find
two different sets of rows with one sum is as hard as a lattice problem of about 200 bits. From
Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing" (1997); these parameters from
Lewi, Kim, Maykov and Weis, "Securing Update Propagation with Homomorphic Hashing" (2019).
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LANES = 1024
_AT_ONCE = 2048


class Fingerprint:
    """A multiset of rows, each a sequence of strings.

    >>> one, other = Fingerprint(), Fingerprint()
    >>> one.add([("a", "b"), ("c", "d")]); other.add([("c", "d"), ("x", "y"), ("a", "b")])
    >>> one.text() == other.text()
    False
    >>> other.remove([("x", "y")])
    >>> one.text() == other.text()
    True
    """

    def __init__(self, text: str | None = None) -> None:
        import numpy as np

        self._lanes: NDArray[np.uint16] = np.zeros(_LANES, np.uint16)
        if text is not None:
            self._lanes = np.frombuffer(b64decode(text), "<u2").astype(np.uint16)

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """Put rows in."""
        for lanes in _sums(rows):
            self._lanes += lanes

    def remove(self, rows: Iterable[Sequence[str]]) -> None:
        """Take rows out that were put in."""
        for lanes in _sums(rows):
            self._lanes -= lanes

    def text(self) -> str:
        """All of its state."""
        return b64encode(self._lanes.astype("<u2").tobytes()).decode()


def _sums(rows: "Iterable[Sequence[str]]") -> "Iterable[NDArray[np.uint16]]":
    import numpy as np

    left = iter(rows)
    while part := list(islice(left, _AT_ONCE)):
        stretched = b"".join([_stretched(row) for row in part])
        lanes = np.frombuffer(stretched, "<u2").reshape(len(part), _LANES)
        yield lanes.sum(axis=0, dtype=np.uint16)


def _stretched(row: Sequence[str]) -> bytes:
    # With each length, so that two different rows never make the same bytes.
    lengths = " ".join(map(str, map(len, row)))
    told = f"{lengths}:{''.join(row)}"
    return hashlib.shake_128(told.encode("utf-8", "surrogatepass")).digest(2 * _LANES)
