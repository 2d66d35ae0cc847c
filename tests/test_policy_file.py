"""`everloop.toml`: every mistake in one message, each with its line."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.errors import Refused
from everloop.policy import Policy
from everloop.policy_file import parse_policy


def test_one_line_is_enough() -> None:
    policy = parse_policy("level = 1")
    assert policy == Policy(level=1)
    assert policy.rollout.soak == timedelta(minutes=10)


def test_all_mistakes_are_listed_with_line_finding_and_what_is_allowed() -> None:
    text = """# a comment
level = 3

[train]
epochs = 5
seed = "x"

[rollout]
shares = [0.5, 0.2]
soak = "soon"

[data]
holdout_share = 1.5
"""
    with pytest.raises(Refused) as refused:
        parse_policy(text, "everloop.toml")
    lines = str(refused.value).splitlines()
    assert lines[0] == "everloop.toml has 6 mistakes:"
    assert lines[1].startswith("  line 2: level = 3:")
    assert "0, 1 or 2" in lines[1]
    assert lines[2].startswith("  line 5: train.epochs: there is no such setting")
    assert "allowed: checkpoint, memory, min_labels, new_labels, params" in lines[2]
    assert lines[3].startswith('  line 6: train.seed = "x":')
    assert lines[4].startswith("  line 9: rollout.shares")
    assert "larger than the one before" in lines[4]
    assert lines[5].startswith('  line 10: rollout.soak = "soon": a duration such as')
    assert lines[6].startswith("  line 13: data.holdout_share = 1.5")


def test_a_slip_of_the_pen_is_guessed() -> None:
    with pytest.raises(Refused, match="did you mean min_requests"):
        parse_policy("level = 1\n[rollout]\nmin_request = 5")


def test_without_a_level_it_says_which_there_are() -> None:
    with pytest.raises(Refused, match="level is missing; allowed: 0, 1, 2"):
        parse_policy("")


def test_what_is_no_toml_is_told_with_its_place() -> None:
    with pytest.raises(Refused, match=r"is not TOML: .*line 2"):
        parse_policy("level = 1\n= 5")


@given(st.text(max_size=80))
def test_any_text_is_a_policy_or_one_clear_refusal(text: str) -> None:
    try:
        assert isinstance(parse_policy(text), Policy)
    except Refused as refused:
        assert "everloop.toml" in str(refused)


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.text(max_size=5)
)


@given(
    st.sampled_from([n for n in Policy.model_fields if n != "level"]),
    st.text("abc_", min_size=1),
    _VALUES,
)
def test_any_value_anywhere_is_told_about(table: str, key: str, value: object) -> None:
    shown = "''" if value is None else repr(value).lower() if not isinstance(value, str) else "'x'"
    try:
        parse_policy(f"level = 1\n[{table}]\n{key} = {shown}")
    except Refused as refused:
        assert "everloop.toml" in str(refused)
    else:
        assert table == "train" or key in getattr(Policy(level=1), table).model_fields
