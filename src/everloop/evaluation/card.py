"""A model card: what a version is, what it was learnt from and where it is weak."""

from everloop.evaluation.evaluate import Evaluation
from everloop_runtime.bundle import Bundle


def model_card(bundle: Bundle, evaluation: Evaluation) -> str:
    """The card as Markdown."""
    manifest = bundle.manifest
    low, high = evaluation.interval
    lines = [
        f"# {manifest.product}, bundle {bundle.id[:12]}",
        "",
        f"Answers one of {len(manifest.classes)} classes: {', '.join(manifest.classes)}.",
        "",
        f"## On the hold-out ({len(evaluation.samples)} samples it never learnt from)",
        "",
        *(f"- {name}: {value:.4f}" for name, value in evaluation.metrics.items()),
        f"- 95% interval of the accuracy: {low:.4f} to {high:.4f}",
        "",
        "## Where it is weakest",
        "",
        *(
            f"- {result.name}: {result.accuracy:.3f} of {len(result.rows)}"
            for result in evaluation.slices()[:5]
        ),
        "",
        "## Where it comes from",
        "",
        *(
            f"- {name}: {manifest.lineage[name]}"
            for name in ("run", "snapshot", "code", "params", "seed")
        ),
        "",
    ]
    return "\n".join(lines)
