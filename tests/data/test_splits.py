"""The side of a sample: given, by group, by time, by content; and never another one later."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.clock import at
from tests.support.pictures import noise

from everloop.data.samples import NewSample
from everloop.data.splits import SplitBy, SplitRule, side_of
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop.policy_file import parse_policy

LOW, HIGH = SampleId("00" * 32), SampleId("ff" * 32)


@given(st.integers(0, 2**256 - 1), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_larger_holdout_only_grows(number: int, one: float, other: float) -> None:
    small, large = sorted((one, other))
    sample = SampleId(f"{number:064x}")
    if side_of(sample, small) == "holdout":
        assert side_of(sample, large) == "holdout"


@pytest.mark.parametrize("by", ["content", "group", "time"])
def test_what_the_source_gives_goes_before_every_rule(by: SplitBy) -> None:
    rule = SplitRule(0.2, by, at(0))
    assert rule.side(LOW, given="train", group="g", taken_at=at(1)) == "train"
    assert rule.side(HIGH, given="holdout", group="g", taken_at=at(-1)) == "holdout"


def test_time_divides_at_its_moment_and_content_decides_where_no_time_is_known() -> None:
    rule = SplitRule(0.2, "time", at(100))
    assert rule.side(LOW, taken_at=at(99)) == "train"
    assert rule.side(HIGH, taken_at=at(100)) == "holdout"
    assert rule.side(HIGH, taken_at=(at(100) + timedelta(hours=1)).replace(tzinfo=None)) == (
        "holdout"
    )
    assert (rule.side(LOW), rule.side(HIGH)) == ("holdout", "train")


def test_a_group_stays_together_though_the_share_grows(tmp_path: Path) -> None:
    first = [NewSample(noise(n), "", "s", "s", group=f"g{n % 20}") for n in range(60)]
    later = [NewSample(noise(n), "", "s", "s", group=f"g{n % 20}") for n in range(60, 120)]
    DataStore(tmp_path).samples.add(first, at(0), split=SplitRule(0.3))
    DataStore(tmp_path).samples.add(later, at(1), split=SplitRule(0.9))
    rows = DataStore(tmp_path).samples.facts().select(["group", "side"]).to_pylist()
    sides = {name: {row["side"] for row in rows if row["group"] == name} for name in ("g1", "g2")}
    assert len({(row["group"], row["side"]) for row in rows}) == 20
    assert all(len(found) == 1 for found in sides.values())
    assert {row["side"] for row in rows} == {"train", "holdout"}


def test_content_decides_when_the_policy_says_so_whatever_the_group() -> None:
    rule = SplitRule(0.2, "content")
    assert rule.side(LOW, group="g") != rule.side(HIGH, group="g")


def test_a_split_by_time_without_its_moment_is_refused_with_its_line() -> None:
    with pytest.raises(Refused, match=r"line 2: data = .*wants holdout_from"):
        parse_policy('level = 0\n[data]\nsplit = "time"\n')
    policy = parse_policy(
        'level = 0\n[data]\nsplit = "time"\nholdout_from = 2026-05-01T00:00:00Z\n'
    )
    assert policy.data.holdout_from is not None
