"""What was found and reported of samples: taken out when they are forgotten."""

from collections.abc import Collection, Mapping

from everloop.evaluation.cards.page import without
from everloop.ids import Json, SampleId
from everloop.loop.daily import ID_SHOWN
from everloop.loop.project import Project
from everloop.monitoring.finding import FINDINGS
from everloop_runtime.files import write_atomic

_JUDGING = "monitor"
"""The Action whose findings name samples."""


def drop_reported(project: Project, samples: Collection[SampleId]) -> int:
    """Take the pictures of samples out of all reports; how many reports that were.

    The PDF of such a report goes: it cannot be mended. What was sent is with those who got it.
    """
    names = frozenset(sample[:ID_SHOWN] for sample in samples)
    dropped = 0
    for path in sorted(project.layout.reports.glob("*.html")):
        told = path.read_text(encoding="utf-8")
        if (kept := without(told, names)) != told:
            # The PDF first: killed in between, the page still tells that it is to be done.
            path.with_suffix(".pdf").unlink(missing_ok=True)
            write_atomic(path, kept.encode())
            dropped += 1
    return dropped


def drop_found(project: Project, samples: Collection[SampleId]) -> int:
    """Take samples out of the findings that name them; of how many windows."""

    def without_them(result: Mapping[str, Json]) -> Mapping[str, Json] | None:
        findings = result.get(FINDINGS)
        if not isinstance(findings, list):
            return None
        kept = [_without(each, samples) for each in findings]
        return None if kept == findings else {**result, FINDINGS: kept}

    return project.journal.amend(_JUDGING, without_them)


def _without(finding: Json, samples: Collection[SampleId]) -> Json:
    named = finding.get("samples") if isinstance(finding, dict) else None
    if not isinstance(finding, dict) or not isinstance(named, list):
        return finding
    return {**finding, "samples": [name for name in named if name not in samples]}
