"""Where the parts of one product's store lie under its `.everloop` folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one project; computed, never read or written here."""

    project: Path

    @property
    def root(self) -> Path:
        return self.project / ".everloop"

    @property
    def data(self) -> Path:
        """Samples, annotations, predictions and snapshots."""
        return self.root / "data"

    @property
    def cache(self) -> Path:
        """What can be made again from the data, wherever that lies."""
        return self.root / "cache"

    @property
    def bundles(self) -> Path:
        """One folder a bundle, named by its id."""
        return self.root / "bundles"

    @property
    def evaluations(self) -> Path:
        """One folder an evaluation, named by its digest."""
        return self.root / "evaluations"

    @property
    def cards(self) -> Path:
        """One model card a bundle: `<bundle>.md` and `<bundle>.html`."""
        return self.root / "cards"

    def card_pictures(self, bundle: str) -> Path:
        """The pictures of one card: `<sample>.<privacy version>.jpg`."""
        return self.cards / bundle

    @property
    def label_doubts(self) -> Path:
        """What looking through the training labels has found."""
        return self.root / "label_doubts.json"

    @property
    def jobs(self) -> Path:
        """One folder a job, named by its Action key."""
        return self.root / "jobs"

    @property
    def studies(self) -> Path:
        """One folder a study of `everloop tune`, named by its id."""
        return self.root / "studies"

    @property
    def capture(self) -> Path:
        """Segments of answered requests, written by the service, moved to `data` by the loop."""
        return self.root / "capture"

    @property
    def routes(self) -> Path:
        """The document that tells the service what serves which share."""
        return self.root / "routes.json"

    @property
    def api_keys(self) -> Path:
        """Whose requests the service answers, as hashes; without the file, everybody's."""
        return self.root / "api_keys.json"

    @property
    def reports(self) -> Path:
        """One HTML file a report, named by the end of its time."""
        return self.root / "reports"

    @property
    def outbox(self) -> Path:
        """What attempts to deliver messages have come to, until the loop has noted it."""
        return self.root / "outbox"

    @property
    def database(self) -> Path:
        return self.root / "state.db"

    @property
    def tracking_database(self) -> Path:
        return self.root / "mlflow.db"

    @property
    def tracking_artifacts(self) -> Path:
        return self.root / "mlruns"

    @property
    def declarations(self) -> Path:
        """What `product.py` declares, by the fingerprint of the project's code."""
        return self.root / "declarations"

    @property
    def processes(self) -> Path:
        """One file a running server: its pid and address."""
        return self.root / "processes"

    @property
    def pages_address(self) -> Path:
        """Where the pages' server answers, while it runs."""
        return self.processes / "web.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def source_name(self, folder: Path) -> str:
        """How a folder of pictures is called in labels: within the project, by its place there."""
        place = folder.resolve()
        inside = place.is_relative_to(self.project)
        return str(place.relative_to(self.project) if inside else place)
