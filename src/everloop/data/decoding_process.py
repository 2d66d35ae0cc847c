"""One decoding process as its pool sees it: started, handed jobs, found dead."""

import mmap
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from everloop.data.decoding_worker import HAND, Facts
from everloop.data.examined import SIGNATURE_BYTES, THUMBNAIL_SIDE, Bad, DecodingLimits, Examined

WORKER = (sys.executable, "-m", "everloop.data.decoding_worker")
SLOTS = 2
"""Jobs that a process holds at once, so that it never waits for the next."""
_HEAD = 4096
_LEAST_SLOT = 8_000_000
_THUMBNAIL_BYTES = THUMBNAIL_SIDE**2
# One thread a process: the processes themselves fill the cores.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Pictures for one process."""

    batch: int
    """Number of the batch they are of."""
    rows: tuple[int, ...]
    """Their rows in it."""
    tries: int = 0
    """How often they ended a process; only single pictures are tried again."""


class Process:
    """A running worker with its shared memory."""

    def __init__(self, limits: DecodingLimits, command: Sequence[str]) -> None:
        # Room for any batch of small pictures, or one of the largest.
        self._slot = max(_LEAST_SLOT, limits.image.max_bytes)
        memory = os.memfd_create("everloop-decoding")
        ours, theirs = socket.socketpair()
        try:
            os.ftruncate(memory, _HEAD + SLOTS * self._slot)
            self._arena = mmap.mmap(memory, 0)
            HAND.pack_into(self._arena, 0, -1, -1)
            self._popen = subprocess.Popen(
                [*command, str(theirs.fileno()), str(memory)],
                pass_fds=(theirs.fileno(), memory),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_ONE_THREAD},
            )
        finally:
            theirs.close()
            os.close(memory)
        self.connection = Connection(ours.detach())
        self.jobs: deque[tuple[int, Job, int]] = deque()
        """Number, job, slot; oldest first."""
        self._free = deque(range(SLOTS))
        self._numbers = 0
        self._tell(limits)

    def _tell(self, what: object) -> None:
        try:
            self.connection.send(what)
        except OSError:
            # It is dead; that is found when its answer is waited for.
            return

    @property
    def has_room(self) -> bool:
        """Whether it can be handed another job."""
        return bool(self._free)

    def hand(self, job: Job, data: Sequence[bytes]) -> None:
        """Give it a job; its answer comes on `connection`."""
        slot = self._free.popleft()
        at = _HEAD + slot * self._slot
        places = []
        for picture in data:
            self._arena[at : at + len(picture)] = picture
            places.append((at, len(picture)))
            at += len(picture)
        self._numbers += 1
        self.jobs.append((self._numbers, job, slot))
        self._tell((self._numbers, places))

    def answer(self) -> tuple[Job, list[Examined | Bad]]:
        """What it found of its oldest job. Raises `EOFError` or `OSError` when it is dead."""
        number, rows, signatures, thumbnails = self.connection.recv()
        wanted, job, slot = self.jobs.popleft()
        assert number == wanted  # noqa: S101 - answers come in order
        self._free.append(slot)
        return job, [
            row if isinstance(row, Bad) else _examined(row, index, signatures, thumbnails)
            for index, row in enumerate(rows)
        ]

    def in_hand(self) -> int | None:
        """Which picture of its oldest job a dead process had in hand; None: it had not begun."""
        number, index = HAND.unpack_from(self._arena, 0)
        return int(index) if number == self.jobs[0][0] else None

    def end(self) -> int:
        """Kill it if it runs; its exit status, negative for the signal that ended it."""
        self.connection.close()
        if self._popen.poll() is None:
            self._popen.kill()
        status = self._popen.wait()
        self._arena.close()
        return status


def how(status: int, limits: DecodingLimits) -> Bad:
    """Why a picture that ended its process, which left `status`, is bad."""
    if status == -signal.SIGALRM:
        return Bad("too-slow", f"its decoding takes longer than {limits.seconds:g} s")
    by = signal.Signals(-status).name if status < 0 else f"exit code {status}"
    return Bad("poison", f"it ended the process that decodes it, {limits.tries} times ({by})")


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _examined(row: Facts, index: int, signatures: bytes, thumbnails: bytes) -> Examined:
    return Examined(
        *row,
        signatures[index * SIGNATURE_BYTES : (index + 1) * SIGNATURE_BYTES],
        thumbnails[index * _THUMBNAIL_BYTES : (index + 1) * _THUMBNAIL_BYTES],
    )
