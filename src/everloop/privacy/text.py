"""The filter `text`: lines that hold personal data, read by RapidOCR and blacked out whole.

The models (PP-OCR, run by ONNX Runtime on the CPU) travel in RapidOCR's wheel: nothing is
downloaded. The whole line is covered, not only the found words: a letter left over at the edge of
an address may tell it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from everloop.errors import Refused
from everloop.policy import PrivacyPolicy
from everloop.privacy.personal import PersonalData
from everloop.privacy.region import Region

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_VERSION = "text/1"
"""A change of the reader's settings or of what counts as personal data is a new name."""
_LIBRARIES = ("rapidocr", "phonenumbers", "python-stdnum")
_LONGEST = 1280
"""Lines are looked for with the picture's longer side at most this long, then read at full size."""
_MARGIN = 0.15
"""Of a line's height, covered around it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, where it stands, and how sure the reader is of it."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    score: float


class TextDetector:
    """Raises `Refused` when the extra `privacy` is not installed."""

    def __init__(self, policy: PrivacyPolicy) -> None:
        self._policy = policy.text
        self._version = f"{_VERSION} {' '.join(map(_installed, _LIBRARIES))}"
        self._personal = PersonalData(policy.text)

    @property
    def version(self) -> str:
        return self._version

    def detect(self, pixels: "NDArray[np.uint8]") -> Sequence[Region]:
        """One region a line and kind; see `Detector`."""
        found = []
        for line in self.read(pixels):
            found += [_region(line, kind) for kind in self._personal.kinds(line.text)]
        return found

    def read(self, pixels: "NDArray[np.uint8]") -> list[Line]:
        """All lines of text in an upright picture that are read with enough confidence."""
        said = self._reader(pixels[..., ::-1])
        if said.txts is None:
            return []
        lines = [
            Line(
                text,
                left=float(box[:, 0].min()),
                top=float(box[:, 1].min()),
                right=float(box[:, 0].max()),
                bottom=float(box[:, 1].max()),
                score=float(score),
            )
            for text, box, score in zip(said.txts, said.boxes, said.scores, strict=True)
        ]
        return [line for line in lines if line.score >= self._policy.min_score]

    @cached_property
    def _reader(self) -> Any:
        from rapidocr import RapidOCR

        engine = "EngineConfig.onnxruntime"
        return RapidOCR(
            params={
                "Global.log_level": "critical",
                # Confidence is judged by the policy, not twice.
                "Global.text_score": 0.0,
                "Det.limit_type": "max",
                "Det.limit_side_len": _LONGEST,
                # One core a worker: pictures are filtered side by side.
                f"{engine}.intra_op_num_threads": 1,
                f"{engine}.inter_op_num_threads": 1,
                f"{engine}.enable_cpu_mem_arena": True,
            }
        )


def _installed(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError as error:
        raise Refused(
            f"the filter text needs {name}; install it with: pip install 'everloop[privacy]'"
        ) from error


def _region(line: Line, kind: str) -> Region:
    more = (line.bottom - line.top) * _MARGIN
    left, top = math.floor(line.left - more), math.floor(line.top - more)
    right, bottom = math.ceil(line.right + more), math.ceil(line.bottom + more)
    return Region(f"text.{kind}", left, top, right - left, bottom - top, line.score)
