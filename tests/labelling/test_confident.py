"""Confident learning finds labels that were planted wrong."""

import numpy as np
from sklearn.datasets import load_digits

from everloop.data.splits import Side
from everloop.ids import SampleId
from everloop.labelling.confident import find_errors
from everloop.labelling.doubts import doubtful
from everloop.loop.label_doubts import out_of_fold


def test_every_planted_error_of_a_clear_case_is_found_and_nothing_else() -> None:
    generator = np.random.default_rng(0)
    true = np.repeat(np.arange(3), 100)
    values = np.full((300, 3), 0.05)
    values[np.arange(300), true] = 0.9
    given = true.copy()
    wrong = generator.choice(300, 30, replace=False)
    given[wrong] = (true[wrong] + 1) % 3
    found = find_errors(values, given)
    assert {suspect.row for suspect in found.suspects} == set(wrong)
    assert all(suspect.likely == true[suspect.row] for suspect in found.suspects)
    assert abs(found.share - 0.1) < 1e-9
    assert abs(found.joint.sum() - 1) < 1e-9


def test_a_class_that_is_always_less_sure_is_not_suspected_for_it() -> None:
    values = np.array([[0.55, 0.45]] * 50 + [[0.9, 0.1]] * 50)
    given = np.array([1] * 50 + [0] * 50)
    assert not find_errors(values, given).suspects


def test_flipped_digits_are_found_by_folds() -> None:
    pictures, true = load_digits(return_X_y=True)
    pictures, true = pictures[:1000], true[:1000]
    generator = np.random.default_rng(1)
    wrong = generator.choice(len(true), 100, replace=False)
    given = true.copy()
    given[wrong] = (true[wrong] + generator.integers(1, 10, 100)) % 10
    samples = [SampleId(str(n)) for n in range(len(true))]
    side: Side = "train"
    names = [str(n) for n in range(10)]
    values = out_of_fold(pictures, given, 10)
    found = doubtful(samples, [str(n) for n in given], names, values, side)
    suspected = {int(doubt.sample) for doubt in found.rows}
    hit = len(suspected & set(wrong))
    assert hit >= 65 and hit / len(suspected) >= 0.85, (hit, len(suspected))
    first = [int(doubt.sample) in wrong for doubt in found.rows[:50]]
    assert sum(first) >= 46
    assert found.share is not None and abs(found.share - 0.1) < 0.04


def test_labels_that_are_none_of_the_classes_and_answers_that_are_none_are_passed_over() -> None:
    values = np.array([[0.9, 0.1], [np.nan, np.nan], [0.2, 0.8]])
    samples = [SampleId(name) for name in "abc"]
    assert doubtful(samples, ["cat", "dog", "cow"], ["cat", "dog"], values, "holdout").rows == ()
    assert doubtful(samples, ["cat"] * 3, ["cat"], values, "holdout").share is None
