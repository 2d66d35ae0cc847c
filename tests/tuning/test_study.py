"""A study's own parts: its file, its points, its parts of the data, and what was cut short."""

import multiprocessing
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="the extra tune is not installed")

from everloop.errors import Refused
from everloop.ids import SampleId
from everloop.space import Choice, Dimension, Float, Int
from everloop.tuning.applying import with_params
from everloop.tuning.attempting import Ended
from everloop.tuning.journal import Journal
from everloop.tuning.plan import Plan
from everloop.tuning.results import best, summary, tried
from everloop.tuning.splitting import by_hash, latest
from everloop.tuning.study import Budget, Study, journal_file

SPACE: dict[str, Dimension] = {"x": Float(-3.0, 3.0), "n": Int(1, 8), "kind": Choice("a", "b")}
PLAN = Plan(
    product="p",
    snapshot="s" * 64,
    code="c" * 64,
    dimensions={name: one.as_json() for name, one in SPACE.items()},
    metric="accuracy",
    goal="maximize",
    watch=None,
    base={"other": 1},
    seed=0,
    threads=1,
    sampler="tpe",
    pruner="none",
    search_seed=0,
    validation=0.2,
    newest=False,
)
FREE = Budget(None, None)


def _any(_point: Mapping[str, Any]) -> bool:
    return True


def _value(point: Mapping[str, Any]) -> float:
    off = (float(point.get("x", 0)) - 1) ** 2 + abs(int(point["n"]) - 5)
    return -off - (1.0 if point["kind"] == "a" else 0.0)


def _done(study: Study, budget: Budget, worker: str = "w") -> int:
    count = 0
    while (trial := study.next(worker, budget)) is not None:
        ended = Ended("complete", {"accuracy": _value(trial.params)}, core_seconds=10)
        study.end(trial, ended)
        count += 1
    return count


def _points(study: Study) -> list[dict[str, Any]]:
    return [dict(one.params) for one in tried(study)]


def test_a_study_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
    one = Study(whole, PLAN, _any)
    assert _done(one, Budget(30, None)) == 30
    assert _done(Study(cut, PLAN, _any), Budget(13, None)) == 13
    assert Study(cut, PLAN, _any).next("w", FREE) is not None
    with journal_file(cut).open("ab") as file:
        file.write(b'{"op_code": 4, "wor')  # Killed inside a line.
    again = Study(cut, PLAN, _any)
    again.stop_own("w")
    assert _done(again, Budget(30, None)) == 17
    assert _points(again) == _points(one)
    assert best(tried(one), "maximize")[0].value == summary(one)["best"]["value"]  # type: ignore[index, call-overload]


def test_what_was_cut_short_is_tried_again_but_not_for_ever(tmp_path: Path) -> None:
    study = Study(tmp_path, PLAN, _any)
    first = study.next("lost", FREE)
    other = study.next("other", FREE)
    assert first is not None and other is not None
    study.stop_own("lost")
    again = study.next("lost", FREE)
    assert again is not None and again.params == first.params != other.params
    # The worker that was taken for lost comes back: what it did is not counted twice.
    study.end(first, Ended("complete", {"accuracy": 1.0}))
    study.stop_lost()
    third, fourth = study.next("other", FREE), study.next("lost", FREE)
    study.stop_own("lost")
    assert third is not None and third.params == other.params
    assert fourth is not None and fourth.params == first.params
    found = tried(study)
    assert [(one.state, one.params) for one in found] == [("failed", first.params)]
    assert "its worker died 2 times in it" in str(found[0].error)


def test_a_study_begins_with_the_parameters_in_force(tmp_path: Path) -> None:
    study = Study(tmp_path, PLAN, _any)
    study.first({"n": 3, "x": 0.5, "kind": "a", "other": 1})
    assert _done(study, Budget(3, None)) == 3
    assert _points(study)[0] == {"n": 3, "x": 0.5, "kind": "a"}


def test_budgets_are_of_the_study(tmp_path: Path) -> None:
    study = Study(tmp_path, PLAN, _any)
    assert _done(study, Budget(None, 35.0)) == 4
    assert _done(study, Budget(4, None)) == 0
    assert _done(study, Budget(6, 1000.0)) == 2


