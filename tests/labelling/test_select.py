"""The samples worth a person's time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.data.pool import Pool
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop.labelling.select import choose, draw
from everloop.policy import CHOOSING
from everloop.tasks.image_classification import ImageClassification

TASK = ImageClassification("abc", size=(4, 4), channels=1)


def _pool(count: int, seed: int = 0) -> Pool:
    generator = np.random.default_rng(seed)
    odds = generator.random((count, 3)) ** 3 + 1e-6
    return Pool(
        tuple(SampleId(f"{n:064x}") for n in range(count)),
        tuple("holdout" if n % 4 == 0 else "train" for n in range(count)),
        (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32),
        generator.normal(0, 1, (count, 5)).astype(np.float32),
        generator.normal(0, 1, (3, 5)).astype(np.float32),
    )


@settings(deadline=None)
@given(
    st.integers(0, 60),
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(0, 9),
    st.sampled_from(CHOOSING),
    st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
def test_budgets_and_sides_are_kept_and_nothing_comes_twice(
    count: int, budget: int, held: int, seed: int, strategy: str, random: float
) -> None:
    pool = _pool(count)
    if not count or not budget:
        return
    options = {"budget": budget, "holdout_budget": held, "seed": seed, "strategy": strategy,
               "labels": 50, "random_share": random}  # fmt: skip
    chosen = choose(pool, TASK, **options)  # type: ignore[arg-type]
    assert chosen == choose(pool, TASK, **options)  # type: ignore[arg-type]
    sides = dict(zip(pool.samples, pool.sides, strict=True))
    learnt = [*chosen.train, *chosen.random]
    assert len(learnt) == min(budget, pool.sides.count("train"))
    assert len(chosen.random) == min(round(budget * random), pool.sides.count("train"))
    assert len(chosen.holdout) == min(held, pool.sides.count("holdout"))
    assert {sides[s] for s in learnt} <= {"train"}
    assert {sides[s] for s in chosen.holdout} <= {"holdout"}
    assert len({*learnt, *chosen.holdout}) == len(learnt) + len(chosen.holdout)


def test_margin_takes_the_least_sure() -> None:
    pool = _pool(40)
    assert pool.values is not None
    ordered = np.sort(pool.values, axis=1)
    ahead = dict(zip(pool.samples, ordered[:, -1] - ordered[:, -2], strict=True))
    chosen = choose(
        pool, TASK, budget=5, holdout_budget=0, seed=0, labels=50, strategy="margin"
    ).train
    left = [s for s, side in zip(pool.samples, pool.sides, strict=True)
            if side == "train" and s not in chosen]  # fmt: skip
    assert max(ahead[s] for s in chosen) <= min(ahead[s] for s in left)


def test_the_hybrid_does_not_ask_ten_times_about_the_same_thing() -> None:
    """Of copies of one very unsure sample among many fairly unsure ones it takes few."""
    count, copies = 120, 30
    generator = np.random.default_rng(1)
    embeddings = generator.normal(0, 1, (count, 6)).astype(np.float32)
    embeddings[:copies] = embeddings[0]
    probabilities = np.full((count, 2), 0.5, np.float32)
    probabilities[copies:] += np.array([0.1, -0.1], np.float32)
    pool = Pool(
        tuple(SampleId(f"{n:064x}") for n in range(count)),
        tuple("train" for _ in range(count)),
        probabilities,
        embeddings,
        embeddings[:0],
    )
    same = set(pool.samples[:copies])
    rounds = {
        strategy: choose(
            pool, TASK, budget=30, holdout_budget=0, seed=0, labels=50, strategy=strategy
        )
        for strategy in ("margin", "hybrid")
    }
    taken = {strategy: len(same & set(chosen.train)) for strategy, chosen in rounds.items()}
    assert taken["margin"] == 30
    assert taken["hybrid"] <= 2


def test_an_audit_is_drawn_from_everything_alike() -> None:
    pool = _pool(200)
    drawn = [sample for seed in range(200) for sample in draw(pool, 20, seed)]
    counts = np.array([drawn.count(sample) for sample in pool.samples])
    # 20 of each are expected; six standard deviations are 26.
    assert counts.max() < 46
    assert counts.sum() == 4000


def test_an_unknown_strategy_is_told_which_there_are() -> None:
    with pytest.raises(Refused, match="there are: badge, coreset, entropy, hybrid"):
        choose(_pool(5), TASK, budget=1, holdout_budget=0, seed=0, labels=0, strategy="best")


def test_the_random_share_is_drawn_from_all_alike_whatever_the_strategy_wants() -> None:
    pool = _pool(200)
    train = [s for s, side in zip(pool.samples, pool.sides, strict=True) if side == "train"]
    options = {"budget": 40, "holdout_budget": 0, "labels": 50, "random_share": 0.5}
    drawn = [s for seed in range(150) for s in choose(pool, TASK, seed=seed, **options).random]  # type: ignore[arg-type]
    counts = np.array([drawn.count(sample) for sample in train])
    # 20 of 150 each time: 20 of each are expected, and five standard deviations are 21.
    assert counts.sum() == 3000
    assert counts.min() > 0 and counts.max() < 41
