"""Captured answers looked through, what looks alike, and the map of what the live model saw."""

from everloop.data.browsing import Region, browse, seen_alike
from everloop.errors import Refused, Unavailable
from everloop.ids import BundleId, Json, SampleId
from everloop.loop import kinds
from everloop.loop.watching import watched
from everloop.web.asked import Answer, Asked, figure_of, goto, nothing_there
from everloop.web.drawing import page
from everloop.web.pages.data import find_sample, pictures
from everloop.web.routes import is_name
from everloop.web.views.answers import MapView, address, edges_of, map_view, wanted_of
from everloop_runtime.bundle import open_bundle

_TILES = 36
_DOTS = 1000
_CHOSEN = "chosen"
_ALIKE = 0.5
"""Least cosine of two looks that are shown as alike."""


def show(asked: Asked) -> Answer:
    """One page of answers that fit what is asked for, newest first."""
    data, wanted = asked.project.data, wanted_of(asked, _region(asked))
    before = asked.argument("before")
    found = browse(data.predictions, wanted, _TILES, figure_of(before) if before else None)
    standing = data.annotations.standing([given.sample for given in found.answers])
    seen = pictures(asked, [given.sample for given in found.answers])
    following = None if found.before is None else address(asked, before=found.before)
    return page(
        asked, "answers.html", title="Answers", wanted=wanted, answers=found.answers, pictures=seen,
        standing=standing, following=following, first=address(asked) if before else None,
        since=asked.argument("since"), until=asked.argument("until"), said=_said(asked),
    )  # fmt: skip


def _region(asked: Asked) -> Region | None:
    """The part of a model's map that is asked for. Raises `Problem` for a model of no map."""
    edges, bundle = edges_of(asked), asked.argument("bundle")
    if edges is None:
        return None
    try:
        reference = watched(asked.project, BundleId(bundle)).watch.reference if bundle else None
    except (Refused, Unavailable) as error:
        raise nothing_there(f"map of model {bundle[:64]!r}: {error}") from error
    if reference is None or reference.projected.shape[1] < 2:
        raise nothing_there(f"map of model {bundle[:64]!r}")
    return Region(BundleId(bundle), *edges, len(reference.mean), reference.project)


def ask_people(asked: Asked) -> Answer:
    """Ask the loop to have people label what was chosen; it does so on one of its next turns."""
    project, form = asked.project, asked.form()
    chosen = [SampleId(name) for name, value in form.items() if value == _CHOSEN and is_name(name)]
    champion = project.releases.current().champion
    if champion is None:
        raise Refused("no model is live: everloop label ask opens the first round")
    if not chosen:
        raise Refused("no picture was chosen: mark some first")
    wanted = kinds.select_chosen(champion, sorted(chosen), f"{asked.who.name} {asked.now}")
    told: dict[str, Json] = {"kind": wanted.kind, "inputs": wanted.inputs}
    request = project.requests.submit("act", told, asked.who.name, asked.now)
    asked.record("ask people", samples=len(chosen), request=request)
    return goto(f"/data/answers?asked={request}")


def _said(asked: Asked) -> str | None:
    """What became of the request that this page was sent on with."""
    request = asked.argument("asked", 40)
    if not request:
        return None
    return asked.project.requests.answer(request) or "the loop does it on one of its next turns"


def show_similar(asked: Asked) -> Answer:
    """What looks like a sample: to the live model, and from afar to the eye."""
    data, sample = asked.project.data, find_sample(asked)
    champion = asked.world().release.champion
    seen = [] if champion is None else seen_alike(data.predictions, champion, sample, _TILES)
    looks = [other for _, other in data.examinations.alike([sample], _ALIKE, _TILES)]
    shown = [each for each, _ in seen] + looks
    return page(
        asked, "similar.html", title="Similar", sample=sample, seen=seen, looks=looks,
        standing=data.annotations.standing(shown), pictures=pictures(asked, [sample, *shown]),
    )  # fmt: skip


def show_map(asked: Asked) -> Answer:
    """What the live model saw lately, beside its hold-out."""
    champion = asked.world().release.champion
    view = None if champion is None else _map(asked, champion)
    return page(asked, "map.html", title="Map", view=view, champion=champion)


def _map(asked: Asked, bundle: BundleId) -> MapView | None:
    project = asked.project
    predictions = project.data.predictions
    window = predictions.window(bundle, max(0, predictions.count(bundle) - _DOTS), _DOTS)
    watch = watched(project, bundle).watch
    reference = watch.reference
    if reference.projected.shape[1] < 2 or not window.embeddings.size:
        return None
    seen = reference.project(window.embeddings)
    kind = open_bundle(project.layout.bundles / bundle).answers
    labels = [str(answer.label) for answer in kind.tell(watch.shaped(window.values))]
    return map_view(reference.projected[:, :2], seen[:, :2], window.samples, labels)
