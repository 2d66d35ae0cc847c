"""One product's data: samples, annotations, predictions, snapshots, quarantine."""

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from everloop.data.annotations import Annotations
from everloop.data.arrivals import Arrivals
from everloop.data.catalogue.questions import Catalogue
from everloop.data.examinations import Examinations
from everloop.data.exclusions import Exclusions
from everloop.data.feedback import FeedbackTable
from everloop.data.forgotten import Forgotten
from everloop.data.location import Location, Place, located
from everloop.data.predictions import Predictions
from everloop.data.quarantine import Quarantine
from everloop.data.renditions import Renditions
from everloop.data.samples import Samples
from everloop.data.schemas import Tables
from everloop.data.sketches import Sketches
from everloop.data.snapshots import Snapshots
from everloop.data.twins import Twins
from everloop_runtime.ids import digest_json


@dataclass(frozen=True, slots=True)
class LabelledCounts:
    """How much is labelled, by side, at one version of the labels."""

    version: str
    """Another one whenever something is said of a sample: its label, or that it is left out."""
    train: int
    holdout: int


class DataStore:
    """Opened by any number of processes; each part is opened when it is first used.

    It lies in a folder of this machine or on another storage; nothing but the place tells which.
    What is under `cache` can be made again from the rest, and is this machine's own.
    """

    def __init__(self, place: Place, cache: Path | None = None) -> None:
        self._place = place
        self._cache = cache or _cache_of(located(place))

    @property
    def place(self) -> Location:
        """Where it lies."""
        return located(self._place)

    @cached_property
    def forgotten(self) -> Forgotten:
        """Which samples were forgotten, and are not taken in again."""
        return Forgotten(self._place)

    @cached_property
    def _tables(self) -> Tables:
        return Tables.under(self._place)

    @cached_property
    def catalogue(self) -> Catalogue:
        """Where samples and standing labels are looked up."""
        return Catalogue(self._cache, self._tables)

    @cached_property
    def samples(self) -> Samples:
        """Original bytes, and what is known of them."""
        return Samples(self._tables, self.catalogue, self.forgotten)

    @cached_property
    def annotations(self) -> Annotations:
        """The history of labels."""
        return Annotations(self._tables, self.catalogue, self.forgotten)

    @cached_property
    def predictions(self) -> Predictions:
        """Captured answers."""
        return Predictions(self._place, self.forgotten)

    @cached_property
    def sketches(self) -> Sketches:
        """Counts of what was watched of captured answers, by period."""
        return Sketches(self._place)

    @cached_property
    def arrivals(self) -> Arrivals:
        """What was taken in of each source."""
        return Arrivals(self._place)

    @cached_property
    def feedback(self) -> FeedbackTable:
        """What became known of captured answers later."""
        return FeedbackTable(self._place)

    @cached_property
    def snapshots(self) -> Snapshots:
        """Immutable dataset versions."""
        return Snapshots(self._place / "snapshots", self.snapshots_cache)

    @property
    def snapshots_cache(self) -> Path:
        """Where this machine keeps copies of the snapshots' files, when they lie elsewhere."""
        return self._cache / "snapshots"

    @cached_property
    def exclusions(self) -> Exclusions:
        """Samples that people leave out of snapshots."""
        return Exclusions(self._place)

    @cached_property
    def examinations(self) -> Examinations:
        """What examining each sample found."""
        return Examinations(self._place, self._cache)

    @cached_property
    def twins(self) -> Twins:
        """Files whose bytes were in the store already."""
        return Twins(self._place)

    @cached_property
    def quarantine(self) -> Quarantine:
        """Files that could not be taken in."""
        return Quarantine(self._place)

    @cached_property
    def renditions(self) -> Renditions:
        """What labellers may see."""
        return Renditions(self._place)

    def labelled_counts(self) -> LabelledCounts:
        """How many samples have a standing label."""
        said, left_out = self.annotations.version, self.exclusions.version
        version = f"{said}.{left_out}" if left_out else said
        counts = self.catalogue.labelled_counts()
        return LabelledCounts(version, counts["train"], counts["holdout"])


def _cache_of(location: Location) -> Path:
    """Beside a store of this machine; for another one, among this machine's temporary files."""
    if location.folder is not None:
        return location.folder / ".cache"
    return Path(tempfile.gettempdir()) / f"everloop-{digest_json(location.uri)[:32]}"
