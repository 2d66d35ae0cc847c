"""Images come raw, as a form or in JSON, one or many; feedback comes back; all of it bounded."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from tests.support.bundles import make_bundle
from tests.support.pictures import flat
from tests.support.services import Running, running_service

from everloop_runtime.capture import read_feedback, sealed_segments
from everloop_runtime.client import AsyncClient, Client, Prediction, Statement
from everloop_runtime.errors import Refused
from everloop_runtime.routes import Routes


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("forms")
    champion = make_bundle(folder / "bundles")
    with running_service(folder, Routes(generation=1, champion=champion)) as running:
        yield running


@pytest.fixture
def http(service: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, trust_env=False, timeout=20) as client:
        yield client


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_every_form_of_an_image_gives_the_same_answer(http: httpx.Client) -> None:
    picture = flat(20)
    answers = [
        http.post("/v1/predict", content=picture),
        http.post("/v1/predict", files={"file": picture}),
        http.post("/v1/predict", json={"image": _b64(picture)}),
        http.post("/v1/predict", json={"images": [_b64(picture)]}),
    ]
    told = [answer.json() for answer in answers]
    told[3] = told[3]["predictions"][0]
    assert {answer.status_code for answer in answers} == {200}
    assert {json.dumps(one["probabilities"]) for one in told} == {
        json.dumps(told[0]["probabilities"])
    }
    assert len({one["prediction_id"] for one in told}) == 4


def test_of_a_batch_the_good_images_are_answered_and_the_bad_ones_explained(
    http: httpx.Client,
) -> None:
    images = [flat(20), b"<svg/>", flat(230)]
    asked = http.post("/v1/predict", files=[("file", image) for image in images])
    first, bad, last = asked.json()["predictions"]
    assert (first["label"], last["label"]) == ("dark", "bright")
    assert bad["error"]["code"] == 415


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"[" * 200_000, "application/json", 400),
        (b'{"image":' * 50_000, "application/json", 400),
        (b"nothing", "application/json", 400),
        (b'{"image": 5}', "application/json", 422),
        (b"{}", "application/json", 422),
        (b'{"image": "", "images": []}', "application/json", 422),
        (b'{"images": []}', "application/json", 422),
        (b'{"image": "%%%"}', "application/json", 422),
        (b'{"image": "", "surprise": 1}', "application/json", 422),
        (json.dumps({"images": [""] * 257}).encode(), "application/json", 422),
        (b"", "multipart/form-data", 400),
        (b"--x\r\n", "multipart/form-data; boundary=x", 400),
        (b"garbage", "multipart/form-data; boundary=x", 400),
    ],
)
def test_what_is_no_request_to_predict_is_refused(
    http: httpx.Client, body: bytes, kind: str, status: int
) -> None:
    answer = http.post("/v1/predict", content=body, headers={"content-type": kind})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["remedy"]
    assert http.get("/livez").status_code == 200


def test_a_form_without_the_field_is_told_its_name(http: httpx.Client) -> None:
    answer = http.post("/v1/predict", files={"picture": flat(1)})
    assert answer.status_code == 400
    assert "called 'file'" in answer.text


def test_feedback_is_durable_beside_the_answers(service: Running, http: httpx.Client) -> None:
    prediction = http.post("/v1/predict", content=flat(20)).json()["prediction_id"]
    late = {"prediction_id": "f" * 32, "kind": "event", "value": {"bought": 3}}
    right = {"prediction_id": prediction, "kind": "label", "value": "bright"}
    assert http.post("/v1/feedback", json=right).json() == {"accepted": 1}
    assert http.post("/v1/feedback", json={"feedback": [late, right]}).status_code == 202
    http.post("/v1/flush")
    found = [one for path in sealed_segments(service.capture) for one in read_feedback(path)]
    assert [(one.prediction, one.kind, one.value) for one in found] == [
        (prediction, "label", "bright"),
        ("f" * 32, "event", {"bought": 3}),
        (prediction, "label", "bright"),
    ]


def test_of_many_statements_those_that_are_refused_are_named_and_the_others_kept(
    service: Running,
) -> None:
    said = [Statement(f"{n:032x}", "label", "bright") for n in range(40)]
    said[7], said[31] = Statement("7", "label", 7), Statement("", "event", "bought")
    with service.client() as client:
        told = list(client.feedback_many(said, batch=25))
        client.flush()

    async def again() -> list[Refused | None]:
        async with AsyncClient(service.url) as client:
            return await client.feedback_many(said, batch=25)

    for found in (told, asyncio.run(again())):
        assert [n for n, error in enumerate(found) if error is not None] == [7, 31]
        assert "the value of a label is its text" in str(found[7])
    kept = [one for path in sealed_segments(service.capture) for one in read_feedback(path)]
    sent = {s.prediction for s in said}
    assert {one.prediction for one in kept} & sent == sent - {"7", ""}


def test_what_is_wrong_with_no_statement_is_raised_at_once(service: Running) -> None:
    with Client(f"{service.url}/nowhere") as client, pytest.raises(Refused, match="404"):
        list(client.feedback_many([Statement("0" * 32, "label", "bright")] * 9))


@pytest.mark.parametrize(
    "body",
    [
        b'{"prediction_id": "x", "kind": "opinion", "value": 1}',
        b'{"prediction_id": "x", "kind": "label", "value": 7}',
        b'{"prediction_id": "", "kind": "label", "value": "7"}',
        b'{"prediction_id": "x", "kind": "event", "value": ' + b"9" * 5000 + b"}",
        b'{"feedback": []}',
    ],
)
def test_feedback_that_cannot_be_taken_is_refused(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/v1/feedback", content=body)
    assert answer.status_code == 422, answer.text


def test_the_openapi_document_is_valid_and_true(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    validate(document)
    model = http.get("/v2/models/brightness").json()
    infer = {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES",
                         "data": [_b64(flat(9))]}]}  # fmt: skip
    feedback = {"prediction_id": "0" * 32, "kind": "event", "value": None}
    asked: list[tuple[str, str, str, dict[str, Any]]] = [
        ("post", "/v1/predict", "/v1/predict", {"content": flat(9)}),
        ("post", "/v1/predict", "/v1/predict", {"files": [("file", flat(9)), ("file", b"")]}),
        ("post", "/v1/predict", "/v1/predict", {"content": b"no picture"}),
        ("post", "/v1/predict", "/v1/predict", {"json": {"image": 1}}),
        ("post", "/v1/feedback", "/v1/feedback", {"json": feedback}),
        ("get", "/v1/status", "/v1/status", {}),
        ("post", "/v1/flush", "/v1/flush", {}),
        ("get", "/livez", "/livez", {}),
        ("get", "/readyz", "/readyz", {}),
        ("get", "/v2", "/v2", {}),
        ("get", "/v2/models/{name}", "/v2/models/brightness", {}),
        ("post", "/v2/models/{name}/infer", "/v2/models/brightness/infer", {"json": infer}),
        ("get", "/v2/models/{name}/versions/{version}/ready",
         f"/v2/models/brightness/versions/{model['versions'][0]}/ready", {}),
        ("post", "/v2/models/{name}/infer", "/v2/models/nobody/infer", {"json": infer}),
    ]  # fmt: skip
    for method, path, address, options in asked:
        answer = http.request(method, address, **options)
        responses = document["paths"][path][method]["responses"]
        assert str(answer.status_code) in responses, (path, answer.status_code, answer.text)
        _check(document, responses[str(answer.status_code)], answer)


def _check(document: dict[str, Any], described: dict[str, Any], answer: httpx.Response) -> None:
    content = described.get("content")
    if content is None:
        return
    kind = answer.headers["content-type"].partition(";")[0]
    schema = content[kind]["schema"] | {"components": document["components"]}
    Draft202012Validator(schema).validate(answer.json())


def test_metrics_have_a_bounded_number_of_series(http: httpx.Client) -> None:
    for number in range(300):
        http.post("/v1/predict", content=flat(9), headers={"x-everloop-key": f"client {number}"})
        http.get(f"/v2/models/model-{number}")
    text = http.get("/metrics").text
    assert len(text.splitlines()) < 300
    assert "model-7" not in text
    for name in (
        "everloop_requests_total",
        "everloop_request_seconds_bucket",
        "everloop_model_seconds_bucket",
        "everloop_decode_seconds_bucket",
        "everloop_batch_images_bucket",
        "everloop_queue_depth",
        "everloop_capture_bytes_total",
        'everloop_refused_total{code="404"}',
    ):
        assert name in text


async def _ask_all(url: str, images: list[bytes]) -> list[Prediction | Refused]:
    async with AsyncClient(url, retries=2) as client:
        first = await client.predict(images[0])
        await client.feedback(first.prediction_id, "correction", "dark")
        assert (await client.status())["ready"]
        return await client.predict_many(images, batch=3)


def test_the_clients_send_batches_and_keep_the_order(service: Running) -> None:
    import asyncio

    images = [flat(20), flat(240), b"?", flat(30), flat(250)]
    with service.client() as client:
        waited = list(client.predict_many(images, batch=2))
    found = asyncio.run(_ask_all(service.url, images))
    for answers in (waited, found):
        labels = [one.label if isinstance(one, Prediction) else None for one in answers]
        assert labels == ["dark", "bright", None, "dark", "bright"]
        assert isinstance(answers[2], Refused)
