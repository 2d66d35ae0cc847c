"""The filter `faces`: CenterFace, run by ONNX Runtime on the CPU.

CenterFace: joint face detection and alignment using face as point (Xu et al., 2019,
arXiv:1911.03599). The network predicts, for each cell of 4 x 4 pixels, whether a face is centred
there, its size and its offset. The file travels with this package; where it comes from and what
it was measured to find stands in docs/privacy.md.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from everloop.policy import FacesPolicy, PrivacyPolicy
from everloop.privacy.region import Region

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MODEL = "centerface.onnx"
_VERSION = "centerface/1"
"""A change of the file, the sides or the decoding below is a new name."""
_STRIDE = 4
_MULTIPLE = 32
_SIDES = (1280, 448)
"""The picture is looked at with its longer side at most this long: small faces are found in the
large one, and faces that fill the picture in the small one."""
_OVERLAP = 0.4


class FaceDetector:
    """Frontal and turned faces, down to about 10 pixels in a picture 1280 pixels long."""

    def __init__(self, policy: PrivacyPolicy) -> None:
        self._policy: FacesPolicy = policy.faces

    @property
    def version(self) -> str:
        return _VERSION

    def detect(self, pixels: "NDArray[np.uint8]") -> Sequence[Region]:
        """Faces with their surroundings; see `Detector`."""
        import numpy as np

        found = np.concatenate([self._look(pixels, side) for side in _sides(pixels)])
        return [self._region(*row) for row in _distinct(found)]

    def _region(self, left: float, top: float, right: float, bottom: float, score: float) -> Region:
        more = self._policy.margin
        wide, high = (right - left) * (1 + 2 * more), (bottom - top) * (1 + 2 * more)
        x, y = left - (right - left) * more, top - (bottom - top) * more
        return Region("face", round(x), round(y), round(wide), round(high), float(score), "blur")

    def _look(self, pixels: "NDArray[np.uint8]", side: int) -> "NDArray[np.float64]":
        """`[n, 5]`: left, top, right, bottom in the picture's pixels, and score."""
        import numpy as np

        small = _fit(pixels, side)
        heat, size, offset = self._session.run(None, {"input.1": small})
        rows, columns = np.nonzero(heat[0, 0] >= self._policy.min_score)
        score = heat[0, 0, rows, columns]
        high, wide = np.exp(size[0, :, rows, columns].T.astype(float)) * _STRIDE
        down, right = offset[0, :, rows, columns].T
        y, x = (rows + down + 0.5) * _STRIDE, (columns + right + 0.5) * _STRIDE
        boxes = np.stack([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2], axis=1)
        scale = np.array([pixels.shape[1] / small.shape[3], pixels.shape[0] / small.shape[2]] * 2)
        return np.column_stack([boxes * scale, score])

    @cached_property
    def _session(self) -> Any:
        import onnxruntime as ort

        options = ort.SessionOptions()
        # One core a worker: pictures are filtered side by side.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        model = (files(__package__) / "models" / _MODEL).read_bytes()
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _sides(pixels: "NDArray[np.uint8]") -> list[int]:
    longer = max(pixels.shape[:2])
    return sorted({min(side, longer) for side in _SIDES}, reverse=True)


def _fit(pixels: "NDArray[np.uint8]", side: int) -> "NDArray[np.float32]":
    """float32 `[1, 3, height, width]`, 0 to 255, whose sides are multiples of 32."""
    import numpy as np
    from PIL import Image

    share = side / max(pixels.shape[:2])
    height, width = (
        max(1, -(-round(length * share) // _MULTIPLE)) * _MULTIPLE for length in pixels.shape[:2]
    )
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32).transpose(2, 0, 1)[None]


def _distinct(boxes: "NDArray[np.float64]") -> Iterator["NDArray[np.float64]"]:
    """The best-scored of boxes that overlap (non-maximum suppression)."""
    import numpy as np

    left = boxes[np.argsort(-boxes[:, 4])]
    while len(left):
        best, left = left[0], left[1:]
        yield best
        low = np.maximum(best[:2], left[:, :2])
        high = np.minimum(best[2:4], left[:, 2:4])
        shared = np.clip(high - low, 0, None).prod(axis=1)
        area = (left[:, 2:4] - left[:, :2]).prod(axis=1)
        both = (best[2:4] - best[:2]).prod() + area - shared
        left = left[shared / both < _OVERLAP]
