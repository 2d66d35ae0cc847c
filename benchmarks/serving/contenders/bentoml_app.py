"""BentoML: a service with a JSON method that takes base64, two workers."""

import bentoml
from answering import Answering


@bentoml.service(workers=2)
class Digits:
    def __init__(self):
        self.answering = Answering()

    @bentoml.api
    def predict(self, image: str) -> dict:
        return self.answering.answer_base64(image)
