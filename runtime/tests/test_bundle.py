"""Bundles: whole, unchanged, inside their folder, or refused."""

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, external_data_helper, load_from_string
from tests.support.bundles import graph, make_bundle
from tests.support.pictures import flat

from everloop.ids import BundleId
from everloop_runtime.admission import Admission, admit
from everloop_runtime.answers.class_probabilities import ClassProbabilities
from everloop_runtime.bundle import open_bundle
from everloop_runtime.errors import Refused
from everloop_runtime.ids import canonical_json, digest_bytes
from everloop_runtime.images import ImageSpec, to_array
from everloop_runtime.model import Graph, Model


def test_the_same_content_has_the_same_id_and_is_written_once(tmp_path: Path) -> None:
    first = make_bundle(tmp_path)
    stamp = (tmp_path / first / "bundle.json").stat().st_mtime_ns
    assert make_bundle(tmp_path) == first
    assert (tmp_path / first / "bundle.json").stat().st_mtime_ns == stamp
    assert make_bundle(tmp_path, 1.0) != first


def test_writers_at_once_leave_one_whole_bundle(tmp_path: Path) -> None:
    made: list[BundleId] = []
    threads = [
        threading.Thread(target=lambda: made.append(make_bundle(tmp_path))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert [path.name for path in tmp_path.iterdir()] == [made[0]]
    assert open_bundle(tmp_path / made[0], made[0]).id == made[0]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(st.integers(0, 2**32), st.integers(0, 2**32), st.integers(1, 255))
def test_a_changed_byte_in_any_file_is_found(
    tmp_path: Path, which: int, at: int, change: int
) -> None:
    bundle = make_bundle(tmp_path)
    files = sorted(p for p in (tmp_path / bundle).rglob("*") if p.is_file())
    path = files[which % len(files)]
    data = path.read_bytes()
    changed = bytearray(data)
    changed[at % len(data)] ^= change
    path.write_bytes(changed)
    try:
        with pytest.raises(Refused):
            open_bundle(tmp_path / bundle, bundle)
    finally:
        path.write_bytes(data)


def test_missing_extra_and_linked_files_are_named(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    folder = tmp_path / bundle
    (folder / "extra.bin").write_bytes(b"x")
    with pytest.raises(Refused, match=r"extra\.bin is not in the manifest"):
        open_bundle(folder)
    (folder / "extra.bin").unlink()
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(Refused, match="is a link"):
        open_bundle(folder)
    (folder / "link").unlink()
    (folder / "model.onnx").unlink()
    with pytest.raises(Refused, match=r"model\.onnx cannot be read"):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "golden/../../outside"])
def test_a_manifest_cannot_reach_outside(tmp_path: Path, name: str) -> None:
    bundle = make_bundle(tmp_path)
    folder = tmp_path / bundle
    told = json.loads((folder / "bundle.json").read_bytes())
    told["files"][name] = {"sha256": digest_bytes(b""), "bytes": 0}
    (folder / "bundle.json").write_bytes(canonical_json(told))
    with pytest.raises(Refused, match="not inside the bundle"):
        open_bundle(folder)


@pytest.mark.parametrize("place", ["secret", "../here/secret", "{folder}/secret"])
def test_a_graph_that_points_to_another_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "secret").write_bytes(b"\0" * 4096)
    place = place.format(folder=folder)
    model = load_from_string(graph())
    for tensor in model.graph.initializer:
        if tensor.name == "weights":
            external_data_helper.set_external_data(tensor, place, 0, len(tensor.raw_data))
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
    with pytest.raises(Refused, match="weights outside its file"):
        Graph(model.SerializeToString())


def test_a_graph_of_another_contract_is_refused() -> None:
    model = load_from_string(graph())
    model.graph.input[0].name = "pixels"
    model.graph.node[0].input[0] = "pixels"
    with pytest.raises(Refused, match="wanted: image uint8"):
        Graph(model.SerializeToString())
    with pytest.raises(Refused, match="cannot be loaded"):
        Graph(b"not a graph")


def test_one_by_one_and_in_batches_the_answers_are_the_same(tmp_path: Path) -> None:
    model = Model.load(open_bundle(tmp_path / make_bundle(tmp_path)))
    images = np.stack([to_array(flat(grey), ImageSpec(8, 8, 1)) for grey in range(256)] * 2)
    together = model.predict(images).values
    alone = np.concatenate([model.predict(image[None]).values for image in images])
    assert np.abs(together - alone).max() < 1e-6


def test_a_bundle_of_the_first_format_loads_as_before(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    told = json.loads((tmp_path / bundle / "bundle.json").read_bytes())
    for name in ("MLmodel", "requirements.txt", "python_env.yaml"):
        (tmp_path / bundle / name).unlink()
        del told["files"][name]
    for field in ("signature", "calibration", "thresholds"):
        del told[field]
    told["format"] = "everloop-bundle/1"
    text = canonical_json(told)
    (tmp_path / bundle / "bundle.json").write_bytes(text)
    old = BundleId(digest_bytes(text))
    (tmp_path / bundle).rename(tmp_path / old)
    admitted = admit(tmp_path / old, old, Admission())
    assert Model.load(admitted).bundle.manifest.calibration.method == "none"


def test_a_manifest_states_what_the_graph_takes_and_gives(tmp_path: Path) -> None:
    signature = open_bundle(tmp_path / make_bundle(tmp_path)).manifest.signature
    assert signature is not None
    assert [(t.name, t.type, t.shape) for t in (*signature.inputs, *signature.outputs)] == [
        ("image", "uint8", (None, 8, 8, 1)),
        ("probabilities", "float32", (None, 2)),
        ("embedding", "float32", (None, None)),
    ]


def test_a_bundle_of_the_format_before_is_loaded_as_it_was(tmp_path: Path) -> None:
    new = tmp_path / make_bundle(tmp_path)
    told = json.loads((new / "bundle.json").read_bytes())
    del told["answer"]
    text = canonical_json({**told, "format": "everloop-bundle/2"})
    old = tmp_path / digest_bytes(text)
    shutil.copytree(new, old)
    (old / "bundle.json").write_bytes(text)
    answers = [
        Model.load(open_bundle(place)).answers(np.zeros((1, 8, 8, 1), np.uint8))
        for place in (new, old)
    ]
    assert answers[0] == answers[1]


def test_a_graph_made_for_other_pixels_than_the_manifest_says_is_refused() -> None:
    runner = Graph(graph())
    with pytest.raises(Refused, match="the graph takes images"):
        runner.check_shapes(ImageSpec(9, 8, 1), ClassProbabilities("ab"))
    with pytest.raises(Refused, match=r"gives \(2,\) probabilities; the manifest says \(3,\)"):
        runner.check_shapes(ImageSpec(8, 8, 1), ClassProbabilities("abc"))
