"""How well the monitoring's signals see, and how often they are wrong, on real data.

    python benchmarks/bench_drift.py [--seeds 20] [--data digits,math_symbols,groceries]

For each seed and data set a small CNN learns from a part, a hold-out makes the reference, and the
rest is the live stream: unshifted, damaged (noise, blur, rotation, brightness, darkness, contrast,
at three strengths), with other shares of the classes, or with a class that the model does not know.
Everything that judges is the product's own. A shift is *harmful* when it costs over 5 points.
"""

import argparse
import csv
import io
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import rankdata
from torch import nn

from everloop.evaluation.robustness.pictures import DAMAGES
from everloop.monitoring.drift import compare
from everloop.monitoring.inputs import input_figures
from everloop.monitoring.looks import first_alarm
from everloop.monitoring.period import Limits, weigh
from everloop.monitoring.profile import Seen
from everloop.monitoring.reference import Known, build_reference, read_reference
from everloop.monitoring.watch import Watch
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.images import ImageSpec

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
DAMAGED = ("gaussian-noise", "blur", "rotation", "brightness", "darkness", "contrast")
SEVERITIES = (1, 3, 5)
SIZES = (20, 50, 100, 200, 500, 1000)
RATE, HARM = 0.05, 0.05
_AGAIN = 5
"""How often the unshifted stream is cut into windows anew."""
_EPOCHS = {"digits": 25, "math_symbols": 12, "groceries": 40}

Pictures = NDArray[np.uint8]


@dataclass
class Data:
    """Pictures `[N, H, W, C]` and their classes."""

    pictures: Pictures
    classes: NDArray[np.int64]


@dataclass
class Stream:
    """What a model makes of a stream, and what is true of it."""

    name: str
    seen: Seen
    values: NDArray[np.float32]
    right: NDArray[np.bool_]
    covariate: bool = True

    def draw(self, size: int, random: np.random.Generator) -> "tuple[Seen, NDArray[np.int64]]":
        """Figures of `size` of its answers, none twice."""
        which = random.choice(len(self.right), size, replace=False)
        return some(self.seen, which), which


def some(seen: Seen, which: NDArray[np.int64]) -> Seen:
    """The figures of some answers."""
    answers, embedding, inputs = (
        {name: values[which] for name, values in each.items()}
        for each in (seen.answers, seen.embedding, seen.inputs)
    )
    return Seen(answers, embedding, inputs, seen.projected[which])


# The data.


