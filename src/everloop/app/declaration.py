"""What `product.py` declares, found out in a process of its own and remembered.

The user's code may import heavy libraries and do anything; the control plane never imports it.
"""

import json
import subprocess
from pathlib import Path

from everloop.errors import Refused
from everloop.layout import Layout
from everloop.loop.project import Declaration
from everloop.tasks.registry import by_declaration
from everloop.training.project_code import fingerprint
from everloop_runtime.files import write_atomic

_SECONDS = 120


def read_declaration(layout: Layout, command: tuple[str, ...]) -> Declaration:
    """The declaration of the project's code as it is now.

    `command` prints it as JSON for the project folder appended. Raises `Refused` with the
    user's line when the code cannot be read.
    """
    code = fingerprint(layout.project)
    remembered = layout.declarations / f"{code}.json"
    if not remembered.is_file():
        write_atomic(remembered, _ask(layout.project, command))
    told = json.loads(remembered.read_bytes())
    return Declaration(
        str(told["product"]),
        by_declaration(told["task"]),
        code,
        moderates=bool(told.get("moderates", False)),
        space=told.get("space"),
    )


def _ask(project: Path, command: tuple[str, ...]) -> bytes:
    try:
        done = subprocess.run(
            [*command, str(project)], capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Refused(f"{project}/product.py was not read within {_SECONDS} s") from error
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise Refused(words[-1] if words else f"{project}/product.py could not be read")
    # What the user's own code prints comes before the last line.
    return done.stdout.splitlines()[-1]
