"""The part of the training side that trials are judged on; the hold-out stays unseen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from everloop.data.store import DataStore
from everloop.data.training_data import SnapshotSide
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop.tasks.task import Learnable
from everloop_runtime.ids import digest_bytes

_SALT = "validation"


def divide(
    store: DataStore, data: SnapshotSide, task: Learnable, share: float, *, newest: bool
) -> tuple[SnapshotSide, SnapshotSide]:
    """What trials learn from, and what they are judged on: about `share` of the samples.

    By their time where `newest` says so, else by hash: whole groups (one patient, one session)
    where there are any, of each class alike where a sample has one. The same samples give the same
    parts. Raises `Refused` when one of them would be empty.
    """
    if newest:
        moments = _moments(store, data.samples)
        chosen = latest(data.samples, moments, share)
    else:
        placed = store.samples.places(data.samples)
        groups = {name: place.group for name, place in placed.items() if place.group is not None}
        stratum = data.texts if task.label_kind == "class" and not groups else None
        chosen = by_hash(data.samples, groups, stratum, share)
    rows = [row for row, name in enumerate(data.samples) if name in chosen]
    others = [row for row, name in enumerate(data.samples) if name not in chosen]
    if not rows or not others:
        raise Refused(
            f"{len(data.samples)} training samples cannot be divided into a part to learn from and "
            f"a share of {share:g} to judge on; label more, or give another --validation"
        )
    return _part(data, others, task), _part(data, rows, task)


def by_hash(
    samples: Sequence[SampleId],
    groups: Mapping[SampleId, str],
    stratum: Sequence[str] | None,
    share: float,
) -> set[SampleId]:
    """About `share` of the samples, whole groups, of each stratum alike.

    >>> sorted(by_hash([SampleId("a"), SampleId("b"), SampleId("c")], {}, None, 0.3))
    ['b']
    """
    strata: dict[str, dict[str, list[SampleId]]] = {}
    for at, name in enumerate(samples):
        units = strata.setdefault("" if stratum is None else stratum[at], {})
        units.setdefault(groups.get(name, name), []).append(name)
    chosen: set[SampleId] = set()
    for units in strata.values():
        left = round(share * sum(map(len, units.values())))
        for unit in sorted(units, key=lambda unit: digest_bytes(f"{_SALT} {unit}".encode())):
            if left <= 0:
                break
            chosen.update(units[unit])
            left -= len(units[unit])
    return chosen


def latest(
    samples: Sequence[SampleId], moments: Mapping[SampleId, datetime], share: float
) -> set[SampleId]:
    """The newest samples, about `share` of all; what has no time counts as the oldest.

    Raises `Refused` when none has a time.
    """
    dated = sorted((moments[name], name) for name in samples if name in moments)
    if not dated:
        raise Refused('[data] split = "time", and no training sample has a time')
    first = max(0, len(dated) - max(1, round(share * len(samples))))
    # What came about at one moment is on one side.
    begins = dated[first][0]
    return {name for moment, name in dated if moment >= begins}


def _moments(store: DataStore, samples: Sequence[SampleId]) -> dict[SampleId, datetime]:
    facts, wanted = store.samples.facts(), set(samples)
    columns = (facts.column(name).to_pylist() for name in ("id", "taken_at"))
    return {
        name: moment
        for name, moment in zip(*columns, strict=True)
        if name in wanted and moment is not None
    }


def _part(data: SnapshotSide, rows: Sequence[int], task: Learnable) -> SnapshotSide:
    texts = tuple(data.texts[row] for row in rows)
    return replace(
        data,
        samples=tuple(data.samples[row] for row in rows),
        origins=tuple(data.origins[row] for row in rows),
        inputs=data.inputs[list(rows)],
        texts=texts,
        targets=task.targets(texts),
    )
