"""The body of a request that brings feedback: true labels, corrections, business events."""

from typing import Any

import msgspec

from everloop_runtime.inputs import decoded
from everloop_runtime.problems import Problem
from everloop_runtime.segments import FeedbackKind

MOST = 1000
"""Records of one request."""
_LONGEST_ID = 128


class Feedback(msgspec.Struct, forbid_unknown_fields=True):
    """One statement about one answer."""

    prediction_id: str
    kind: FeedbackKind
    value: Any


class ManyFeedback(msgspec.Struct, forbid_unknown_fields=True):
    """Several statements in one request."""

    feedback: list[Feedback]


_one = msgspec.json.Decoder(Feedback)
_many = msgspec.json.Decoder(ManyFeedback)


def read_feedback(body: bytes) -> list[Feedback]:
    """The statements of a request: one object, or several in `feedback`. Raises `Problem`."""
    several = body.lstrip()[:12].startswith(b'{"feedback"')
    found = decoded(_many, body).feedback if several else [decoded(_one, body)]
    if not 0 < len(found) <= MOST:
        raise Problem(422, f"{len(found)} statements; 1 to {MOST} are taken", "send less at once")
    for one in found:
        if not 0 < len(one.prediction_id) <= _LONGEST_ID:
            told = "a prediction_id is empty or too long"
            raise Problem(422, told, "send it as the answer gave it")
        if one.kind != "event" and not isinstance(one.value, str):
            told = f"the value of a {one.kind} is its text"
            raise Problem(422, told, "send the class name, or the label's text")
    return found
