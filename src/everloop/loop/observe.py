"""Observing: the stores and the service read into one frozen `World`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from everloop.action import Entry
from everloop.data.sources.opened import is_uri
from everloop.errors import EverloopError, Refused, Unavailable
from everloop.ids import ActionKey, BundleId
from everloop.loop import kinds
from everloop.loop.arms.prelabelling import rule_action, rule_of
from everloop.loop.arms.requests import single_action
from everloop.loop.audits import latest_audit
from everloop.loop.four_eyes import half_approved
from everloop.loop.project import Project
from everloop.loop.world import (
    Gate,
    Labels,
    Prelabels,
    Queue,
    Request,
    Service,
    Source,
    World,
)
from everloop.rollout.figures import Beside
from everloop.rollout.service import live_service
from everloop.rollout.tally import Slice
from everloop.state.checklists import open_questions
from everloop.state.experiments import Experiment
from everloop.state.prelabels import Sure
from everloop.state.releases import Release
from everloop.tasks.task import why_not_learnable
from everloop.training.project_code import fingerprint
from everloop_runtime.capture import sealed_segments
from everloop_runtime.ids import digest_json
from everloop_runtime.routes import Role

_LASTING = ("snapshot", "train", "track", "evaluate", "gate", "register", "approve", "verify",
            "canary", "promote", "rollback", "deploy", "roll-out", "experiment", "take-out",
            "end-experiment", "select", "clear", "prelabel-rule", "accept",
            "withdraw-prelabels")  # fmt: skip
"""Kinds of which the whole history matters to `decide`; there are few of each."""
_STANDING: frozenset[Role] = frozenset({"champion"})
_VARIANT: frozenset[Role] = frozenset({"variant"})
_BRIEF = {"timeout_s": "5", "patience_s": "5"}
"""How long a bucket is waited for when it is only looked at."""
_BY_THE_CLOCK = ("inspect", "report")
_LOOKS = 3
"""How many looks and reports back it may look."""
_WINDOWS = 100
"""How many judged windows back `decide` may look."""


def observe(project: Project, now: datetime) -> World:
    """The world at `now`. Reads only; a part that cannot be read raises as its store does."""
    release = project.releases.current()
    champion = release.champion
    sources = _sources(project)
    segments = tuple(path.name for path in sealed_segments(project.layout.capture))
    answers = 0 if champion is None else project.data.predictions.count(champion)
    requests = _requests(project)
    decided = _decisions(project)
    half = half_approved(project, (bundle for bundle, (yes, _) in decided.items() if yes))
    world = World(
        now=now,
        code=fingerprint(project.layout.project),
        labels=_labels(project),
        queue=_queue(project),
        release=release,
        gate=_gate(project),
        sources=sources,
        segments=segments,
        answers=answers,
        service=_service(project),
        unlearnable=why_not_learnable(project.declaration.task),
        audit=None if champion is None else latest_audit(project, champion),
        figures=_figures(project, release),
        watched=_watched(project, release, now),
        tried={} if release.experiment is None else besides(project, release.experiment),
        classes=max(1, len(project.declaration.task.classes)),
        decisions={b: told for b, told in decided.items() if b not in half},
        half_approved=half,
        questions=tuple(project.policy.approval.checklist),
        checklists=_checklists(project),
        requests=requests,
        journal=_journal(project, sources, segments, requests),
    )
    return replace(world, prelabels=_prelabels(project, world))


def _sources(project: Project) -> tuple[Source, ...]:
    found = []
    for path in project.policy.data.sources:
        place = project.place(path)
        if is_uri(path):
            place = replace(place, options={**place.options, **_BRIEF})
        try:
            listing = project.listings.look(place)
        except (Unavailable, Refused, OSError) as error:
            # One source that does not answer must not stop the other arms.
            found.append(Source(path, "", 0, str(error)))
            continue
        if listing is not None:
            found.append(Source(path, listing.digest, listing.files))
    return tuple(found)


def _labels(project: Project) -> Labels:
    counts = project.data.labelled_counts()
    unlabelled = project.data.catalogue.count() - counts.train - counts.holdout
    return Labels(counts.version, counts.train, counts.holdout, unlabelled)


def _queue(project: Project) -> Queue:
    counts = project.queue.counts()
    unrecorded = (*project.queue.answered_unrecorded(), *project.resolutions.unrecorded())
    uncleared = list(project.queue.uncleared())
    return Queue(
        open=counts.get("open", 0),
        unrecorded=digest_json([task.id for task in unrecorded]) if unrecorded else None,
        unrecorded_count=len(unrecorded),
        newest_answer=max((task.at for task in unrecorded), default=None),
        oldest_open=project.queue.oldest_open(),
        uncleared=digest_json(uncleared) if uncleared else None,
        uncleared_count=len(uncleared),
    )


def _gate(project: Project) -> Gate:
    rules = project.rules
    held = 0 if rules.version is None else project.clearances.count_held(rules.version)
    return Gate(rules.version, rules.closed, rules.warnings(), held)


def _prelabels(project: Project, world: World) -> Prelabels | None:
    found = rule_action(project.policy, world)
    rule, bundle = None if found is None else rule_of(world, found), world.release.champion
    if rule is None or rule.threshold is None or bundle is None:
        return None
    share = project.policy.labelling.prelabel.audit_share
    state = project.prelabels.standing(Sure(bundle, rule.threshold, share), world.now)
    tasks = list(state.eligible)
    digest = digest_json(tasks) if tasks else None
    return Prelabels(digest, len(tasks), state.accepted, state.audited, state.right)


def _service(project: Project) -> Service | None:
    address = live_service(project.layout)
    if address is None:
        return None
    try:
        with address.client() as client:
            status = client.status()
    except EverloopError:
        return None
    failed = {
        BundleId(bundle): str(told["reason"])
        for bundle, told in status["bundles"].items()
        if told["state"] == "failed"
    }
    loaded = frozenset(
        BundleId(bundle) for bundle, told in status["bundles"].items() if told["state"] == "ready"
    )
    return Service(int(status["generation"]), failed, loaded)


def _figures(project: Project, release: Release) -> Beside | None:
    """The candidate beside the champion, both since its present step began."""
    candidate, champion = release.canary, release.champion
    if candidate is None or champion is None or candidate.mode == "green":
        return None
    since = candidate.since
    return project.tallies.beside(
        project.data,
        Slice(candidate.bundle, frozenset({candidate.mode}), since),
        Slice(champion, _STANDING, since),
        _caps(project),
    )


def _watched(project: Project, release: Release, now: datetime) -> Beside | None:
    """The champion since it was promoted, beside the one before in as long a time before."""
    watch, since = project.policy.rollout.watch, release.champion_since
    if release.champion is None or release.previous is None or since is None:
        return None
    if now >= since + watch or project.policy.level == 0:
        return None
    return project.tallies.beside(
        project.data,
        Slice(release.champion, _STANDING, since),
        Slice(release.previous, _STANDING, since - watch, since),
        _caps(project),
    )


def besides(project: Project, experiment: Experiment) -> Mapping[BundleId, Beside]:
    """Each variant beside the champion: since the experiment began, until it was taken out."""
    caps = {experiment.event: experiment.event_most} if experiment.event else {}
    found = {}
    for variant in experiment.variants:
        over = (experiment.since, variant.out_at or experiment.ended_at)
        found[variant.bundle] = project.tallies.beside(
            project.data,
            Slice(variant.bundle, _VARIANT, *over),
            Slice(experiment.champion, _STANDING, *over),
            caps,
        )
    return found


def _caps(project: Project) -> Mapping[str, float]:
    rollout = project.policy.rollout
    return {rollout.event: rollout.event_most} if rollout.event else {}


def _decisions(project: Project) -> Mapping[BundleId, tuple[bool, str]]:
    return {
        bundle: (decision.approved, decision.by)
        for bundle, decision in project.decisions.all().items()
    }


def _checklists(project: Project) -> Mapping[BundleId, tuple[tuple[str, ...], tuple[str, ...]]]:
    questions = project.policy.approval.checklist
    if not questions:
        return {}
    found = {}
    for bundle, answers in project.checklists.all().items():
        missing, refused = open_questions(questions, answers)
        found[bundle] = (tuple(missing), tuple(refused))
    return found


def _journal(
    project: Project,
    sources: tuple[Source, ...],
    segments: tuple[str, ...],
    requests: tuple[Request, ...],
) -> Mapping[ActionKey, Entry]:
    """The part of the journal that a decision can depend on, however long its history is."""
    journal = project.journal
    entries = dict(journal.entries(_LASTING))
    entries.update((entry.action.key, entry) for entry in journal.latest("monitor", _WINDOWS))
    entries.update(journal.unfinished())
    for kind in _BY_THE_CLOCK:
        entries.update((entry.action.key, entry) for entry in journal.latest(kind, _LOOKS))
    named = [
        kinds.ingest(source.path, source.listing).key
        for source in sources
        if source.trouble is None
    ]
    named += [kinds.collect(segment).key for segment in segments]
    named += [action.key for request in requests if (action := single_action(request))]
    for key in named:
        if entry := journal.entry(key):
            entries[key] = entry
    return entries


def observe_requests(project: Project, now: datetime) -> World:
    """As much of the world as a rollback on request needs: no store of data, no service.

    What is urgent is not made to wait for what a whole look at the world costs.
    """
    requests = _requests(project)
    return World(
        now=now,
        code="",
        labels=Labels("", 0, 0),
        queue=Queue(0, None, 0, None, None),
        gate=Gate(None, "it was not looked at"),
        release=project.releases.current(),
        requests=requests,
        journal=project.journal.entries(("rollback", "end-experiment")),
    )


def _requests(project: Project) -> tuple[Request, ...]:
    return tuple(
        Request(request.id, request.kind, request.inputs, request.by)
        for request in project.requests.pending()
    )
