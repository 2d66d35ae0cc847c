"""The process that decodes: `python -m everloop.data.decoding_worker CONNECTION ARENA`.

It is handed two open descriptors: a socket for small messages and shared memory for the pictures.
Whatever it does, hang, crash or outgrow its memory, the import that it works for goes on.
"""

import mmap
import resource
import signal
import struct
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from everloop.data.examine import Picture, decode, sharpness, signatures, thumbnail, tones
from everloop.data.examined import THUMBNAIL_SIDE, Bad, DecodingLimits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Facts: TypeAlias = tuple[str, int, int, int, int, float, float, float, float]
"""What `Examined` holds before its signature, in its order."""
HAND = struct.Struct("<qq")
"""At the arena's start: number of the job and of the picture in hand."""
_Measured: TypeAlias = tuple[str, int, int, int, int, float]
Decode: TypeAlias = Callable[[bytes, DecodingLimits], Picture | Bad]


def main(arguments: Sequence[str], decoder: Decode = decode) -> int:
    """Answer jobs until the other side closes the connection."""
    connection, arena = Connection(int(arguments[0])), mmap.mmap(int(arguments[1]), 0)
    limits: DecodingLimits = connection.recv()
    _warm_up()
    _limit_memory(limits.memory)
    while True:
        try:
            job, places = connection.recv()
            connection.send(_examine(arena, job, places, limits, decoder))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return 0


def _warm_up() -> None:
    """Load what decoding needs before memory counts."""
    import numpy as np
    from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401 - they register

    Image.preinit()
    signatures(np.zeros((1, THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8))


def _limit_memory(more: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    # A core file of a crash would hold the picture, and fill the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _examine(
    arena: mmap.mmap,
    job: int,
    places: "Sequence[tuple[int, int]]",
    limits: DecodingLimits,
    decoder: Decode,
) -> tuple[int, list[Facts | Bad], bytes, bytes]:
    """The job's number, each picture's facts or why it is bad, signatures and thumbnails."""
    import numpy as np

    histograms = np.zeros((len(places), 256), np.int64)
    histograms[:, 0] = 1
    small = np.zeros((len(places), THUMBNAIL_SIDE, THUMBNAIL_SIDE), np.uint8)
    measured: list[_Measured | Bad] = []
    for index, (start, size) in enumerate(places):
        HAND.pack_into(arena, 0, job, index)
        # Its default action ends this process, wherever the decoder is.
        signal.setitimer(signal.ITIMER_REAL, limits.seconds)
        found = _guarded(decoder, arena[start : start + size], limits, histograms, small, index)
        measured.append(found)
    signal.setitimer(signal.ITIMER_REAL, 0)
    told = tones(histograms).tolist()
    rows: list[Facts | Bad] = [
        row if isinstance(row, Bad) else (*row[:5], *tone, row[5])
        for row, tone in zip(measured, told, strict=True)
    ]
    return job, rows, signatures(small).tobytes(), small.tobytes()


def _guarded(
    decoder: Decode,
    data: bytes,
    limits: DecodingLimits,
    histograms: "NDArray[np.int64]",
    small: "NDArray[np.uint8]",
    index: int,
) -> _Measured | Bad:
    import numpy as np

    try:
        found = decoder(data, limits)
        if isinstance(found, Bad):
            return found
        histograms[index] = found.grey.histogram()
        small[index] = np.asarray(thumbnail(found.grey))
        return (
            found.format, found.width, found.height, found.frames, found.orientation,
            sharpness(found.grey),
        )  # fmt: skip
    except MemoryError:
        return Bad("too-much-memory", f"its decoding takes more than {limits.memory} bytes")
    except Exception as error:  # noqa: BLE001 - decoders are foreign code: all they raise is theirs
        return Bad("broken", f"the image cannot be decoded: {type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
