"""How well the filters find: recall and precision on pictures whose regions a team has marked."""

import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.errors import Refused
from everloop.policy import PrivacyPolicy
from everloop.privacy.plugins import load_detectors
from everloop.privacy.region import Region
from everloop.privacy.render import decode, find
from everloop_runtime.images import ImageLimits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COVERED = 0.9
"""A marked region counts as found when this part of its area is covered."""
_TOUCHES = 0.1
"""A found region counts as right when this part of its area is marked."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A region that a person marked, in pixels of the upright picture."""

    kind: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class KindFigures:
    """Of one kind of region."""

    marked: int
    found: int

    @property
    def recall(self) -> float:
        return self.found / self.marked


@dataclass(frozen=True, slots=True)
class Figures:
    """What the filters found of what was marked, over all pictures."""

    pictures: int
    kinds: Mapping[str, KindFigures]
    regions: int
    """How many regions the filters gave."""
    right: int
    """How many of them lie on marked ones."""
    seconds: float
    """Processor time of the filters, all pictures together."""

    @property
    def recall(self) -> float | None:
        marked = sum(kind.marked for kind in self.kinds.values())
        return sum(kind.found for kind in self.kinds.values()) / marked if marked else None

    @property
    def precision(self) -> float | None:
        return self.right / self.regions if self.regions else None


def read_marks(folder: Path) -> dict[str, list[Marked]]:
    """The marked regions of each picture, by its name within `folder`.

    From `regions.csv` (columns file, kind, left, top, width, height; a picture without regions
    has a row with only its name) or `regions.json` (COCO: images, annotations with bbox,
    categories). Raises `Refused` naming what is wrong.
    """
    table, coco = folder / "regions.csv", folder / "regions.json"
    try:
        if table.is_file():
            with table.open(encoding="utf-8", newline="") as file:
                return _grouped(_from_csv(csv.DictReader(file)))
        if coco.is_file():
            return _grouped(_from_coco(json.loads(coco.read_bytes())))
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"the regions in {folder} cannot be read: {error!r}") from error
    raise Refused(f"{folder} has no regions.csv and no regions.json; docs/privacy.md shows both")


def measure(
    folder: Path,
    policy: PrivacyPolicy,
    limits: ImageLimits,
    done: Callable[[int, int], None] = lambda _done, _all: None,
) -> Figures:
    """Run the (resolved) policy's filters on the marked pictures of a folder.

    `done` is told how many pictures of how many are looked at. Raises `Refused` for a filter
    that is missing and for a picture that is missing or cannot be read.
    """
    marks = read_marks(folder)
    pictures = ((_bytes_of(folder, name), found) for name, found in marks.items())
    return measure_pictures(pictures, policy, limits, lambda count: done(count, len(marks)))


def measure_pictures(
    pictures: Iterator[tuple[bytes, Sequence[Marked]]],
    policy: PrivacyPolicy,
    limits: ImageLimits,
    done: Callable[[int], None] = lambda _done: None,
) -> Figures:
    """As `measure`, of encoded pictures with their marks."""
    detectors = load_detectors(policy)
    kinds: dict[str, KindFigures] = {}
    count = regions = right = 0
    seconds = 0.0
    for count, (data, marked) in enumerate(pictures, start=1):
        full = decode(data, limits, limits.max_pixels)
        pixels = decode(data, limits, policy.max_side)
        began = time.process_time()
        found = find(pixels, policy, detectors)
        seconds += time.process_time() - began
        scaled = [_scaled(mark, pixels.shape[1] / full.shape[1]) for mark in marked]
        covered, wanted = _mask(pixels, found), _mask(pixels, scaled)
        for mark in scaled:
            old = kinds.get(mark.kind, KindFigures(0, 0))
            hit = _part(covered, mark) >= COVERED
            kinds[mark.kind] = KindFigures(old.marked + 1, old.found + hit)
        regions += len(found)
        right += sum(_part(wanted, region) >= _TOUCHES for region in found)
        done(count)
    return Figures(count, kinds, regions, right, seconds)


def _bytes_of(folder: Path, name: str) -> bytes:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise Refused(f"{name!r} lies outside {folder}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from error


def _from_csv(rows: "csv.DictReader[str]") -> Iterator[tuple[str, Marked | None]]:
    for row in rows:
        if not row.get("kind"):
            yield row["file"], None
            continue
        sides = (float(row[name]) for name in ("left", "top", "width", "height"))
        yield row["file"], Marked(row["kind"], *sides)


def _from_coco(told: Mapping[str, Any]) -> Iterator[tuple[str, Marked | None]]:
    files = {image["id"]: str(image["file_name"]) for image in told["images"]}
    kinds = {kind["id"]: str(kind["name"]) for kind in told["categories"]}
    for name in files.values():
        yield name, None
    for row in told["annotations"]:
        left, top, width, height = map(float, row["bbox"])
        yield files[row["image_id"]], Marked(kinds[row["category_id"]], left, top, width, height)


def _grouped(rows: Iterator[tuple[str, Marked | None]]) -> dict[str, list[Marked]]:
    found: dict[str, list[Marked]] = {}
    for name, mark in rows:
        marks = found.setdefault(name, [])
        if mark is not None:
            marks.append(mark)
    return found


def _scaled(mark: Marked, share: float) -> Marked:
    return Marked(
        mark.kind, mark.left * share, mark.top * share, mark.width * share, mark.height * share
    )


def _place(region: Marked | Region) -> tuple[slice, slice]:
    top, left = max(0, round(region.top)), max(0, round(region.left))
    bottom = max(top + 1, round(region.top + region.height))
    right = max(left + 1, round(region.left + region.width))
    return slice(top, bottom), slice(left, right)


def _mask(pixels: "NDArray[np.uint8]", regions: Sequence[Marked | Region]) -> "NDArray[np.bool_]":
    import numpy as np

    mask = np.zeros(pixels.shape[:2], bool)
    for region in regions:
        mask[_place(region)] = True
    return mask


def _part(mask: "NDArray[np.bool_]", region: Marked | Region) -> float:
    """The part of a region, as far as it lies in the picture, that a mask covers."""
    inside = mask[_place(region)]
    return float(inside.mean()) if inside.size else 0.0
