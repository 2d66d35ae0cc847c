"""Try it: a picture goes to the live service, its answer is drawn, and may be called wrong."""

import json

from everloop.errors import Refused, Unavailable
from everloop.labels import decode
from everloop.rollout.service import Address, live_service
from everloop.web.asked import Answer, Asked, told
from everloop.web.drawing import page
from everloop.web.views.label import label_text
from everloop.web.views.trial import Wrong, answer_view, calls
from everloop_runtime.problems import Problem

_SECONDS = 20.0
_LONGEST_ID = 64


def show(asked: Asked) -> Answer:
    """The page around the script."""
    project = asked.project
    address = live_service(project.layout)
    task = project.declaration.task
    is_row = task.modality == "row"
    url = address.url if address else f"http://127.0.0.1:{project.policy.serve.port}"
    return page(
        asked,
        "try.html",
        title="Try it",
        answers=address is not None,
        is_row=is_row,
        classes=task.classes,
        calls=calls(url, is_row=is_row, needs_key=project.layout.api_keys.is_file()),
        may_correct=asked.who.role != "viewer" and task.label_kind == "class",
    )


def ask(asked: Asked) -> Answer:
    """The live service's answer to a picture, or to a row as JSON."""
    project = asked.project
    address = _service(asked)
    is_row = project.declaration.task.modality == "row"
    if not asked.body:
        raise Refused("no picture came: drop, paste or choose one")
    with address.client(_SECONDS) as client:
        answer = client.predict(_row(asked.body) if is_row else asked.body)
    return told(answer_view(answer.told))


def correct(asked: Asked) -> Answer:
    """Tell the service that an answer is wrong, and what is right; it goes into the loop."""
    wrong = asked.json(Wrong)
    if not (0 < len(wrong.prediction) <= _LONGEST_ID and wrong.prediction.isalnum()):
        raise Refused("an answer is named by the id it came with")
    label = decode(label_text(wrong.value))
    if why := asked.project.declaration.task.accepts(label):
        raise Refused(why)
    with _service(asked).client(_SECONDS) as client:
        client.feedback(wrong.prediction, "correction", wrong.value)
    asked.record("correct an answer", prediction=wrong.prediction, value=wrong.value[:200])
    return told({"accepted": 1})


def _service(asked: Asked) -> Address:
    address = live_service(asked.project.layout)
    if address is None:
        raise Unavailable("the prediction service does not answer; everloop up starts it")
    return address


def _row(body: bytes) -> dict[str, object]:
    try:
        row = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the row is no JSON: {error}", 'write {"column": 1}') from error
    if not isinstance(row, dict):
        raise Problem(422, "a row is an object: a value by each column", 'write {"column": 1}')
    return row
