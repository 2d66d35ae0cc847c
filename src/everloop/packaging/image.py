"""A container image around a bundle: the smallest Dockerfile that serves it, and building it.

Nothing is downloaded and no command runs while it is built: the context holds the bundle, the
runtime and its dependencies, all files with one fixed time, so the same content on the same base
gives the same image.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from everloop.errors import Refused, Unavailable
from everloop.packaging.environment import copy_environment
from everloop_runtime.bundle import MANIFEST, SIGNATURES, Bundle, open_bundle
from everloop_runtime.ids import digest_bytes
from everloop_runtime.images import DEFAULT_LIMITS
from everloop_runtime.routes import Routes, write_routes
from everloop_runtime.signatures import ANYBODY, Trust
from everloop_runtime.trial import DEFAULT_TRIAL, try_bundle

BUILDERS = ("podman", "buildah", "docker")
PORT = 8080
_USER = "65532:65532"
_HOME = "/opt/everloop"
_LONGEST = 1800.0

_DOCKERFILE = """\
# Made by `everloop package image`. The base must have Python {python} and glibc.
FROM {base}
COPY lib {home}/lib
COPY bundles {home}/bundles
COPY routes.json {home}/routes.json
COPY --chown={user} capture /capture
ENV HOME=/tmp PYTHONPATH={home}/lib PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
LABEL everloop.product={product} everloop.bundle="{bundle}"
USER {user}
WORKDIR /capture
VOLUME /capture
EXPOSE {port}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \\
    CMD ["python3", "-m", "everloop_runtime.probe", "{port}"]
ENTRYPOINT ["python3", "-m", "everloop_runtime.main", {options}]
"""


@dataclass(frozen=True, slots=True)
class ImageOrder:
    """What kind of image is wanted."""

    base: str
    """The image that it stands on; it must have this Python's minor version."""
    tag: str
    trust: Trust = ANYBODY
    """Whose signature the service inside asks for."""


def default_base() -> str:
    """The public image with this Python."""
    return f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"


def find_builder(named: str | None) -> str:
    """The program that builds images: the one named, or the first that is installed."""
    for name in (named,) if named else BUILDERS:
        if shutil.which(name):
            return name
    wanted = named or " or ".join(BUILDERS)
    raise Refused(f"no {wanted} is installed here; install one, or take --no-build for the context")


def write_context(bundle: Bundle, order: ImageOrder, folder: Path) -> None:
    """Write the Dockerfile and all that it copies into `folder`, which must be new or empty.

    The bundle is tried on the way, so that the container starts without trying it again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Refused(f"{folder} is not empty; the image's context needs a folder of its own")
    copy_environment(folder / "lib")
    place = folder / "bundles" / bundle.id
    for name in [*bundle.manifest.files, MANIFEST, SIGNATURES]:
        source = bundle.path / name
        if source.is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place / name)
    try_bundle(open_bundle(place, bundle.id), DEFAULT_TRIAL, DEFAULT_LIMITS)
    write_routes(folder / "routes.json", Routes(generation=1, champion=bundle.id))
    (folder / "capture").mkdir()
    (folder / "capture" / ".keep").touch()
    (folder / "Dockerfile").write_text(_dockerfile(bundle, order), encoding="utf-8")
    _normalise(folder)


def _dockerfile(bundle: Bundle, order: ImageOrder) -> str:
    options = [
        *("--routes", f"{_HOME}/routes.json", "--bundles", f"{_HOME}/bundles"),
        *("--capture", "/capture", "--host", "0.0.0.0", "--allow-remote"),  # noqa: S104 - a container
        # Its clients call it by whatever name their network gives it.
        *("--port", str(PORT), "--host-name", "*"),
    ]
    for key in order.trust.keys:
        options += ["--trusted-key", key]
    if order.trust.required:
        options.append("--require-signature")
    product = "".join(c for c in bundle.manifest.product if c.isalnum() or c in "-_.") or "model"
    return _DOCKERFILE.format(
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        base=order.base,
        home=_HOME,
        user=_USER,
        port=PORT,
        product=f'"{product}"',
        bundle=bundle.id,
        options=", ".join(f'"{option}"' for option in options),
    )


def _normalise(folder: Path) -> None:
    """One time and plain permissions for everything: they would else differ from day to day."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (0, 0))


def build_image(builder: str, order: ImageOrder, folder: Path) -> str:
    """Build the context in `folder` and return the image's id.

    Raises `Unavailable` with the builder's last words when it fails.
    """
    if builder == "docker":
        # BuildKit sets every time in the image to SOURCE_DATE_EPOCH, given below.
        output = "type=docker,rewrite-timestamp=true"
        build = ["docker", "buildx", "build", "--output", output, "--tag", order.tag]
        _run([*build, str(folder)])
        told = _run(["docker", "image", "inspect", "--format", "{{.Id}}", order.tag])
        return told.strip().removeprefix("sha256:")
    # The docker format, because OCI's has no place for a health check; one layer, because the
    # history would name each layer's own random container.
    build = [builder, "build", "--quiet", "--layers=false", "--format", "docker"]
    first = _run([*build, "--timestamp", "0", "--tag", order.tag, str(folder)]).strip()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "image"
        _run([builder, "push", "--quiet", order.tag, f"dir:{place}"])
        forget_container(place)
        built = _run([builder, "pull", "--quiet", f"dir:{place}"]).strip().splitlines()[-1]
        _run([builder, "tag", built, order.tag])
    if first != built:
        _run([builder, "rmi", first])
    return built.removeprefix("sha256:")


def forget_container(image: Path) -> None:
    """Take the random name of the container that built it out of an image in a folder.

    `image`: as `podman push IMAGE dir:FOLDER` writes it. Without it the image's id, which is the
    digest of its settings, would be another each time.
    """
    stated = image / "manifest.json"
    manifest = json.loads(stated.read_bytes())
    old = image / str(manifest["config"]["digest"]).removeprefix("sha256:")
    settings = json.loads(old.read_bytes())
    settings.pop("container", None)
    for part in ("config", "container_config"):
        settings.get(part, {}).pop("Hostname", None)
    data = json.dumps(settings, sort_keys=True, separators=(",", ":")).encode()
    old.unlink()
    (image / digest_bytes(data)).write_bytes(data)
    manifest["config"] |= {"digest": f"sha256:{digest_bytes(data)}", "size": len(data)}
    stated.write_text(json.dumps(manifest), encoding="utf-8")


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
            env={**os.environ, "SOURCE_DATE_EPOCH": "0"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command[0]} did not work: {error}") from error
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-800:]}")
    return done.stdout
