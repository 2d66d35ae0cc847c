"""The report of a period: what happened, what the loop did and why, and what needs a person."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from everloop.action import Entry
from everloop.alarm import LEVELS as ALARM_LEVELS
from everloop.errors import Refused
from everloop.evaluation.cards.blocks import (
    Block,
    Card,
    Gallery,
    Grid,
    Paragraph,
    Points,
    Section,
    Shown,
)
from everloop.evaluation.cards.compose import figure
from everloop.evaluation.evaluate import Evaluation, SliceResult, load
from everloop.ids import SampleId
from everloop.loop.cards import latest
from everloop.loop.project import Project
from everloop.loop.telling import describe_entry
from everloop.monitoring.finding import LEVELS, Finding, findings_in
from everloop.monitoring.served import Served, given, served
from everloop.state.alarms import Raised
from everloop.state.clearances import Cleared

_ROUTINE = frozenset(
    {"collect", "ingest", "record-answers", "monitor", "inspect", "report", "track"}
)
"""Kinds of Action that are counted rather than told."""
_TOLD = 15
_SLICES = 5
_OF_A_SLICE = 3
"""Pictures of each part of the hold-out."""
_PICTURES = 6
ID_SHOWN = 12
"""By so much of its id a report names a sample."""


@dataclass(frozen=True, slots=True)
class Period:
    """From when to when."""

    since: datetime
    until: datetime

    def __str__(self) -> str:
        return f"{self.since:%A %d %B %Y, %H:%M} to {self.until:%A %d %B %Y, %H:%M} UTC"


def daily(project: Project, period: Period) -> Card:
    """The whole report; read-only, and without any picture that labellers might not see."""
    entries = project.journal.between(period.since, period.until)
    findings = latest_findings(entries)
    standing = project.alarms.standing()
    parts = given(served(project.data.predictions.between(period.since, period.until)))
    return Card(
        f"{project.declaration.product}: {headline(standing, findings)}",
        (
            Section("At a glance", (Paragraph(str(period)), *_glance(project, parts))),
            Section("What needs somebody", tuple(_needs(standing))),
            Section("What the loop did, and why", tuple(_did(entries))),
            Section("Signals against their limits", tuple(_signals(findings))),
            Section("Where the live model is weakest", tuple(_weakest(project))),
            Section("Telling samples", tuple(_pictures(project, findings))),
            Section("Labels", tuple(_labels(project, entries))),
        ),
    )


def headline(standing: Sequence[Raised], findings: Iterable[Finding]) -> str:
    """All in a few words."""
    open_now = [r for r in standing if r.acked_at is None and r.alarm.level != "info"]
    worse = sum(finding.level == "alarm" for finding in findings)
    if open_now:
        return f"{len(open_now)} need{'s' if len(open_now) == 1 else ''} somebody"
    return f"{worse} signal{'s' if worse != 1 else ''} over the limit" if worse else "all is well"


def latest_findings(entries: Iterable[Entry]) -> tuple[Finding, ...]:
    """Of each signal the newest finding, the worst first."""
    newest: dict[str, Finding] = {}
    for entry in entries:
        if entry.outcome is not None and entry.outcome.succeeded:
            newest.update((found.name, found) for found in findings_in(entry.outcome.result))
    return tuple(sorted(newest.values(), key=lambda f: (-LEVELS.index(f.level), f.name)))


def _glance(project: Project, parts: Sequence[Served]) -> Iterator[Block]:
    release = project.releases.current()
    live = "No model is live."
    if release.champion is not None and release.champion_since is not None:
        live = f"Bundle {release.champion[:12]} is live since {_moment(release.champion_since)}."
    if release.canary is not None:
        tried = release.canary
        live += f" Bundle {tried.bundle[:12]} is tried on {tried.share:.0%} ({tried.mode})."
    yield Paragraph(live)
    if not parts:
        yield Paragraph("Nothing was asked of the service.")
        return
    yield Grid(
        ("who answered", "requests", "failed", "half within", "95% within", "99% within"),
        tuple(
            (
                f"{part.role} {part.bundle[:12]}", f"{part.requests:,}", f"{part.errors:,}",
                *(_milliseconds(part.quantile(share)) for share in (0.5, 0.95, 0.99)),
            )
            for part in parts
        ),
    )  # fmt: skip


def _milliseconds(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.1f} ms"


def _needs(standing: Sequence[Raised]) -> Iterator[Block]:
    unknown = [raised for raised in standing if raised.acked_at is None]
    if not unknown:
        yield Paragraph("Nothing waits for anybody.")
        return
    loud = sorted(unknown, key=lambda raised: -ALARM_LEVELS.index(raised.alarm.level))
    yield Grid(
        ("how urgent", "what", "since", "look or act"),
        tuple(
            (r.alarm.level, r.alarm.summary, _moment(r.opened_at), r.alarm.command)
            for r in loud[:_TOLD]
        ),
    )
    if len(loud) > _TOLD:
        yield Paragraph(f"And {len(loud) - _TOLD} more: everloop alerts list")


def _did(entries: Sequence[Entry]) -> Iterator[Block]:
    told = [entry for entry in entries if entry.action.kind not in _ROUTINE or _failed(entry)]
    if told:
        yield Grid(
            ("when", "what", "why", "what came of it"),
            tuple(
                (_moment(e.intended_at), e.action.kind, e.reason, describe_entry(e))
                for e in told[-_TOLD:]
            ),
        )
    if len(told) > _TOLD:
        yield Paragraph(f"And {len(told) - _TOLD} before them.")
    counts = Counter(e.action.kind for e in entries if e.action.kind in _ROUTINE)
    routine = ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common())
    yield Paragraph(f"Routine: {routine}." if routine else "Nothing else.")


def _failed(entry: Entry) -> bool:
    return entry.outcome is not None and entry.outcome.error is not None


def _signals(findings: Sequence[Finding]) -> Iterator[Block]:
    if not findings:
        yield Paragraph("Nothing was judged.")
        return
    yield Grid(
        ("signal", "level", "value", "limit", "what it says"),
        tuple((f.name, f.level, _figure(f.value), _figure(f.limit), f.told()) for f in findings),
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _weakest(project: Project) -> Iterator[Block]:
    champion = project.releases.current().champion
    found = None if champion is None else latest(project, "evaluate", bundle=champion)
    if found is None:
        yield Paragraph("No live model was evaluated.")
        return
    try:
        evaluation = load(project.layout.evaluations, str(found["evaluation"]))
    except Refused as error:
        yield Paragraph(f"Its evaluation cannot be read: {error}.")
        return
    least = project.policy.gates.slice_min_samples
    worst = [each for each in evaluation.slices() if len(each.rows) >= least]
    if not worst:
        yield Paragraph(f"No part of the hold-out has {least} samples.")
        return
    yield Grid(
        ("part of the hold-out", "samples", evaluation.quality),
        tuple((each.name, str(len(each.rows)), figure(each.quality)) for each in worst[:_SLICES]),
    )
    yield from _worst_answers(project, evaluation, worst[:_SLICES])


def _worst_answers(
    project: Project, evaluation: Evaluation, slices: Sequence[SliceResult]
) -> Iterator[Block]:
    """Of each weak part the answers that are worst, each once, as labellers may see them."""
    told: dict[SampleId, tuple[str, ...]] = {}
    for part in slices:
        ordered = sorted(part.rows, key=lambda row: (float(evaluation.qualities[row]), row))
        wrong = [row for row in ordered if float(evaluation.qualities[row]) < 1]
        new = [row for row in wrong if evaluation.samples[row] not in told][:_OF_A_SLICE]
        told |= {evaluation.samples[row]: (part.name, _answered(evaluation, row)) for row in new}
    seen = _seen_by_labellers(project, list(told))
    if shown := tuple(
        Shown(picture, (*told[sample], sample[:ID_SHOWN])) for sample, picture in seen.items()
    ):
        yield Gallery(shown, is_small=True)


def _pictures(project: Project, findings: Sequence[Finding]) -> Iterator[Block]:
    """The samples that findings name, as labellers may see them: renditions, never originals."""
    named = {s: f for f in reversed(findings) if f.level != "calm" for s in f.samples}
    if not named:
        return
    cleared = _cleared(project, list(named))
    some = list(cleared)[:_PICTURES]
    seen = _seen_by_labellers(project, some)
    if seen:
        yield Gallery(
            tuple(
                Shown(picture, (*_about(named[sample]), sample[:ID_SHOWN]))
                for sample, picture in seen.items()
            ),
            is_small=True,
        )
    if rest := len(cleared) - len(seen):
        yield Paragraph(f"{rest} more are named: everloop monitor")
    if hidden := len(named) - len(cleared):
        yield Paragraph(f"{hidden} more that the privacy policy has not cleared are not shown.")


def _about(finding: Finding) -> tuple[str, ...]:
    return (f"{finding.name}, {finding.slice}" if finding.slice else finding.name,)


def _answered(evaluation: Evaluation, row: int) -> str:
    """What people said of a sample of the hold-out, and what the model did."""
    classes, label = evaluation.classes, evaluation.labels[row]
    if label in classes and evaluation.values.shape[1:] == (len(classes),):
        return f"labelled {label}, answered {classes[int(evaluation.values[row].argmax())]}"
    return f"{evaluation.quality} {figure(float(evaluation.qualities[row]))}"


def _cleared(project: Project, samples: Sequence[SampleId]) -> Mapping[SampleId, Cleared]:
    """Those that the privacy gate has cleared for labellers."""
    forgotten = project.data.forgotten.ids()
    standing = [sample for sample in samples if sample not in forgotten]
    return project.clearances.cleared(standing, project.rules.version)


def _seen_by_labellers(project: Project, samples: Sequence[SampleId]) -> Mapping[SampleId, bytes]:
    """Renditions, small and as JPEG, of those that are cleared; of what is no picture none."""
    from everloop.evaluation.pictures import with_map

    if project.declaration.task.modality != "image":
        return {}
    cleared = _cleared(project, samples)
    return {
        sample: with_map(project.data.renditions.read(cleared[sample].rendition), None)
        for sample in samples
        if sample in cleared
    }


def _labels(project: Project, entries: Sequence[Entry]) -> Iterator[Block]:
    counts = project.queue.counts()
    rounds = [e for e in entries if e.action.kind == "select" and e.outcome is not None]
    asked = sum(
        value
        for e in rounds
        if e.outcome is not None
        for name, value in e.outcome.result.items()
        if name != "held" and isinstance(value, int)
    )
    labels, budget = project.data.labelled_counts(), project.policy.labelling.budget
    yield Points(
        (
            f"{labels.train:,} labelled samples to learn from, {labels.holdout:,} in the hold-out",
            f"{asked:,} label tasks made in {len(rounds)} rounds; one may have {budget:,}",
            f"{counts.get('open', 0):,} label tasks wait for people: everloop label next",
        )
    )


def _moment(at: datetime) -> str:
    return f"{at:%d %b %H:%M}"


def words(card: Card) -> str:
    """The report's beginning as plain text, for a message."""
    parts: list[str] = []
    for section in card.sections[:2]:
        parts.append(section.title.upper())
        for block in section.blocks:
            match block:
                case Paragraph(told):
                    parts.append(told)
                case Points(lines):
                    parts += [f"- {line}" for line in lines]
                case Grid():
                    parts += ["  ".join(row) for row in block.rows]
                case _:
                    pass
    return "\n".join(parts)
