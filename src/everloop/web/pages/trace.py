"""Trace: from one answer back to the bundle, the run, the snapshot, the labels and the people."""

from everloop.errors import Refused
from everloop.ids import PredictionId
from everloop.loop.trace import trace
from everloop.web.asked import Answer, Asked, goto, nothing_there
from everloop.web.drawing import page
from everloop.web.routes import is_name
from everloop.web.views.trace import graph, links, recent

_RECENT = 30


def show(asked: Asked) -> Answer:
    """A field for an answer's id, and the answers captured last."""
    wanted = asked.argument("prediction").strip()
    if wanted:
        if not is_name(wanted):
            raise nothing_there(f"captured answer {wanted[:40]!r}")
        return goto(f"/trace/{wanted}")
    predictions = asked.project.data.predictions
    start = max(0, predictions.total() - _RECENT)
    rows = predictions.from_row(start, _RECENT).to_pylist()
    return page(asked, "trace.html", title="Trace", rows=recent(rows))


def show_one(asked: Asked) -> Answer:
    """The whole chain behind one answer."""
    prediction = PredictionId(asked.named["prediction"])
    try:
        chain = trace(asked.project, prediction)
    except Refused as error:
        raise nothing_there(f"captured answer {prediction[:40]!r}: {error}") from error
    title = f"Trace {prediction[:8]}"
    return page(
        asked, "chain.html", title=title, prediction=prediction, links=links(chain),
        graph=graph(chain),
    )  # fmt: skip
