"""A bundle's live answers made into sketches, and the hold-out they are compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from everloop.monitoring.profile import (
    Profile,
    Seen,
    Watchable,
    answer_figures,
    make_profile,
    on_axes,
)
from everloop.monitoring.reference import Reference, seen
from everloop.monitoring.sketch import Sketch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from everloop.monitoring.rehearsal import Rehearsal


@dataclass(frozen=True)
class Watch:
    """One bundle as it is watched. Opened once, used for many windows."""

    reference: Reference
    task: Watchable
    rehearsal: "Rehearsal | None" = None
    """What is known of damage; None in a bundle of an older version."""

    @cached_property
    def profile(self) -> Profile:
        """What training left; of a bundle of an older version what its hold-out still tells."""
        import numpy as np

        if self.reference.profile is not None:
            return self.reference.profile
        nobody = np.zeros((0, 0))
        return make_profile(self.holdout, self.holdout, nobody, self.temperature)

    @cached_property
    def holdout(self) -> Seen:
        """What is kept of each sample of the hold-out: nothing of its input."""
        reference = self.reference
        answers = answer_figures(self.task, reference.values, self.temperature)
        return Seen(answers, on_axes(reference.projected), {}, reference.projected)

    @cached_property
    def temperature(self) -> float:
        """At which the hold-out's mean confidence is its accuracy."""
        return self.reference.temperature(self.task)

    def see(
        self,
        values: "NDArray[np.float32]",
        embeddings: "NDArray[np.float32]",
        inputs: "Mapping[str, NDArray[np.float32]]",
    ) -> Seen:
        """The figures of answers, their numbers in one row each `[n, ...]`, of embeddings `[n, D]`
        and of inputs (see `input_figures`; of fewer than `n`, or none)."""
        shaped = self.shaped(values)
        return seen(self.reference, self.task, self.temperature, shaped, embeddings, inputs)

    def shaped(self, values: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """The numbers of answers, of one row each, as the kind of answer has them."""
        return values.reshape(len(values), *self.reference.values.shape[1:])

    def sketch(self, found: Seen) -> Sketch:
        """Their counts. Sketches of one bundle add up."""
        profile = self.profile
        counted = profile.grid.sketch(found.all())
        return replace(counted, moments=profile.waves.sums(found.projected))
