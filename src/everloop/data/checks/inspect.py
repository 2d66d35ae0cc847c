"""All checks of a store, or of one snapshot, put together in one report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.data.checks.duplicates import TINY, Pair, near_duplicates
from everloop.data.checks.enough import Enough, Needs, enough_to_start, imbalance
from everloop.data.checks.examining import examine_missing
from everloop.data.checks.finding import Finding, Item, present
from everloop.data.checks.labelled import Labelled, contradictions, sizes_of, wrong_labels
from everloop.data.checks.pictures import odd_pictures
from everloop.data.examined import DecodingLimits
from everloop.data.store import DataStore
from everloop.ids import Json, SampleId, SnapshotId

if TYPE_CHECKING:
    import pyarrow as pa

_ROW = "ROW"
_ORDER = ("stop", "mend", "look", "know")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is checked, and against what."""

    classes: Sequence[str]
    needs: Needs
    limits: DecodingLimits
    snapshot: SnapshotId | None = None
    """Only what it pins, with the labels it pins."""
    source: str | None = None
    """Only what came from this source."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found."""

    samples: int
    labelled: int
    quarantined: Mapping[str, int]
    """Files that are set aside, by reason; of the whole store."""
    findings: Sequence[Finding]
    """The gravest first."""
    enough: Enough
    names: Mapping[SampleId, str]
    """What their sources call the samples that findings are about."""

    def as_json(self, most: int | None = None) -> dict[str, Json]:
        """The report, with the first `most` cases of each finding."""
        return {
            "samples": self.samples,
            "labelled": self.labelled,
            "quarantined": dict(self.quarantined),
            "findings": [finding.as_json(most) for finding in self.findings],
            "enough": self.enough.as_json(),
            "names": {str(sample): name for sample, name in self.names.items()},
        }


@dataclass(frozen=True, slots=True)
class _Fact:
    source: str
    name: str
    side: str
    is_picture: bool


def inspect(store: DataStore, wanted: Wanted) -> Report:
    """Check everything that `wanted` names. Samples that were never examined are, first."""
    facts = _facts(store)
    labels = _labels(store, wanted)
    chosen = [
        sample
        for sample, fact in facts.items()
        if (wanted.snapshot is None or sample in labels)
        and (wanted.source is None or fact.source == wanted.source)
    ]
    pictures = [sample for sample in chosen if facts[sample].is_picture]
    undecodable = examine_missing(store, pictures, wanted.limits)
    missing = frozenset(store.examinations.missing(pictures))
    pictures = [sample for sample in pictures if sample not in missing]
    figures = store.examinations.figures(pictures)
    sizes = sizes_of(
        pictures,
        *(figures.column(name).to_pylist() for name in ("width", "height", "orientation")),
    )
    labelled = [
        Labelled(sample, side, label, by, sizes.get(sample))
        for sample in chosen
        if sample in labels
        for side, label, by in (labels[sample],)
    ]
    pairs = _pairs(store, pictures)
    sides = {s: labels[s][0] if s in labels else facts[s].side for s in pictures}
    enough = enough_to_start(labelled, wanted.classes, wanted.needs)
    broken = [Item(bad.text, (sample,)) for sample, bad in undecodable]
    findings = [
        *present(Finding("undecodable", "mend", "samples that cannot be decoded", "", (*broken,))),
        *_near(pictures, sides, pairs),
        *_contradicting(pictures, labelled, pairs),
        *wrong_labels(labelled, wanted.classes),
        *present(_exact(store, facts, chosen)),
        *odd_pictures(pictures, figures),
        *imbalance(enough),
    ]
    findings.sort(key=lambda finding: _ORDER.index(finding.weight))
    named = {sample for f in findings for item in f.items for sample in item.samples}
    return Report(
        len(chosen),
        len(labelled),
        store.quarantine.counts(),
        tuple(findings),
        enough,
        {sample: facts[sample].name for sample in sorted(named) if sample in facts},
    )


def _facts(store: DataStore) -> Mapping[SampleId, _Fact]:
    rows = store.samples.facts()
    columns = (rows.column(name).to_pylist() for name in ("id", "source", "name", "side", "format"))
    found: dict[SampleId, _Fact] = {}
    for sample, source, name, side, form in zip(*columns, strict=True):
        found.setdefault(SampleId(sample), _Fact(source, name, side, form != _ROW))
    return found


def _labels(store: DataStore, wanted: Wanted) -> Mapping[SampleId, tuple[str, str, str]]:
    """Side, label and author of each labelled sample."""
    if wanted.snapshot is None:
        with store.catalogue.view() as view:
            return {
                sample: told
                for part in view.all_pinnable()
                for sample, told in _labels_of(part).items()
            }
    return _labels_of(store.snapshots.open(wanted.snapshot).rows)


def _labels_of(rows: "pa.Table") -> dict[SampleId, tuple[str, str, str]]:
    columns = (rows.column(name).to_pylist() for name in ("sample", "side", "label", "by"))
    return {sample: (side, label, by) for sample, side, label, by in zip(*columns, strict=True)}


def _pairs(store: DataStore, pictures: Sequence[SampleId]) -> Sequence[Pair]:
    known = store.examinations
    return near_duplicates(
        known.signatures(pictures),
        lambda rows: known.thumbnails([pictures[row] for row in rows]),
        lambda rows: known.shorter_sides([pictures[row] for row in rows]) < TINY,
    )


def _near(
    pictures: Sequence[SampleId], sides: Mapping[SampleId, str], pairs: Sequence[Pair]
) -> Sequence[Finding]:
    across: list[Item] = []
    within: list[Item] = []
    for pair in pairs:
        both = (pictures[pair.first], pictures[pair.second])
        one, other = (sides[sample] for sample in both)
        told = f"{one} and {other}, {pair.left:.1%} of the variance is not shared"
        (within if one == other else across).append(Item(told, both))
    why = (
        "laid over each other, less than 10% of the variance is not shared, and less than a "
        "twelfth of what the pictures that look most like them leave"
    )
    return present(
        Finding(
            "near-duplicates-across-sides", "stop", "near duplicates across the two sides",
            f"a model that learnt one knows the other: the hold-out flatters it; {why}",
            tuple(across),
        ),
        Finding("near-duplicates", "look", "near duplicates on one side", why, tuple(within)),
    )  # fmt: skip


def _contradicting(
    pictures: Sequence[SampleId], labelled: Sequence[Labelled], pairs: Sequence[Pair]
) -> Sequence[Finding]:
    row_of = {row.sample: number for number, row in enumerate(labelled)}
    known = [
        Pair(row_of[pictures[pair.first]], row_of[pictures[pair.second]], pair.left)
        for pair in pairs
        if pictures[pair.first] in row_of and pictures[pair.second] in row_of
    ]
    return contradictions(labelled, known)


def _exact(
    store: DataStore, facts: Mapping[SampleId, _Fact], chosen: Sequence[SampleId]
) -> Finding:
    among = set(chosen)
    items = []
    for sample, files in sorted(store.twins.names().items()):
        if sample not in among:
            continue
        first = (facts[sample].source, facts[sample].name)
        names = sorted({first, *files})
        if len(names) > 1:
            items.append(Item(" and ".join(name for _, name in names), (sample,)))
    why = "files of the same bytes; they are one sample, on one side, and count once"
    return Finding("exact-duplicates", "know", "exact duplicates", why, tuple(items))
