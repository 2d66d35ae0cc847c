"""Labels needed to learn: every strategy of choosing against drawing at random.

Pools: scikit-learn's digits, the same with four classes made rare, the same with many near
duplicates, hand-drawn mathematical symbols, photographs of groceries. A person who is never wrong
labels them round after round, as the product's own functions choose (`choose_rows`; for the default
strategy with the policy's default share drawn at random). After each round a logistic regression is
learnt on small fixed features and measured on a test set that it never saw. Labels needed: from
which number on two measurements in a row reach 95% (98%) of what all labels give, interpolated
between rounds; the median over the seeds. A strategy that never gets there counts as needing the
whole pool. The first strategy named is what the others are compared with.

The default was tuned on seeds 0 to 9 and 100 to 109 of these pools. Figures that are told are of
seeds that it was never tuned on: 200 to 209, which are the ones measured unless others are named.

    python benchmarks/bench_choosing.py [--pool NAME]... [--strategy NAME]... [--seeds 10]
                                        [--first-seed 200] [--kept FOLDER]
                                        [--plot docs/choosing.svg]
"""

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from everloop.data.figures import signatures
from everloop.labelling.select import choose_rows
from everloop.labelling.strategy import Candidates, strategies, strategy_named
from everloop.policy import LabellingPolicy
from everloop.tasks.one_class import margins

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
TARGETS = (0.95, 0.98)
AIMS = {"digits": (0.5, 0.35), "symbols": (0.5, 0.35), "groceries": (0.5, 0.35),
        "imbalanced": (0.5, 0.35), "duplicates": (0.25, 0.25)}  # fmt: skip
"""Of the default strategy: the largest part of random's labels."""
DEFAULT = LabellingPolicy().strategy
_AXES = 64
_GROWTH = 0.1

Floats = NDArray[np.float32]
Floats64 = NDArray[np.float64]
Run = NDArray[np.float64]
"""`[rounds, 2]`: labels, and the accuracy that they give."""
Labels = NDArray[np.intp]


@dataclass(frozen=True)
class Pool:
    """One pool and its test set."""

    inputs: Floats
    """What the model learns from, `[n, D]`."""
    looks: Floats
    """What stands for embeddings as long as there is no model, `[n, 64]`."""
    labels: Labels
    test_inputs: Floats
    test_labels: Labels

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1


@dataclass(frozen=True)
class Data:
    """A whole data set, before a seed cuts it."""

    raw: Floats
    looks: Floats
    labels: Labels
    is_test: NDArray[np.bool_] | None = None


def main() -> None:
    """Measure, print a table a pool, and draw the curves where that is asked for."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    asked = _asked()
    names = asked.strategy or ["random", *(name for name in strategies() if name != "random")]
    curves, missed = dict[str, dict[str, list[Run]]](), list[str]()
    for pool_name in asked.pool or list(POOLS):
        seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
        pools = [POOLS[pool_name](seed) for seed in seeds]
        tops = [_measured(_learn(pool, np.arange(len(pool.labels))), pool) for pool in pools]
        told = f"{pool_name}: {len(pools[0].labels):,} samples of {pools[0].classes} classes"
        table = Table(title=f"{told}, accuracy {np.median(tops):.3f} with all labels")
        columns = ("strategy", "for 95%", "of random's", "for 98%", "of random's", "more than")
        for column in columns:
            table.add_column(column, justify="left" if column == "strategy" else "right")
        base: Floats64 | None = None
        for name in names:
            each = zip(seeds, pools, tops, strict=True)
            runs = [_kept_run(asked.kept, pool_name, pool, name, seed, top)
                    for seed, pool, top in each]  # fmt: skip
            curves.setdefault(pool_name, {})[name] = runs
            ended = zip(runs, pools, tops, strict=True)
            needed = np.array(
                [
                    [_needed(run, share * top, len(pool.labels)) for share in TARGETS]
                    for run, pool, top in ended
                ]
            )
            base = needed if base is None else base
            parts = np.median(needed, axis=0) / np.median(base, axis=0)
            table.add_row(name, *_row(needed, base, parts))
            if name == DEFAULT:
                missed += [f"{pool_name} {share:.0%}: {part:.2f} of {aim:g}" for share, part, aim
                           in zip(TARGETS, parts, AIMS[pool_name], strict=True)
                           if part > aim]  # fmt: skip
        Console(width=100).print(table)
    sys.stdout.write(f"aims that {DEFAULT} misses: {'; '.join(missed) or 'none'}\n")
    if asked.plot is not None:
        _draw(curves, asked.plot)


def _row(needed: Floats64, base: Floats64, parts: Floats64) -> list[str]:
    """Medians, parts of random's, and in how many seeds it needed more than random for 98%."""
    middle = np.median(needed, axis=0)
    worse = int((needed[:, 1] > base[:, 1]).sum())
    cells = [f"{number}" for pair in zip(middle.round().astype(int), parts.round(2), strict=True)
             for number in pair]  # fmt: skip
    return [*cells, f"random in {worse}/{len(needed)}"]


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pool", action="append", choices=list(POOLS))
    parser.add_argument("--strategy", action="append")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=200)
    parser.add_argument("--kept", type=Path, help="runs are kept in this folder, to go on with")
    parser.add_argument("--plot", type=Path)
    return parser.parse_args()


