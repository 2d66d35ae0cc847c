"""How well the monitoring's signals see, and how often they are wrong, on real data.

    python benchmarks/bench_drift.py [--seeds 0:20] [--data digits,math_symbols] [--kept F]

For each seed and data set a small CNN learns from a part, a hold-out makes the reference, and the
rest is the live stream: unshifted, damaged (noise, blur, rotation, brightness, darkness, contrast,
at three strengths), with other shares of the classes, or with a class that the model does not know.
Everything that judges is the product's own. A shift is *harmful* when it costs over 5 points.

Each seed is kept as a file in the folder F and is not measured again, so a run can be cut into
parts, and several can share the seeds; the tables are of all that is kept for `--data`. The
parameters of the estimate were chosen on seeds 100 to 107, which no table has.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drift_data import SETS, Data, Pictures, answers, learn
from numpy.typing import NDArray
from scipy.stats import rankdata

from everloop.evaluation.robustness.pictures import DAMAGES
from everloop.loop.jobs.rehearsing import STRENGTHS
from everloop.monitoring.drift import compare
from everloop.monitoring.inputs import input_figures
from everloop.monitoring.looks import first_alarm
from everloop.monitoring.period import Limits, weigh
from everloop.monitoring.profile import Seen
from everloop.monitoring.reference import Known, build_reference, read_reference
from everloop.monitoring.rehearsal import Rehearsal, Tried, rehearse
from everloop.monitoring.watch import Watch
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.images import ImageSpec

DAMAGED = ("gaussian-noise", "blur", "rotation", "brightness", "darkness", "contrast")
ALIKE = {"gaussian-noise": {"gaussian-noise", "shot-noise"}, "blur": {"blur", "pixelate"}}
"""What is left out with a damage, for being nearly the same; of others themselves only."""
SEVERITIES = (1, 3, 5)
SIZES = (20, 50, 100, 200, 500)
RATE, HARM = 0.05, 0.05
_UNSHIFTED = 60
"""Windows of each size that are drawn from the unshifted stream of one seed."""
_WEIGHED = 100
_REHEARSED = 128
WAYS = ("rehearsed", "strength left out", "kind left out", "not rehearsed")
"""What is known of a stream's damage: all, its kind at other strengths, other kinds, nothing."""


@dataclass
class Stream:
    """What a model makes of a stream, and what is true of it."""

    name: str
    seen: Seen
    values: NDArray[np.float32]
    right: NDArray[np.bool_]

    def draw(self, size: int, random: np.random.Generator) -> "tuple[Seen, NDArray[np.int64]]":
        """Figures of `size` of its answers, none twice."""
        which = random.choice(len(self.right), size, replace=False)
        return some(self.seen, which), which


@dataclass
class World:
    """A model that is live, and the streams it may meet."""

    watch: Watch
    rehearsed: list[str]
    """The damages, as streams are called."""
    plain: Stream
    shifted: list[Stream]

    def harmful(self, stream: Stream) -> bool:
        """Whether it costs over 5 points."""
        return float(self.plain.right.mean()) - float(stream.right.mean()) > HARM

    def watched(self, way: str, stream: Stream) -> Watch:
        """As it is watched by one that knows so much of the stream's damage."""
        rehearsal = self.watch.rehearsal
        if way == WAYS[0] or rehearsal is None:
            return self.watch
        kind = stream.name.split(" ")[0]
        gone = set(self.rehearsed)
        if way == WAYS[1]:
            gone = {stream.name}
        if way == WAYS[2]:
            gone = {n for n in gone if n.split(" ")[0] in ALIKE.get(kind, {kind})}
        stays = np.array([each not in gone for each in self.rehearsed])
        left = Rehearsal(rehearsal.spread, rehearsal.moved[stays], rehearsal.off[stays])
        return replace(self.watch, rehearsal=left)


def some(seen: Seen, which: NDArray[np.int64]) -> Seen:
    """The figures of some answers."""
    answers, embedding, inputs = (
        {name: values[which] for name, values in each.items()}
        for each in (seen.answers, seen.embedding, seen.inputs)
    )
    return Seen(answers, embedding, inputs, seen.projected[which])


