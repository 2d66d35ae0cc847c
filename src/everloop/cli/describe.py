"""`everloop describe`: what product.py declares, as one line of JSON."""

from pathlib import Path

import click


@click.command("describe", hidden=True)
@click.argument("project", type=click.Path(path_type=Path, exists=True, file_okay=False))
def command(project: Path) -> None:
    """Print what PROJECT's product.py declares."""
    from everloop.training.project_code import load_product
    from everloop_runtime.ids import Json, canonical_json

    product = load_product(project)
    told: dict[str, Json] = {
        "product": product.name,
        "task": dict(product.task.declaration()),
        "moderates": product.moderation is not None,
        "space": None if product.search_space is None else product.search_space.declaration(),
    }
    click.echo(canonical_json(told).decode())
