"""Hostile bundles: refused before they are loaded, or contained where they can do no harm."""

import io
import json
import os
import pickle
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import (
    AttributeProto,
    ModelProto,
    TensorProto,
    external_data_helper,
    helper,
    load_from_string,
    numpy_helper,
)
from tests.support.bundles import graph, make_bundle
from tests.support.pictures import flat
from tests.support.services import running_service

from everloop_runtime.admission import Admission, admit
from everloop_runtime.arrays import read_arrays
from everloop_runtime.bundle import BundleDraft, InputSpec, build_bundle, open_bundle
from everloop_runtime.errors import Refused, Unavailable
from everloop_runtime.golden import golden_files
from everloop_runtime.graph_check import check_graph
from everloop_runtime.ids import BundleId, canonical_json, digest_bytes
from everloop_runtime.images import ImageLimits
from everloop_runtime.model import Graph, Model
from everloop_runtime.routes import Routes
from everloop_runtime.trial import TrialLimits, try_bundle

HURRIED = TrialLimits(memory=2 * 2**30, seconds=5)


def _with_node(make: Any) -> bytes:
    """The good graph with something added to it; `make` changes the model in place."""
    model = load_from_string(graph())
    make(model)
    data: bytes = model.SerializeToString()
    return data


def _external(**settings: Any) -> bytes:
    """The good graph with its weights said to be in another file."""

    def outside(model: ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if t.name == "weights")
        external_data_helper.set_external_data(
            tensor, settings.get("location", "weights.bin"), settings.get("offset", 0),
            settings.get("length", len(tensor.raw_data)),
        )  # fmt: skip
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL

    return _with_node(outside)


