"""`everloop init`: write a new project from a template."""

import shutil
from importlib import resources
from pathlib import Path

import click

from everloop.cli.common import emit
from everloop.errors import Refused


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--template", default="image-classification", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(folder: Path, template: str, *, as_json: bool) -> None:
    """Write a project into FOLDER, which must be new or empty."""
    root = resources.files("everloop") / "templates"
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    if template not in names:
        raise Refused(f"there is no template {template!r}; there are: {', '.join(names)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} is not empty; name a new folder")
    with resources.as_file(root / template) as source:
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__*"))
    written = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    if as_json:
        emit({"folder": str(folder), "files": written})
        return
    click.echo(f"Wrote {', '.join(written)} into {folder}.")
    readme = next(name for name in written if name.endswith("README.md"))
    click.echo(f"Next: name your classes or columns in {folder}/product.py, put your data where")
    click.echo(f"  {folder}/{readme} says, then")
    click.echo(f"  everloop up --project {folder}")
