"""Runs are chosen and put in order by any fact, metric or parameter."""

from datetime import UTC, datetime, timedelta

import pytest

from everloop.cli.run_views import brief_time, sparkline
from everloop.errors import Refused
from everloop.ids import ActionKey
from everloop.loop.run_choice import chosen, differing, read_condition
from everloop.registry.runs import RunRecord, RunStatus

START = datetime(2026, 1, 2, tzinfo=UTC)


def _run(
    name: str, loss: float | None, status: RunStatus = "finished", rate: float = 0.1
) -> RunRecord:
    return RunRecord(
        key=ActionKey(f"train-{name * 32}"),
        product="p",
        snapshot="5" * 64,
        bundle=None,
        params={"rate": rate, "loss": "focal", "epochs": 3},
        metrics={} if loss is None else {"loss": loss},
        history=(),
        code="c" * 64,
        environment={},
        hardware={},
        seed=0,
        started_at=START,
        ended_at=START + timedelta(seconds=ord(name)),
        status=status,
        error=None,
    )


RUNS = [_run("a", 0.5), _run("b", 0.1, rate=0.2), _run("c", None, "failed"), _run("d", 0.3)]


def _names(*conditions: str, sort: str | None = None) -> str:
    found = chosen(RUNS, [read_condition(text) for text in conditions], sort)
    return "".join(run.key[6] for run in found)


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        ([], "abcd"),
        (["loss<0.4"], "bd"),
        (["loss >= 0.3", "rate = 0.1"], "ad"),
        (["status = failed"], "c"),
        (["status != failed"], "abd"),
        (["params.loss = focal"], "abcd"),
        (["snapshot = 5555"], "abcd"),
        (["run = bbb"], "b"),
        (["seconds > 98"], "cd"),
    ],
)
def test_runs_are_chosen_by_what_is_known_of_them(conditions: list[str], names: str) -> None:
    assert _names(*conditions) == names


def test_the_best_come_first_and_those_without_the_figure_last() -> None:
    assert _names(sort="metrics.loss") == "bdac"
    assert _names(sort="-metrics.loss") == "adbc"
    assert differing(RUNS) == ["rate"]


@pytest.mark.parametrize("text", ["loss", "loss < small", "< 3", ""])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        read_condition(text)


def test_a_name_that_no_run_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(Refused, match=r"no run has 'lost'; there are: status.*params\.rate"):
        _names("lost < 1")
    assert chosen([], [read_condition("lost < 1")], None) == []


def test_curves_and_times_are_short() -> None:
    assert sparkline([1.0, float("nan"), 2.0]) == "▁?█"
    assert len(sparkline([float(n) for n in range(1000)])) == 40
    assert sparkline([]) == ""
    assert [brief_time(timedelta(seconds=s)) for s in (0.26, 61, 7205)] == [
        "0.3 s", "1 min 01 s", "2 h 00 min",
    ]  # fmt: skip
