"""Flask; run by gunicorn with two workers, as its documentation has it."""

from answering import Answering
from flask import Flask, jsonify, request

app = Flask(__name__)
answering = Answering()


@app.post("/predict")
def predict():
    return jsonify(answering.answer(request.get_data()))
