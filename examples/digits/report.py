"""What the life came to: figures, and a plot of true accuracy over it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeAlias

from product_process import Event
from traffic import Served, Traffic

from everloop.evaluation.intervals import wilson

_WINDOW = 60
Mark: TypeAlias = tuple[float, str, str]
"""When, what, and in which colour."""


@dataclass(frozen=True)
class Report:
    """The figures, all measured on answers to clients."""

    served: Sequence[Served]
    events: Sequence[Event]
    before: Sequence[Served]
    trough: Sequence[Served]
    after: Sequence[Served]
    dropped: int
    labels: int
    allowed: float

    @classmethod
    def of(cls, traffic: Traffic, events: Sequence[Event], labels: int, allowed: float) -> Self:
        """From all answers: before the change; after it by the old champion; by the last one."""
        first = [s for s in traffic.served if s.season == 1]
        second = [s for s in traffic.served if s.season == 2]
        promoted = [e for e in events if e["kind"] == "promote" and e["error"] is None]
        old, last = promoted[0]["result"]["champion"], promoted[-1]["result"]["champion"]
        # Each image is sent once, and labels end before training: the last model saw none of them.
        since = datetime.fromisoformat(promoted[-1]["at"]).timestamp()
        after = [s for s in second if s.bundle == last and s.at > since] if last != old else []
        trough = [s for s in second if s.bundle == old]
        return cls(traffic.served, events, first, trough, after, traffic.dropped, labels, allowed)

    @property
    def recovered(self) -> bool:
        """Whether accuracy came back to within the allowed loss."""
        return bool(self.after) and rate(self.after) >= rate(self.before) - self.allowed


def rate(served: Sequence[Served]) -> float:
    """The share of right answers."""
    return sum(s.right for s in served) / len(served) if served else float("nan")


def print_report(report: Report) -> None:
    """The figures, for people."""
    rows = [
        ("before the change", report.before),
        ("in the trough (old model, changed camera)", report.trough),
        ("after recovery (new model, images it never saw)", report.after),
    ]
    print("\nTrue accuracy of the answers that clients got:")
    for name, served in rows:
        low, high = wilson(sum(s.right for s in served), len(served))
        told = f"{rate(served):6.1%}  ({low:.1%} to {high:.1%}, {len(served)} answers)"
        print(f"  {name:<48} {told if served else 'never came to it'}")
    print(f"labels asked of the person: {report.labels}")
    print(f"requests answered: {len(report.served)}, dropped: {report.dropped}")
    print(f"recovered to within {report.allowed:.0%}: {'yes' if report.recovered else 'NO'}\n")


def save_plot(report: Report, folder: Path) -> list[Path]:
    """True and estimated accuracy over the life, as PNG and SVG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(11, 5), layout="constrained")
    begin = report.served[0].at
    times = [s.at - begin for s in report.served]
    rolling = [
        rate(report.served[max(0, end - _WINDOW) : end]) for end in range(1, len(report.served) + 1)
    ]
    start = min(_WINDOW // 2, len(times) - 1)
    label = f"true accuracy, last {_WINDOW} answers"
    axes.plot(times[start:], rolling[start:], color="#1f77b4", lw=2, label=label)
    windows = [e for e in report.events if e["kind"] == "monitor" and e["error"] is None]
    x = [datetime.fromisoformat(e["result"]["last_at"]).timestamp() - begin for e in windows]
    y = [e["result"]["estimated_accuracy"] for e in windows]
    axes.plot(x, y, "o", color="#7f7f7f", ms=5, label="estimated without labels, a window each")
    bad = [(a, b) for a, b, e in zip(x, y, windows, strict=True) if e["result"]["harmful"]]
    if bad:
        axes.plot(*zip(*bad, strict=True), "o", color="#d62728", ms=8, label="harmful drift")
    _mark_events(axes, report, begin)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes.set(xlabel="seconds of production", ylabel="accuracy", ylim=(0, 1.3), xlim=(0, None))
    axes.set_title("Handwritten digits: the camera changes, the loop recovers")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    paths = [folder / "life.png", folder / "life.svg"]
    for path in paths:
        figure.savefig(path, dpi=120)
    plt.close(figure)
    return paths


def _mark_events(axes: Any, report: Report, begin: float) -> None:
    changed = [s.at - begin for s in report.served if s.season == 2]
    marks = [(changed[0], "camera changes", "#d62728")] if changed else []
    names = {"select": "people asked", "train": "retrained", "verify": "verified"}
    names |= {"canary": "canary", "promote": "promoted"}
    for event in report.events:
        at = datetime.fromisoformat(event["at"]).timestamp() - begin
        if at > 0 and event["kind"] in names and event["error"] is None:
            marks.append((at, names[event["kind"]], "#2ca02c"))
    for at, name, colour in _merged(marks, (report.served[-1].at - begin) / 60):
        axes.axvline(at, color=colour, lw=1, ls="--", alpha=0.7)
        axes.text(at, 1.29, f"{name} ", rotation=90, va="top", ha="right", fontsize=8, color=colour)


def _merged(marks: list[Mark], close: float) -> list[Mark]:
    """Marks that lie too close to be read one by one share a line."""
    merged: list[Mark] = []
    for at, name, colour in sorted(marks):
        if merged and at - merged[-1][0] < close:
            first, names, its_colour = merged[-1]
            merged[-1] = (first, f"{names}, {name}", its_colour)
        else:
            merged.append((at, name, colour))
    return merged
