"""Agreement: the figures of the papers, and of scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from everloop.labelling.agreement import agree, cohen_kappa, fleiss_kappa, likeness, overlap
from everloop.labels import Box, BoxesLabel, ClassesLabel, ClassLabel


def test_cohens_kappa_is_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    for classes in (2, 5):
        first = generator.integers(0, classes, 200)
        second = np.where(generator.random(200) < 0.7, first, generator.integers(0, classes, 200))
        ours = cohen_kappa([str(n) for n in first], [str(n) for n in second])
        assert ours == pytest.approx(cohen_kappa_score(first, second))


def test_cohens_kappa_has_no_value_where_chance_explains_all() -> None:
    assert math.isnan(cohen_kappa(["a"] * 5, ["a"] * 5))
    assert math.isnan(cohen_kappa([], []))
    assert cohen_kappa(["a", "b"], ["b", "a"]) == -1


def test_fleiss_kappa_is_that_of_the_worked_example() -> None:
    # Fourteen people, ten subjects, five categories: the example most textbooks calculate.
    table = """
        0 0 0 0 14 | 0 2 6 4 2 | 0 0 3 5 6 | 0 3 9 2 0 | 2 2 8 1 1
        7 7 0 0 0 | 3 2 6 3 0 | 2 5 3 2 2 | 6 5 2 1 0 | 0 2 2 3 7
    """.replace("\n", "|")
    rows = [list(map(int, row.split())) for row in table.split("|") if row.strip()]
    said = [[str(k) for k, count in enumerate(row) for _ in range(count)] for row in rows]
    assert fleiss_kappa(said) == pytest.approx(0.210, abs=5e-4)
    with pytest.raises(ValueError, match="same number"):
        fleiss_kappa([["a", "b"], ["a"]])


def test_boxes_agree_by_what_they_share() -> None:
    cell, far = Box("cell", 0, 0, 10, 10), Box("cell", 50, 50, 60, 60)
    near, other = Box("cell", 0, 0, 10, 8), Box("dust", 0, 0, 10, 10)
    assert overlap(cell, near) == pytest.approx(0.8)
    one = BoxesLabel((cell, far))
    assert agree(one, BoxesLabel((far, near)), 0.5)
    assert likeness(one, BoxesLabel((far, near)), 0.5) == pytest.approx(0.9)
    assert not agree(one, BoxesLabel((near,)), 0.5), "one is missing"
    assert not agree(BoxesLabel((cell,)), BoxesLabel((other,)), 0.5), "it is called otherwise"
    assert likeness(BoxesLabel((cell,)), BoxesLabel((other,)), 0.5) == 0
    assert agree(BoxesLabel(()), BoxesLabel(()), 0.5)
    assert not agree(BoxesLabel((cell,)), BoxesLabel((near,)), 0.9)


def test_one_box_is_nobody_elses_counterpart_twice() -> None:
    twice = BoxesLabel((Box("cell", 0, 0, 10, 10), Box("cell", 1, 1, 10, 10)))
    once = BoxesLabel((Box("cell", 0, 0, 10, 10),))
    assert likeness(twice, once, 0.5) == pytest.approx(0.5)


def test_classes_are_alike_as_far_as_they_are_shared() -> None:
    assert likeness(ClassesLabel(("a", "b")), ClassesLabel(("b", "c")), 0.5) == pytest.approx(1 / 3)
    assert agree(ClassesLabel(("a", "b")), ClassesLabel(("b", "a")), 0.5)
    assert likeness(ClassLabel("a"), ClassLabel("b"), 0.5) == 0
