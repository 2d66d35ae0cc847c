"""Class names: each once, also to the eye, and a refusal that stays short."""

from collections.abc import Sequence

import pytest

from everloop.errors import Refused
from everloop.labels import ClassLabel
from everloop.tasks.names import class_names, why_not


@pytest.mark.parametrize("names", [["a", "a"], ["a", ""], "a", ["caf\u00e9", "cafe\u0301"]])
def test_classes_are_named_once_each_also_to_the_eye(names: Sequence[str]) -> None:
    with pytest.raises(Refused, match="each named once"):
        class_names(names, 2)
    assert class_names(["a", "A"], 2) == ("a", "A")


def test_a_thousand_classes_with_endless_names_are_not_all_told() -> None:
    classes = tuple(f"{n}" * 10_000 for n in range(1000))
    why = why_not(ClassLabel("x" * 10_000), "class", classes)
    assert why is not None and len(why) < 4000 and why.endswith("and 950 more")
