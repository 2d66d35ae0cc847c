"""A bundle run in a process of its own: what it does there cannot end or stop the service.

A bundle on trial may crash the interpreter it runs in, never come to an end, or ask for all
memory. Here it does so to a child: the child is killed, the reason is kept, the champion carries
on. The child ends with its parent.

The two speak over pipes. To the child: one line of JSON that names the bundle, then a batch at a
time, how many samples as a little-endian uint32 and their numbers, as the bundle takes them. From
the child: after loading and after each batch one line of JSON, followed by the raw float32 of
answers and embeddings when it worked.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from everloop_runtime.bundle import Bundle, open_bundle
from everloop_runtime.errors import EverloopError, Refused
from everloop_runtime.ids import BundleId
from everloop_runtime.images import ImageLimits
from everloop_runtime.model import Model, Outputs
from everloop_runtime.samples import input_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COUNT = struct.Struct("<I")
_PR_SET_PDEATHSIG = 1
_START_SECONDS = 60.0
_ADDRESS_SPACE = 16 * 2**30
"""Bytes the child may map: a graph that asks for more is refused by the system, not served."""
_LONGEST_LINE = 65_536


class IsolatedModel:
    """A verified bundle, running in a child process. Not to be used by two threads at once.

    After a crash or a missed deadline it is dead, and every call raises `Refused` with the reason.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int = 1,
        limits: ImageLimits,
        deadline: float,
        start_seconds: float = _START_SECONDS,
    ) -> None:
        """Start the child and have it load the bundle and replay its golden inputs.

        `deadline`: seconds for one batch. Raises `Refused` with the child's reason.
        """
        self.bundle = bundle
        self.deadline = deadline
        self.dead: str | None = None
        """Why it answers no more."""
        self._child = subprocess.Popen(
            [sys.executable, "-m", "everloop_runtime.isolation"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._buffer = bytearray()
        self._within = start_seconds
        told = {
            "path": str(bundle.path),
            "bundle": bundle.id,
            "threads": threads,
            "max_bytes": limits.max_bytes,
            "max_pixels": limits.max_pixels,
        }
        self._send(json.dumps(told).encode() + b"\n")
        self._ask(time.monotonic() + start_seconds)
        self._within = deadline

    def predict(self, inputs: "NDArray[Any]") -> Outputs:
        """The outputs for decoded samples; `Refused` as the model refuses, or dead."""
        import numpy as np

        if self.dead is not None:
            raise Refused(self.dead)
        until = time.monotonic() + self.deadline
        self._send(_COUNT.pack(len(inputs)) + np.ascontiguousarray(inputs).tobytes())
        told = self._ask(until)
        shapes = [tuple(told["values"]), tuple(told["embeddings"])]
        parts = [
            np.frombuffer(self._take(4 * int(np.prod(shape)), until), np.float32).reshape(shape)
            for shape in shapes
        ]
        return Outputs(parts[0], parts[1])

    def close(self) -> None:
        """End the child."""
        self._die("it was closed")

    def _ask(self, until: float) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._line(until))
        if error := told.get("error"):
            raise Refused(str(error))
        return told

    def _send(self, data: bytes) -> None:
        assert self._child.stdin is not None  # noqa: S101 - it was opened as a pipe
        try:
            self._child.stdin.write(data)
            self._child.stdin.flush()
        except OSError as error:
            raise Refused(self._die(self._how_it_ended())) from error

    def _line(self, until: float) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_LINE:
                raise Refused(self._die("its process does not speak as it should"))
            self._more(until)
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return line

    def _take(self, size: int, until: float) -> bytes:
        while len(self._buffer) < size:
            self._more(until)
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _more(self, until: float) -> None:
        assert self._child.stdout is not None  # noqa: S101 - it was opened as a pipe
        readable = self._child.stdout.fileno()
        ready, _, _ = select.select([readable], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            raise Refused(self._die(f"it did not answer within {self._within:g} s"))
        data = os.read(readable, 1 << 20)
        if not data:
            raise Refused(self._die(self._how_it_ended()))
        self._buffer += data

    def _how_it_ended(self) -> str:
        try:
            code = self._child.wait(5)
        except subprocess.TimeoutExpired:
            return "its process closed its pipes"
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process ended with code {code}"

    def _die(self, why: str) -> str:
        self.dead = self.dead or why
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            # What was not sent yet has nobody to read it.
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        return self.dead


def main() -> int:
    """The child: load what the first line names, then answer batches until the pipe closes."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    taken, given = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What a library prints must not be read as an answer.
    os.dup2(2, 1)
    told = json.loads(taken.readline())
    try:
        bundle = open_bundle(Path(told["path"]), BundleId(told["bundle"]))
        limits = ImageLimits(told["max_bytes"], told["max_pixels"])
        model = Model.load(bundle, threads=told["threads"], limits=limits)
    except EverloopError as error:
        _tell(given, {"error": str(error)})
        return 1
    _tell(given, {"ready": True})
    while len(head := taken.read(_COUNT.size)) == _COUNT.size:
        _answer(model, _COUNT.unpack(head)[0], taken, given)
    return 0


def _answer(model: Model, count: int, taken: IO[bytes], given: IO[bytes]) -> None:
    import numpy as np

    spec = model.bundle.manifest.spec
    shape, numbers = (count, *spec.shape), input_type(spec)
    data = taken.read(int(np.prod(shape)) * numbers.itemsize)
    try:
        outputs = model.predict(np.frombuffer(data, numbers).reshape(shape))
    except EverloopError as error:
        _tell(given, {"error": str(error)})
        return
    parts = (outputs.values, outputs.embeddings)
    told = {"values": parts[0].shape, "embeddings": parts[1].shape}
    _tell(given, told, *(np.ascontiguousarray(part, np.float32).tobytes() for part in parts))


def _tell(given: IO[bytes], told: dict[str, Any], *parts: bytes) -> None:
    given.write(b"".join([json.dumps(told).encode(), b"\n", *parts]))
    given.flush()


if __name__ == "__main__":
    sys.exit(main())
