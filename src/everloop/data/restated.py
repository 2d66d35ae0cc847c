"""What a source says of samples now, beside what it said before: only a change is news."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from everloop.data.annotations import Annotation, Annotations, annotation_id
from everloop.ids import SampleId

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Stating:
    """Who says it."""

    by: str
    origin: str
    now: datetime

    def statement(self, sample: SampleId, label: str, before: Annotation | None) -> Annotation:
        """That a sample is labelled so; `before`: what they said of it last."""
        supersedes = None if before is None else before.id
        name = annotation_id(sample, label, self.by, self.origin, supersedes=supersedes)
        # The later statement stands, also where the clock was put back in between.
        at = self.now if before is None else max(self.now, before.at + _TICK)
        return Annotation(name, sample, label, self.by, "import", None, at, self.origin)


def restate(
    annotations: Annotations,
    labels: Mapping[SampleId, str],
    standing: Mapping[SampleId, Annotation],
    stating: Stating,
) -> int:
    """Record what a source says of samples, and return how many statements were new.

    `standing`: their standing labels, whoever gave them. What the source said last already is
    passed over, however often it says it; what differs is a statement of its own, named by the
    one it supersedes, also where it returns to an older label.
    """
    before = {sample: told for sample, told in standing.items() if told.by == stating.by}
    # Where another's word stands, the source's own last one is only in the history.
    hidden = [s for s, told in standing.items() if told.by != stating.by and s in labels]
    if hidden:
        before |= annotations.last_by(stating.by, hidden)
    return annotations.append(
        [
            stating.statement(sample, label, before.get(sample))
            for sample, label in labels.items()
            if sample not in before or before[sample].label != label
        ]
    )
