"""What is said on a card, in which order."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from everloop.evaluation.card import answers_of, calibration_of
from everloop.evaluation.cards.blocks import (
    Bar,
    Bars,
    Block,
    Card,
    Diagonal,
    Gallery,
    Grid,
    Paragraph,
    Points,
    Section,
    Shown,
)
from everloop.evaluation.cards.told import Told
from everloop.evaluation.mistakes import MISSED, NOTHING, Taken
from everloop.evaluation.report import Report
from everloop.labels import BoxesLabel, ClassesLabel, ClassLabel, ValueLabel, decode

_WEAKEST, _MOST_NAMES, _MOST_PAIRS, _LONG = 8, 30, 12, 80


def compose(told: Told) -> Card:
    """The card of one version (Mitchell et al. 2019, "Model Cards for Model Reporting")."""
    report = told.report or Report("")
    return Card(
        f"{told.draft.product}, bundle {told.bundle[:12]}",
        (
            Section("Intended use", tuple(_use(told))),
            Section("Data", tuple(_data(told))),
            Section(
                f"On the hold-out ({len(told.evaluation.samples)} samples it never learnt from)",
                tuple(_metrics(told)),
            ),
            Section("Beside the champion", tuple(_beside(told))),
            Section("Where it is weakest", tuple(_weak(told, report))),
            Section("What is taken for what", tuple(_confused(report))),
            Section("Worst answers", tuple(_worst(told, report))),
            Section("How sure it is", tuple(_sure(told, report))),
            Section("Under damage", tuple(_robust(told, report))),
            Section("What answers hang on", tuple(_hang(told, report))),
            Section("Speed and size", tuple(_fast(report))),
            Section("Limits", tuple(_limits(told, report))),
            Section("Gates and people", tuple(_people(told))),
            Section("Where it comes from", tuple(_lineage(told))),
        ),
    )


def _use(told: Told) -> Iterable[Block]:
    said = told.said
    yield Paragraph(answers_of(told.draft))
    yield Paragraph(said.intended_use or "Nobody has said what it is for ([card] intended_use).")
    if said.out_of_scope:
        yield Paragraph(f"Not for: {said.out_of_scope}")
    if said.contact:
        yield Paragraph(f"Contact: {said.contact}")


def _data(told: Told) -> Iterable[Block]:
    known = [
        (name, told.data[name]) for name in ("train", "holdout", "taken_at") if name in told.data
    ]
    names = {"train": "labelled samples to learn from", "holdout": "held out", "taken_at": "taken"}
    if known:
        yield Points(tuple(f"{names[name]}: {value}" for name, value in known))
    origins = told.evaluation.origins
    counts = {origin: origins.count(origin) for origin in sorted(set(origins))}
    yield Points(tuple(f"hold-out from {name}: {count}" for name, count in counts.items()))


def _metrics(told: Told) -> Iterable[Block]:
    intervals = told.evaluation.intervals
    rows = []
    for name, value in told.evaluation.metrics.items():
        low, high = intervals.get(name, (math.nan, math.nan))
        rows.append((name, figure(value), _between(low, high)))
    yield Grid(("metric", "value", "95% interval"), tuple(rows))


def _beside(told: Told) -> Iterable[Block]:
    beside = told.beside
    if beside is None:
        yield Paragraph("There was no champion to compare it with.")
        return
    yield Paragraph(
        f"Champion: bundle {beside.champion[:12]}, on the same samples. {beside.test}: "
        f'p = {beside.p_worse:.3g} for "its answers are no worse".'
    )
    rows = [
        (name, figure(d.candidate), figure(d.champion), _between(d.low, d.high, sign=True), d.told)
        for name, d in beside.differences.items()
    ]
    columns = ("metric", "this", "champion", "difference, 95%", "told apart from chance")
    yield Grid(columns, tuple(rows))


def _weak(told: Told, report: Report) -> Iterable[Block]:
    slices = told.evaluation.slices()[:_WEAKEST]
    yield Grid(
        ("slice", told.evaluation.quality, "samples"),
        tuple((s.name, f"{s.quality:.3f}", str(len(s.rows))) for s in slices),
    )
    by_class = [(n, v) for n, v in report.facts.items() if n.startswith("map_50[")]
    if by_class:
        told_first = sorted(by_class, key=lambda item: item[1])[:_MOST_NAMES]
        yield Grid(("class", "value"), tuple((n, f"{v:.3f}") for n, v in told_first))
    found = report.discovery
    if found is None or not found.tried:
        return
    if not found.found:
        yield Paragraph(
            f"Looked for by itself: of {found.tried} parts and pairs of parts none is surely worse "
            f"than the rest ({found.judged} judged on the half that had no say in finding them)."
        )
        return
    yield Paragraph(f"Found by itself among {found.tried} parts and pairs of parts:")
    yield Grid(
        ("part", told.evaluation.quality, "elsewhere", "samples", "p, adjusted"),
        tuple(
            (p.name, f"{p.quality:.3f}", f"{p.rest:.3f}", str(p.samples), f"{p.p:.2g}")
            for p in found.found
        ),
    )


def _confused(report: Report) -> Iterable[Block]:
    taken = report.confusion
    names = _names(taken)
    if 1 < len(names) <= _MOST_NAMES:
        yield matrix(taken, names)
    wrong = [each for each in taken if each.truth != each.answer][:_MOST_PAIRS]
    if wrong:
        rows = tuple((each.truth, each.answer, str(each.count)) for each in wrong)
        yield Grid(("truth", "answer", "times"), rows)


def _names(taken: Sequence[Taken]) -> list[str]:
    seen = {each.truth for each in taken} | {each.answer for each in taken}
    return sorted(seen, key=lambda name: (name.startswith("("), name))


def matrix(taken: Sequence[Taken], names: Sequence[str]) -> Grid:
    """The confusion matrix: a row for each truth, coloured by its share of that truth."""
    counts = {(each.truth, each.answer): each.count for each in taken}
    # What was missed is no truth, and nothing is no answer.
    answers = [name for name in names if name != NOTHING]
    rows, shades = [], []
    for truth in [name for name in names if name != MISSED]:
        own = [counts.get((truth, answer), 0) for answer in answers]
        total = max(1, sum(own))
        rows.append((truth, *map(str, own)))
        shades.append((None, *(count / total for count in own)))
    return Grid(("truth \\ answer", *answers), tuple(rows), tuple(shades))


def _worst(told: Told, report: Report) -> Iterable[Block]:
    shown = []
    for each in report.examples:
        lines = [f"truth: {in_words(each.truth)}", f"answer: {in_words(each.answer)}"]
        if each.confidence is not None:
            lines.append(f"confidence {each.confidence:.3f}")
        lines.append(f"{told.evaluation.quality} {each.quality:.3f}")
        lines += [each.why] if each.why else []
        lines.append(f"sample {each.sample[:12]}")
        shown.append(Shown(told.pictures.get(each.sample), tuple(lines)))
    if shown:
        yield Paragraph(_what_is_shown(told))
        yield Gallery(tuple(shown))


def _what_is_shown(told: Told) -> str:
    if told.no_pictures:
        return told.no_pictures
    if not told.pictures:
        return "The answers that are furthest off; of wrong ones the surest first."
    kind = told.draft.answer["kind"]
    how = (
        "drawn boxes in green, answered ones in red"
        if kind == "boxes"
        else "beside each, in red, the places that its answer hangs on"
    )
    return f"As labellers would see them, after the privacy filters; {how}."


def _sure(told: Told, report: Report) -> Iterable[Block]:
    yield Points(tuple(calibration_of(told.draft)))
    if report.reliability:
        points = tuple((b.confidence, b.right, b.count) for b in report.reliability)
        yield Diagonal("confidence", "share that is right", points)


def _robust(told: Told, report: Report) -> Iterable[Block]:
    found = report.robustness
    if found is None:
        return
    yield Paragraph(
        f"Mean {told.evaluation.quality} of {found.samples} samples: {found.clean:.3f} as they "
        f"are, {found.mean:.3f} over all damages and strengths."
    )
    strengths = sorted({result.severity for result in found.results})
    known = {(r.name, r.severity): r.quality for r in found.results}
    names = list(dict.fromkeys(result.name for result in found.results))
    low, high = min(known.values()), max(found.clean, *known.values())
    rows, shades = [], []
    for name in names:
        own = [known[name, strength] for strength in strengths]
        rows.append((name, *(f"{quality:.3f}" for quality in own)))
        shades.append((None, *((q - low) / max(high - low, 1e-12) for q in own)))
    yield Grid(("damage", *(f"strength {s}" for s in strengths)), tuple(rows), tuple(shades))


def _hang(told: Told, report: Report) -> Iterable[Block]:
    if not report.importance:
        return
    yield Paragraph(
        f"How much of the mean {told.evaluation.quality} is lost when a column's values are dealt "
        "out anew; columns that say the same share their worth."
    )
    most = max((one.loss for one in report.importance), default=1.0)
    yield Bars(
        tuple(
            Bar(one.name, one.loss, f"{one.loss:.4g} ± {one.spread:.2g}")
            for one in report.importance[:_MOST_NAMES]
        ),
        most if most > 0 else 1.0,
    )


def _fast(report: Report) -> Iterable[Block]:
    names = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "samples_per_second",
             "bundle_mib", "model_mib")  # fmt: skip
    rows = tuple((name, f"{report.facts[name]:.3g}") for name in names if name in report.facts)
    if rows:
        yield Paragraph("In one process, one thread, of the machine that evaluated it.")
        yield Grid(("fact", "value"), rows)


def _limits(told: Told, report: Report) -> Iterable[Block]:
    yield Points(
        (
            *told.said.limits,
            "What the hold-out does not show was not measured: other cameras, places and times.",
            "Slices of few samples have wide intervals; those not told apart may still differ.",
            *report.notes,
        )
    )


def _people(told: Told) -> Iterable[Block]:
    if told.verdict:
        yield Points(told.verdict)
    if told.checklist:
        rows = []
        for signed in told.checklist:
            who = "" if signed.at is None else f"{signed.by}, {signed.at.isoformat()[:19]}"
            rows.append((signed.question, signed.answer or "not answered", signed.comment, who))
        yield Grid(("question", "answer", "comment", "by"), tuple(rows))
    if told.decision:
        yield Paragraph(told.decision)


def _lineage(told: Told) -> Iterable[Block]:
    lineage = told.draft.lineage
    named = ("run", "snapshot", "code", "params", "seed")
    lines = [f"{name}: {lineage[name]}" for name in named if name in lineage]
    yield Points((f"bundle: {told.bundle}", *lines))


def figure(value: float) -> str:
    """A figure as cards and tables have it.

    >>> figure(float("nan")), figure(0.51234)
    ('-', '0.5123')
    """
    return f"{value:.4f}" if math.isfinite(value) else "-"


def _between(low: float, high: float, *, sign: bool = False) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return "-"
    return f"{low:+.4f} to {high:+.4f}" if sign else f"{low:.4f} to {high:.4f}"


def in_words(text: str) -> str:
    """A label or answer as people read it, of bounded length.

    >>> in_words('{"value":370.0579}'), in_words('{"classes":[]}'), in_words("cat")
    ('370.1', 'none', 'cat')
    """
    match decode(text):
        case ClassLabel(name):
            told = name
        case ClassesLabel(names):
            told = ", ".join(names) or "none"
        case ValueLabel(value):
            told = f"{value:.4g}"
        case BoxesLabel(boxes):
            counts = Counter(box.label for box in boxes)
            told = ", ".join(f"{count} {name}" for name, count in counts.items()) or "no box"
    return told if len(told) <= _LONG else f"{told[:_LONG]}..."
