"""A bundle is opened first in a process that may fail: limited in memory, time and files.

A graph may loop without end, ask for a terabyte, or meet a defect of the library that runs it.
Here it does so to a child; what the child survives, with the right answers to the golden inputs,
is then loaded for good. A bundle that passed is remembered beside the bundles, under its id and
the versions of what ran it, so that the next start need not try it again.

The child imports neither the manifest nor the service: starting it costs what importing NumPy and
ONNX Runtime costs.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop_runtime.answers.declared import answer_kind
from everloop_runtime.errors import Refused, Unavailable
from everloop_runtime.files import write_atomic
from everloop_runtime.golden import golden_names, golden_outputs
from everloop_runtime.ids import canonical_json, digest_json
from everloop_runtime.images import ImageLimits, ImageSpec
from everloop_runtime.model import Graph, replay_golden
from everloop_runtime.rows import Feature, RowSpec
from everloop_runtime.samples import Spec, input_name

if TYPE_CHECKING:
    from everloop_runtime.bundle import Bundle

_LONGEST_WORD = 1 << 20
"""Bytes of any file that the child may write: its own verdict is all it has to say."""
_MARKS = ".trials"


@dataclass(frozen=True, slots=True)
class TrialLimits:
    """What a bundle may take before it is believed."""

    memory: int = 4 * 2**30
    """Bytes of address space, and eight times the graph's own size on top."""
    seconds: float = 30.0
    """From the child's start to its verdict."""


DEFAULT_TRIAL = TrialLimits()


def try_bundle(bundle: "Bundle", limits: TrialLimits, images: ImageLimits) -> None:
    """Return when the bundle passed its trial here, now or before.

    Raises `Refused` with what happened to it, `Unavailable` when no process can be started.
    """
    mark = _mark(bundle, limits)
    if mark is not None and mark.exists():
        return
    with _one_at_a_time(bundle.path):
        if mark is not None and mark.exists():
            return
        verdict = _run(_question(bundle, limits, images), limits.seconds)
        if verdict != "passed":
            raise Refused(f"bundle {bundle.id[:8]} failed its trial: {verdict}")
        if mark is not None:
            # A read-only place is no reason to refuse; the next start tries again.
            with contextlib.suppress(OSError):
                write_atomic(mark, canonical_json({"bundle": bundle.id, "versions": _versions()}))


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Workers of one service that start together wait for one trial of the bundle in `folder`."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Where there are no locks, each tries it.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _mark(bundle: "Bundle", limits: TrialLimits) -> Path | None:
    """Where a passed trial is remembered; nowhere outside a folder of bundles."""
    if bundle.path.name != bundle.id:
        return None
    tried = digest_json({"versions": _versions(), "limits": asdict(limits)})[:16]
    return bundle.path.parent / _MARKS / f"{bundle.id}.{tried}"


def _versions() -> dict[str, str]:
    from importlib import metadata

    names = ("everloop-runtime", "onnxruntime", "numpy", "pillow")
    return {name: metadata.version(name) for name in names}


def _question(bundle: "Bundle", limits: TrialLimits, images: ImageLimits) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "path": str(bundle.path),
        "files": sorted(manifest.files),
        "spec": asdict(manifest.spec),
        "classes": manifest.classes,
        "answer": manifest.answer,
        "tolerance": manifest.tolerance,
        "memory": limits.memory + 8 * manifest.files["model.onnx"].bytes,
        "seconds": limits.seconds,
        "images": [images.max_bytes, images.max_pixels],
    }


def _run(question: dict[str, Any], seconds: float) -> str:
    """`passed`, or in words what happened."""
    with tempfile.TemporaryFile() as told:
        try:
            child = subprocess.Popen(
                [sys.executable or "python3", "-m", "everloop_runtime.trial"],
                stdin=subprocess.PIPE,
                stdout=told,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"no process for a bundle's trial can be started: {error}") from error
        try:
            _ask(child, question)
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"it came to no end within {seconds:g} s"
        finally:
            # Also what it may have started: it has a session of its own.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        told.seek(0)
        return _verdict(told.read(_LONGEST_WORD), child.returncode)


def _ask(child: "subprocess.Popen[bytes]", question: dict[str, Any]) -> None:
    assert child.stdin is not None  # noqa: S101 - it was opened as a pipe
    with contextlib.suppress(BrokenPipeError), child.stdin:
        child.stdin.write(json.dumps(question).encode())
    # Needed here next, and as long to load as the child's whole work: it is loaded meanwhile.
    import onnxruntime  # noqa: F401


def _environment() -> dict[str, str]:
    """No secrets; the same modules as here; one thread, so that limits mean the same anywhere."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    path = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path if entry)
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **one, "PYTHONPATH": path}


def _verdict(told: bytes, code: int) -> str:
    if code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    try:
        verdict = str(json.loads(told)["verdict"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"its process ended with code {code} and no verdict"
    return verdict[:500]


def main() -> int:
    """The child: one question on standard input, one verdict on standard output."""
    question = json.loads(sys.stdin.buffer.read())
    _limit(question["memory"], question["seconds"])
    try:
        _try(question)
        verdict = "passed"
    except Refused as error:
        verdict = str(error)
    except MemoryError:
        verdict = f"it asked for more than {question['memory'] / 2**30:.1f} GiB of memory"
    sys.stdout.write(json.dumps({"verdict": verdict}))
    sys.stdout.flush()
    # The libraries' own clean-up is of no use to a process that ends, and may be what hangs.
    os._exit(0)


def _limit(memory: int, seconds: float) -> None:
    import resource

    processor = int(seconds) + 1
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, processor),
        (resource.RLIMIT_FSIZE, _LONGEST_WORD),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # Not every system knows each of them.
            resource.setrlimit(what, (most, most))


def _try(question: dict[str, Any]) -> None:
    folder, spec = Path(question["path"]), _spec(question["spec"])
    # Which samples a search names is not looked at here: the numbers are.
    kind = answer_kind(question["answer"], question["classes"])
    onnx = (folder / "model.onnx").read_bytes()
    graph = Graph(onnx, seconds=question["seconds"], taken=input_name(spec), output=kind.output)
    graph.check_shapes(spec, kind)
    inputs = [(folder / name).read_bytes() for name in golden_names(question["files"])]
    expected = golden_outputs((folder / "golden" / "outputs.npz").read_bytes(), kind.output)
    images = ImageLimits(*question["images"])
    replay_golden(graph, inputs, expected, spec, kind, question["tolerance"], images)


def _spec(told: dict[str, Any]) -> Spec:
    if "features" not in told:
        return ImageSpec(**told)
    return RowSpec(tuple(Feature(**feature) for feature in told["features"]))


if __name__ == "__main__":
    sys.exit(main())
