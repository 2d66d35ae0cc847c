"""A run done again from its record: what changed since, and whether it gave the same."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from everloop.action import Entry
from everloop.errors import Refused
from everloop.ids import BundleId, Json, SnapshotId
from everloop.loop import kinds
from everloop.loop.project import Project
from everloop.loop.run_records import full_record, short_name
from everloop.loop.single import run_action
from everloop.registry.runs import RunRecord
from everloop.training.figures import Figure, read_figures
from everloop.training.project_code import CODE, code_digests
from everloop.training.surroundings import environment, hardware
from everloop_runtime.bundle import open_bundle
from everloop_runtime.ids import digest_file


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing as it was recorded, and as it is now."""

    what: str
    recorded: str
    again: str
    same: bool

    def as_json(self) -> dict[str, Json]:
        """All fields by name."""
        return {
            "what": self.what, "recorded": self.recorded, "again": self.again, "same": self.same
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came of doing a run again."""

    run: str
    results: tuple[Compared, ...]
    """The model's digest, and each figure: over all steps, to the last bit."""
    surroundings: tuple[Compared, ...]
    """What else is not as it was: packages, the machine. None of it need matter."""

    @property
    def same(self) -> bool:
        """Whether everything that is learnt came out the same, bit for bit."""
        return all(row.same for row in self.results)

    def as_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "run": self.run,
            "same": self.same,
            "results": [row.as_json() for row in self.results],
            "surroundings": [row.as_json() for row in self.surroundings],
        }


def reproduce(
    project: Project, entry: Entry, *, by: str, clock: Callable[[], datetime]
) -> Reproduction:
    """Do a finished run again and compare.

    Raises `Refused` when it did not finish, when its data or its code are not what they were
    (naming the files), and when it fails this time.
    """
    record = full_record(project, entry, clock())
    name = short_name(record.key)
    if record.status != "finished" or record.bundle is None:
        raise Refused(f"run {name} is {record.status}: only a finished one can be compared")
    project.data.snapshots.open(SnapshotId(record.snapshot))
    _refuse_other_code(project, record)
    action = kinds.reproduce(record.key, secrets.token_hex(8))
    outcome = run_action(project, action, by=by, clock=clock)
    if outcome.error:
        raise Refused(f"run {name} fails when done again: {outcome.error}")
    folder = project.layout.jobs / action.key
    model = _model_digest(project, record.bundle)
    given = str(outcome.result["model"])
    results = [Compared("model", model[:16], given[:16], model == given)]
    results += _curves(record.history, read_figures(folder))
    return Reproduction(name, tuple(results), tuple(_changes(record)))


def _refuse_other_code(project: Project, record: RunRecord) -> None:
    """The same inputs, or it is another run."""
    now = code_digests(project.layout.project)
    if project.declaration.code == record.code:
        return
    kept = project.layout.jobs / record.key / CODE
    before = {p.relative_to(kept).as_posix(): digest_file(p) for p in kept.rglob("*.py")}
    changed = sorted(f for f in now.keys() | before.keys() if now.get(f) != before.get(f))
    commit = record.git.get("commit", "")
    git = f"; it ran at git commit {commit[:12]} ({record.git.get('state')})" if commit else ""
    raise Refused(
        f"the code changed since run {short_name(record.key)}: {', '.join(changed) or 'unknown'}; "
        f"its own code lies in {_shown(kept, project)}{git}: put it back to do the run again"
    )


def _shown(path: Path, project: Project) -> str:
    root = project.layout.project
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _model_digest(project: Project, bundle: BundleId) -> str:
    folder = project.layout.bundles / bundle
    if not folder.is_dir():
        raise Refused(f"bundle {bundle[:8]} of that run is gone; there is nothing to compare with")
    open_bundle(folder, bundle)
    return digest_file(folder / "model.onnx")


def _curves(recorded: tuple[Figure, ...], again: list[Figure]) -> list[Compared]:
    """Each figure over all its steps; differences as the largest one."""
    before, after = _by_name(recorded), _by_name(again)
    rows = []
    for name in sorted(before.keys() | after.keys()):
        one, two = before.get(name, {}), after.get(name, {})
        rows.append(Compared(name, _told(one), _told(two), one == two))
    return rows


def _by_name(figures: tuple[Figure, ...] | list[Figure]) -> Mapping[str, Mapping[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for step, name, value, _ in figures:
        found.setdefault(name, {})[step] = value
    return found


def _told(curve: Mapping[int, float]) -> str:
    if not curve:
        return "-"
    last = max(curve)
    return f"{curve[last]:.6g} at step {last}, {len(curve)} steps"


def _changes(record: RunRecord) -> list[Compared]:
    """Packages and facts of the machine that are not what they were."""
    rows = []
    for before, now in ((record.environment, environment()), (record.hardware, hardware())):
        for name in sorted(before.keys() | now.keys()):
            one, two = before.get(name, "-"), now.get(name, "-")
            if one != two and name != "gpus":
                rows.append(Compared(name, one, two, same=False))
    return rows
