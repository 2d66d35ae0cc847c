"""The process that decodes: `python -m everloop.data.decoding_worker CONNECTION ARENA`.

It is handed two open descriptors: a socket for small messages and shared memory for the pictures.
Whatever it does, hang, crash or outgrow its memory, the import that it works for goes on.
"""

import mmap
import resource
import signal
import struct
import sys
from array import array
from collections.abc import Callable, Sequence
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias, TypeVar

from everloop.data.examine import Picture, decode
from everloop.data.examined import THUMBNAIL_SIDE, Bad, DecodingLimits
from everloop.data.figures import Sharpness, for_sharpness, signatures, thumbnail, tones

Facts: TypeAlias = tuple[str, int, int, int, int, float, float, float, float]
"""What `Examined` holds before its signature, in its order."""
HAND = struct.Struct("<qq")
"""At the arena's start: number of the job and of the picture in hand."""
_Decoded: TypeAlias = tuple[str, int, int, int, int]
_LEVELS = 256
_NO_HISTOGRAM = (1, *[0] * (_LEVELS - 1))
_NOT_YET = Bad("broken", "it was not decoded")
_HELD = 2_000_000
"""Pixels of pictures that wait to be measured, one picture's more at most."""
T = TypeVar("T")
Decode: TypeAlias = Callable[[bytes, DecodingLimits], Picture | Bad]


def main(arguments: Sequence[str], decoder: Decode = decode) -> int:
    """Answer jobs until the other side closes the connection."""
    connection, arena = Connection(int(arguments[0])), mmap.mmap(int(arguments[1]), 0)
    limits: DecodingLimits = connection.recv()
    _warm_up()
    _limit_memory(limits.memory)
    while True:
        try:
            number, places = connection.recv()
            job = _Job(arena, number, len(places), limits, decoder)
            for index, (start, size) in enumerate(places):
                job.decode(index, arena[start : start + size])
            connection.send(job.answer())
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


class _Job:
    """Pictures decoded one after the other, and then measured likewise.

    To do the same thing to many pictures in a row takes two thirds of the time that it takes to do
    everything to each, since the processor has the code for it at hand.
    """

    def __init__(
        self, arena: mmap.mmap, number: int, count: int, limits: DecodingLimits, decoder: Decode
    ) -> None:
        self._arena, self._number = arena, number
        self._limits, self._decoder = limits, decoder
        self._held: list[tuple[int, Picture]] = []
        self._pixels = 0
        self._facts: list[_Decoded | Bad] = [_NOT_YET] * count
        self._histograms: list[Sequence[int]] = [_NO_HISTOGRAM] * count
        self._thumbnails = [bytes(THUMBNAIL_SIDE**2)] * count
        self._sharpness = Sharpness(count)

    def decode(self, index: int, data: bytes) -> None:
        """Decode a picture, and measure those that are held once they are many."""
        # Its default action ends this process, wherever the decoder is.
        signal.setitimer(signal.ITIMER_REAL, self._limits.seconds)
        self._guarded(index, self._decode, data)
        if self._pixels >= _HELD:
            self._measure()

    def _guarded(self, index: int, work: Callable[[int, T], None], what: T) -> None:
        HAND.pack_into(self._arena, 0, self._number, index)
        try:
            work(index, what)
        except MemoryError:
            told = f"its decoding takes more than {self._limits.memory} bytes"
            self._facts[index] = Bad("too-much-memory", told)
        except Exception as error:  # noqa: BLE001 - decoders are foreign code: all they raise is theirs
            told = f"the image cannot be decoded: {type(error).__name__}: {error}"
            self._facts[index] = Bad("broken", told)

    def _decode(self, index: int, data: bytes) -> None:
        found = self._decoder(data, self._limits)
        if isinstance(found, Bad):
            self._facts[index] = found
            return
        self._facts[index] = (
            found.format, found.width, found.height, found.frames, found.orientation
        )  # fmt: skip
        self._held.append((index, found))
        self._pixels += found.grey.width * found.grey.height

    def _measure(self) -> None:
        for work in (self._see_thumbnail, self._see_histogram, self._see_sharpness):
            for index, picture in self._held:
                self._guarded(index, work, picture)
        self._held, self._pixels = [], 0

    def _see_thumbnail(self, index: int, picture: Picture) -> None:
        self._thumbnails[index] = thumbnail(picture.grey).tobytes()

    def _see_histogram(self, index: int, picture: Picture) -> None:
        self._histograms[index] = picture.grey.histogram()

    def _see_sharpness(self, index: int, picture: Picture) -> None:
        self._sharpness.add(index, for_sharpness(picture.grey, picture.pixels))

    def answer(self) -> tuple[int, list[Facts | Bad], bytes, bytes]:
        """The job's number, each picture's facts or why it is bad, signatures and thumbnails."""
        import numpy as np

        self._measure()
        signal.setitimer(signal.ITIMER_REAL, 0)
        histograms = array("q", chain.from_iterable(self._histograms))
        told = tones(np.frombuffer(histograms, np.int64).reshape(-1, _LEVELS)).tolist()
        rows: list[Facts | Bad] = [
            facts if isinstance(facts, Bad) else (*facts, *tone, sharpness)
            for facts, tone, sharpness in zip(
                self._facts, told, self._sharpness.finish(), strict=True
            )
        ]
        small = b"".join(self._thumbnails)
        return self._number, rows, signatures(np.frombuffer(small, np.uint8)).tobytes(), small


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
