"""`everloop trace`: from a served answer back to the labels behind it."""

from collections.abc import Mapping
from pathlib import Path

import click

from everloop.cli.common import common_options, emit
from everloop.cli.program import Program
from everloop.ids import PredictionId


@click.command("trace")
@click.argument("prediction")
@common_options
@click.pass_obj
def command(program: Program, prediction: str, path: Path, *, as_json: bool) -> None:
    """Print the chain behind PREDICTION: bundle, run, snapshot, labels."""
    from everloop.loop.trace import trace

    chain = trace(program.open_project(path), PredictionId(prediction))
    if as_json:
        emit(chain.as_json())
        return
    environment = chain.run["environment"]
    assert isinstance(environment, Mapping)  # noqa: S101 - loop.trace wrote it
    told = f"python {environment['python']}, {len(environment) - 1} distributions (see --json)"
    _print_tree({**chain.as_json(), "run": {**chain.run, "environment": told}})


def _print_tree(value: object, indent: int = 0) -> None:
    assert isinstance(value, dict)  # noqa: S101 - a chain is nested tables
    for name, item in value.items():
        if isinstance(item, dict):
            click.secho(f"{'  ' * indent}{name}", bold=True)
            _print_tree(item, indent + 1)
        elif isinstance(item, list):
            click.secho(f"{'  ' * indent}{name}", bold=True)
            for each in item:
                click.echo(f"{'  ' * indent}  - {each!s}")
        else:
            shown = repr(item)[1:-1] if isinstance(item, str) else item
            click.echo(f"{'  ' * indent}{name}: {shown}")
