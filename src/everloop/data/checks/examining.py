"""Samples examined after they came: what was captured, or stored before pictures were examined."""

from collections.abc import Iterator, Sequence

from everloop.data.decoding import Decoders
from everloop.data.examinations import ExaminationLog
from everloop.data.examined import Bad, DecodingLimits
from everloop.data.owner import owner_only
from everloop.data.store import DataStore
from everloop.ids import SampleId

_READ = 256


def examine_missing(
    store: DataStore, samples: Sequence[SampleId], limits: DecodingLimits
) -> Sequence[tuple[SampleId, Bad]]:
    """See to it that each sample has its row in `store.examinations`; those that are bad."""
    missing = store.examinations.missing(samples)
    bad: list[tuple[SampleId, Bad]] = []
    if not missing:
        return bad
    log = ExaminationLog(store.examinations)
    with Decoders[SampleId](limits) as decoders, log:
        for sample, _, found in decoders.examine(_read(store, missing)):
            if isinstance(found, Bad):
                bad.append((sample, found))
            else:
                log.add(sample, found)
    return bad


def _read(store: DataStore, samples: Sequence[SampleId]) -> Iterator[tuple[SampleId, bytes]]:
    for start in range(0, len(samples), _READ):
        part = samples[start : start + _READ]
        yield from zip(part, owner_only(store.samples, part), strict=True)
