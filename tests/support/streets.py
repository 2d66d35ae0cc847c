"""A street of made pictures, a model of it, and what the signals say of a window."""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from everloop.data.file_figures import file_facts, file_figures
from everloop.data.predictions import Window
from everloop.ids import PredictionId, SampleId
from everloop.monitoring.finding import Finding
from everloop.monitoring.inputs import input_figures
from everloop.monitoring.period import Limits
from everloop.monitoring.reference import Known, build_reference, read_reference
from everloop.monitoring.signal import judge_window
from everloop.monitoring.watch import Watch
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.images import ImageSpec

TASK = ImageClassification("abc", size=(8, 8), channels=1)
SPEC = ImageSpec(8, 8, 1)
RATE = 0.05
START = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Street:
    """Pictures of three kinds, dark, middling or bright on the left, and a model of them."""

    def __init__(
        self, seed: int, count: int, shares: tuple[float, ...] = (1, 1, 1), apart: float = 30
    ) -> None:
        random = np.random.default_rng(seed)
        odds = np.array(shares) / sum(shares)
        self.labels = random.choice(3, count, p=odds)
        pictures = random.normal(110, 12, (count, 8, 8, 1))
        # Kinds overlap, so that the model is right four times in five.
        kinds = apart * (self.labels - 1) + random.normal(0, 15, count)
        pictures[:, :, :4] += kinds[:, None, None, None]
        self.pictures = np.clip(pictures, 0, 255).astype(np.uint8)

    def answers(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Shares of the classes `[n, 3]`, and what stands for embeddings."""
        flat = self.pictures.reshape(len(self.pictures), -1).astype(np.float32)
        flat /= np.float32(255)
        left = flat.reshape(-1, 8, 8)[:, :, :4].mean(axis=(1, 2))
        middles = (110 + 30 * np.array([-1, 0, 1])) / 255
        logits = -((left[:, None] - middles) ** 2) / (2 * (15 / 255) ** 2)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: NDArray[np.float32] = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        return shares, flat


@lru_cache(maxsize=64)
def street_watch(seed: int = 0, count: int = 250, kind: str = "") -> Watch:
    """The model as it is watched, with a hold-out of `count` drawn by `seed`; with a `kind`, the
    pictures came as files of this format."""
    train, held = Street(seed + 1000, 400), Street(seed + 2000, count)
    values, embeddings = held.answers()
    ours, theirs = (
        {**input_figures(each.pictures, SPEC), **(files_of(each, kind) if kind else {})}
        for each in (train, held)
    )
    known = Known(TASK, train.answers()[0], ours, theirs, held.labels)
    right = values.argmax(axis=1) == held.labels
    data = build_reference(values, embeddings, right, train.answers()[1], known)
    return Watch(read_reference(data), TASK)


def files_of(street: Street, kind: str, side: int = 8) -> Mapping[str, NDArray[np.float32]]:
    """The figures of a street's pictures as files of a format, `side` pixels wide."""
    facts = []
    for picture in street.pictures:
        out = io.BytesIO()
        Image.fromarray(picture[:, :, 0]).resize((side, 8)).save(out, kind)
        told = file_facts(out.getvalue(), SPEC)
        assert told is not None
        facts.append(told)
    return file_figures(facts)


def judged(
    watch: Watch,
    street: Street,
    rate: float = RATE,
    keys: Sequence[str] = (),
    files: Mapping[str, NDArray[np.float32]] | None = None,
) -> dict[str, Finding]:
    """What each signal finds of a window, by its name; each answer has a key of its own, unless
    there are `keys` to take turns."""
    values, embeddings = street.answers()
    count = len(values)
    window = Window(
        tuple(PredictionId(f"p{n}") for n in range(count)),
        tuple(SampleId(f"s{n}") for n in range(count)),
        values,
        embeddings,
        tuple(START + timedelta(seconds=n) for n in range(count)),
        tuple(keys[n % len(keys)] if keys else f"k{n}" for n in range(count)),
    )
    figures = {**input_figures(street.pictures, SPEC), **(files or {})}
    found = watch.see(values, embeddings, figures)
    limits = Limits(rate, 0.05, ("a", "b", "c"))
    signal = judge_window(watch, window, found, 0, limits)
    return {finding.name: finding for finding in signal.findings}
