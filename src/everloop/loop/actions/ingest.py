"""Take what is new in a source into the store."""

from collections.abc import Mapping
from dataclasses import replace

from everloop.action import Action, Outcome
from everloop.data.ingest import ingest as take_in
from everloop.loop.project import Project, Turn


def ingest(project: Project, turn: Turn, action: Action) -> Outcome:
    """Every sample of the source is in the store, or quarantined with its reason."""
    source = str(action.inputs["source"])
    columns = action.inputs.get("columns")
    rules = project.ingest_rules
    if isinstance(columns, Mapping):
        told = {what: str(name) for what, name in columns.items()}
        rules = replace(rules, columns={**rules.columns, **told})
    named = action.inputs.get("format") or project.policy.data.formats.get(source)
    report = take_in(
        project.data,
        project.location(source),
        source=source,
        rules=rules,
        now=turn.now,
        format_name=None if named is None else str(named),
    )
    return Outcome(final=True, result=report.as_json())
