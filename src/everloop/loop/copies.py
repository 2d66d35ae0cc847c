"""Copies of samples that lie in a project outside its tables: captures, bundles, scratch."""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from everloop.data.blobs import open_blobs
from everloop.data.holdings import dataset_of
from everloop.data.proof import Find
from everloop.data.rewriting import Rewriting
from everloop.errors import Refused
from everloop.ids import BundleId, SampleId
from everloop.loop.project import Project
from everloop_runtime.capture import seal_leftovers, sealed_segments
from everloop_runtime.redact import drop_samples

UNFINISHED = timedelta(hours=1)
"""A write that was begun longer ago will not be finished."""
_SEAL_S = 15.0
"""A service that lives seals its open segment within seconds."""
_PAUSE_S = 0.2


@dataclass(slots=True)
class Cleared:
    """What became of the copies that a search found."""

    withdrawn: set[BundleId] = field(default_factory=set)
    """Bundles that lost golden inputs, so they cannot be loaded any more."""
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Each with the reason why it is still there."""


def drop_captured(project: Project, samples: Collection[SampleId]) -> int:
    """Take the answers about samples out of all segments; how many.

    Waits for the segment that a running service writes to be sealed.
    """
    folder = project.layout.capture
    wanted = {path.stem for path in folder.glob("*.open")}
    deadline = time.monotonic() + _SEAL_S
    while wanted & {path.stem for path in folder.glob("*.open")} and time.monotonic() < deadline:
        seal_leftovers(folder)
        time.sleep(_PAUSE_S)
    dropped = 0
    for path in sealed_segments(folder):
        try:
            dropped += drop_samples(path, samples)
        except (Refused, FileNotFoundError):
            # Damaged: the search says whether it holds any. Gone: it was collected.
            continue
    return dropped


def clear(project: Project, finds: Iterable[Find], now: datetime, *, alone: bool) -> Cleared:
    """Remove the files that hold samples where that harms nothing that goes on.

    `alone`: nobody else writes now, so that unfinished writes are removed whatever their age.
    """
    cleared = Cleared()
    live = _live(project)
    for find in finds:
        if find.place.folder is not None and project.layout.root in _path(find).parents:
            reason = _clear_local(project, _path(find), cleared, live)
            if reason is None:
                continue
        else:
            reason = "it is no part of a table"
        if _unfinished(find) and (alone or now - find.modified > UNFINISHED):
            open_blobs(find.place).delete([find.key])
            cleared.removed.append(find.where)
        elif _unfinished(find):
            cleared.left.append(
                f"{find.where}: being written, or left by a writer that was cut short; it goes "
                "with --alone when nothing else runs, or by itself an hour after it was begun"
            )
        else:
            cleared.left.append(f"{find.where}: {reason}")
    return cleared


def _clear_local(
    project: Project, path: Path, cleared: Cleared, live: frozenset[str]
) -> str | None:
    """Why a file under the project's store stays; None when it is gone."""
    layout = project.layout
    if layout.bundles in path.parents:
        bundle = BundleId(path.relative_to(layout.bundles).parts[0])
        if bundle in live:
            return "the bundle serves, with this as a golden input; deploy another one first"
        if not bundle.startswith("."):
            cleared.withdrawn.add(bundle)
    elif layout.tracking_artifacts not in path.parents:
        return "no rule says that it may be removed; remove it yourself"
    path.unlink(missing_ok=True)
    cleared.removed.append(str(path))
    return None


def _live(project: Project) -> frozenset[str]:
    """Bundles that traffic goes to, or that a running service may load."""
    routes = project.layout.routes
    told = routes.read_text(encoding="utf-8") if routes.exists() else ""
    release = project.releases.current()
    serving = {release.champion, release.canary.bundle if release.canary else None} - {None}
    if release.experiment is not None:
        serving |= {variant.bundle for variant in release.experiment.live}
    folder = project.layout.bundles
    known = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return frozenset(name for name in known if name in told or name in serving)


def _unfinished(find: Find) -> bool:
    """Whether a file is part of nothing: a draft, or rows that no version of a table names."""
    if find.key.rpartition("/")[2].startswith("."):
        return True
    parts = find.key.split("/")
    for depth, part in enumerate(parts):
        if dataset_of(f"{part}/x"):
            place = find.place
            for above in parts[: depth + 1]:
                place = place / above
            inside = "/".join(parts[depth + 1 :])
            return inside in {blob.key for blob in Rewriting(place).orphans()}
    return False


def _path(find: Find) -> Path:
    folder = find.place.folder
    assert folder is not None  # noqa: S101 - the caller looked
    return folder / find.key
