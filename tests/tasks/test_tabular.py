"""Tables pass the contract of tasks with models of three libraries; mistakes in rows do not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.contracts import TableContract

from everloop.data.checks.learnt_columns import refuse_target_leak
from everloop.data.training_data import SnapshotSide
from everloop.errors import Refused
from everloop.labels import ValueLabel, encode
from everloop.tasks.columns import learn_columns
from everloop.tasks.tabular import TabularClassification, TabularRegression
from everloop_runtime.rows import Feature, RowSpec, canonical_row, to_numbers

FEATURES = ("hour", "warmth", "weather")
GENERATOR = np.random.default_rng(0)
ROWS: list[dict[str, Any]] = [
    {
        "hour": int(hour),
        "warmth": None if number % 7 == 3 else round(float(warmth), 3),
        "weather": ("clear", "mist", "rain")[number % 3],
        "note": "not a feature",
    }
    for number, (hour, warmth) in enumerate(
        zip(GENERATOR.integers(0, 24, 90), GENERATOR.normal(12, 8, 90), strict=True)
    )
]


def _count(row: dict[str, Any]) -> float:
    warmth = 60 if row["warmth"] is None else row["warmth"]
    return float(10 * row["hour"] + 3 * warmth - 40 * (row["weather"] == "rain"))


@pytest.fixture(autouse=True)
def _findable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=":")


class TestRegressionOfScikitLearn(TableContract):
    task = TabularRegression("count", FEATURES)
    samples = tuple((canonical_row(row), encode(ValueLabel(_count(row)))) for row in ROWS)

    def model(self, data: SnapshotSide) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        return HistGradientBoostingRegressor(max_iter=20, random_state=0).fit(
            data.rows(), data.labels()
        )

    def test_metrics_are_the_textbooks(self) -> None:
        values = np.array([[1.0], [4.0]], np.float32)
        found = self.task.score(values, self.task.targets(['{"value":2.0}', '{"value":2.0}']))
        assert found["mean_absolute_error"] == 1.5 == -found["neg_mean_absolute_error"]
        assert found["root_mean_squared_error"] == pytest.approx(2.5**0.5)


class TestClassificationOfLightGBM(TableContract):
    task = TabularClassification("busy", ["no", "yes"], FEATURES)
    samples = tuple((canonical_row(row), "yes" if _count(row) > 110 else "no") for row in ROWS)

    def model(self, data: SnapshotSide) -> Any:
        lightgbm = _lightgbm()
        options = {"n_estimators": 20, "min_child_samples": 3, "verbose": -1, "n_jobs": 1}
        return lightgbm.LGBMClassifier(**options).fit(data.rows(), data.labels())


@pytest.mark.parametrize("kind", ["pipeline", "lightgbm", "xgboost"])
def test_other_models_are_exported_and_compared(kind: str) -> None:
    from everloop.training.export import export
    from everloop_runtime.answers.figure import Figure
    from everloop_runtime.model import Graph

    rows = np.nan_to_num(TestRegressionOfScikitLearn().sides()[0].rows())
    targets = rows @ np.array([10, 3, -20], np.float32)
    model = _model(kind).fit(rows, targets)
    graph = Graph(export(model, rows, Figure()), taken="row", output="value")
    given = graph.run(rows)
    assert np.allclose(given.values[:, 0], model.predict(rows), rtol=1e-4, atol=1e-3)
    assert abs(float(given.embeddings.mean())) < 1e-3 and given.embeddings.shape == rows.shape


def _lightgbm() -> Any:
    try:
        return pytest.importorskip("lightgbm", reason="the extra `tabular` is not installed")
    except OSError as error:
        pytest.skip(f"LightGBM wants libgomp1 of the system: {error}")


def _model(kind: str) -> Any:
    if kind == "pipeline":
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), Ridge())
    if kind == "lightgbm":
        lightgbm = _lightgbm()
        return lightgbm.LGBMRegressor(n_estimators=10, min_child_samples=3, verbose=-1, n_jobs=1)
    xgboost = pytest.importorskip("xgboost", reason="XGBoost is not installed")
    return xgboost.XGBRegressor(n_estimators=10, n_jobs=1)


def test_columns_are_learnt_from_the_rows_in_any_order() -> None:
    rows = [canonical_row(row) for row in ROWS]
    spec = learn_columns(FEATURES, rows)
    assert spec == learn_columns(FEATURES, rows[::-1])
    assert spec.features == (
        Feature("hour"),
        Feature("warmth", None, may_miss=True),
        Feature("weather", ("clear", "mist", "rain")),
    )
    with pytest.raises(Refused, match="no row of the training side has a value in the column 'x'"):
        learn_columns(["x"], rows)
    with pytest.raises(Refused, match="more than 1000 different texts"):
        learn_columns(["id"], [canonical_row({"id": f"n{n}"}) for n in range(1001)])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"weather": "rain"}, "the row has no 'hour'"),
        ({"hour": "noon", "weather": "rain"}, "'hour' is 'noon'; a figure is wanted"),
        ({"hour": 10**400, "weather": "rain"}, "no figure that a model can take"),
        (["hour"], "a JSON object is wanted"),
    ],
)
def test_a_row_that_cannot_be_taken_is_told_by_its_column(row: Any, words: str) -> None:
    spec = RowSpec((Feature("hour"), Feature("weather", ("rain",))))
    with pytest.raises(Refused, match=words):
        to_numbers(json.dumps(row).encode(), spec)


@given(st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text()))
def test_any_row_is_taken_or_refused_and_its_bytes_are_one(row: dict[str, Any]) -> None:
    spec = RowSpec((Feature("a", ("x",), may_miss=True), Feature("b", None, may_miss=True)))
    data = canonical_row(row)
    assert canonical_row(json.loads(data)) == data
    try:
        numbers = to_numbers(data, spec)
    except Refused:
        return
    assert numbers.shape == (2,) and numbers.dtype == np.float32


def test_columns_that_add_up_to_the_target_are_refused_by_name() -> None:
    parts = GENERATOR.integers(0, 300, (60, 2)).tolist()
    rows = [{"hour": n % 24, "casual": a, "registered": b} for n, (a, b) in enumerate(parts)]
    honest, leaking = TabularRegression("cnt", ["hour"]), ["hour", "casual", "registered"]

    class Leaking(TestRegressionOfScikitLearn):
        task = TabularRegression("cnt", leaking)
        samples = tuple(
            (canonical_row(row), encode(ValueLabel(row["casual"] + row["registered"])))
            for row in rows
        )

    with pytest.raises(Refused, match=r"cnt is .*casual.* these columns give the target away"):
        refuse_target_leak(Leaking().sides()[0], Leaking.task)
    Leaking.task = honest
    refuse_target_leak(Leaking().sides()[0], honest)


def test_what_no_converter_takes_is_refused() -> None:
    from sklearn.linear_model import LinearRegression

    from everloop.training.export import export
    from everloop_runtime.answers.class_probabilities import ClassProbabilities

    rows = np.arange(12, dtype=np.float32).reshape(6, 2)
    with pytest.raises(Refused, match="gives no probabilities; a classifier is wanted"):
        model = LinearRegression().fit(rows, np.arange(6))
        export(model, rows, ClassProbabilities("ab"))
