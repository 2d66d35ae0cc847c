"""Calibration: one number inside the graph, which changes how sure answers are and none of them."""

import numpy as np
import pytest
import torch
from torch import nn

from everloop.training.calibration import (
    calibrated,
    choose_threshold,
    fit_temperature,
    softened,
    with_temperature,
)
from everloop.training.export import export
from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.errors import Refused
from everloop_runtime.model import Graph

GENERATOR = np.random.default_rng(0)


def _overconfident(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Answers whose logits are three times as large as they should be."""
    logits = GENERATOR.normal(size=(count, 4))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([GENERATOR.choice(4, p=row) for row in honest])
    return softened(honest.astype(np.float32), 1 / 3), labels


def _error(probabilities: np.ndarray) -> float:
    return float(probabilities.max())


def test_the_temperature_undoes_what_made_answers_too_sure() -> None:
    probabilities, labels = _overconfident(4000)
    found = fit_temperature(probabilities, labels, _error)
    assert found.method == "temperature" and found.temperature == pytest.approx(3.0, rel=0.1)
    assert (softened(probabilities, 3.0).argmax(1) == probabilities.argmax(1)).all()


def test_nothing_is_fitted_where_too_little_is_wrong_or_known() -> None:
    probabilities, labels = _overconfident()
    right = probabilities.argmax(axis=1)
    assert "0 of them answered wrongly" in fit_temperature(probabilities, right, _error).reason
    few = fit_temperature(probabilities[:30], labels[:30], _error)
    assert few.method == "none" and "at least 50 and 5" in few.reason
    broken = fit_temperature(np.full_like(probabilities, np.nan), labels, _error)
    assert "not numbers" in broken.reason


def test_the_graph_gives_the_softened_answers_itself() -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Flatten(), nn.Linear(75, 8), nn.ReLU(), nn.Linear(8, 4))
    images = GENERATOR.integers(0, 256, (120, 5, 5, 3)).astype(np.uint8)
    onnx = export(body, images, ClassProbabilities("abcd"))
    before = Graph(onnx).run(images)
    after = Graph(with_temperature(onnx, 2.5)).run(images)
    assert np.allclose(after.values, softened(before.values, 2.5), atol=1e-6)
    assert np.array_equal(after.embeddings, before.embeddings)
    labels = GENERATOR.integers(0, 4, 120)
    run = lambda data: Graph(data).run(images)  # noqa: E731
    graph, how, outputs = calibrated(onnx, run, labels, _error, wanted=True)
    assert how.method == "temperature" and graph != onnx
    assert np.array_equal(outputs.values, Graph(graph).run(images).values)
    same, how, _ = calibrated(onnx, run, labels, _error, wanted=False)
    assert same == onnx and how.reason == "the policy asks for none"
    assert b"stack_trace" not in onnx and b".py" not in onnx, "the id must not tell folders"


def test_a_graph_without_a_softmax_is_left_as_it_is() -> None:
    from onnx import load_from_string
    from tests.support.bundles import graph

    model = load_from_string(graph())
    model.graph.node[-1].op_type = "Sigmoid"
    with pytest.raises(Refused, match="not from a softmax"):
        with_temperature(model.SerializeToString(), 2.0)


def test_the_threshold_is_the_lowest_that_holds_the_precision() -> None:
    confidence = np.linspace(0.99, 0.51, 100).astype(np.float32)
    right = np.arange(100) < 60
    found = choose_threshold(confidence, right, 0.9)
    assert found.precision is not None and found.precision >= 0.9
    assert found.coverage == pytest.approx(0.66) and found.confidence == confidence[65]
    assert choose_threshold(confidence, right, 0.0).confidence is None
    never = choose_threshold(confidence, ~right, 0.9)
    assert never.confidence == 1.0 and never.coverage == 0.0
    tied = choose_threshold(np.full(40, 0.5), np.arange(40) % 2 == 0, 0.9)
    assert tied.coverage == 0.0
