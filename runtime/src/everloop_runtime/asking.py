"""POST /v1/predict, /v1/search and /v1/feedback: from a whole request to its answer."""

import functools
import re
import time
from collections.abc import Callable

from everloop_runtime import inputs
from everloop_runtime.answers.hits import Hits
from everloop_runtime.feedback import read_feedback
from everloop_runtime.guard import Room
from everloop_runtime.head import Request
from everloop_runtime.ids import PredictionId
from everloop_runtime.metrics import Figures
from everloop_runtime.outbox import Outbox
from everloop_runtime.predicting import Ask, Predictor
from everloop_runtime.problems import Problem
from everloop_runtime.segments import FeedbackRecord

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}\Z")

Refuse = Callable[[Request, Problem], None]


class Asking:
    """Answers who asks and who tells."""

    def __init__(
        self,
        predictor: Predictor,
        outbox: Outbox,
        figures: Figures,
        room: Room,
        most_bytes: int,
        refuse: Refuse,
        count: Refuse,
    ) -> None:
        """`refuse` answers with a problem, `count` only notes it, of one of several samples."""
        self._predictor, self._outbox, self._figures = predictor, outbox, figures
        self._room, self._most_bytes = room, most_bytes
        self._refuse, self._count = refuse, count

    def predict_one(self, request: Request) -> None:
        """One sample as the body."""
        key = inputs.key_of(request.head)
        if len(request.body) > self._most_bytes:
            raise inputs.too_large(self._most_bytes)
        if problem := self._room.enter(request.head.client):
            raise problem
        self._predictor.predict(request.body, key, functools.partial(self._told_one, request))

    def predict(self, request: Request) -> None:
        """One sample or several, as a form or as JSON."""
        given = inputs.read_inputs(request, self._most_bytes)
        if problem := self._room.enter(request.client):
            raise problem
        if not given.many:
            done = functools.partial(self._told_one, request)
            self._predictor.predict(given.samples[0], given.key, done)
            return
        asks: list[Ask] = []
        left = len(given.samples)

        def one_done(_: Ask) -> None:
            nonlocal left
            left -= 1
            if not left:
                self._told_many(request, asks)

        # The list is whole before the last of them can be done.
        left += 1
        asks += [self._predictor.predict(image, given.key, one_done) for image in given.samples]
        one_done(asks[0])

    def search(self, request: Request) -> None:
        """As `predict`, of a product that answers with hits. Raises `Problem` of another."""
        self._check_searches()
        self.predict(request)

    def search_one(self, request: Request) -> None:
        """As `predict_one`, of a product that answers with hits. Raises `Problem` of another."""
        self._check_searches()
        self.predict_one(request)

    def _check_searches(self) -> None:
        seats = self._predictor.fleet.seats("")
        if seats and seats[-1].batcher.model.bundle.answers.name != Hits.name:
            told = "this product answers no searches"
            raise Problem(404, told, "POST /v1/predict gives its answers")

    def _told_one(self, request: Request, ask: Ask) -> None:
        self._room.leave(request.head.client)
        if ask.problem is not None:
            self._refuse(request, ask.problem)
            return
        given = request.head.headers.get(b"x-request-id")
        if given is None or not _SANE_ID.match(given):
            given = ask.prediction.encode()
        request.answer(200, ask.told, b"x-request-id: %b\r\n" % given)

    def _told_many(self, request: Request, asks: list[Ask]) -> None:
        self._room.leave(request.client)
        for ask in asks:
            if ask.problem is not None:
                self._count(request, ask.problem)
        if all(ask.problem is not None and ask.problem.status >= 500 for ask in asks):
            assert asks[0].problem is not None  # noqa: S101 - all have one
            self._refuse(request, asks[0].problem)
            return
        parts = [ask.told if ask.problem is None else ask.problem.body() for ask in asks]
        body = b'{"predictions":[' + b",".join(parts) + b"]}"
        request.answer(200, body, id_line(request, self._predictor.new_id))

    def take_feedback(self, by: str, request: Request) -> None:
        """What became known of answers; `by`: who tells it."""
        found = read_feedback(request.body)
        left = len(found)

        def kept() -> None:
            nonlocal left
            left -= 1
            if not left:
                body = b'{"accepted":%d}' % len(found)
                request.answer(202, body, id_line(request, self._predictor.new_id))

        for one in found:
            self._figures.count("everloop_feedback", (one.kind,))
            record = FeedbackRecord(
                PredictionId(one.prediction_id), time.time(), one.kind, one.value, by
            )
            self._outbox.put(record, kept)


def id_line(request: Request, new_id: Callable[[], str]) -> bytes:
    """The header that names the request: as the client named it if that is sane."""
    given = request.headers.get(b"x-request-id")
    if given is None or not _SANE_ID.match(given):
        given = new_id().encode()
    return b"x-request-id: %b\r\n" % given
