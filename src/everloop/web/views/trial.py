"""Trying the live model: its answer in plain values, and the same call for programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

_MOST = 8


class Wrong(msgspec.Struct, forbid_unknown_fields=True):
    """That an answer is wrong, and what is right."""

    prediction: str
    value: str


@dataclass(frozen=True, slots=True)
class Calls:
    """The same request from a shell and from Python."""

    curl: str
    python: str


def calls(url: str, *, is_row: bool, needs_key: bool) -> Calls:
    """How programs ask the same of the service at `url`."""
    key = " -H 'authorization: Bearer YOUR_KEY'" if needs_key else ""
    key_argument = ', api_key="YOUR_KEY"' if needs_key else ""
    if is_row:
        body = """-H 'content-type: application/json' -d '{"row": {"column": 1}}'"""
        sample = '{"column": 1}'
    else:
        body = "-H 'content-type: application/octet-stream' --data-binary @picture.png"
        sample = 'open("picture.png", "rb").read()'
    return Calls(
        curl=f"curl {url}/v1/predict{key} {body}",
        python=(
            "from everloop_runtime.client import Client\n\n"
            f'answer = Client("{url}"{key_argument}).predict({sample})\n'
            "print(answer.told)"
        ),
    )


def answer_view(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What the script draws of an answer: figures, boxes, the likeliest classes, who answered."""
    shares = answer.get("probabilities")
    shares = shares if isinstance(shares, Mapping) else {}
    best = sorted(shares.items(), key=lambda item: -float(item[1]))[:_MOST]
    kept = ("prediction_id", "bundle", "role", "label", "labels", "confidence", "value", "boxes")
    told = {name: answer[name] for name in kept if name in answer}
    hits = answer.get("hits")
    if isinstance(hits, list):
        told["hits"] = hits[:_MOST]
    return {**told, "probabilities": [[name, float(share)] for name, share in best]}
