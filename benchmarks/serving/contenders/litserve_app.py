"""LitServe: a LitAPI, two workers."""

import os

import litserve as ls
from answering import Answering


class Api(ls.LitAPI):
    def setup(self, device):
        self.answering = Answering()

    def decode_request(self, request):
        return request["image"]

    def predict(self, x):
        return self.answering.answer_base64(x)

    def encode_response(self, output):
        return output


if __name__ == "__main__":
    server = ls.LitServer(Api(), accelerator="cpu", workers_per_device=2)
    server.run(port=int(os.environ["BENCH_PORT"]), generate_client_file=False, log_level="error")
