"""Which side a sample is on: decided by its content, so it never changes."""

from typing import Literal, TypeAlias

from everloop.ids import SampleId

Side: TypeAlias = Literal["train", "holdout"]


def side_of(sample: SampleId, holdout_share: float) -> Side:
    """The side of a sample that is seen for the first time.

    The id is a SHA-256, so its first 64 bits are uniform; the same bytes are always on the same
    side, whoever brings them and when.

    >>> side_of(SampleId("00" * 32), 0.2)
    'holdout'
    >>> side_of(SampleId("ff" * 32), 0.2)
    'train'
    """
    return "holdout" if int(sample[:16], 16) / 2**64 < holdout_share else "train"