def world(name: str, data: Data, seed: int) -> World:
    """A model learnt from 45%, its reference from 20%, and streams from the other 35%.

    One class is kept out of both: the unknown one.
    """
    random = np.random.default_rng(seed)
    unknown = int(random.integers(0, data.classes.max() + 1))
    known = random.permutation(np.flatnonzero(data.classes != unknown))
    classes = int(data.classes.max())
    relabelled = data.classes - (data.classes > unknown)
    cuts = (int(0.45 * len(known)), int(0.65 * len(known)))
    train, held, live = (Data(data.pictures[rows], relabelled[rows])
                         for rows in np.split(known, cuts))  # fmt: skip
    net = learn(name, train, classes, seed)
    spec = ImageSpec(*data.pictures.shape[1:])
    task = ImageClassification([f"c{n}" for n in range(classes)], spec.shape[:2], spec.channels)
    on_train, on_held = answers(net, train.pictures), answers(net, held.pictures)
    told = Known(task, on_train[0], input_figures(train.pictures, spec),
                 input_figures(held.pictures, spec), held.classes)  # fmt: skip
    right = on_held[0].argmax(axis=1) == held.classes
    reference = read_reference(build_reference(*on_held, right, on_train[1], told))

    def tried(pictures: Pictures) -> Tried:
        values, embeddings = answers(net, pictures)
        right = values.argmax(axis=1) == held.classes[:_REHEARSED]
        return Tried(values, embeddings, input_figures(pictures, spec), right)

    few = held.pictures[:_REHEARSED]
    spoilt = {f"{kind} {strength}": DAMAGES[kind](few, strength, np.random.default_rng(seed))
              for kind in DAMAGES for strength in STRENGTHS}  # fmt: skip
    rehearsal = rehearse(Watch(reference, task), tried(few), [*map(tried, spoilt.values())])
    watch = Watch(reference, task, rehearsal)

    def stream(what: str, pictures: Pictures, labels: Any) -> Stream:
        values, embeddings = answers(net, pictures)
        seen = watch.see(values, embeddings, input_figures(pictures, spec))
        return Stream(what, seen, values, values.argmax(axis=1) == labels)

    shifted = [stream(f"{kind} {severity}", DAMAGES[kind](live.pictures, severity, random),
                      live.classes) for kind in DAMAGED for severity in SEVERITIES]  # fmt: skip
    few_classes = random.permutation(classes)[: max(2, classes // 3)]
    rows = np.flatnonzero(np.isin(live.classes, few_classes))
    shifted.append(stream("prior", live.pictures[rows], live.classes[rows]))
    new = data.pictures[data.classes == unknown]
    mixed = np.concatenate([new, live.pictures[: len(new)]])
    labels = np.concatenate([np.full(len(new), -1), live.classes[: len(new)]])
    shifted.append(stream("new", mixed, labels))
    return World(watch, [*spoilt], stream("none", live.pictures, live.classes), shifted)


# What is measured.


@dataclass
class Measured:
    """Of one seed; plain numbers, so that it can be kept."""

    accuracy: float = 0.0
    power: list[tuple[bool, int, bool]] = field(default_factory=list)
    """Harmful, size, whether it was seen."""
    families: list[tuple[str, int, bool]] = field(default_factory=list)
    """Family, size, and whether it alone saw a harmful shift."""
    false: dict[str, list[bool]] = field(default_factory=dict)
    """By size."""
    looks: list[bool] = field(default_factory=list)
    delay: list[float | None] = field(default_factory=list)
    scores: list[tuple[str, float, bool]] = field(default_factory=list)
    """Way, estimated loss, harmful."""
    errors: list[tuple[str, str, float]] = field(default_factory=list)
    """Way, kind of shift, estimated less true accuracy."""


def measure(made: World, random: np.random.Generator) -> Measured:
    """All figures of one seed."""
    watch, found = made.watch, Measured(accuracy=float(made.plain.right.mean()))
    count = len(made.plain.right)
    for size in SIZES:
        if size > count // 2:
            break
        windows = [made.plain.draw(size, random)[0] for _ in range(_UNSHIFTED)]
        found.false[str(size)] = [compare(watch, watch.sketch(w), RATE).drifted for w in windows]
    for _ in range(_UNSHIFTED // 3):
        seen, _which = made.plain.draw(min(160, count), random)
        found.looks.append(first_alarm(watch, seen, RATE) is not None)
    for stream in made.shifted:
        _detect(made, stream, found, random)
        _weigh(made, stream, found, random)
    for _ in range(3):
        _weigh(made, made.plain, found, random)
    return found


def _detect(made: World, stream: Stream, found: Measured, random: np.random.Generator) -> None:
    """Whether a shift is seen in a window of each size."""
    harmful = made.harmful(stream)
    for size in SIZES:
        if size > len(stream.right):
            continue
        seen, _ = stream.draw(size, random)
        drift = compare(made.watch, made.watch.sketch(seen), RATE)
        found.power.append((harmful, size, drift.drifted))
        if harmful:
            found.families += [(each, size, p < RATE) for each, p in drift.families.items()]
    if harmful:
        seen, _ = stream.draw(min(320, len(stream.right)), random)
        alarm = first_alarm(made.watch, seen, RATE)
        found.delay.append(alarm.answers if alarm else None)


def _weigh(made: World, stream: Stream, found: Measured, random: np.random.Generator) -> None:
    """Harm and accuracy from 100 answers without labels."""
    seen, which = stream.draw(min(_WEIGHED, len(stream.right)), random)
    kind = "damages" if stream.name.split(" ")[0] in DAMAGED else stream.name
    sketch, limits = made.watch.sketch(seen), Limits(RATE, HARM)
    for way in WAYS:
        told = weigh(made.watched(way, stream), sketch, limits, stream.values[which]).accuracy
        found.scores.append((way, told.drop, made.harmful(stream)))
        found.errors.append((way, kind, told.value - float(stream.right[which].mean())))


# The tables.


def area(scores: list[tuple[float, bool]]) -> float:
    """Under the curve of a score that tells harmful from harmless."""
    harmful = np.array([harm for _, harm in scores])
    ranks = rankdata([score for score, _ in scores])[harmful]
    count = int(harmful.sum())
    return float((ranks.sum() - count * (count + 1) / 2) / (count * (~harmful).sum()))


def by_seed(found: list[list[bool]]) -> str:
    """In 1,000, with its 95% interval: seeds are drawn again, since windows of one seed share its
    hold-out and are no independent trials."""
    random, each = np.random.default_rng(0), np.array([np.mean(seed) for seed in found])
    drawn = each[random.integers(0, len(each), (2000, len(each)))].mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975)) * 1000
    return f"{1000 * each.mean():.0f} ({low:.0f} to {high:.0f})"


def tell(name: str, seeds: list[dict[str, Any]]) -> None:
    """The tables of one data set."""

    def gathered(what: str) -> Iterator[Any]:
        return (row for seed in seeds for row in seed[what])

    accuracy = np.mean([seed["accuracy"] for seed in seeds])
    print(f"\n{name}: {len(seeds)} models, accuracy {accuracy:.3f}")
    print("  n".ljust(34) + "".join(f"{size:>8}" for size in SIZES))
    for harmful, what in ((True, "power, harmful shifts"), (False, "fires on harmless shifts")):
        row(what, [share(seen for harm, n, seen in gathered("power") if (harm, n) == (harmful, s))
                   for s in SIZES])  # fmt: skip
    for family in ("answers", "embedding", "inputs", "joint"):
        row(f"  {family} alone, harmful",
            [share(seen for one, n, seen in gathered("families") if (one, n) == (family, s))
             for s in SIZES])  # fmt: skip
    print(f"  false alarms in 1,000 windows (stated {1000 * RATE:.0f}), 95% interval by seed:")
    for size in map(str, SIZES):
        found = [seed["false"][size] for seed in seeds if size in seed["false"]]
        if found:
            print(f"    n = {size:<5} {by_seed(found):<20} of {sum(map(len, found))} windows")
    print(f"    looks at 20, 40, 80, 160: {by_seed([seed['looks'] for seed in seeds])}")
    late = np.array([np.inf if each is None else each for each in gathered("delay")])
    if len(late):
        print(f"  delay of looks, harmful: median {np.median(late):.0f}, 95% by "
              f"{np.quantile(late, 0.95, method='higher'):.0f} answers")  # fmt: skip
    for way in WAYS:
        scores = [(score, harm) for one, score, harm in gathered("scores") if one == way]
        print(f"  harm by {_WEIGHED} answers, {way}: AUC {area(scores):.3f}")
    for kind in ("damages", "prior", "new", "none"):
        print(f"  estimated - true accuracy, {kind}: mean (mean size)", end="")
        for way in WAYS:
            errors = [e for one, what, e in gathered("errors") if (one, what) == (way, kind)]
            print(f"; {way} {np.mean(errors):+.3f} ({np.mean(np.abs(errors)):.3f})", end="")
        print()


def share(found: Iterator[bool]) -> float:
    told = list(found)
    return float(np.mean(told)) if told else float("nan")


def row(name: str, figures: list[float]) -> None:
    print(f"  {name:<32}" + "".join(f"{figure:8.3f}" for figure in figures))


def main() -> None:
    """Measure what is not kept yet, and print the tables of what is."""
    options = argparse.ArgumentParser()
    options.add_argument("--seeds", default="0:20", help="from:until")
    options.add_argument("--data", default=",".join(SETS))
    options.add_argument("--kept", type=Path, default=Path(tempfile.mkdtemp()))
    told = options.parse_args()
    first, until = map(int, told.seeds.split(":"))
    torch.set_num_threads(1)
    told.kept.mkdir(parents=True, exist_ok=True)
    for name in told.data.split(","):
        data, began = None, time.process_time()
        for seed in range(first, until):
            place = told.kept / f"{name}-{seed}.json"
            if not place.exists():
                data = data or SETS[name]()
                found = measure(world(name, data, seed), np.random.default_rng(1000 + seed))
                place.write_text(json.dumps(vars(found), default=bool), encoding="utf-8")
                print(f"{name}: seed {seed}, {time.process_time() - began:.0f} s of the processor "
                      "so far", file=sys.stderr)  # fmt: skip
        kept = sorted(told.kept.glob(f"{name}-*.json"))
        tell(name, [json.loads(place.read_text(encoding="utf-8")) for place in kept])


if __name__ == "__main__":
    main()
