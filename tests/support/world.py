"""The world outside a small product: clients who send bars, and a person who labels them."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.pictures import bar
from tests.support.projects import opened

from everloop.ids import PredictionId, SampleId
from everloop.layout import Layout
from everloop.rollout.service import live_service
from everloop_runtime.client import Client
from everloop_runtime.errors import EverloopError
from everloop_runtime.ids import sample_id


class World(threading.Thread):
    """Sends one bar after another and answers each label task with the truth."""

    def __init__(self, project: Path) -> None:
        super().__init__(name="world", daemon=True)
        self._project = project
        self._ended = threading.Event()
        self._truth: dict[SampleId, str] = {}
        self._url = ""
        self.negative = False
        """Whether clients send negatives."""
        self.answered: list[tuple[PredictionId, bool]] = []
        """Each answer that a client got, and whether it was right."""
        self.lost = 0
        """Requests without an answer."""
        self.labelled: dict[SampleId, str] = {}
        """What the person was told is saved."""

    def run(self) -> None:
        """Live until told to stop."""
        layout, queue = Layout(self._project), opened(self._project).queue
        seed = 10_000
        while not self._ended.wait(0.02):
            if not self._url:
                address = live_service(layout)
                self._url = address.url if address else ""
                continue
            seed += 1
            self._send(seed)
            now = datetime.now(UTC)
            if task := queue.next("ann", now, timedelta(minutes=1)):
                queue.answer(task.id, self._truth[task.sample], "ann", now)
                self.labelled[task.sample] = self._truth[task.sample]

    def _send(self, seed: int) -> None:
        upright = bool(seed % 2)
        picture = bar(upright, seed, negative=self.negative)
        label = "upright" if upright else "lying"
        self._truth[sample_id(picture)] = label
        try:
            with Client(self._url, timeout=20, retries=0) as client:
                if not client.status()["ready"]:
                    return
                answer = client.predict(picture)
        except EverloopError:
            self.lost += 1
            self._url = ""
            time.sleep(0.2)
            return
        self.answered.append((PredictionId(answer.prediction_id), answer.label == label))

    def stop(self) -> None:
        """End, and wait for it."""
        self._ended.set()
        self.join()
