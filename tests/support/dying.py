"""A batch's process that is ended by one picture, as a decoder's defect would end it."""

import os
from typing import Any

from everloop.batch import work
from everloop.batch.work import Runner

POISON = b"poison"


def load(runner: Runner) -> None:
    """Load the bundle into a process that the poison ends."""
    work.load(runner)
    predictor = work._loaded[0]
    seen = predictor.seen

    def dying(picture: Any) -> Any:
        if picture == POISON:
            os._exit(1)
        return seen(picture)

    predictor.seen = dying  # type: ignore[assignment,method-assign]
