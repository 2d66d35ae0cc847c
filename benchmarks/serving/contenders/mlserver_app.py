"""MLServer: a custom runtime that takes base64 bytes over the V2 protocol."""

import json

from answering import Answering
from mlserver import MLModel
from mlserver.codecs import Base64Codec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Digits(MLModel):
    async def load(self):
        self.answering = Answering()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        images = Base64Codec.decode_input(payload.inputs[0])
        answers = [json.dumps(self.answering.answer(image)) for image in images]
        outputs = [StringCodec.encode_output("answers", answers)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
