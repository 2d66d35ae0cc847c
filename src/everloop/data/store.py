"""One product's data: samples, annotations, predictions, snapshots, quarantine."""

from dataclasses import dataclass
from functools import cached_property

from everloop.data.annotations import Annotations
from everloop.data.location import Place
from everloop.data.predictions import Predictions
from everloop.data.quarantine import Quarantine
from everloop.data.samples import Samples
from everloop.data.snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class LabelledCounts:
    """How much is labelled, by side, at one version of the annotations."""

    version: str
    train: int
    holdout: int


class DataStore:
    """Opened by any number of processes; each part is opened when it is first used.

    It lies in a folder of this machine or on another storage; nothing but the place tells which.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._counted: LabelledCounts | None = None

    @cached_property
    def samples(self) -> Samples:
        """Original bytes, and what is known of them."""
        return Samples(self._place)

    @cached_property
    def annotations(self) -> Annotations:
        """The history of labels."""
        return Annotations(self._place)

    @cached_property
    def predictions(self) -> Predictions:
        """Captured answers."""
        return Predictions(self._place)

    @cached_property
    def snapshots(self) -> Snapshots:
        """Immutable dataset versions."""
        return Snapshots(self._place / "snapshots")

    @cached_property
    def quarantine(self) -> Quarantine:
        """Files that could not be taken in."""
        return Quarantine(self._place)

    def labelled_counts(self) -> LabelledCounts:
        """How many samples have a standing label; counted anew when annotations were added."""
        version = self.annotations.version
        if self._counted is None or self._counted.version != version:
            sides = self.samples.sides()
            labelled = [
                sides[sample][0] for sample in self.annotations.current() if sample in sides
            ]
            train = labelled.count("train")
            self._counted = LabelledCounts(version, train, len(labelled) - train)
        return self._counted
