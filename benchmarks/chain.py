"""A chain of Actions that do nothing, each decided from the journal: the loop's own cost.

Run as `python chain.py PROJECT STEPS`. The project is opened as every command opens it; each step
is decided when the one before has its outcome, and journalled before and after.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from everloop.action import Action, Outcome
from everloop.app.assemble import assemble
from everloop.loop import act
from everloop.loop.controller import acquire
from everloop.loop.decision import Decision
from everloop.loop.project import Project, Turn


def _nothing(_project: Project, _turn: Turn, _action: Action) -> Outcome:
    return Outcome(final=True)


def _now() -> datetime:
    return datetime.now(UTC)


def main(path: str, steps: int) -> int:
    """How many steps were open and are done now."""
    act.HANDLERS = {"nothing": _nothing}
    project = assemble(Path(path))
    fence = acquire(project, _now())
    if fence is None:
        raise SystemExit("another controller runs here")
    chain = [Action("nothing", {"step": step}) for step in range(steps)]
    done = 0
    while True:
        known = project.journal.entries(("nothing",))
        waiting = [action for action in chain if action.key not in known]
        if not waiting:
            break
        act.perform(project, Turn(fence, _now()), Decision("chain", waiting[0], "next"), _now)
        done += 1
    project.leases.release(fence)
    return done


if __name__ == "__main__":
    sys.stdout.write(f"{main(sys.argv[1], int(sys.argv[2]))}\n")
