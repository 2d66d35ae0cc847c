"""What every strategy of choosing samples to label must do, built-in and third-party alike."""

import numpy as np
import pytest
from numpy.typing import NDArray

from everloop.labelling.strategy import Candidates, Strategy


def candidates(count: int, classes: int = 3, known: int = 4, seed: int = 0) -> Candidates:
    """Candidates drawn at random, their answers as unsure as their margins."""
    random = np.random.default_rng(seed)
    odds = random.random((count, classes)) ** 3 + 1e-6
    odds = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    ordered = np.sort(odds, axis=1)
    return Candidates(
        random.normal(0, 1, (count, 5)).astype(np.float32),
        1.0 - (ordered[:, -1] - ordered[:, -2]).astype(np.float64),
        odds,
        random.normal(0, 1, (known, 5)).astype(np.float32),
        100,
        classes,
    )


def _unanswered(count: int) -> Candidates:
    """As before the first model: nothing answered, nothing labelled, no classes."""
    made = candidates(count)
    return Candidates(made.embeddings, np.ones(count), None, made.known[:0], 0, 1)


def _alike(count: int) -> Candidates:
    """One sample so many times."""
    made = candidates(1)
    ones = np.zeros(count, np.intp)
    odds = None if made.odds is None else made.odds[ones]
    return Candidates(made.embeddings[ones], made.unsure[ones], odds, made.known, 100, 3)


def _broken(count: int) -> Candidates:
    """A model whose answers and embeddings are no numbers."""
    nothing = np.full((count, 5), np.nan, np.float32)
    return Candidates(nothing, np.ones(count), nothing, nothing[:2], 100, 5)


class StrategyContract:
    """Give a strategy; every test here must pass."""

    @pytest.fixture
    def strategy(self) -> Strategy:
        """The strategy under test."""
        raise NotImplementedError

    @pytest.mark.parametrize("count", [0, 1, 7, 90])
    @pytest.mark.parametrize("budget", [0, 1, 8, 200])
    def test_it_fills_the_budget_and_takes_nothing_twice(
        self, strategy: Strategy, count: int, budget: int
    ) -> None:
        for made in (candidates(count), _unanswered(count), _broken(count), candidates(count, 2)):
            chosen = _chosen(strategy, made, budget)
            assert len(chosen) == len(set(chosen.tolist())) == min(budget, count)
            assert not len(chosen) or (chosen.min() >= 0 and chosen.max() < count)

    def test_it_bears_a_pool_of_one_sample_many_times(self, strategy: Strategy) -> None:
        assert len(set(_chosen(strategy, _alike(50), 20).tolist())) == 20

    def test_the_same_seed_gives_the_same_rows_and_nothing_is_altered(
        self, strategy: Strategy
    ) -> None:
        made = candidates(300)
        before = made.embeddings.copy(), made.unsure.copy()
        first = _chosen(strategy, made, 40)
        assert np.array_equal(first, _chosen(strategy, made, 40))
        assert np.array_equal(made.embeddings, before[0])
        assert np.array_equal(made.unsure, before[1])


def _chosen(strategy: Strategy, made: Candidates, budget: int) -> "NDArray[np.intp]":
    return np.asarray(strategy(made, budget, np.random.default_rng(1)), np.intp)