def _looping() -> bytes:
    """The good graph whose logits wait for a loop of 2^63 - 1 rounds."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Identity", ["value"], ["same"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("same", TensorProto.FLOAT, None),
        ],
    )

    def loop(model: ModelProto) -> None:
        model.graph.initializer.extend([
            numpy_helper.from_array(np.array(2**63 - 1), "rounds"),
            numpy_helper.from_array(np.array(True), "always"),
        ])  # fmt: skip
        node = helper.make_node("Loop", ["rounds", "always", "logits"], ["after"], body=body)
        model.graph.node.insert(len(model.graph.node) - 1, node)
        model.graph.node[-1].input[0] = "after"

    return _with_node(loop)


def _vast() -> bytes:
    """The good graph that also wants 2^36 floats, a quarter of a terabyte."""

    def ask(model: ModelProto) -> None:
        shape = numpy_helper.from_array(np.array([2**36], np.int64), "vast_shape")
        model.graph.initializer.append(shape)
        ones = numpy_helper.from_array(np.ones(1, np.float32))
        added = [
            helper.make_node("ConstantOfShape", ["vast_shape"], ["vast"], value=ones),
            helper.make_node("ReduceMean", ["vast"], ["mean"], keepdims=1),
            helper.make_node("Mul", ["logits", "mean"], ["scaled_logits"]),
        ]
        for node in added:
            model.graph.node.insert(len(model.graph.node) - 1, node)
        model.graph.node[-1].input[0] = "scaled_logits"

    return _with_node(ask)


def _foreign(domain: str) -> bytes:
    def put(model: ModelProto) -> None:
        model.graph.node.append(helper.make_node("Anything", ["image"], ["x"], domain=domain))
        model.opset_import.append(helper.make_opsetid(domain, 1))

    return _with_node(put)


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "link", "hardlink", "secret"])
def test_weights_in_another_file_are_refused_wherever_it_lies(
    tmp_path: Path, location: str
) -> None:
    data = _external(location=location)
    bundle = make_bundle(tmp_path / "bundles", model=data)
    folder = tmp_path / "bundles" / bundle
    (tmp_path / "bundles" / "secret").write_bytes(b"\0" * 4096)
    with pytest.raises(Refused, match="weights outside its file"):
        Model.load(open_bundle(folder, bundle))
    if location == "link":
        (folder / "link").symlink_to("/etc/passwd")
        with pytest.raises(Refused, match="is a link"):
            open_bundle(folder, bundle)
    if location == "hardlink":
        os.link(tmp_path / "bundles" / "secret", folder / "hardlink")
        with pytest.raises(Refused, match="not in the manifest"):
            open_bundle(folder, bundle)


@pytest.mark.parametrize(("offset", "length"), [(-4096, 512), (0, 2**40), (2**62, 2**62), (0, -1)])
def test_a_wild_offset_or_length_is_refused(offset: int, length: int) -> None:
    with pytest.raises(Refused, match="weights outside its file"):
        Graph(_external(offset=offset, length=length))


def test_external_data_is_found_wherever_a_tensor_can_be() -> None:
    tensor = numpy_helper.from_array(np.ones(2, np.float32), "t")
    external_data_helper.set_external_data(tensor, "/etc/passwd")
    inner = helper.make_graph([], "inner", [], [], [tensor])
    sparse = helper.make_sparse_tensor(
        tensor, numpy_helper.from_array(np.array([0, 1], np.int64)), [9]
    )
    attributes: list[AttributeProto] = [
        helper.make_attribute("value", tensor),
        helper.make_attribute("values", [tensor]),
        helper.make_attribute("body", inner),
        helper.make_attribute("bodies", [inner]),
        helper.make_attribute("sparse", sparse),
    ]
    for attribute in attributes:

        def put(model: ModelProto, attribute: AttributeProto = attribute) -> None:
            node = helper.make_node("Constant", [], ["x"])
            node.attribute.append(attribute)
            model.graph.node.append(node)

        with pytest.raises(Refused, match="weights outside its file"):
            check_graph(_with_node(put))
    located = load_from_string(graph())
    located.graph.initializer[0].data_location = TensorProto.EXTERNAL
    with pytest.raises(Refused, match="weights outside its file"):
        check_graph(located.SerializeToString())


@pytest.mark.parametrize("domain", ["com.evil", "com.microsoft", "ai.onnx.preview.training"])
def test_operators_outside_the_standard_are_refused(domain: str) -> None:
    with pytest.raises(Refused, match="uses operators of the domain"):
        Graph(_foreign(domain))


def test_functions_training_steps_and_other_formats_are_refused() -> None:
    def function(model: ModelProto) -> None:
        model.functions.add(name="f", domain="ai.onnx")

    with pytest.raises(Refused, match="functions or training steps"):
        Graph(_with_node(function))
    for data in (b"", b"\x18\x00\x00\x00ORTM" + b"\0" * 64, b"\x3a\xff\xff\xff\xff\x7f", b"\x0a"):
        with pytest.raises(Refused, match="cannot be loaded"):
            Graph(data)
    deep = helper.make_graph([], "deep", [], [])
    for _ in range(14):
        deep = helper.make_graph([helper.make_node("If", ["c"], [], then_branch=deep)], "", [], [])
    with pytest.raises(Refused, match="nested deeper"):
        check_graph(helper.make_model(deep).SerializeToString())


def test_a_loop_without_end_is_stopped_by_a_deadline(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path, model=_looping())
    opened = open_bundle(tmp_path / bundle, bundle)
    began = time.monotonic()
    with pytest.raises(Refused, match="failed its trial"):
        try_bundle(opened, TrialLimits(seconds=1.5), ImageLimits())
    assert time.monotonic() - began < 60
    endless = Graph(_looping(), seconds=0.2)
    with pytest.raises(Refused, match="fails on"):
        endless.run(np.zeros((1, 8, 8, 1), np.uint8))


def test_a_graph_that_wants_a_quarter_of_a_terabyte_fails_in_the_child(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path, model=_vast())
    with pytest.raises(Refused, match="failed its trial"):
        try_bundle(open_bundle(tmp_path / bundle, bundle), HURRIED, ImageLimits())
    assert not (tmp_path / ".trials").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_that_answers_no_number_never_becomes_ready(tmp_path: Path, value: float) -> None:
    def spoil(model: ModelProto) -> None:
        bias = next(t for t in model.graph.initializer if t.name == "bias")
        bias.CopyFrom(numpy_helper.from_array(np.array([value, value], np.float32), "bias"))

    bundle = make_bundle(tmp_path, model=_with_node(spoil))
    with pytest.raises(Refused, match="no valid answers to its golden inputs"):
        try_bundle(open_bundle(tmp_path / bundle, bundle), HURRIED, ImageLimits())
    with pytest.raises(Refused, match="no valid answers to its golden inputs"):
        Model.load(open_bundle(tmp_path / bundle, bundle))


def test_a_good_bundle_is_tried_once_and_remembered(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    admitted = admit(tmp_path / bundle, bundle, Admission())
    (mark,) = (tmp_path / ".trials").iterdir()
    assert mark.name.startswith(bundle)
    # No process could pass a trial of no time: it was not tried again.
    hasty = Admission(trial=TrialLimits(seconds=0.0))
    with pytest.raises(Refused, match="came to no end within 0 s"):
        admit(tmp_path / bundle, bundle, hasty)
    mark.rename(mark.with_name(_mark_name(admitted.path, hasty)))
    assert admit(tmp_path / bundle, bundle, hasty).id == bundle


def _mark_name(path: Path, admission: Admission) -> str:
    from everloop_runtime import trial

    assert admission.trial is not None
    mark = trial._mark(open_bundle(path), admission.trial)
    assert mark is not None
    return mark.name


class _Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self._place, "executed")


def _npz(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return out.getvalue()


def _npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def _raw_npy(header: str) -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    objects = _npz(probabilities=_npy(np.array([_Trap(trap)], dtype=object)))
    with pytest.raises(Refused, match="only plain numbers"):
        read_arrays(objects, ["probabilities"])
    draft = BundleDraft(
        product="p", task={}, input=InputSpec(height=8, width=8, channels=1),
        classes=("dark", "bright"), lineage={},
    )  # fmt: skip
    files = {"model.onnx": graph(), "golden/000": flat(1), "golden/outputs.npz": objects}
    bundle = build_bundle(tmp_path / "bundles", draft, files)
    with pytest.raises(Refused, match="only plain numbers"):
        Model.load(open_bundle(tmp_path / "bundles" / bundle, bundle))
    for name in ("model.pkl", "weights.pt", "golden/000.npy", "code/run.py", "golden/0000"):
        with pytest.raises(Refused, match="does not hold files called"):
            build_bundle(tmp_path / "bundles", draft, {**files, name: pickle.dumps(_Trap(trap))})
    with pytest.raises(Refused, match=r"not an ONNX model|no ONNX graph"):
        Graph(pickle.dumps(_Trap(trap)))
    assert not trap.exists()


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False}",
        "(" * 3000,
        "",
    ],
)
def test_an_array_that_lies_about_itself_is_refused(header: str) -> None:
    with pytest.raises(Refused):
        read_arrays(_npz(a=_raw_npy(header)), ["a"])


def test_compressed_arrays_and_archives_that_are_none_are_refused() -> None:
    out = io.BytesIO()
    np.savez_compressed(out, a=np.zeros(10_000_000))
    for data in (out.getvalue(), b"", b"PK\x05\x06" + b"\0" * 18, _npz(b=_npy(np.ones(1)))):
        with pytest.raises(Refused, match="not an archive of the arrays a"):
            read_arrays(data, ["a"])
    with pytest.raises(Refused, match="at most 100 are read"):
        read_arrays(_npz(a=_npy(np.zeros(1000))), ["a"], most_bytes=100)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    model = tmp_path / bundle / "model.onnx"
    model.unlink()
    os.mkfifo(model)
    with pytest.raises(Refused, match="no plain file"):
        open_bundle(tmp_path / bundle, bundle)


@pytest.mark.parametrize(
    ("field", "value"),
    [("tolerance", 1e9), ("tolerance", float("nan")), ("classes", ["a", "a"]),
     ("preprocessing", "image/99"), ("input", {"height": 8, "width": 8, "channels": 2})],
)  # fmt: skip
def test_a_manifest_that_would_weaken_the_replay_is_refused(
    tmp_path: Path, field: str, value: Any
) -> None:

    bundle = make_bundle(tmp_path)
    path = tmp_path / bundle / "bundle.json"
    told = {**json.loads(path.read_bytes()), field: value}
    path.write_text(json.dumps(told))
    with pytest.raises(Refused, match="not a manifest"):
        open_bundle(tmp_path / bundle)


def test_mlflow_is_told_nothing_else_than_everloop_would_tell_it(tmp_path: Path) -> None:

    bundle = make_bundle(tmp_path)
    folder = tmp_path / bundle
    evil = b'{"flavors": {"python_function": {"loader_module": "os"}}}'
    (folder / "MLmodel").write_bytes(evil)
    told = json.loads((folder / "bundle.json").read_bytes())
    told["files"]["MLmodel"] = {"sha256": digest_bytes(evil), "bytes": len(evil)}
    (folder / "bundle.json").write_bytes(canonical_json(told))
    with pytest.raises(Refused, match="MLmodel is not the file"):
        open_bundle(folder)


def test_the_service_lives_on_and_the_old_model_answers(tmp_path: Path) -> None:
    bundles = tmp_path / "bundles"
    good = make_bundle(bundles)
    flipped = make_bundle(bundles, 0.5)
    model = bundles / flipped / "model.onnx"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    hostile: dict[BundleId, str] = {
        flipped: "checksum differs",
        make_bundle(bundles, 1.0, model=_vast()): "failed its trial",
        make_bundle(bundles, 2.0, model=_external(location="../secret")): "outside its file",
    }
    with running_service(tmp_path, Routes(generation=1, champion=good)) as service:
        for generation, (bundle, reason) in enumerate(hostile.items(), start=2):
            service.route(Routes(generation=generation, champion=bundle))
            with service.client() as client:
                failed = client.status()["bundles"][bundle]
                assert failed["state"] == "failed" and reason in failed["reason"]
                assert client.predict(flat(240)).bundle == good


def test_a_service_with_only_a_hostile_bundle_never_becomes_ready(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundles", model=_vast())
    routes = Routes(generation=1, champion=bundle)
    with running_service(tmp_path, routes, ready=False) as service, service.client() as client:
        with pytest.raises(Unavailable, match="failed its trial"):
            client.wait_ready(30)
        assert client.status()["ready"] is False


def test_golden_inputs_must_be_there(tmp_path: Path) -> None:
    none = golden_files([], np.zeros((0, 2), np.float32))
    draft = BundleDraft(
        product="p", task={}, input=InputSpec(height=8, width=8, channels=1),
        classes=("dark", "bright"), lineage={},
    )  # fmt: skip
    bundle = build_bundle(tmp_path, draft, {"model.onnx": graph(), **none})
    with pytest.raises(Refused, match="do not fit together"):
        Model.load(open_bundle(tmp_path / bundle))
