"""Starting and ending A/B tests, each change in one transaction with that of the release."""

from datetime import datetime

from everloop.errors import Conflict
from everloop.ids import BundleId
from everloop.state import experiments
from everloop.state.database import Database
from everloop.state.experiments import Experiment
from everloop.state.lease import Fence, check_fence
from everloop.state.releases import NO_CANARY, change, current


class Experiments:
    """The experiments of a project; at most one runs. Doing the same twice changes nothing.

    A change of the champion ends the one that runs: `state.releases` sees to that.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[Experiment, ...]:
        """Every experiment, oldest first."""
        with self._database.read() as connection:
            return experiments.all_experiments(connection)

    def start(self, experiment: Experiment, fence: Fence, now: datetime) -> None:
        """Give variants their shares; a candidate that is one of them is no candidate any more.

        Raises `Conflict` while another experiment runs or another bundle is a candidate. Nothing
        is done when an experiment of this name was started before, whatever became of it.
        """
        with self._database.write() as connection:
            check_fence(connection, fence)
            was = current(connection)
            if experiments.is_known(connection, experiment.name):
                return
            if was.experiment is not None:
                raise Conflict(f"experiment {was.experiment.name} runs already")
            if was.canary is not None and experiment.variant(was.canary.bundle) is None:
                raise Conflict(f"bundle {was.canary.bundle[:8]} is a candidate")
            experiments.begin(connection, experiment)
            change(connection, was, now, "experiment", None, experiment.told(), NO_CANARY)

    def take_out(
        self, name: str, bundle: BundleId, reason: str, fence: Fence, now: datetime
    ) -> None:
        """Take a variant's share back; without variants an experiment is over."""
        with self._database.write() as connection:
            check_fence(connection, fence)
            was = current(connection)
            running = was.experiment
            if running is None or running.name != name:
                return
            if bundle not in {variant.bundle for variant in running.live}:
                return
            experiments.take_out(connection, name, bundle, reason, now)
            told = f"{name}: {reason}"
            if len(running.live) == 1:
                experiments.end(connection, name, "all its variants were taken out", now)
                told = f"{told}; no variant is left: the experiment is over"
            change(connection, was, now, "variant out", bundle, told, {})

    def end(self, name: str, reason: str, fence: Fence, now: datetime) -> None:
        """Return the shares of an experiment's variants to the champion."""
        with self._database.write() as connection:
            check_fence(connection, fence)
            was = current(connection)
            if was.experiment is None or was.experiment.name != name:
                return
            experiments.end(connection, name, reason, now)
            change(connection, was, now, "experiment ended", None, f"{name}: {reason}", {})
