"""What the worker processes of one service tell each other: a small file each, replaced whole."""

import os
from pathlib import Path

import msgspec

from everloop_runtime.accepting import Crowd
from everloop_runtime.metrics import Figures


class WorkerState(msgspec.Struct):
    """One worker's part of the service's state."""

    slot: int
    pid: int
    ready: bool = False
    generation: int = 0
    served: dict[str, int] = {}
    dropped: int = 0
    late: int = 0
    skipped: int = 0
    shown: int = 0
    shed: int = 0
    flushed: int = 0
    """The latest wish to flush that it has fulfilled."""
    figures: Figures = msgspec.field(default_factory=Figures)


_decoder = msgspec.json.Decoder(WorkerState)


class Board:
    """A folder that the workers of one service share; alone, there is none and nothing to read."""

    def __init__(
        self,
        folder: Path | None = None,
        slot: int = 0,
        workers: int = 1,
        crowd: Crowd | None = None,
    ) -> None:
        self._folder = folder
        self.crowd = crowd
        self.slot = slot
        self.workers = workers

    def publish(self, state: WorkerState) -> None:
        """Tell the others. What cannot be written is told the next time."""
        if self._folder is None:
            return
        draft = self._folder / f".{self.slot}.tmp"
        try:
            draft.write_bytes(msgspec.json.encode(state))
            draft.replace(self._path(self.slot))
        except OSError:
            return

    def read(self, slot: int) -> WorkerState | None:
        """What one worker told last; None when it told nothing yet."""
        if self._folder is None:
            return None
        try:
            return _decoder.decode(self._path(slot).read_bytes())
        except (OSError, msgspec.MsgspecError):
            return None

    def others(self) -> list[WorkerState | None]:
        """What each of the other workers told last."""
        return [self.read(slot) for slot in range(self.workers) if slot != self.slot]

    def ask_flush(self) -> int:
        """Wish that every worker seals its captures; the number of the wish."""
        if self._folder is None:
            return 0
        wish = self.flush_wish() + 1
        draft = self._folder / f".flush.{os.getpid()}.tmp"
        draft.write_text(str(wish))
        draft.replace(self._folder / "flush")
        return wish

    def flush_wish(self) -> int:
        """The number of the latest wish."""
        if self._folder is None:
            return 0
        try:
            return int((self._folder / "flush").read_text())
        except (OSError, ValueError):
            return 0

    def _path(self, slot: int) -> Path:
        assert self._folder is not None  # noqa: S101 - callers have looked
        return self._folder / f"worker-{slot}.json"