def digits() -> Data:
    """1,797 scans of 8 x 8."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = (found.images * (255 / 16)).astype(np.uint8)
    return Data(pixels[..., None], found.target.astype(np.int64))


def math_symbols() -> Data:
    """3,600 handwritten symbols of 18 classes, 28 x 28."""
    files = sorted((SHARED / "math_symbols" / "images").rglob("*.png"))
    names = sorted({path.parent.name for path in files})
    pictures = np.stack([np.asarray(Image.open(path).convert("L")) for path in files])
    return Data(pictures[..., None], np.array([names.index(p.parent.name) for p in files]))


def groceries() -> Data:
    """The photographs of the ten largest coarse classes, 32 x 32."""
    folder = SHARED / "groceries"
    rows = list(csv.DictReader(io.StringIO((folder / "labels.csv").read_text(encoding="utf-8"))))
    label = next(name for name in rows[0] if "coarse" in name)
    path = next(name for name in rows[0] if "path" in name or "file" in name)
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        counts[row[label]] += 1
    largest = sorted(counts, key=lambda name: (-counts[name], name))[:10]
    rows = [row for row in rows if row[label] in largest]
    pictures = np.stack([_small(folder, row[path]) for row in rows])
    return Data(pictures, np.array([largest.index(row[label]) for row in rows]))


def _small(folder: Path, name: str) -> Pictures:
    place = folder / name if (folder / name).exists() else folder / "images" / name
    picture = Image.open(place).convert("RGB")
    picture.draft("RGB", (64, 64))
    return np.asarray(picture.resize((32, 32), Image.Resampling.BILINEAR, reducing_gap=2.0))


SETS: Mapping[str, Callable[[], Data]] = {
    "digits": digits, "math_symbols": math_symbols, "groceries": groceries
}  # fmt: skip


# The model.


class Net(nn.Module):
    """Two convolutions and two linear layers."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        high, wide, channels = shape
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(32 * (high // 4) * (wide // 4), 64), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(64, classes)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = self.body(images)
        return self.head(seen), seen


def learn(data: Data, classes: int, epochs: int, seed: int) -> Net:
    """A network that learnt from all of `data`."""
    torch.manual_seed(seed)
    net = Net(data.pictures.shape[1:], classes)
    images, labels = tensor(data.pictures), torch.from_numpy(data.classes)
    steps = epochs * -(-len(labels) // 64)
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(labels)), 64):
            loss = nn.functional.cross_entropy(net(images[rows])[0], labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def tensor(pictures: Pictures) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).float() / 255


def answers(net: Net, pictures: Pictures) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    with torch.no_grad():
        logits, seen = net(tensor(pictures))
    return torch.softmax(logits, 1).numpy(), seen.numpy()


# One seed.


@dataclass
class World:
    """A model that is live, and the streams it may meet."""

    watch: Watch
    plain: Stream
    shifted: list[Stream]

    @property
    def harmful(self) -> list[bool]:
        """Of each shifted stream: whether it costs over 5 points."""
        usual = float(self.plain.right.mean())
        return [usual - float(stream.right.mean()) > HARM for stream in self.shifted]


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
    net = learn(train, classes, _EPOCHS[name], seed)
    spec = ImageSpec(*data.pictures.shape[1:])
    task = ImageClassification([f"c{n}" for n in range(classes)], spec.shape[:2], spec.channels)
    on_train, on_held = answers(net, train.pictures), answers(net, held.pictures)
    told = Known(task, on_train[0], input_figures(train.pictures, spec),
                 input_figures(held.pictures, spec), held.classes)  # fmt: skip
    right = on_held[0].argmax(axis=1) == held.classes
    reference = read_reference(build_reference(*on_held, right, on_train[1], told))
    watch = Watch(reference, task)

    def stream(what: str, pictures: Pictures, labels: Any, *, covariate: bool = True) -> Stream:
        values, embeddings = answers(net, pictures)
        seen = watch.see(values, embeddings, input_figures(pictures, spec))
        return Stream(what, seen, values, values.argmax(axis=1) == labels, covariate)

    shifted = []
    for damage in DAMAGED:
        for severity in SEVERITIES:
            spoilt = DAMAGES[damage](live.pictures, severity, random)
            shifted.append(stream(f"{damage} {severity}", spoilt, live.classes))
    few = random.permutation(classes)[: max(2, classes // 3)]
    rows = np.flatnonzero(np.isin(live.classes, few))
    shifted.append(stream("prior", live.pictures[rows], live.classes[rows], covariate=False))
    new = data.pictures[data.classes == unknown]
    old = len(new) // 1
    mixed = np.concatenate([new, live.pictures[:old]])
    labels = np.concatenate([np.full(len(new), -1), live.classes[:old]])
    shifted.append(stream("new class", mixed, labels, covariate=False))
    return World(watch, stream("none", live.pictures, live.classes), shifted)


# What is counted.


class Counts:
    """Over all seeds of one data set."""

    def __init__(self) -> None:
        self.power: dict[tuple[bool, int], list[bool]] = defaultdict(list)
        self.families: dict[tuple[str, bool, int], list[bool]] = defaultdict(list)
        self.false: dict[int, list[bool]] = defaultdict(list)
        self.false_looks: list[bool] = []
        self.delay: list[float] = []
        self.scores: list[tuple[float, bool, str]] = []
        self.errors: dict[str, list[float]] = defaultdict(list)
        self.by_shift: dict[str, list[tuple[bool, bool, float]]] = defaultdict(list)
        self.accuracy: list[float] = []


def measure(made: World, counts: Counts, random: np.random.Generator) -> None:
    """Add one seed."""
    watch = made.watch
    counts.accuracy.append(float(made.plain.right.mean()))
    for size in SIZES * _AGAIN:
        for seen in windows(made.plain, size, random):
            drift = compare(watch, watch.sketch(seen), RATE)
            counts.false[size].append(drift.drifted)
    for seen in windows(made.plain, min(160, len(made.plain.right)), random):
        counts.false_looks.append(first_alarm(watch, seen, RATE) is not None)
    for stream, harmful in zip(made.shifted, made.harmful, strict=True):
        _detect(watch, stream, counts, random, harmful=harmful)
        if harmful:
            seen, _ = stream.draw(min(320, len(stream.right)), random)
            alarm = first_alarm(watch, seen, RATE)
            counts.delay.append(alarm.answers if alarm else np.inf)
        _weigh(made, stream, counts, random, harmful=harmful)
    for _ in range(3):
        _weigh(made, made.plain, counts, random, harmful=False)


def _detect(
    watch: Watch, stream: Stream, counts: Counts, random: np.random.Generator, *, harmful: bool
) -> None:
    """Whether a shift is seen in a window of each size."""
    whole = float(stream.right.mean())
    for size in SIZES:
        if size > len(stream.right):
            continue
        seen, _ = stream.draw(size, random)
        drift = compare(watch, watch.sketch(seen), RATE)
        counts.power[harmful, size].append(drift.drifted)
        for family, value in drift.families.items():
            counts.families[family, harmful, size].append(value < RATE)
        if size == SIZES[0]:
            counts.by_shift[stream.name].append((harmful, drift.drifted, whole))


def _weigh(
    made: World, stream: Stream, counts: Counts, random: np.random.Generator, *, harmful: bool
) -> None:
    """Harm and accuracy from 100 answers without labels."""
    seen, which = stream.draw(min(100, len(stream.right)), random)
    limits = Limits(RATE, HARM)
    sketch = made.watch.sketch(seen)
    found = weigh(made.watch, sketch, limits, stream.values[which]).accuracy
    counts.scores.append((found.drop, harmful, stream.name))
    kind = "covariate" if stream.covariate else stream.name
    counts.errors[kind].append(found.value - float(stream.right[which].mean()))


def windows(stream: Stream, size: int, random: np.random.Generator) -> Iterator[Seen]:
    """Windows of a stream that share no sample; of small ones, at most 20."""
    order = random.permutation(len(stream.right))
    for start in range(0, min(len(order) - size + 1, 20 * size), size):
        yield some(stream.seen, order[start : start + size])


def area(scores: "list[tuple[float, bool, str]]") -> float:
    """Under the curve of a score that tells harmful from harmless."""
    values = np.array([score for score, _, _ in scores])
    harmful = np.array([harm for _, harm, _ in scores])
    if harmful.all() or not harmful.any():
        return float("nan")
    ranks = rankdata(values)[harmful]
    count = int(harmful.sum())
    return float((ranks.sum() - count * (count + 1) / 2) / (count * (~harmful).sum()))


def main() -> None:
    """Measure, and print the tables."""
    options = argparse.ArgumentParser()
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--data", default=",".join(SETS))
    told = options.parse_args()
    torch.set_num_threads(1)
    for name in told.data.split(","):
        began, counts, data = time.process_time(), Counts(), SETS[name]()
        for seed in range(told.seeds):
            random = np.random.default_rng(1000 + seed)
            measure(world(name, data, seed), counts, random)
            print(f"\r{name}: {seed + 1} of {told.seeds} seeds", end="", file=sys.stderr)
        print("\r", end="", file=sys.stderr)
        tell(name, counts, time.process_time() - began)


def tell(name: str, counts: Counts, seconds: float) -> None:
    """The tables of one data set."""
    accuracy = np.mean(counts.accuracy)
    print(f"\n{name}: {len(counts.accuracy)} models, accuracy {accuracy:.3f}, {seconds:.0f} CPU s")
    sizes = [size for size in SIZES if counts.power[True, size] or counts.power[False, size]]
    print("  n".ljust(34) + "".join(f"{size:>8}" for size in sizes))
    row("power, harmful shifts", [share(counts.power[True, size]) for size in sizes])
    row("fires on harmless shifts", [share(counts.power[False, size]) for size in sizes])
    for family in ("answers", "embedding", "inputs", "joint"):
        found = [share(counts.families[family, True, size]) for size in sizes]
        row(f"  {family} alone, harmful", found)
    false = [1000 * share(counts.false[size]) for size in sizes]
    row(f"false alarms in 1,000 (stated {1000 * RATE:.0f})", false, "8.0f")
    row("  of so many windows", [len(counts.false[size]) for size in sizes], "8d")
    print(f"  false alarms of looks at 20, 40, 80, 160: {1000 * share(counts.false_looks):.0f}"
          f" in 1,000 of {len(counts.false_looks)} periods")  # fmt: skip
    if counts.delay:
        late = np.array(counts.delay)
        print(f"  delay of looks, harmful: median {np.median(late):.0f}, 95% by "
              f"{np.quantile(late, 0.95, method='lower'):.0f} answers")  # fmt: skip
    print(f"  harm told from harmless by 100 answers: AUC {area(counts.scores):.3f}")
    for kind, errors in counts.errors.items():
        print(f"  estimated - true accuracy, {kind}: mean {np.mean(errors):+.3f}, "
              f"mean |error| {np.mean(np.abs(errors)):.3f}")  # fmt: skip
    print("  by shift: harmful of the seeds, accuracy, power at n = 20")
    for shift, seeds in counts.by_shift.items():
        told = [np.mean([each[place] for each in seeds]) for place in (0, 2, 1)]
        print(f"    {shift:<20}" + "".join(f"{figure:>8.2f}" for figure in told))


def share(found: list[bool]) -> float:
    return float(np.mean(found)) if found else float("nan")


def row(name: str, figures: "list[Any]", form: str = "8.3f") -> None:
    print(f"  {name:<32}" + "".join(format(figure, form) for figure in figures))


if __name__ == "__main__":
    main()
