"""A search space: every mistake in one message, and back again from JSON."""

import json

import pytest

from everloop.errors import Refused
from everloop.product import Product
from everloop.space import Choice, Float, Int, Space, dimension
from everloop.tasks.image_classification import ImageClassification


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(Refused) as caught:
        Space(
            {
                "rate": Float(1.0, 0.1),
                "a b": Int(1, 2),
                "depth": Int(0, 8, log=True),
                "width": Int(1, 2.5),  # type: ignore[arg-type]
                "kind": Choice(),
                "twice": Choice("a", "a"),
                "what": 3,  # type: ignore[dict-item]
                "free": Float(0.0, float("inf")),
                "still": Float(0.0, 1.0, step=0.0),
            },
            goal="more",  # type: ignore[arg-type]
            watch="",
            where=True,  # type: ignore[arg-type]
        )
    told = str(caught.value)
    for words in (
        "has 12 mistakes",
        "rate: no value lies between 1.0 and 0.1",
        "'a b': a name is made of",
        "depth: a logarithmic scale begins above 0; low is 0",
        "width: whole numbers are wanted; high is 2.5",
        "kind: there is nothing to choose from",
        "twice: an option is named twice",
        "what: 3 is none of Float, Int, Choice",
        "free: finite numbers are wanted; high is inf",
        "still: a step is more than 0",
        "goal: maximize or minimize; got 'more'",
        "watch: the name of a figure is wanted",
        "where: a function of the parameters is wanted",
    ):
        assert words in told


@pytest.mark.parametrize(
    ("one", "inside", "outside"),
    [
        (Float(0.1, 1), [0.1, 0.5, 1], [0.05, 2, True, "0.5", float("nan")]),
        (Int(2, 8, step=3), [2, 5, 8], [3, 9, 5.0, True]),
        (Choice(1, "1", True), [1, "1", True], [1.0, False, "2"]),
    ],
)
def test_a_dimension_knows_its_values_and_comes_back_from_json(
    one: Float | Int | Choice, inside: list[object], outside: list[object]
) -> None:
    again = dimension(json.loads(json.dumps(one.as_json())))
    for kind in (one, again):
        assert all(kind.holds(value) for value in inside)
        assert not any(kind.holds(value) for value in outside)


def test_a_product_has_one_space() -> None:
    product = Product("p", task=ImageClassification("ab", (8, 8), 1))
    product.space({"rate": Float(0, 1)})
    with pytest.raises(Refused, match="already has a search space"):
        product.space({"rate": Float(0, 1)})
