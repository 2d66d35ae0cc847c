"""MLflow: a pyfunc model that takes base64, saved for `mlflow models serve`."""

import sys

import mlflow.pyfunc
from answering import Answering


class Digits(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.answering = Answering()

    def predict(self, context, model_input: list[str], params=None):
        return [self.answering.answer_base64(text) for text in model_input]


if __name__ == "__main__":
    mlflow.pyfunc.save_model(
        sys.argv[1], python_model=Digits(), code_paths=[sys.argv[2]], pip_requirements=[]
    )
