"""One product's open stores and ports, put together by the application."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from everloop.alerting.courier import Courier
from everloop.compute.engine import Engine
from everloop.compute.kept import PageServer
from everloop.data.ingest import IngestRules, Progress
from everloop.data.listing import Listings
from everloop.data.location import Location
from everloop.data.sources.opened import is_uri
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.layout import Layout
from everloop.policy import Policy
from everloop.privacy.rules import Rules
from everloop.registry.port import Registry
from everloop.registry.studies import StudyBook
from everloop.rollout.tally import Tallies
from everloop.state.access import Access
from everloop.state.alarms import Alarms
from everloop.state.answer_rounds import AnswerRounds
from everloop.state.audit import Audit
from everloop.state.backend_marks import BackendMarks
from everloop.state.checklists import Checklists
from everloop.state.clearances import Clearances
from everloop.state.decisions import Decisions
from everloop.state.erasing import Erasing
from everloop.state.experimenting import Experiments
from everloop.state.journal import Journal
from everloop.state.label_answers import LabelAnswers
from everloop.state.label_queue import LabelQueue
from everloop.state.lease import Fence, Leases
from everloop.state.outbox import Outbox
from everloop.state.prelabels import Prelabels
from everloop.state.releases import Releases
from everloop.state.requests import Requests
from everloop.state.resolutions import Resolutions
from everloop.tasks.task import Task
from everloop_runtime.images import ImageLimits

LEASE_TTL = timedelta(seconds=15)
"""How long the right to control stands without being renewed."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the project's `product.py` declares, without running it here."""

    product: str
    task: Task
    code: str
    """Fingerprint of the project's own code."""
    moderates: bool = False
    """Whether it has a function marked `@product.moderate`."""
    space: Mapping[str, Any] | None = None
    """What `product.space` declares, as `Space.declaration` tells it."""


@dataclass(frozen=True, slots=True)
class Commands:
    """How to start this program's other processes."""

    job: tuple[str, ...]
    """Runs the job whose folder is appended."""
    service: tuple[str, ...]
    """Runs the prediction service; its options are appended."""
    printer: tuple[str, ...]
    """Prints a page: the job's folder, the HTML file and the PDF are appended."""


def _nobody(_progress: Progress) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Project:
    """Everything the loop reads from and acts on."""

    layout: Layout
    policy: Policy
    declaration: Declaration
    commands: Commands
    data: DataStore
    leases: Leases
    journal: Journal
    releases: Releases
    experiments: Experiments
    queue: LabelQueue
    answers: LabelAnswers
    answer_rounds: AnswerRounds
    resolutions: Resolutions
    prelabels: Prelabels
    backend_marks: BackendMarks
    decisions: Decisions
    checklists: Checklists
    requests: Requests
    rules: Rules
    clearances: Clearances
    audit: Audit
    access: Access
    erasing: Erasing
    alarms: Alarms
    outbox: Outbox
    courier: Courier
    engine: Engine
    registry: Registry
    studies: StudyBook
    tracker: PageServer
    """The registry's own page."""
    pages: PageServer
    """Everloop's pages."""
    tallies: Tallies = field(default_factory=Tallies)
    """The figures of rollouts, kept up to date from the captured answers."""
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What reaches object stores. It may hold credentials, so it is never printed."""
    listings: Listings = field(default_factory=Listings)
    """What was seen in the sources, so that the next look is cheap."""
    progress: Callable[[Progress], None] = _nobody
    """Told how far an import is, by whoever takes it in."""

    @property
    def limits(self) -> ImageLimits:
        """What a picture may be at most."""
        data = self.policy.data
        return ImageLimits(max_bytes=data.max_bytes, max_pixels=data.max_pixels)

    def place(self, source: str) -> Location:
        """Where a source is: a URI with what reaches it, a path seen from the project."""
        if is_uri(source):
            return Location(source, self.storage_options)
        return Location(str(self.layout.project / source))

    @property
    def ingest_rules(self) -> IngestRules:
        """What is taken in, and how."""
        data = self.policy.data
        return IngestRules(
            self.declaration.task, self.limits, self.split, data.out_of_image, data.columns
        )

    @property
    def split(self) -> SplitRule:
        """How new samples are divided into training and hold-out."""
        data = self.policy.data
        return SplitRule(data.holdout_share, data.split, data.holdout_from)


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to write, and the time at which the present turn began."""

    fence: Fence
    now: datetime
