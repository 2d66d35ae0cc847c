"""The Open Inference Protocol, asked by its public client as it is."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.support.bundles import CLASSES, SIDE, make_bundle
from tests.support.pictures import flat, noise
from tests.support.services import Running, running_service

from everloop_runtime.images import ImageSpec, to_array
from everloop_runtime.routes import Routes

triton = pytest.importorskip(
    "tritonclient.http", reason="the public V2 client is not installed: pip install -e '.[dev]'"
)

SPEC = ImageSpec(SIDE, SIDE, 1)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("v2")
    champion = make_bundle(folder / "bundles")
    with running_service(folder, Routes(generation=1, champion=champion)) as running:
        yield running


@pytest.fixture
def client(service: Running) -> Iterator[Any]:
    with triton.InferenceServerClient(service.url.removeprefix("http://")) as made:
        yield made


def _pixels(images: list[bytes], *, binary: bool) -> Any:
    values = np.stack([to_array(image, SPEC) for image in images])
    tensor = triton.InferInput("pixels", list(values.shape), "UINT8")
    tensor.set_data_from_numpy(values, binary_data=binary)
    return tensor


def _files(images: list[bytes]) -> Any:
    tensor = triton.InferInput("image", [len(images)], "BYTES")
    tensor.set_data_from_numpy(np.array(images, dtype=np.object_), binary_data=True)
    return tensor


def test_the_server_and_its_model_describe_themselves(
    client: Any,
) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    told = client.get_model_metadata("brightness")
    (version,) = told["versions"]
    assert client.is_model_ready("brightness", version)
    assert not client.is_model_ready("brightness", "1")
    assert told["outputs"][0]["shape"] == [-1, len(CLASSES)]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_tensors_go_both_ways_in_json_and_binary(
    client: Any, service: Running, binary_in: bool, binary_out: bool
) -> None:
    images = [flat(20), flat(240), noise(3)]
    wanted = [triton.InferRequestedOutput(name, binary_data=binary_out)
              for name in ("label", "probabilities", "prediction_id")]  # fmt: skip
    result = client.infer(
        "brightness", [_pixels(images, binary=binary_in)], outputs=wanted, request_id="r1"
    )
    assert result.get_response()["id"] == "r1"
    labels = [_text(label) for label in result.as_numpy("label")]
    assert labels[:2] == ["dark", "bright"]
    with service.client() as plain:
        expected = [list(plain.predict(image).probabilities.values()) for image in images]
    assert np.array_equal(result.as_numpy("probabilities"), np.array(expected, np.float32))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def test_image_files_are_taken_and_captured_as_they_are(client: Any, service: Running) -> None:
    images = [noise(seed) for seed in range(5)]
    result = client.infer("brightness", [_files(images)])
    ids = [_text(one) for one in result.as_numpy("prediction_id")]
    with service.client() as plain:
        plain.flush()
    captured = {record.prediction: record.image for record in service.captured()}
    assert [captured[one] for one in ids] == images  # type: ignore[index]


def test_pixels_are_captured_as_a_picture_that_holds_just_them(
    client: Any, service: Running
) -> None:
    result = client.infer("brightness", [_pixels([noise(77)], binary=True)])
    with service.client() as plain:
        plain.flush()
    (one,) = [_text(name) for name in result.as_numpy("prediction_id")]
    (kept,) = [record.image for record in service.captured() if record.prediction == one]
    assert np.array_equal(to_array(kept, SPEC), to_array(noise(77), SPEC))


def test_the_best_classes_are_told_as_the_classification_extension_has_it(
    client: Any,
) -> None:
    wanted = [triton.InferRequestedOutput("probabilities", class_count=1)]
    result = client.infer("brightness", [_files([flat(240)])], outputs=wanted)
    score, index, name = _text(result.as_numpy("probabilities")[0][0]).split(":")
    assert (float(score) > 0.5, index, name) == (True, "1", "bright")


def test_errors_are_the_protocols(client: Any) -> None:
    with pytest.raises(triton.InferenceServerException, match="no model 'nobody'"):
        client.get_model_metadata("nobody")
    with pytest.raises(triton.InferenceServerException, match="no version"):
        client.infer("brightness", [_files([flat(1)])], model_version="2")
    with pytest.raises(triton.InferenceServerException, match="not one of the formats"):
        client.infer("brightness", [_files([os.urandom(40)])])
    wrong = triton.InferInput("pixels", [1, 2, 2, 1], "UINT8")
    wrong.set_data_from_numpy(np.zeros((1, 2, 2, 1), np.uint8))
    with pytest.raises(triton.InferenceServerException, match="is wanted"):
        client.infer("brightness", [wrong])
