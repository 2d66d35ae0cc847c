"""`everloop predict`: ask the live service about images."""

from pathlib import Path

import click

from everloop.cli.common import common_options, emit, table
from everloop.cli.program import Program
from everloop.errors import Refused, Unavailable


@click.command("predict")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@common_options
@click.pass_obj
def command(program: Program, images: tuple[Path, ...], path: Path, *, as_json: bool) -> None:
    """Ask the live service about each of IMAGES."""
    from everloop.rollout.service import live_service

    missing = [str(image) for image in images if not image.is_file()]
    if missing:
        raise Refused(f"no such file: {', '.join(missing)}")
    address = live_service(program.open_project(path).layout)
    if address is None:
        raise Unavailable("no service runs for this project; everloop up starts it")
    client = address.client(timeout=30.0)
    answers = [(image, client.predict(image.read_bytes())) for image in images]
    if as_json:
        emit(
            [
                {
                    "image": str(image),
                    "prediction_id": answer.prediction_id,
                    "label": answer.label,
                    "confidence": answer.confidence,
                    "bundle": answer.bundle,
                    "role": answer.role,
                }
                for image, answer in answers
            ]
        )
        return
    table(
        ("image", "answer", "confidence", "prediction"),
        [(str(i), a.label, f"{a.confidence:.3f}", a.prediction_id) for i, a in answers],
    )
