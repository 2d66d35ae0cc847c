"""The real pictures: scikit-learn's scans of handwritten digits, as image files."""

import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from camera import Camera
from PIL import Image
from sklearn.datasets import load_digits as load_scans

from everloop.data.splits import side_of
from everloop_runtime.ids import SampleId, sample_id

HOLDOUT_SHARE = 0.25
"""As `everloop.toml` says."""
_SIDE, _MARGIN = 28, 2


@dataclass(frozen=True)
class Digit:
    """One picture and what it shows."""

    png: bytes
    label: str

    @property
    def sample(self) -> SampleId:
        """The id by which the product knows it."""
        return sample_id(self.png)

    def seen_by(self, camera: Camera) -> "Digit":
        """The same digit through another camera."""
        return replace(self, png=camera.take(self.png))


def load_digits(seed: int) -> list[Digit]:
    """All 1,797 scans as 28 x 28 grey PNG, in an order of the seed's."""
    scans = load_scans()
    order = np.random.default_rng(seed).permutation(len(scans.images))
    return [Digit(_png(scans.images[row]), str(scans.target[row])) for row in order]


def _png(scan: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> bytes:
    """An 8 x 8 scan of 17 grey levels, enlarged, with a margin."""
    inner = _SIDE - 2 * _MARGIN
    grey = Image.fromarray(np.rint(scan * 255 / 16).astype(np.uint8))
    page = Image.new("L", (_SIDE, _SIDE))
    page.paste(grey.resize((inner, inner), Image.Resampling.BICUBIC), (_MARGIN, _MARGIN))
    out = io.BytesIO()
    page.save(out, "PNG")
    return out.getvalue()


def write_labelled(
    digits: Sequence[Digit], folder: Path, project: Path, *, train: int, holdout: int
) -> list[Digit]:
    """Make the product's folder with its first labels; the digits left over are returned."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("product.py", "everloop.toml"):
        shutil.copy(project / name, folder / name)
    wanted = {"train": train, "holdout": holdout}
    left = []
    for digit in digits:
        side = side_of(digit.sample, HOLDOUT_SHARE)
        if wanted[side] == 0:
            left.append(digit)
            continue
        wanted[side] -= 1
        path = folder / "data" / "labelled" / digit.label / f"{digit.sample[:16]}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(digit.png)
    return left
