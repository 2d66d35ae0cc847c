"""The card inside a bundle: what it is, what it was learnt from and where it is weak.

The card of a registered version tells more; see `everloop.evaluation.cards`.
"""

from everloop.evaluation.cards.markdown import plain
from everloop.evaluation.evaluate import Evaluation
from everloop_runtime.bundle import BundleDraft

_WEAKEST = 5


def bundle_card(draft: BundleDraft, evaluation: Evaluation, *, trained_on: int) -> str:
    """The card that travels inside a bundle.

    It names no id, which is made of the card among others, and nothing that differs between two
    runs of the same inputs.
    """
    head = [f"# {draft.product}", "", f"Learnt from {trained_on} labelled samples.", ""]
    return "\n".join([*head, *_body(draft, evaluation)])


def _body(draft: BundleDraft, evaluation: Evaluation) -> list[str]:
    low, high = evaluation.interval
    named = ("run", "snapshot", "code", "params", "seed")
    return [
        plain(answers_of(draft)),
        "",
        f"## On the hold-out ({len(evaluation.samples)} samples it never learnt from)",
        "",
        *(f"- {name}: {value:.4f}" for name, value in evaluation.metrics.items()),
        f"- 95% interval of the {evaluation.quality.replace('_', ' ')}: {low:.4f} to {high:.4f}",
        "",
        "## How sure it is",
        "",
        *(f"- {line}" for line in calibration_of(draft)),
        "",
        "## Where it is weakest",
        "",
        *(
            f"- {plain(result.name)}: {result.quality:.3f} of {len(result.rows)}"
            for result in evaluation.slices()[:_WEAKEST]
        ),
        "",
        "## Where it comes from",
        "",
        *(f"- {name}: {draft.lineage[name]}" for name in named if name in draft.lineage),
        "",
    ]


def answers_of(draft: BundleDraft) -> str:
    """What kind of answers it gives, in a sentence."""
    several = f"{len(draft.classes)} classes: {', '.join(draft.classes)}"
    return {
        "class-probabilities": f"Answers one of {several}.",
        "multi-label": f"Answers any number of {several}.",
        "hits": f"Finds the samples of its index that are most alike, of {several}.",
        "boxes": f"Answers boxes of {several}.",
    }.get(str(draft.answer["kind"]), "Answers a figure.")


def calibration_of(draft: BundleDraft) -> list[str]:
    """How its probabilities were made to mean what they say, a line each."""
    calibration, thresholds = draft.calibration, draft.thresholds
    if calibration.method == "temperature":
        told = (
            f"temperature {calibration.temperature:g}, fitted on {calibration.samples} hold-out "
            f"samples; expected calibration error {calibration.error_before:.4f} before, "
            f"{calibration.error_after:.4f} after"
        )
        lines = [told]
    else:
        lines = [f"not calibrated: {calibration.reason}"]
    if thresholds.confidence is not None:
        right = "none" if thresholds.precision is None else f"{thresholds.precision:.4f}"
        lines.append(
            f"from a confidence of {thresholds.confidence:.4f} on, the share of right answers "
            f"is {right}, and {thresholds.coverage or 0:.1%} of answers are as sure"
        )
    return lines
