"""The world as the loop sees it at one moment: frozen, and all that `decide` may know."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from everloop.action import Action, Entry
from everloop.ids import ActionKey, BundleId, Json, PolicyVersion
from everloop.rollout.figures import Beside
from everloop.state.releases import Release


@dataclass(frozen=True, slots=True)
class Source:
    """A folder that samples come from."""

    path: str
    listing: str
    """Digest of the names, sizes and times of what lies in it."""
    files: int
    trouble: str | None = None
    """Why it cannot be looked at now; then nothing else is known of it."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What is labelled so far."""

    version: str
    """Another one whenever a label is said, or a sample left out or let in again."""
    train: int
    holdout: int
    unlabelled: int = 0
    """Samples without a label."""

    @property
    def total(self) -> int:
        return self.train + self.holdout


@dataclass(frozen=True, slots=True)
class Queue:
    """The label tasks of people."""

    open: int
    """Waiting or being looked at."""
    unrecorded: str | None
    """Digest of the answered tasks that are not annotations yet; None when there are none."""
    unrecorded_count: int
    newest_answer: datetime | None
    """When the newest of them was given."""
    oldest_open: datetime | None
    """When the oldest open task was made."""
    uncleared: str | None = None
    """Digest of the tasks that wait for the privacy filters; None when there are none."""
    uncleared_count: int = 0


@dataclass(frozen=True, slots=True)
class Gate:
    """The privacy gate before label tasks."""

    version: PolicyVersion | None
    """Of the policy in force; None: the gate is closed."""
    closed: str | None = None
    """Why it is closed."""
    warnings: tuple[str, ...] = ()
    """What labellers may see of personal data, in plain words."""
    held: int = 0
    """Samples held back under this version."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What people said of answers of the champion drawn at random."""

    at: datetime
    """When the samples were drawn."""
    answered: int
    right: int


@dataclass(frozen=True, slots=True)
class Prelabels:
    """How it stands with answers of the champion that are sure enough to be taken for labels."""

    eligible: str | None
    """Digest of the open tasks whose answer may be taken; None when there are none."""
    eligible_count: int
    accepted: int
    """Taken so far."""
    audited: int
    """Sure answers that were kept for people and are judged."""
    right: int


@dataclass(frozen=True, slots=True)
class Service:
    """What the live service says of itself."""

    generation: int
    """The routes document it has applied."""
    failed: Mapping[BundleId, str]
    """Bundles it could not load or took out of the way, and why."""
    loaded: frozenset[BundleId] = frozenset()
    """Bundles that can answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """Something a person asked the loop for."""

    id: str
    kind: str
    """`act`, `deploy`, `rollback`, `experiment` or `end-experiment`."""
    inputs: Mapping[str, Json]
    by: str


@dataclass(frozen=True, slots=True)
class World:
    """Everything observed, `now` included."""

    now: datetime
    code: str
    """Fingerprint of the project's own code."""
    labels: Labels
    queue: Queue
    release: Release
    gate: Gate
    sources: tuple[Source, ...] = ()
    segments: tuple[str, ...] = ()
    """Sealed segments of captured answers, oldest first."""
    answers: int = 0
    """Answers of the champion that are in the store."""
    service: Service | None = None
    """None: it does not answer."""
    unlearnable: str | None = None
    """Why no model can be learnt of the product's task; None when one can."""
    audit: Audit | None = None
    """The latest of the champion; None without one."""
    prelabels: Prelabels | None = None
    """None as long as no rule lets any of its answers be taken for labels."""
    figures: Beside | None = None
    """The candidate beside the champion, since its present step began."""
    watched: Beside | None = None
    """A newly promoted champion beside the one before it, which served until then."""
    tried: Mapping[BundleId, Beside] = field(default_factory=dict)
    """Each variant of the experiment beside the champion, since it began."""
    classes: int = 2
    """How many classes the task has."""
    decisions: Mapping[BundleId, tuple[bool, str]] = field(default_factory=dict)
    """Approved or not, and by whom."""
    half_approved: Mapping[BundleId, str] = field(default_factory=dict)
    """Approved by somebody who may not do so alone, so not among `decisions`: what they lack."""
    questions: tuple[str, ...] = ()
    """The names of the checklist's questions."""
    checklists: Mapping[BundleId, tuple[tuple[str, ...], tuple[str, ...]]] = field(
        default_factory=dict
    )
    """Of bundles with answers: the names of what is still open, and of what was answered no."""
    requests: tuple[Request, ...] = ()
    journal: Mapping[ActionKey, Entry] = field(default_factory=dict)

    def entry(self, action: Action) -> Entry | None:
        """What the journal knows of this Action."""
        return self.journal.get(action.key)

    def result(self, action: Action) -> Mapping[str, Json] | None:
        """The result of an Action that is over and worked; None otherwise."""
        entry = self.entry(action)
        if entry is None or entry.outcome is None or not entry.outcome.succeeded:
            return None
        return entry.outcome.result

    def latest(self, kind: str, **inputs: Json) -> Entry | None:
        """The Action of this kind, with these inputs among its own, that succeeded last."""
        done = [
            entry
            for entry in self._entries(kind, inputs)
            if entry.outcome is not None and entry.outcome.succeeded
        ]
        return max(done, key=lambda entry: entry.finished_at or entry.intended_at, default=None)

    def intended(self, kind: str, **inputs: Json) -> Entry | None:
        """The Action of this kind, with these inputs among its own, intended last.

        Without those that failed for good.
        """
        meant = [
            entry
            for entry in self._entries(kind, inputs)
            if entry.outcome is None or entry.outcome.succeeded or not entry.outcome.final
        ]
        return max(meant, key=lambda entry: entry.intended_at, default=None)

    def _entries(self, kind: str, inputs: Mapping[str, Json]) -> Iterator[Entry]:
        return (
            entry
            for entry in self.journal.values()
            if entry.action.kind == kind and inputs.items() <= entry.action.inputs.items()
        )
