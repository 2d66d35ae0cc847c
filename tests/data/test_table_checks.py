"""Tables: broken sensors, gaps and leaks are found and named; sound columns are left alone."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.support.shared import SHARED, needs_shared

from everloop.data.checks.finding import Finding
from everloop.data.checks.series import lone_zeros, missing_times, stuck_runs
from everloop.data.checks.table import Columns, check_columns
from everloop.data.checks.table_file import read_table
from everloop.errors import Refused


def _by_code(table: pa.Table, columns: Columns) -> dict[str, Finding]:
    return {finding.code: finding for finding in check_columns(table, columns)}


@needs_shared
def test_the_dirt_of_the_bicycle_table_is_found_and_named() -> None:
    table = read_table(SHARED / "bike_sharing" / "hour.csv.gz")
    found = _by_code(table, Columns("cnt", ("dteday", "hr")))
    assert [item.text for item in found["target-follows"].items] == ["cnt = registered + casual"]
    [near] = found["target-nearly-follows"].items
    assert near.text.startswith("registered alone explains 9")
    stuck = [item.text for item in found["stuck"].items]
    assert "atemp is 0.2424 in 24 rows on end, 2012-08-17T00:00 to 2012-08-17T23:00" in stuck
    assert "hum is 0 in 22 rows on end, 2011-03-10T00:00 to 2011-03-10T23:00" in stuck
    # Each of the six was looked at: none of these values moved while the others did.
    assert len(stuck) == 6
    assert [item.text for item in found["lone-zeros"].items] == [
        "hum is 0 in 22 rows, otherwise never below 0.08",
        "windspeed is 0 in 2,180 rows, otherwise never below 0.0896",
    ]
    assert found["missing-times"].why.startswith("165 moments")
    assert [item.text for item in found["rare-value"].items] == [
        "weathersit = 4 in 3 of 17,379 rows"
    ]
    assert [item.text.split(":")[0] for item in found["identifier"].items] == ["instant"]
    assert set(found) == {
        "target-follows", "target-nearly-follows", "stuck", "lone-zeros", "missing-times",
        "rare-value", "identifier",
    }  # fmt: skip


def test_a_sound_table_gives_no_finding() -> None:
    generator = np.random.default_rng(0)
    hours = np.datetime64("2026-01-01T00") + np.arange(3000).astype("timedelta64[h]")
    level = np.cumsum(generator.normal(size=3000)).round(1) + 500
    table = pa.table(
        {
            "at": hours.astype("datetime64[s]"),
            "level": level,
            "kind": generator.choice(["a", "b", "c"], 3000),
            "target": level * 0.3 + generator.normal(size=3000) * 50,
        }
    )
    assert check_columns(table, Columns("target", ("at",))) == ()


def test_a_sensor_that_often_rests_is_not_stuck_but_one_that_never_did_is() -> None:
    generator = np.random.default_rng(0)
    resting = np.where(np.arange(4000) % 40 < 12, 0.0, generator.normal(size=4000))
    assert stuck_runs(resting) == []
    moving = generator.normal(size=4000).round(2)
    moving[100:109] = 0.5
    assert [(run.start, run.rows, run.value) for run in stuck_runs(moving)] == [(100, 9, 0.5)]


def test_zero_is_a_value_where_others_are_near_it() -> None:
    assert lone_zeros(np.arange(100.0)) is None
    assert lone_zeros(np.array([-1.0, 0.0, 1.0, 2.0])) is None
    found = lone_zeros(np.array([0.0, 0.0, 50.0, 51.0, 52.0, 53.0]))
    assert found is not None and (found.rows, found.next) == (2, 50.0)


def test_rows_that_come_at_any_time_have_no_gaps() -> None:
    generator = np.random.default_rng(0)
    odd = np.datetime64("2026-01-01", "s") + np.cumsum(generator.integers(1, 9000, 500)).astype(
        "timedelta64[s]"
    )
    assert missing_times(odd) == ()
    days = np.datetime64("2026-01-01", "s") + np.array([0, 1, 2, 5, 6]) * np.timedelta64(86400, "s")
    assert [gap.missing for gap in missing_times(days)] == [2]


def test_a_class_that_one_feature_knows_is_told() -> None:
    generator = np.random.default_rng(0)
    kind = generator.choice(["good", "bad"], 2000, p=[0.8, 0.2])
    table = pa.table(
        {
            "refund": np.where(kind == "bad", 9.0, 0.0) + generator.normal(size=2000) * 0.1,
            "age": generator.normal(size=2000),
            "state": np.where(kind == "bad", "closed", "open"),
            "kind": kind,
        }
    )
    found = _by_code(table, Columns("kind"))
    told = sorted(item.text.split()[0] for item in found["target-nearly-follows"].items)
    assert told == ["refund", "state"]


def test_rows_values_and_columns_that_hold_nothing_are_told() -> None:
    table = pa.table({"x": [1.5, 1.5, None, 2.0], "one": ["a"] * 4, "name": ["p", "p", "q", "r"]})
    found = _by_code(table, Columns())
    assert found["duplicate-rows"].items[0].text == "1 rows repeat another one"
    assert found["empty"].items[0].text == "x: 1 rows"
    assert found["constant"].items[0].text == "one is always a"


def test_what_is_no_table_and_columns_that_are_not_there_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 nothing")
    with pytest.raises(Refused, match="no table that can be read"):
        read_table(broken)
    uneven = tmp_path / "uneven.csv"
    uneven.write_text("a,b\n1\n1,2,3\n")
    with pytest.raises(Refused, match="no table"):
        read_table(uneven)
    fine = tmp_path / "fine.csv.gz"
    fine.write_bytes(gzip.compress(b"a,b\n1,x\n2,y\n"))
    with pytest.raises(Refused, match="no column cnt; there are: a, b"):
        check_columns(read_table(fine), Columns("cnt"))
    with pytest.raises(Refused, match="are no moments"):
        check_columns(read_table(fine), Columns(times=("b",)))