def _kept_run(
    folder: Path | None, pool_name: str, pool: Pool, name: str, seed: int, top: float
) -> Run:
    """A run, out of the folder where it is there: a long measurement can be cut into parts."""
    if folder is None:
        return _run(pool, name, seed, top)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{pool_name}-{name}-{seed}.npy"
    if not path.exists():
        np.save(path, _run(pool, name, seed, top))
    found: Run = np.load(path)
    return found


def _run(pool: Pool, name: str, seed: int, top: float) -> Run:
    """Rounds until the last target is held twice, or all is labelled."""
    strategy, generator = strategy_named(name), np.random.default_rng(seed)
    share = LabellingPolicy().random_share if name == DEFAULT else 0.0
    labelled = np.empty(0, np.intp)
    model: LogisticRegression | None = None
    told, reached = [], 0
    while len(labelled) < len(pool.labels) and reached < 2:
        left = np.setdiff1d(np.arange(len(pool.labels)), labelled)
        budget = min(max(pool.classes, int(len(labelled) * _GROWTH)), len(left))
        budget = budget if len(labelled) else min(2 * pool.classes, len(left))
        drawn, chosen = choose_rows(_candidates(pool, left, labelled, model), strategy, budget,
                                    share, generator)  # fmt: skip
        labelled = np.concatenate([labelled, left[drawn], left[chosen]])
        model = _learn(pool, labelled)
        told.append((len(labelled), _measured(model, pool)))
        reached = reached + 1 if told[-1][1] >= max(TARGETS) * top else 0
    return np.array(told)


def _candidates(
    pool: Pool, left: Labels, labelled: Labels, model: LogisticRegression | None
) -> Candidates:
    if model is None:
        unsure = np.ones(len(left))
        return Candidates(pool.looks[left], unsure, None, pool.looks[labelled], 0, pool.classes)
    odds = _odds(model, pool.inputs[left], pool.classes)
    unsure = 1.0 - margins(odds).astype(np.float64)
    known = pool.inputs[labelled]
    return Candidates(pool.inputs[left], unsure, odds, known, len(labelled), pool.classes)


def _odds(model: LogisticRegression, inputs: Floats, classes: int) -> Floats:
    odds = np.zeros((len(inputs), classes), np.float32)
    odds[:, model.classes_] = model.predict_proba(inputs)
    return odds


def _learn(pool: Pool, rows: Labels) -> LogisticRegression:
    labels = pool.labels[rows]
    if len(np.unique(labels)) < 2:  # Nothing to tell apart: any other class is as good.
        rows = np.append(rows, np.flatnonzero(pool.labels != labels[0])[0])
    model = LogisticRegression(C=1.0, max_iter=100, tol=1e-3)
    return model.fit(pool.inputs[rows], pool.labels[rows])


def _measured(model: LogisticRegression, pool: Pool) -> float:
    return float((model.predict(pool.test_inputs) == pool.test_labels).mean())


