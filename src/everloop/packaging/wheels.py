"""The wheels of the library: the runtime's own, and one for a bundle."""

import importlib.metadata
import importlib.util
import re
from pathlib import Path

from everloop.errors import Refused
from everloop.packaging.wheel_file import Wheel, escaped
from everloop_runtime.bundle import MANIFEST, SIGNATURES, Bundle

RUNTIME = "everloop-runtime"
_VERSION = re.compile(
    r"[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?(\.dev[0-9]+)?(\+[a-z0-9.]+)?"
)

_MODULE = '''"""A model as a library: `predict(sample)` gives its answer.

`sample` is a picture (a file's place, a file's bytes, or pixels: uint8 [H, W], [H, W, 3] RGB or
[H, W, 4]), or a row by its columns, whichever the model takes.
The bundle is loaded, checked and proven on its golden inputs at the first call.
"""

import threading
from pathlib import Path

from everloop_runtime.admission import Admission
from everloop_runtime.answers.kind import Answer
from everloop_runtime.library import Predictor, Sample

PRODUCT = {product}
BUNDLE = {bundle}
CLASSES = {classes}
__all__ = ["BUNDLE", "CLASSES", "PRODUCT", "Answer", "predict", "predictor"]

_loading = threading.Lock()
_loaded: list[Predictor] = []


def predictor() -> Predictor:
    """The loaded bundle."""
    with _loading:
        if not _loaded:
            # No trial in another process: who installed this package trusts its code already.
            place = Path(__file__).with_name("bundle")
            _loaded.append(Predictor(place, BUNDLE, admission=Admission(trial=None)))
        return _loaded[0]


def predict(sample: Sample) -> Answer:
    """The answer for one sample: its `label` and `confidence`, and all of it in `told`."""
    return predictor().predict(sample)
'''


def runtime_wheel() -> Wheel:
    """The runtime that is installed here, as a wheel.

    Made from the installed files, so that a checkout and an installed copy give the same.
    """
    spec = importlib.util.find_spec("everloop_runtime")
    assert spec is not None and spec.submodule_search_locations  # noqa: S101 - it is imported above
    root = Path(spec.submodule_search_locations[0])
    distribution = importlib.metadata.distribution(RUNTIME)
    files = {
        f"everloop_runtime/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.suffix == ".py" or path.name == "py.typed"
    }
    return Wheel(
        name=RUNTIME,
        version=distribution.version,
        metadata=_kept(distribution.read_text("METADATA") or ""),
        files=files,
        entry_points=distribution.read_text("entry_points.txt") or "",
    )


def _kept(metadata: str) -> str:
    """Without what only an installed copy says."""
    lines = metadata.splitlines()
    return "\n".join([*(line for line in lines if not line.startswith("License-File:")), ""])


def model_wheel(bundle: Bundle, *, version: str | None = None, name: str | None = None) -> Wheel:
    """A wheel with the bundle inside, depending on the runtime alone.

    `version`: of the distribution; the bundle's id tells by default. Raises `Refused` when it or
    `name` is not one that installers take.
    """
    manifest = bundle.manifest
    distribution = name or f"{manifest.product}-model"
    module = escaped(distribution)
    stated = version or f"0+{bundle.id[:12]}"
    if not (module.isascii() and module.isidentifier()):
        raise Refused(f"{distribution!r} cannot name a Python package; give another with --name")
    if not _VERSION.fullmatch(stated):
        raise Refused(f"{stated!r} is not a version; one looks like 1.4.0")
    code = _MODULE.format(
        product=repr(manifest.product), bundle=repr(str(bundle.id)), classes=repr(manifest.classes)
    )
    inside = {f"{module}/bundle/{file}": bundle.read(file) for file in manifest.files}
    inside[f"{module}/bundle/{MANIFEST}"] = (bundle.path / MANIFEST).read_bytes()
    if (bundle.path / SIGNATURES).is_file():
        inside[f"{module}/bundle/{SIGNATURES}"] = (bundle.path / SIGNATURES).read_bytes()
    files = {f"{module}/__init__.py": code.encode(), f"{module}/py.typed": b"", **inside}
    return Wheel(distribution, stated, _metadata(bundle, distribution, stated), files)


def _metadata(bundle: Bundle, name: str, version: str) -> str:
    runtime = importlib.metadata.version(RUNTIME)
    card = bundle.read("card.md").decode() if "card.md" in bundle.manifest.files else ""
    head = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        f"Summary: Bundle {bundle.id} as a library.",
        "Requires-Python: >=3.11",
        f"Requires-Dist: {RUNTIME}>={runtime}",
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join([*head, "", card])
