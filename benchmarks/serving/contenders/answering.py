"""What every contender does with a picture: Pillow, NumPy, ONNX Runtime on one thread."""

import base64
import io
import os

import numpy as np
import onnxruntime as ort
from PIL import Image

_options = ort.SessionOptions()
_options.intra_op_num_threads = 1
_options.inter_op_num_threads = 1


class Answering:
    """Loads the model that the environment names and answers one picture at a time."""

    def __init__(self):
        self._session = ort.InferenceSession(os.environ["BENCH_MODEL"], _options)
        self._mode = "L" if os.environ["BENCH_KIND"] == "tiny" else "RGB"

    def answer(self, data):
        image = Image.open(io.BytesIO(data)).convert(self._mode)
        pixels = np.asarray(image, dtype=np.uint8)
        pixels = pixels.reshape(1, image.height, image.width, -1)
        probabilities = self._session.run(["probabilities"], {"image": pixels})[0][0]
        best = int(probabilities.argmax())
        return {"label": str(best), "probabilities": [float(p) for p in probabilities]}

    def answer_base64(self, text):
        return self.answer(base64.b64decode(text))
