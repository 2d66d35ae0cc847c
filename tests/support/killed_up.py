"""`everloop up` that kills itself, once at each boundary of each kind of Action.

Its arguments are the project and a ledger. The boundaries are: `intended` (the
journal knows of the Action, nothing was done), and `done` (the Action had its effect, the
journal does not know). The ledger says which were met in earlier lives.
"""

import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from everloop.action import Action, Entry, Outcome
from everloop.app.main import main
from everloop.ids import ActionKey
from everloop.state.journal import Journal
from everloop.state.lease import Fence


def _die_once(ledger: Path, boundary: str) -> None:
    met = ledger.read_text().splitlines() if ledger.exists() else []
    if boundary in met:
        return
    with ledger.open("a") as file:
        file.write(boundary + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.kill(os.getpid(), signal.SIGKILL)


def killed_up() -> int:
    """The exit code of an `up` that met no new boundary; otherwise it does not return."""
    project, ledger = sys.argv[1], Path(sys.argv[2])
    intend, finish = Journal.intend, Journal.finish

    def intend_then_die(
        self: Journal, action: Action, arm: str, reason: str, fence: Fence, now: datetime
    ) -> Entry:
        entry = intend(self, action, arm, reason, fence, now)
        _die_once(ledger, f"{action.kind} intended")
        return entry

    def die_then_finish(
        self: Journal, key: ActionKey, outcome: Outcome, fence: Fence, now: datetime
    ) -> None:
        if outcome.final:
            _die_once(ledger, f"{key.rpartition('-')[0]} done")
        finish(self, key, outcome, fence, now)

    Journal.intend = intend_then_die  # type: ignore[method-assign]
    Journal.finish = die_then_finish  # type: ignore[method-assign]
    sys.argv = ["everloop", "up", "--project", project]
    return main()
