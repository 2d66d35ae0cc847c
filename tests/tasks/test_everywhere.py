"""Answers that are no single class: the same in the service's forms, a batch and MLflow."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
from tests.support.colours import PICTURES
from tests.tasks import test_tabular as tables
from tests.tasks import test_tasks as pictures

from everloop.batch import work
from everloop.errors import Refused
from everloop.ids import BundleId
from everloop.rollout.service import candidate_service
from everloop.testing.tasks import TaskContract
from everloop_runtime.client import Client
from everloop_runtime.images import DEFAULT_LIMITS
from everloop_runtime.library import Predictor
from everloop_runtime.mlflow_model import _load_pyfunc

_CONTRACTS = [pictures.TestImageRetrieval, tables.TestRegressionOfScikitLearn]
SERVICE = (sys.executable, "-m", "everloop_runtime.main")


@pytest.fixture(scope="module", params=_CONTRACTS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Client, Path, bool]]:
    """A live service, the folder of its bundle, and whether it takes rows."""
    contract: TaskContract = request.param()
    folder, scratch = tmp_path_factory.mktemp("bundles"), tmp_path_factory.mktemp("service")
    name = contract.bundle(folder)
    with candidate_service(SERVICE, name, folder, scratch) as client:
        yield client, folder / name, contract.task.modality == "row"


def _samples(rows: bool) -> list[Any]:
    return tables.ROWS[:5] if rows else PICTURES[:5]


def test_one_and_several_are_answered_as_the_library_does(
    served: tuple[Client, Path, bool],
) -> None:
    client, place, rows = served
    samples = _samples(rows)
    expected = [answer.told for answer in Predictor(place).predict_all(samples)]
    for given in ([client.predict(s) for s in samples], [*client.predict_many(samples)]):
        for answer, told in zip(given, expected, strict=True):
            assert not isinstance(answer, Refused)
            assert {name: answer.told[name] for name in told} == told
    if not rows:
        assert client.search(samples[0]).told["hits"] == expected[0]["hits"]
        assert len(expected[0]["hits"]) == 5


def test_answers_are_as_the_description_says(served: tuple[Client, Path, bool]) -> None:
    client, _, rows = served
    told = httpx.get(f"{client.url}/openapi.json").json()
    assert ("/v1/search" in told["paths"]) is not rows
    schema = {**told["components"]["schemas"]["Prediction"], "components": told["components"]}
    jsonschema.validate(client.predict(_samples(rows)[0]).told, schema)
    if rows:
        (one, _) = told["paths"]["/v1/predict"]["post"]["requestBody"]["content"][
            "application/json"
        ]["schema"]["oneOf"]
        jsonschema.validate({"row": tables.ROWS[0]}, one)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"row": {"hour": 3}}, one)


def test_the_open_inference_protocol_gives_the_same(served: tuple[Client, Path, bool]) -> None:
    import base64
    import json

    client, _, rows = served
    name = "contract"
    about = httpx.get(f"{client.url}/v2/models/{name}").json()
    assert [i["name"] for i in about["inputs"]] == ["row" if rows else "image"]
    texts = (
        [json.dumps(row) for row in tables.ROWS[:2]]
        if rows
        else [base64.b64encode(picture).decode() for picture in PICTURES[:2]]
    )
    tensor = {**about["inputs"][0], "shape": [2], "data": texts}
    given = httpx.post(f"{client.url}/v2/models/{name}/infer", json={"inputs": [tensor]}).json()
    outputs = {output["name"]: output for output in given["outputs"]}
    for output in about["outputs"]:
        assert outputs[output["name"]]["shape"] == [2, *output["shape"][1:]]
    answers = [client.predict(sample).told for sample in _samples(rows)[:2]]
    if rows:
        assert outputs["value"]["data"] == pytest.approx([a["value"] for a in answers])
        return
    hits = [hit for answer in answers for hit in answer["hits"]]
    assert outputs["similarity"]["data"] == pytest.approx([h["similarity"] for h in hits])
    assert outputs["hit_sample"]["data"] == [h["sample"] for h in hits]


def test_a_batch_and_mlflow_give_the_same(served: tuple[Client, Path, bool]) -> None:
    import json

    import pandas as pd

    _, place, rows = served
    samples = _samples(rows)
    expected = [answer.told for answer in Predictor(place).predict_all(samples)]
    work.load(work.Runner(place, BundleId(place.name), DEFAULT_LIMITS))
    pieces = [json.dumps(sample).encode() if rows else sample for sample in samples]
    made = work.answer([work.Picture(str(n), piece) for n, piece in enumerate(pieces)])
    assert [json.loads(row.answer or "") for row in made] == expected
    assert [row.confidence is None for row in made] == [rows] * 5
    frame = pd.DataFrame(samples) if rows else pd.DataFrame({"image": samples})
    loaded = _load_pyfunc(str(place)).predict(frame)
    assert [json.loads(text) for text in loaded["answer"]] == expected


def test_wrong_samples_are_told_what_is_wanted(served: tuple[Client, Path, bool]) -> None:
    client, place, rows = served
    with pytest.raises(Refused, match="415"):
        client.predict(PICTURES[0] if rows else {"hour": 3})
    if rows:
        with pytest.raises(Refused, match=r"422.*'hour'"):
            client.predict({"weather": "rain"})
        with pytest.raises(Refused, match="this model takes rows"):
            Predictor(place).predict(np.zeros((8, 8), np.uint8))
        unknown = {"hour": 3, "warmth": 1.0, "weather": "hail"}
        assert np.isfinite(client.predict(unknown).told["value"])


def test_what_does_not_search_says_so(tmp_path: Path) -> None:
    name = pictures.TestImageClassification().bundle(tmp_path)
    with (
        candidate_service(SERVICE, name, tmp_path, tmp_path) as client,
        pytest.raises(Refused, match=r"404.*answers no searches"),
    ):
        client.search(PICTURES[0])
