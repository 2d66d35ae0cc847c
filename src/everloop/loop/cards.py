"""The card of a version, gathered from the stores and written beside the others."""

import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from everloop.action import Entry
from everloop.errors import Refused
from everloop.evaluation.cards.blocks import Card
from everloop.evaluation.cards.compose import compose
from everloop.evaluation.cards.markdown import markdown
from everloop.evaluation.cards.page import page
from everloop.evaluation.cards.told import Beside, Signed, Told
from everloop.evaluation.comparison import Comparison, Difference
from everloop.evaluation.evaluate import load
from everloop.evaluation.report import Report, load_report
from everloop.ids import BundleId, Json, SampleId, SnapshotId
from everloop.loop.four_eyes import lacking
from everloop.loop.project import Project
from everloop_runtime.bundle import open_bundle
from everloop_runtime.files import write_atomic

_VERSION = 16


def write_card(project: Project, bundle: BundleId) -> str:
    """Write the card of a bundle as Markdown and as HTML; the Markdown is returned."""
    card = card_of(project, bundle)
    text, folder = markdown(card), project.layout.cards
    write_atomic(folder / f"{bundle}.md", text.encode())
    write_atomic(folder / f"{bundle}.html", page(card).encode())
    return text


def card_of(project: Project, bundle: BundleId) -> Card:
    """The card as it is now; `Refused` when the bundle was not evaluated."""
    opened = open_bundle(project.layout.bundles / bundle, bundle)
    snapshot = SnapshotId(str(opened.manifest.lineage["snapshot"]))
    result = latest(project, "evaluate", bundle=bundle, snapshot=snapshot)
    if result is None:
        raise Refused(f"bundle {bundle[:8]} was not evaluated yet; everloop evaluate does it")
    name = result.get("report")
    report = None if name is None else load_report(project.layout.evaluations, str(name))
    pictures, why = _pictures(project, bundle, report)
    gate = latest(project, "gate", bundle=bundle) or {}
    decision = project.decisions.of(bundle)
    return compose(
        Told(
            bundle=bundle,
            draft=opened.manifest,
            evaluation=load(project.layout.evaluations, str(result["evaluation"])),
            said=project.policy.card,
            report=report,
            data=project.data.snapshots.open(snapshot).about,
            verdict=_reasons(gate),
            beside=_beside(gate.get("comparison")),
            checklist=signed(project, bundle),
            decision=""
            if decision is None
            else f"{'Approved' if decision.approved else 'Rejected'} by {decision.by}, "
            f"{decision.at.isoformat()[:19]}. {decision.comment}{_half(project, bundle)}",
            pictures=pictures,
            no_pictures=why,
        )
    )


def _half(project: Project, bundle: BundleId) -> str:
    why = lacking(project, bundle)
    return "" if why is None else f" This is not enough: {why}."


def signed(project: Project, bundle: BundleId) -> tuple[Signed, ...]:
    """The policy's questions and what was answered to them."""
    answers = project.checklists.of(bundle)
    found = []
    for question in project.policy.approval.checklist.values():
        given = answers.get(question)
        found.append(
            Signed(question, None)
            if given is None
            else Signed(question, given.answer, given.comment, given.by, given.at)
        )
    return tuple(found)


def latest(project: Project, kind: str, **inputs: Json) -> Mapping[str, Json] | None:
    """The result of the Action of a kind that succeeded last, with these inputs among its own."""
    done: list[Entry] = [
        entry
        for entry in project.journal.entries((kind,)).values()
        if entry.outcome is not None
        and entry.outcome.succeeded
        and inputs.items() <= dict(entry.action.inputs).items()
    ]
    newest = max(done, key=lambda entry: entry.finished_at or entry.intended_at, default=None)
    return None if newest is None or newest.outcome is None else newest.outcome.result


def comparison_json(champion: BundleId, found: Comparison) -> dict[str, Json]:
    """A comparison as the journal keeps it."""
    return {
        "champion": champion,
        "test": found.test,
        "p_worse": found.p_worse,
        "p_better": found.p_better,
        "differences": {
            name: [_number(v) for v in (d.candidate, d.champion, d.low, d.high, d.p_lower)]
            for name, d in found.differences.items()
        },
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _beside(told: Any) -> Beside | None:
    if not isinstance(told, Mapping):
        return None
    differences = {
        str(name): Difference(*(math.nan if v is None else float(v) for v in figures))
        for name, figures in told["differences"].items()
    }
    return Beside(str(told["champion"]), str(told["test"]), float(told["p_worse"]), differences)


def _reasons(gate: Mapping[str, Json]) -> tuple[str, ...]:
    checks = gate.get("checks")
    if not isinstance(checks, list):
        return ()
    return tuple(str(check["reason"]) for check in checks if isinstance(check, Mapping))


def _pictures(
    project: Project, bundle: BundleId, report: Report | None
) -> tuple[dict[SampleId, bytes], str]:
    """The pictures of the worst answers, unless they passed another privacy policy than today's."""
    if report is None or report.privacy is None:
        return {}, ""
    if project.rules.version != report.privacy:
        return {}, "No pictures: those there are passed another privacy policy than today's."
    forgotten = project.data.forgotten.ids()
    folder, found = project.layout.card_pictures(bundle), {}
    for each in report.examples:
        if each.picture is not None and each.sample not in forgotten:
            path = folder / each.picture
            if path.is_file():
                found[each.sample] = path.read_bytes()
    return found, ""


def drop_pictures(project: Project, samples: Collection[SampleId]) -> int:
    """Remove the pictures of samples from all cards, and write those cards again; how many.

    The page of a card that cannot be written again, as its bundle is gone, goes with them.
    """
    dropped = 0
    folder = project.layout.cards
    for place in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not place.is_dir():
            continue
        found = [path for path in place.iterdir() if path.name.split(".")[0] in samples]
        if not found:
            continue
        bundle = BundleId(place.name)
        # The page first: killed in between, the pictures are still found the next time.
        (folder / f"{bundle}.html").unlink(missing_ok=True)
        for path in found:
            path.unlink(missing_ok=True)
        dropped += len(found)
        with suppress(Refused):
            write_card(project, bundle)
    return dropped
