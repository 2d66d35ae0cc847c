"""Labels and their texts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.errors import Refused
from everloop.labels import (
    Box,
    BoxesLabel,
    ClassesLabel,
    ClassLabel,
    Label,
    ValueLabel,
    decode,
    encode,
    kind_of,
    names_in,
)

_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
_BOXES = st.builds(Box, st.text(), _NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS)
_LABELS = st.one_of(
    st.builds(ClassLabel, st.text()),
    st.builds(ClassesLabel, st.lists(st.text(), unique=True).map(lambda n: tuple(sorted(n)))),
    st.builds(ValueLabel, _NUMBERS),
)


@given(_LABELS)
def test_a_label_comes_back_from_its_text(label: Label) -> None:
    assert decode(encode(label)) == label


@given(st.lists(_BOXES, max_size=5))
def test_boxes_come_back_in_one_order_whatever_order_they_were_given_in(boxes: list[Box]) -> None:
    text = encode(BoxesLabel(tuple(boxes)))
    assert text == encode(BoxesLabel(tuple(reversed(boxes))))
    found = decode(text)
    assert isinstance(found, BoxesLabel)
    assert sorted(map(repr, found.boxes)) == sorted(map(repr, boxes))


def test_a_class_that_looks_like_json_is_still_a_class() -> None:
    assert decode(encode(ClassLabel('{"value":1}'))) == ClassLabel('{"value":1}')


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_figures_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(Refused, match="finite"):
        encode(ValueLabel(value))
    with pytest.raises(Refused, match="finite"):
        encode(BoxesLabel((Box("a", 0, 0, value, 1),)))


@pytest.mark.parametrize("text", ["{", "{}", '{"value":"x"}', '{"boxes":[["a",1]]}', "{" * 100_000])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(Refused, match="not the text of a label"):
        decode(text)


def test_names_are_told_once_for_each_use() -> None:
    boxes = BoxesLabel((Box("a", 0, 0, 1, 1), Box("a", 1, 1, 2, 2)))
    assert (kind_of(boxes), names_in(boxes)) == ("boxes", ("a", "a"))
