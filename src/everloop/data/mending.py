"""A quarantined file taken in after all: mended by a person, or forced."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from everloop.data.annotations import Annotation, annotation_id
from everloop.data.bad_files import Quarantined
from everloop.data.decoding import Decoders
from everloop.data.examined import FORCEABLE, Bad, DecodingLimits, Examined
from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop_runtime.ids import sample_id

_NO_LIMIT = 2**31


@dataclass(frozen=True, slots=True)
class Hand:
    """Who takes a file in, when, and by which rules."""

    by: str
    now: datetime
    limits: DecodingLimits
    split: SplitRule
    label: str | None = None
    """The text of the label that the person gives it; None leaves it unlabelled."""


def mend(store: DataStore, file: Quarantined, data: bytes, hand: Hand) -> SampleId:
    """Take `data` in instead of a bad file; `Refused` with the reason when it is bad too."""
    found = _examine(data, hand.limits)
    if isinstance(found, Bad):
        raise Refused(f"the mended file is {found.reason} as well: {found.text}")
    sample = _take_in(store, file, data, found, hand)
    store.quarantine.close(file, "mended", by=hand.by, sample=sample, now=hand.now)
    return sample


def force(store: DataStore, file: Quarantined, hand: Hand) -> SampleId:
    """Take a bad file in as it is, where its picture can be decoded.

    Raises `Refused` when it cannot, or when its bytes are not to be had any more.
    """
    if not file.can_be_forced:
        told = ", ".join(sorted(FORCEABLE))
        raise Refused(f"a file that is {file.reason} cannot be forced; one that is {told} can")
    data = bytes_of(store, file)
    if data is None:
        raise Refused(f"the bytes of {file.name} are neither kept nor at {file.where} any more")
    found = _examine(
        data,
        DecodingLimits(
            hand.limits.image, _NO_LIMIT, hand.limits.seconds, hand.limits.memory, hand.limits.tries
        ),
    )
    if isinstance(found, Bad):
        raise Refused(f"it cannot be decoded: {found.text}")
    sample = _take_in(store, file, data, found, hand)
    store.quarantine.close(file, "forced", by=hand.by, sample=sample, now=hand.now)
    return sample


def bytes_of(store: DataStore, file: Quarantined) -> bytes | None:
    """A bad file's bytes: those kept, or those still in its place if they are the same."""
    kept = store.quarantine.bytes_of(file)
    if kept is not None or not file.digest:
        return kept
    place = Path(file.where)
    if not place.is_file() or place.stat().st_size != file.size:
        return None
    data = place.read_bytes()
    return data if sample_id(data) == file.digest else None


def _examine(data: bytes, limits: DecodingLimits) -> Examined | Bad:
    with Decoders[None](limits, workers=1) as decoders:
        return next(found for _, _, found in decoders.examine([(None, data)]))


def _take_in(
    store: DataStore, file: Quarantined, data: bytes, found: Examined, hand: Hand
) -> SampleId:
    sample = sample_id(data)
    origin = Path(file.source).name
    new = NewSample(data, file.name, file.source, origin, found.format, found.width, found.height)
    store.examinations.append({sample: found})
    store.samples.add([new], hand.now, split=hand.split)
    if hand.label is not None:
        occasion = f"quarantine:{file.id}"
        name = annotation_id(sample, hand.label, hand.by, occasion)
        store.annotations.append(
            [Annotation(name, sample, hand.label, hand.by, "person", None, hand.now, occasion)]
        )
    return sample
