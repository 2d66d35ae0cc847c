"""A snapshot's side as a PyTorch data set."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch.utils.data import Dataset

from everloop.data.reading import Example, SnapshotReader
from everloop.errors import Refused
from everloop_runtime.images import ImageSpec

if TYPE_CHECKING:
    from torch import Tensor


class SnapshotDataset(Dataset[tuple["Tensor", int]]):
    """Map style: `[channels, height, width]` from 0 to 1, decoded as the service decodes, and the
    number of the class.

    It can be sent to the workers of a `DataLoader`; start those with `multiprocessing_context=
    "spawn"` (or `"forkserver"`), since a store that is open does not survive a fork. A loader asks
    for a whole batch at once, which is read in one go.
    """

    def __init__(self, reader: SnapshotReader, spec: ImageSpec, classes: Sequence[str]) -> None:
        self._reader = reader
        self._spec = spec
        self._index = {name: number for number, name in enumerate(classes)}

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, index: int) -> "tuple[Tensor, int]":
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> "list[tuple[Tensor, int]]":
        """Several at once; raises `Refused` for a label that is none of the classes."""
        count = len(self)
        rows = [index + count if index < 0 else index for index in indices]
        if any(not 0 <= row < count for row in rows):
            raise IndexError(f"the snapshot's side has {count} samples; asked for {list(indices)}")
        return [self._pair(example) for example in self._reader.read(rows)]

    def _pair(self, example: Example) -> "tuple[Tensor, int]":
        if example.label not in self._index:
            raise Refused(f"{example.label!r} is none of the classes: {', '.join(self._index)}")
        pixels = torch.from_numpy(example.pixels(self._spec))
        return pixels.permute(2, 0, 1).float() / 255, self._index[example.label]
