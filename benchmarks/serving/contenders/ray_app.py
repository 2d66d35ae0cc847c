"""Ray Serve: a deployment of two replicas that takes the request's body."""

import os
import time

from answering import Answering
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 0.5})
class Digits:
    def __init__(self):
        self.answering = Answering()

    async def __call__(self, request: Request):
        return self.answering.answer(await request.body())


if __name__ == "__main__":
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["BENCH_PORT"])})
    serve.run(Digits.bind(), route_prefix="/predict")
    while True:
        time.sleep(1)
