"""Open label tasks as a folder for labellers elsewhere: renditions, never originals."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from everloop.data.formats.cells import quoted
from everloop.data.renditions import Renditions
from everloop.errors import Refused
from everloop.state.label_queue import LabelTask
from everloop_runtime.files import write_atomic

_COLUMNS = ("task", "picture", "suggestion", "privacy")


def export_tasks(tasks: Sequence[LabelTask], renditions: Renditions, folder: Path) -> None:
    """Write each task's rendition, and `tasks.csv`, into a folder that is new or empty.

    Pictures are named by their task, so that nothing tells where they came from. Raises
    `Refused` for a folder in use.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Refused(f"{folder} is not empty; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    facts = {}
    for task in tasks:
        proof = task.cleared
        facts[task.id] = renditions.of([proof.sample], proof.version)[proof.sample]
    rows = []
    for task in tasks:
        name = f"{task.id[:32]}.{facts[task.id].format}"
        (folder / name).write_bytes(renditions.read(task.cleared.rendition))
        rows.append((task.id, name, task.suggestion or "", task.cleared.version))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    writer.writerows([quoted(cell) for cell in row] for row in rows)
    # The table last: where it is, all its pictures are.
    write_atomic(folder / "tasks.csv", out.getvalue().encode())
