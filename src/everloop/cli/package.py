"""`everloop package`: a bundle as a wheel or an image, and its signatures."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.common import common_options, emit, named_bundle, show, working
from everloop.cli.program import Program
from everloop.errors import Refused

if TYPE_CHECKING:
    from everloop_runtime.bundle import Bundle

_OUT = click.Path(path_type=Path, file_okay=False)


@click.group("package")
def command() -> None:
    """Make a wheel or a container image of a bundle; sign and verify bundles.

    BUNDLE is an id or how it begins, `champion`, or a bundle's folder (no project is needed then).
    """


@command.command("wheel")
@click.argument("bundle")
@click.option("--out", type=_OUT, required=True, help="Where the wheels are written.")
@click.option("--name", help="Of the distribution; PRODUCT-model by default.")
@click.option("--version", "stated", help="Of the distribution; 0+ID by default.")
@common_options
@click.pass_obj
def wheel(
    program: Program,
    bundle: str,
    out: Path,
    name: str | None,
    stated: str | None,
    path: Path,
    *,
    as_json: bool,
) -> None:
    """Write a pip-installable wheel with BUNDLE inside, and the runtime's wheel beside it."""
    from everloop.packaging.wheel_file import write_wheel
    from everloop.packaging.wheels import model_wheel, runtime_wheel

    opened = _open(program, bundle, path)
    made = write_wheel(model_wheel(opened, version=stated, name=name), out)
    runtime = write_wheel(runtime_wheel(), out)
    told = {"bundle": opened.id, "wheel": str(made), "runtime": str(runtime)}
    emit(told) if as_json else show(told)


@command.command("image")
@click.argument("bundle")
@click.option("--tag", help="Of the image; PRODUCT:ID by default.")
@click.option("--base", help="An image with this Python; python:X.Y-slim by default.")
@click.option("--builder", type=click.Choice(["podman", "buildah", "docker"]))
@click.option("--out", type=_OUT, help="Keep the Dockerfile and its context here.")
@click.option("--no-build", is_flag=True, help="Write the context only; --out says where.")
@common_options
@click.pass_obj
def image(
    program: Program,
    bundle: str,
    tag: str | None,
    base: str | None,
    builder: str | None,
    out: Path | None,
    path: Path,
    *,
    no_build: bool,
    as_json: bool,
) -> None:
    """Build a container image that serves BUNDLE."""
    import tempfile

    from everloop.packaging import image as images

    if no_build and out is None:
        raise Refused("--no-build leaves a context; --out says where it is to be written")
    opened = _open(program, bundle, path)
    program_name = None if no_build else images.find_builder(builder)
    order = images.ImageOrder(
        base or images.default_base(), tag or f"{_plain(opened.manifest.product)}:{opened.id[:12]}"
    )
    with tempfile.TemporaryDirectory() as scratch, working("packing and building"):
        context = out or Path(scratch) / "context"
        images.write_context(opened, order, context)
        built = None
        if program_name is not None:
            built = images.build_image(program_name, order, context)
    runner = "docker" if program_name == "docker" else "podman"
    told = {
        "bundle": opened.id,
        "image": built,
        "tag": order.tag if built else None,
        "builder": program_name,
        "context": str(out) if out else None,
        "run": f"{runner} run --read-only --cap-drop=all "
        f"--security-opt=no-new-privileges -p {images.PORT}:{images.PORT} {order.tag}",
    }
    emit(told) if as_json else show(told)


def _plain(name: str) -> str:
    return (
        "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-") or "m"
    )


@command.command("keys")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def keys(file: Path, *, as_json: bool) -> None:
    """Write a new private key to FILE and its public key to FILE.pub."""
    from everloop.packaging.keys import make_keys

    told = {"private": str(file), "public": make_keys(file)}
    emit(told) if as_json else show(told)


@command.command("sign")
@click.argument("bundle")
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False), required=True)
@common_options
@click.pass_obj
def sign(program: Program, bundle: str, key: Path, path: Path, *, as_json: bool) -> None:
    """Sign BUNDLE with the private key in a file."""
    from everloop.packaging.keys import read_private, sign_bundle

    opened = _open(program, bundle, path)
    told = {"bundle": opened.id, "signed_by": sign_bundle(opened, read_private(key))}
    emit(told) if as_json else show(told)


@command.command("verify")
@click.argument("bundle")
@click.option("--key", "keys_given", multiple=True, help="A trusted public key, or its .pub file.")
@common_options
@click.pass_obj
def verify(
    program: Program, bundle: str, keys_given: tuple[str, ...], path: Path, *, as_json: bool
) -> None:
    """Check BUNDLE's files, its graph in a limited process, and its signature by a trusted key.

    Without --key the keys that the project's policy trusts count.
    """
    from everloop.packaging.keys import read_public
    from everloop_runtime.admission import Admission, admit
    from everloop_runtime.signatures import Trust, check_trust

    opened = _open(program, bundle, path)
    given = tuple(read_public(key) for key in keys_given)
    trusted = given or _policy_keys(program, bundle, path)
    trust = Trust(trusted, required=bool(trusted))
    admitted = admit(opened.path, opened.id, Admission(trust))
    told = {
        "bundle": admitted.id,
        "format": admitted.manifest.format,
        "files": len(admitted.manifest.files),
        "signed_by": check_trust(admitted, trust),
    }
    emit(told) if as_json else show(told)


def _open(program: Program, named: str, path: Path) -> "Bundle":
    """The bundle a person named, all its files checked."""
    from everloop_runtime.bundle import open_bundle

    if _is_folder(named):
        return open_bundle(Path(named))
    project = program.open_project(path)
    bundle = named_bundle(project, named)
    return open_bundle(project.layout.bundles / bundle, bundle)


def _is_folder(named: str) -> bool:
    return (Path(named) / "bundle.json").is_file()


def _policy_keys(program: Program, named: str, path: Path) -> tuple[str, ...]:
    if _is_folder(named) and not (path / "everloop.toml").is_file():
        return ()
    return program.open_project(path).policy.bundle.trusted_keys
