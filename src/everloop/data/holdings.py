"""Which tables of a store hold something of a sample, and how they name it.

A table that is not told here stops forgetting: what is not known to hold something of a sample
cannot be said to hold nothing.
"""

from dataclasses import dataclass

_DATASET = ".lance"


@dataclass(frozen=True, slots=True)
class Holding:
    """One dataset whose rows are each about one sample, or about none."""

    dataset: str
    columns: tuple[str, ...] = ()
    """Columns that may hold the sample's id; a row goes when one of them does. None: its rows are
    about no sample."""
    through: "Through | None" = None
    """How its rows are found when it names no sample itself."""
    ordered: bool = False
    """Whether readers go by the place of a row among those that are there."""


@dataclass(frozen=True, slots=True)
class Through:
    """Rows are named by a value that another dataset has beside the sample's id."""

    dataset: str
    sample: str
    """The other dataset's column of sample ids."""
    value: str
    """The other dataset's column of values that `Holding.columns` hold here."""


HOLDINGS = (
    # What is found through another table goes before that table.
    Holding("rendition_bytes.lance", ("id",), Through("renditions.lance", "sample", "id")),
    Holding("renditions.lance", ("sample",)),
    Holding("feedback.lance", ("prediction",), Through("predictions.lance", "sample", "id")),
    Holding("predictions.lance", ("sample",), ordered=True),
    Holding("quarantine_bytes.lance", ("digest",)),
    Holding("quarantine.lance", ("digest", "sample")),
    Holding("examined.lance", ("id",)),
    Holding("exclusions.lance", ("sample",)),
    Holding("twins.lance", ("sample",)),
    Holding("annotations.lance", ("sample",)),
    # Facts before bytes: a fact may never name missing bytes.
    Holding("facts.lance", ("id",)),
    Holding("bytes.lance", ("id",)),
    Holding("forgotten.lance"),
    # Hashes of what sources call their files and say of them.
    Holding("arrivals.lance"),
)


def dataset_of(key: str) -> str | None:
    """The dataset that a file of the store belongs to, None for a file of its own.

    >>> dataset_of("bytes.lance/data/1.lance"), dataset_of("snapshots/1.arrow")
    ('bytes.lance', None)
    """
    first, mark, _ = key.partition("/")
    return first if mark and first.endswith(_DATASET) else None
