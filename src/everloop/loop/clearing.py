"""The privacy gate: samples filtered by a job, judged, and written into the book of clearances.

Every label task passes here, whoever asks for it; nothing else writes into the book.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from everloop.compute.job import Failed, Running
from everloop.errors import Refused
from everloop.ids import ActionKey, Json, PolicyVersion, SampleId
from everloop.loop.actions.jobs import job_state
from everloop.loop.project import Project, Turn
from everloop.state.clearances import Cleared, Judged
from everloop_runtime.ids import digest_json


@dataclass(frozen=True, slots=True)
class Judgement:
    """What labellers may see of the samples that were asked about, and what not."""

    cleared: Mapping[SampleId, Cleared]
    held: Mapping[SampleId, str]
    """Held back, and why."""


def clear(project: Project, turn: Turn, samples: Sequence[SampleId]) -> Judgement | None:
    """Judge samples by the privacy rules in force; None while the filters are still at work.

    Those judged before are not filtered again. Killed anywhere and asked again, it goes on
    where it was. Raises `Refused` when the gate is closed or the filters failed for good.
    """
    version = open_gate(project)
    known = project.clearances.of(samples, version)
    missing = [sample for sample in samples if sample not in known]
    if missing:
        if not _filtered(project, missing, version):
            return None
        _write_down(project, turn, missing, version)
        known = project.clearances.of(samples, version)
    held = {s: line.reason or "" for s, line in known.items() if line.verdict == "held"}
    return Judgement(project.clearances.cleared(samples, version), held)


def open_gate(project: Project) -> PolicyVersion:
    """The policy version in force; `Refused` with the reason when the gate is closed."""
    if project.rules.version is None:
        raise Refused(f"the privacy gate is closed: {project.rules.closed}")
    return project.rules.version


def _filtered(project: Project, samples: Sequence[SampleId], version: PolicyVersion) -> bool:
    """Whether the job has a rendition, or a reason for none, of each sample."""
    policy = project.policy.privacy
    # With other bounds a failed job is worth another start, so they are part of its name.
    bounds = [policy.workers, policy.patience.total_seconds(), policy.timeout.total_seconds()]
    key = ActionKey(f"filter-{digest_json([version, bounds, list(samples)])[:32]}")
    data = project.policy.data
    inputs: dict[str, Json] = {
        "samples": list(samples),
        "version": version,
        "privacy": project.rules.policy.model_dump(mode="json"),
        "moderates": project.declaration.moderates,
        "code": project.declaration.code,
        "limits": {"max_bytes": data.max_bytes, "max_pixels": data.max_pixels},
    }
    state = job_state(project, key, "filter", inputs, policy.timeout)
    if isinstance(state, Failed):
        raise Refused(f"the privacy filters failed: {state.reason}")
    return not isinstance(state, Running)


def _write_down(
    project: Project, turn: Turn, samples: Sequence[SampleId], version: PolicyVersion
) -> None:
    made = project.data.renditions.of(samples, version)
    lines = [Judged(sample, version, facts.id, facts.held) for sample, facts in made.items()]
    project.clearances.record(lines, turn.fence, turn.now)
