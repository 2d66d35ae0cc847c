"""Arrays from a file that somebody else may have made: numbers only, of a bounded size.

NumPy's own reader would allocate whatever a header claims and can be told to unpickle; this one
reads the few headers that `numpy.savez` writes and nothing else.
"""

import ast
import io
import math
import re
import struct
import zipfile
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from everloop_runtime.errors import Refused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_BYTES = 256 * 2**20
"""What the arrays of one file may take in memory together."""
_MAGIC = b"\x93NUMPY"
_PLAIN = re.compile("[<>|=][biuf][0-9]{1,2}")
_LONGEST_HEADER = 4096


def read_arrays(
    data: bytes, names: Iterable[str], most_bytes: int = MOST_BYTES
) -> "Mapping[str, NDArray[Any]]":
    """The arrays called `names` in the bytes of an `.npz` file.

    Raises `Refused` when one is missing, holds objects, or claims another size than it has; and
    when the file would take more than `most_bytes`.
    """
    wanted = tuple(names)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(info.file_size for info in archive.infolist())
            if size > most_bytes:
                raise Refused(f"its arrays take {size} bytes; at most {most_bytes} are read")
            members = {name: _member(archive, f"{name}.npy") for name in wanted}
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError, struct.error) as error:
        raise Refused(f"not an archive of the arrays {', '.join(wanted)}: {error}") from error
    return {name: _array(name, member) for name, member in members.items()}


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    # As `numpy.savez` writes them: nothing to inflate, so nothing that can be a bomb.
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        raise ValueError(f"{name} is compressed or encrypted")
    return archive.read(info)


def _array(name: str, member: bytes) -> "NDArray[Any]":
    import numpy as np

    kind, shape, order, start = _header(name, member)
    dtype = _dtype(name, kind)
    if len(member) - start != math.prod(shape) * dtype.itemsize:
        raise Refused(f"array {name!r} claims the shape {shape}, which its bytes do not have")
    try:
        return np.ndarray(shape, dtype, member, start, order=order).copy()
    except (ValueError, TypeError) as error:
        raise Refused(f"array {name!r} cannot have the shape {shape}: {error}") from error


def _dtype(name: str, kind: object) -> "np.dtype[Any]":
    import numpy as np

    # Checked as text: numpy's own parser would also build structured and object types.
    if not isinstance(kind, str) or _PLAIN.fullmatch(kind) is None:
        raise Refused(f"array {name!r} holds {kind!r}; only plain numbers are read")
    try:
        return np.dtype(kind)
    except TypeError as error:
        raise Refused(f"array {name!r} holds {kind!r}: {error}") from error


def _header(name: str, member: bytes) -> tuple[object, tuple[int, ...], Literal["C", "F"], int]:
    """Type, shape, order, and where the values begin."""
    try:
        if member[:6] != _MAGIC or member[6] not in (1, 2):
            raise ValueError("not an array")
        wide = member[6] == 2
        start = 12 if wide else 10
        length = struct.unpack_from("<I" if wide else "<H", member, 8)[0]
        if length > _LONGEST_HEADER:
            raise ValueError("its header is too long")
        told = ast.literal_eval(member[start : start + length].decode("latin-1"))
        shape, fortran = told["shape"], told["fortran_order"]
        if type(fortran) is not bool or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"shape {shape}")
        return told["descr"], tuple(shape), "F" if fortran else "C", start + length
    except (ValueError, SyntaxError, KeyError, TypeError, IndexError, struct.error) as error:
        raise Refused(f"array {name!r} cannot be read: {error}") from error
    except (RecursionError, MemoryError) as error:
        raise Refused(f"array {name!r} has a header that cannot be read") from error
