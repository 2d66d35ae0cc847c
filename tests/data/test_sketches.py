"""Sketches of live answers: kept by segment, rolled by the hour, asked for by period."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from everloop.data.sketches import Period, Sketches
from everloop.ids import BundleId

_BUNDLE = BundleId("b" * 64)
_NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def _sum(parts: object) -> bytes:
    assert isinstance(parts, list)
    return str(sum(int(part) for part in parts)).encode()


def _filled(folder: Path, minutes: int = 180) -> Sketches:
    """One answer a minute, a segment each, from noon on."""
    sketches = Sketches(folder)
    for minute in range(minutes):
        at = _NOON + timedelta(minutes=minute)
        assert sketches.add(_BUNDLE, f"s{minute}", b"1", answers=1, first=at, last=at)
    return sketches


def _total(period: Period) -> int:
    return sum(int(part) for part in period.sketches)


def test_a_segment_is_kept_once(tmp_path: Path) -> None:
    sketches = _filled(tmp_path, 3)
    assert not sketches.add(_BUNDLE, "s1", b"1", answers=1, first=_at(1), last=_at(1))
    assert _total(sketches.period(_BUNDLE)) == 3


def _at(minute: int) -> datetime:
    return _NOON + timedelta(minutes=minute)


def test_any_period_is_answered_and_other_bundles_are_none_of_it(tmp_path: Path) -> None:
    sketches = _filled(tmp_path)
    period = sketches.period(_BUNDLE, _at(10), _at(20))
    assert (_total(period), period.answers) == (10, 10)
    assert (period.first, period.last) == (_at(10), _at(19))
    assert sketches.period(BundleId("c" * 64)).sketches == ()


def test_hours_that_are_over_are_rolled_into_one_file_each_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    sketches = _filled(tmp_path)
    assert sketches.roll(_BUNDLE, _sum, _at(185)) == 120
    assert sketches.roll(_BUNDLE, _sum, _at(185)) == 0
    assert len(list((tmp_path / "sketches").rglob("*-*"))) == 62
    period = sketches.period(_BUNDLE)
    assert (_total(period), period.answers) == (180, 180)
    assert _total(sketches.period(_BUNDLE, _at(60), _at(120))) == 60


def test_whoever_is_killed_while_rolling_leaves_nothing_that_counts_twice(tmp_path: Path) -> None:
    sketches = _filled(tmp_path, 60)
    files = {path: path.read_bytes() for path in (tmp_path / "sketches").rglob("*-s-*")}
    sketches.roll(_BUNDLE, _sum, _at(185))
    for path, data in files.items():
        path.write_bytes(data)
    assert _total(sketches.period(_BUNDLE)) == 60
    # A segment that comes late is an answer more, and what was there goes.
    sketches.add(_BUNDLE, "late", b"1", answers=1, first=_at(5), last=_at(5))
    sketches.roll(_BUNDLE, _sum, _at(185))
    assert _total(sketches.period(_BUNDLE)) == 61
    assert not list((tmp_path / "sketches").rglob("*-s-*"))
