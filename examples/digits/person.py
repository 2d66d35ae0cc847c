"""The simulated person who answers label tasks, from the data set's own labels."""

import random
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from everloop.app.assemble import assemble
from everloop.ids import SampleId

_SECONDS_A_LABEL = 0.02


class Person(threading.Thread):
    """Takes one task after another; a stated share of the answers is wrong."""

    def __init__(
        self, project: Path, truth: Mapping[SampleId, str], *, mistakes: float, seed: int
    ) -> None:
        super().__init__(name="person", daemon=True)
        self._project = project
        self._truth = truth
        self._mistakes = mistakes
        self._random = random.Random(seed)
        self._ended = threading.Event()
        self.answered = 0

    def run(self) -> None:
        """Work until told to stop."""
        queue = assemble(self._project).queue
        classes = sorted(set(self._truth.values()))
        while not self._ended.wait(_SECONDS_A_LABEL):
            now = datetime.now(UTC)
            task = queue.next("person", now, timedelta(minutes=10))
            if task is None:
                continue
            label = self._truth[task.sample]
            if self._random.random() < self._mistakes:
                label = self._random.choice([name for name in classes if name != label])
            queue.answer(task.id, label, "person", now)
            self.answered += 1

    def stop(self) -> None:
        """End after the present task."""
        self._ended.set()
        self.join()
