"""The wheel: a model as a library, depending on the runtime alone."""

import json
import zipfile
from pathlib import Path

import pytest
from tests.support.bare import bare_environment, run_bare
from tests.support.bundles import make_bundle
from tests.support.pictures import flat, noise
from tests.support.projects import everloop

from everloop.errors import Refused
from everloop.packaging.wheel_file import write_wheel
from everloop.packaging.wheels import model_wheel
from everloop_runtime.admission import Admission
from everloop_runtime.bundle import open_bundle
from everloop_runtime.library import Predictor

_CODE = """
import json, sys
import numpy as np
from pathlib import Path
from brightness_model import BUNDLE, CLASSES, PRODUCT, predict
from PIL import Image
from importlib.util import find_spec

pixels = np.asarray(Image.open("noise.png"))
given = [predict("noise.png"), predict(Path("noise.png")), predict(Path("noise.png").read_bytes()),
         predict(pixels)]
print(json.dumps({
    "bundle": BUNDLE, "classes": CLASSES, "product": PRODUCT,
    "answers": [[a.label, a.probabilities] for a in given],
    "others": [n for n in ("everloop", "onnx", "mlflow", "torch", "pyarrow") if find_spec(n)],
}))
"""


def test_the_wheel_answers_in_a_bare_environment_as_it_does_here(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundles")
    folder = tmp_path / "bundles" / bundle
    said = everloop(None, "package", "wheel", folder, "--out", tmp_path / "wheels", "--json")
    assert said.code == 0, said.err
    python = bare_environment(
        tmp_path / "bare", Path(said.json()["wheel"]), Path(said.json()["runtime"])
    )
    (tmp_path / "noise.png").write_bytes(noise(3))
    given = json.loads(run_bare(python, _CODE, tmp_path))
    assert given["bundle"] == bundle and given["product"] == "brightness"
    assert given["others"] == []
    here = Predictor(folder, bundle, admission=Admission(trial=None)).predict(noise(3))
    assert given["answers"] == [[here.label, list(here.probabilities)]] * 4
    refused = run_bare(
        python,
        "from brightness_model import predict\n"
        "from everloop_runtime.errors import Refused\n"
        "for wrong in (b'<html>', '/nowhere.png'):\n"
        "    try: predict(wrong)\n"
        "    except Refused as error: print(error)\n",
        tmp_path,
    )
    assert "not one of the formats" in refused and "cannot be read" in refused


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundles")
    opened = open_bundle(tmp_path / "bundles" / bundle)
    first = write_wheel(model_wheel(opened), tmp_path / "first")
    second = write_wheel(model_wheel(opened), tmp_path / "second")
    assert first.read_bytes() == second.read_bytes()
    assert first.name == f"brightness_model-0+{bundle[:12]}-py3-none-any.whl"
    with zipfile.ZipFile(first) as archive:
        assert archive.testzip() is None
        inside = {name for name in archive.namelist() if name.startswith("brightness_model/bundle")}
        assert {info.date_time[0] for info in archive.infolist()} == {1980}
    assert len(inside) == len(opened.manifest.files) + 1


def test_a_changed_file_in_an_installed_wheel_is_found(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundles")
    opened = open_bundle(tmp_path / "bundles" / bundle)
    wheel = write_wheel(model_wheel(opened), tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    golden = tmp_path / "site" / "brightness_model" / "bundle" / "golden" / "000"
    golden.write_bytes(flat(99))
    with pytest.raises(Refused, match="checksum differs"):
        Predictor(golden.parents[1], bundle)


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("ungültig", None, "cannot name"),
        ("1st", None, "cannot name"),
        (None, "new", "is not a version"),
    ],
)
def test_names_and_versions_that_installers_refuse_are_refused(
    tmp_path: Path, name: str | None, version: str | None, words: str
) -> None:
    bundle = make_bundle(tmp_path)
    with pytest.raises(Refused, match=words):
        model_wheel(open_bundle(tmp_path / bundle), name=name, version=version)