def _needed(run: Run, accuracy: float, whole: int) -> float:
    good = run[:, 1] >= accuracy
    both = np.flatnonzero(good & np.append(good[1:], good[-1:]))
    if not len(both):
        return float(whole)
    at = int(both[0])
    if at == 0 or good[at - 1]:
        return float(run[at, 0])
    # Between two rounds, as if accuracy had grown evenly.
    return float(np.interp(accuracy, run[at - 1 : at + 1, 1], run[at - 1 : at + 1, 0]))


# The pools.


def _cut(data: Data, seed: int) -> Pool:
    """A quarter for the test, unless the data say which; features from the pool alone."""
    random = np.random.default_rng(1000 + seed)
    test = data.is_test
    if test is None:
        test = np.zeros(len(data.labels), bool)
        test[random.permutation(len(data.labels))[: len(data.labels) // 4]] = True
    return _pool(data, np.flatnonzero(~test), np.flatnonzero(test))


def _pool(data: Data, rows: Labels, test: Labels) -> Pool:
    raw = data.raw[rows]
    axes = PCA(min(_AXES, raw.shape[1]), random_state=0).fit(raw)
    inputs, held = axes.transform(raw), axes.transform(data.raw[test])
    # One scale for all axes: the first ones tell most.
    scale = np.sqrt((inputs**2).mean()) or 1.0
    return Pool(
        (inputs / scale).astype(np.float32),
        data.looks[rows],
        data.labels[rows],
        (held / scale).astype(np.float32),
        data.labels[test],
    )


def _digits(seed: int) -> Pool:
    return _cut(_digits_data(), seed)


def _imbalanced(seed: int) -> Pool:
    """Of four classes one sample in ten is left in the pool."""
    random, data = np.random.default_rng(2000 + seed), _digits_data()
    test = np.zeros(len(data.labels), bool)
    test[random.permutation(len(data.labels))[: len(data.labels) // 4]] = True
    rare = np.isin(data.labels, random.permutation(10)[:4])
    kept = ~test & (~rare | (random.random(len(data.labels)) < 0.1))
    return _pool(data, np.flatnonzero(kept), np.flatnonzero(test))


def _duplicates(seed: int) -> Pool:
    """Forty digits are there sixty times more, with a little noise: a camera that stood still."""
    random = np.random.default_rng(3000 + seed)
    flat, labels = load_digits(return_X_y=True)
    shuffled = random.permutation(len(labels))
    test, rows = shuffled[: len(labels) // 4], shuffled[len(labels) // 4 :]
    copied = np.repeat(random.choice(rows, 40, replace=False), 60)
    noisy = np.clip(flat[copied] + random.normal(0, 0.5, (len(copied), 64)), 0, 16)
    data = _digit_features(np.concatenate([flat, noisy]), np.concatenate([labels, labels[copied]]))
    return _pool(data, np.concatenate([rows, len(labels) + np.arange(len(copied))]), test)


def _digits_data() -> Data:
    return _digit_features(*load_digits(return_X_y=True))


def _digit_features(flat: NDArray[np.float64], labels: Labels) -> Data:
    grey = (flat.reshape(-1, 8, 8) * 15.9).astype(np.uint8)
    thumbnails = np.repeat(np.repeat(grey, 4, axis=1), 4, axis=2)
    looks = signatures(thumbnails).astype(np.float32)
    return Data(flat.astype(np.float32), looks, labels.astype(np.intp))


def _symbols(seed: int) -> Pool:
    def pictures() -> Iterator[tuple[Path, str, bool]]:
        for path in sorted((SHARED / "math_symbols" / "images").glob("*/*.png")):
            yield path, path.parent.name, False

    return _cut(_kept("symbols", lambda: _read(list(pictures()), colour=False, test=False)), seed)


def _groceries(seed: int) -> Pool:
    """The 43 coarse kinds, of 10 to 100 photographs each; the data set's own test side."""
    folder = SHARED / "groceries"

    def pictures() -> Iterator[tuple[Path, str, bool]]:
        for line in (folder / "labels.csv").read_text().splitlines()[1:]:
            path, side, _, _, _, kind = line.split(",")
            yield folder / "images" / path, kind, side == "test"

    data = _kept("groceries", lambda: _read(list(pictures()), colour=True, test=True))
    return _cut(data, seed)


def _kept(name: str, make: Callable[[], Data]) -> Data:
    """Features are made once and kept among the temporary files."""
    path = Path(tempfile.gettempdir()) / f"everloop-choosing-{name}-1.npz"
    if not path.exists():
        data = make()
        test = data.is_test if data.is_test is not None else np.empty(0, bool)
        np.savez(path, raw=data.raw, looks=data.looks, labels=data.labels, test=test)
    with np.load(path) as kept:
        test = kept["test"]
        return Data(kept["raw"], kept["looks"], kept["labels"], test if len(test) else None)


def _read(pictures: Sequence[tuple[Path, str, bool]], *, colour: bool, test: bool) -> Data:
    grey, histograms = [], []
    for path, _, _ in pictures:
        with Image.open(path) as opened:
            small = opened.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)
        grey.append(np.asarray(small.convert("L")))
        bins = np.asarray(small).reshape(-1, 3) // 43
        counts = np.bincount(bins @ (36, 6, 1), minlength=216)[:216]
        histograms.append(np.sqrt(counts / counts.sum()))
    greys = np.stack(grey)
    raw = _gradients(greys)
    if colour:
        raw = np.hstack([raw / np.sqrt((raw**2).sum(axis=1).mean()), np.stack(histograms)])
    thumbnails = greys.reshape(-1, 32, 2, 32, 2).mean(axis=(2, 4)).astype(np.uint8)
    names = sorted({kind for _, kind, _ in pictures})
    labels = np.array([names.index(kind) for _, kind, _ in pictures], np.intp)
    sides = np.array([held for _, _, held in pictures]) if test else None
    looks = signatures(thumbnails).astype(np.float32)
    return Data(raw.astype(np.float32), looks, labels, sides)


def _gradients(greys: NDArray[np.uint8]) -> Floats:
    """Histograms of oriented gradients (Dalal and Triggs 2005): 8 x 8 cells, 8 directions."""
    down, across = np.gradient(greys.astype(np.float32), axis=(1, 2))
    strength = np.hypot(down, across)
    direction = (np.arctan2(down, across) % np.pi / np.pi * 8).astype(int) % 8
    cells = np.stack(
        [np.where(direction == d, strength, 0).reshape(-1, 8, 8, 8, 8).sum(axis=(2, 4))
         for d in range(8)], axis=-1
    )  # fmt: skip
    flat = cells / (np.linalg.norm(cells, axis=-1, keepdims=True) + 10)
    found: Floats = np.sqrt(flat.reshape(len(greys), -1)).astype(np.float32)
    return found


POOLS: dict[str, Callable[[int], Pool]] = {
    "digits": _digits,
    "imbalanced": _imbalanced,
    "duplicates": _duplicates,
    "symbols": _symbols,
    "groceries": _groceries,
}


def _draw(curves: dict[str, dict[str, list[Run]]], path: Path) -> None:
    """The median accuracy over the seeds at each number of labels, one panel a pool."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    mpl.rcParams.update({"svg.hashsalt": "everloop", "svg.fonttype": "none"})
    figure, panels = plt.subplots(1, len(curves), figsize=(3.2 * len(curves), 3), squeeze=False)
    for panel, (pool, by_name) in zip(panels[0], curves.items(), strict=True):
        for name, runs in by_name.items():
            longest = max(run[-1, 0] for run in runs)
            at = np.linspace(max(run[0, 0] for run in runs), longest, 60)
            median = np.median([np.interp(at, run[:, 0], run[:, 1]) for run in runs], axis=0)
            wide = 2.2 if name == DEFAULT else 1.0
            panel.plot(at, median, label=name, linewidth=wide, zorder=3 if name == DEFAULT else 2)
        panel.set(title=pool, xlabel="labels", xscale="log")
        panel.xaxis.set_minor_formatter(NullFormatter())
    panels[0][0].set_ylabel("accuracy")
    panels[0][-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    with threadpool_limits(1):  # Threads cost more than they gain on tables this small.
        main()