def test_no_point_that_where_says_no_to_is_tried(tmp_path: Path) -> None:
    study = Study(tmp_path, PLAN, lambda point: point["x"] > 1 and point["n"] > 2)
    _done(study, Budget(15, None))
    assert all(one["x"] > 1 and one["n"] > 2 for one in _points(study))


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_a_space_with_no_valid_point_is_refused(tmp_path: Path, sampler: Any) -> None:
    narrow = {name: told for name, told in PLAN.dimensions.items() if name != "x"}
    plan = replace(PLAN, sampler=sampler, dimensions=narrow)
    with pytest.raises(Refused, match="no valid point"):
        Study(tmp_path, plan, lambda _: False)


def test_a_grid_is_tried_whole_and_no_more(tmp_path: Path) -> None:
    narrow = {name: told for name, told in PLAN.dimensions.items() if name != "x"}
    study = Study(tmp_path, replace(PLAN, sampler="grid", dimensions=narrow), _any)
    lost = study.next("lost", FREE)
    assert lost is not None
    study.stop_lost()
    assert _done(study, FREE) == 16
    assert len({(one["n"], one["kind"]) for one in _points(study)}) == 16


def test_a_grid_wants_steps(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="x has none"):
        Study(tmp_path, replace(PLAN, sampler="grid"), _any)


def test_a_study_in_which_nothing_works_stops(tmp_path: Path) -> None:
    study = Study(tmp_path, PLAN, _any)
    for _ in range(10):
        trial = study.next("w", FREE)
        assert trial is not None
        study.end(trial, Ended("failed", error="product.py:7: ValueError: no"))
    with pytest.raises(Refused, match=r"first 10 trials failed.*product.py:7"):
        study.next("w", FREE)


def _append(path: Path, name: int) -> None:
    journal = Journal(path)
    for number in range(50):
        journal.append_logs([{"by": name, "number": number}] * 2)


def test_lines_of_several_processes_are_all_there_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b'{"torn": ')
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append, args=(path, name)) for name in range(2)]
    for writer in writers:
        writer.start()
    reader, seen = Journal(path), list[dict[str, Any]]()
    while any(writer.is_alive() for writer in writers):
        seen += reader.read_logs(len(seen))
    seen += reader.read_logs(len(seen))
    for name in range(2):
        numbers = [line["number"] for line in seen if line["by"] == name]
        assert numbers == [number for number in range(50) for _ in range(2)]
    assert Journal(path).read_logs(150) == seen[150:]


NAMES = [SampleId(f"{number:064x}") for number in range(200)]


def test_judged_on_are_whole_groups_and_of_each_class_alike() -> None:
    groups = {name: f"patient {at // 10}" for at, name in enumerate(NAMES)}
    chosen = by_hash(NAMES, groups, None, 0.2)
    assert len(chosen) == 40 and len({groups[name] for name in chosen}) == 4
    classes = ["rare" if at % 20 == 0 else "common" for at in range(200)]
    chosen = by_hash(NAMES, {}, classes, 0.2)
    assert sum(classes[NAMES.index(name)] == "rare" for name in chosen) == 2
    assert len(chosen) == 40
    assert by_hash(NAMES[::-1], {}, classes[::-1], 0.2) == chosen


def test_judged_on_is_the_newest_part_where_time_divides() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments = {name: start + timedelta(hours=at // 3) for at, name in enumerate(NAMES[:150])}
    chosen = latest(NAMES, moments, 0.1)
    assert min(moments[name] for name in chosen) > max(
        moment for name, moment in moments.items() if name not in chosen
    )
    assert 20 <= len(chosen) <= 22
    with pytest.raises(Refused, match="no training sample has a time"):
        latest(NAMES, {}, 0.1)


SETTINGS = """\
level = 1  # ours
[train.params]
rate = 0.1  # was 0.2
"kind" = 'x = 1'

[gates]
absolute = { accuracy = 0.8 }
"""


def test_only_the_parameters_are_written() -> None:
    made = with_params(SETTINGS, {"rate": 0.003, "kind": "sgd", "deep": True})
    assert made == SETTINGS.replace("0.1  #", "0.003  #").replace("'x = 1'", '"sgd"').replace(
        '"sgd"\n', '"sgd"\ndeep = true\n'
    )
    assert with_params("level = 1\n", {"n": 3}) == "level = 1\n\n[train.params]\nn = 3\n"


def test_parameters_in_another_form_are_left_to_a_person() -> None:
    with pytest.raises(Refused, match=r"write there: \[train.params\]\nrate = 0.5"):
        with_params("[train]\nparams = { rate = 0.1 }\n", {"rate": 0.5})
