"""Models: the list, one of them with its verdict and card, two compared; approving, rejecting."""

from everloop.errors import Refused
from everloop.ids import BundleId
from everloop.loop.checklist import answer, check_answered
from everloop.loop.checklist import asked as questions
from everloop.loop.four_eyes import half_approved, lacking
from everloop.loop.models import JudgedModel, judged_model, judged_models
from everloop.loop.models import compared as paired_on_hold_out
from everloop.loop.side_by_side import side_by_side
from everloop.state.checklists import SAID
from everloop.web.asked import Answer, Asked, goto, nothing_there
from everloop.web.drawing import page
from everloop.web.pages.data import pictures
from everloop.web.views.models import compared, model_rows, model_view

_LONGEST_COMMENT = 2000
CARD_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
"""A card carries its own style and pictures, and nothing in it may run."""


def show_all(asked: Asked) -> Answer:
    """Every candidate the loop judged, newest first."""
    project = asked.project
    models = judged_models(project)
    half = half_approved(project, [model.bundle for model in models])
    rows = model_rows(models, project.decisions.all(), half)
    by_person = project.policy.approval.by == "person"
    return page(asked, "models.html", title="Models", rows=rows, by_person=by_person)


def show_one(asked: Asked) -> Answer:
    """One model: metrics, verdict with reasons, card, and what was decided."""
    project = asked.project
    model = _find(asked, asked.named["bundle"])
    path = project.layout.cards / f"{model.bundle}.md"
    card = path.read_text(encoding="utf-8") if path.is_file() else ""
    by_person = project.policy.approval.by == "person"
    decision = project.decisions.of(model.bundle)
    view = model_view(model, decision, card, by_person=by_person)
    path = project.layout.cards / f"{model.bundle}.html"
    others = [m.bundle for m in judged_models(project) if m.bundle != model.bundle]
    return page(
        asked,
        "model.html",
        title=f"Model {model.bundle[:8]}",
        view=view,
        others=others,
        questions=questions(project, model.bundle),
        said=SAID,
        lacks=lacking(project, model.bundle),
        has_page=path.is_file(),
    )


def compare(asked: Asked) -> Answer:
    """Two models side by side: with intervals on a hold-out that measured both, else plainly."""
    one, two = (_find(asked, asked.argument(name)) for name in ("one", "two"))
    try:
        paired = paired_on_hold_out(asked.project, one, two)
        beside = side_by_side(asked.project, one, two)
    except Refused:
        # What was measured once may be gone since; the figures that were noted are not.
        paired, beside = None, None
    rows = compared(one, two)
    return page(
        asked, "compare.html", title="Compare models", one=one, two=two, rows=rows, paired=paired,
        beside=beside, pictures=pictures(asked, beside.parted if beside else ()),
    )  # fmt: skip


def show_card(asked: Asked) -> Answer:
    """The card with its pictures and plots, as a page that runs nothing and asks for nothing."""
    model = _find(asked, asked.named["bundle"])
    path = asked.project.layout.cards / f"{model.bundle}.html"
    if not path.is_file():
        raise nothing_there(f"card of model {model.bundle[:8]} yet")
    return Answer(path.read_bytes(), headers={"Content-Security-Policy": CARD_POLICY})


def sign(asked: Asked) -> Answer:
    """Answer questions of the checklist; the latest answer to each stands."""
    project, model, form = asked.project, _find(asked, asked.named["bundle"]), asked.form()
    names = project.policy.approval.checklist
    given = [f"{name}={form[name]}" for name in names if form.get(name)]
    comment = form.get("comment", "").strip()[:_LONGEST_COMMENT]
    answer(project, model.bundle, given, comment=comment, by=asked.who.name, now=asked.now)
    asked.record("sign a checklist", bundle=model.bundle, answers=given, comment=comment)
    return goto(f"/models/{model.bundle}")


def approve(asked: Asked) -> Answer:
    """Let a model go on to verification and traffic."""
    return _decide(asked, approved=True)


def reject(asked: Asked) -> Answer:
    """Keep a model from traffic."""
    return _decide(asked, approved=False)


def _decide(asked: Asked, *, approved: bool) -> Answer:
    project, model = asked.project, _find(asked, asked.named["bundle"])
    comment = asked.form().get("comment", "").strip()[:_LONGEST_COMMENT]
    if approved and not model.passed:
        raise Refused(f"bundle {model.bundle[:8]} did not pass its gates; it cannot be approved")
    if approved:
        check_answered(project, model.bundle)
    by = asked.who.name
    project.decisions.record(model.bundle, approved=approved, by=by, comment=comment, now=asked.now)
    asked.record("approve" if approved else "reject", bundle=model.bundle, comment=comment)
    return goto(f"/models/{model.bundle}")


def _find(asked: Asked, bundle: str) -> JudgedModel:
    """A model by its whole id. Raises `Problem` where this product has none of that id."""
    try:
        return judged_model(asked.project, BundleId(bundle))
    except Refused as error:
        raise nothing_there(f"model {bundle[:64]!r} of this product") from error
