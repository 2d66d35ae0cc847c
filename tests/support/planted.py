"""A product without training: bundles planted as if they had come all the way to a rollout."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.support.projects import opened

from everloop.action import Action, Outcome
from everloop.errors import Refused
from everloop.ids import BundleId, Json, SnapshotId
from everloop.loop import kinds
from everloop.loop.controller import Step, acquire, take_turn
from everloop.loop.project import Project
from everloop.loop.publish import publish
from everloop.loop.run import stop_servers
from everloop.rollout.service import keep_service
from everloop.state.lease import Fence
from everloop.training.project_code import fingerprint
from everloop_runtime.client import Client

_PRODUCT = """
from everloop.product import Params, Product, Run, TrainingData
from everloop.tasks.image_classification import ImageClassification

product = Product(
    "brightness", task=ImageClassification(classes=["dark", "bright"], size=(8, 8), channels=1)
)


@product.train
def train(data: TrainingData, params: Params, run: Run) -> object:
    raise NotImplementedError
"""

_POLICY = """
level = 1
[rollout]
strategy = "{strategy}"
shares = [0.5]
min_requests = {requests}
soak = "10ms"
deadline = "{deadline}"
[serve]
port = 0
[tracking]
ui = false
[web]
on = false
"""


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def brightness_project(
    folder: Path, *, strategy: str = "canary", deadline: str = "5s", requests: int = 100_000
) -> Project:
    """A project whose bundles are those of `tests.support.bundles`.

    `requests`: what a step must have answered; by default so many that none is ever healthy.
    """
    folder.mkdir(parents=True)
    (folder / "product.py").write_text(_PRODUCT)
    policy = _POLICY.format(strategy=strategy, deadline=deadline, requests=requests)
    (folder / "everloop.toml").write_text(policy)
    return opened(folder)


@dataclass
class Planted:
    """A running product with a champion, whose loop takes turns when the test says so."""

    project: Project
    fence: Fence
    client: Client

    def turn(self) -> tuple[Step, ...]:
        """One whole turn of the loop, on what the service has captured so far."""
        self.client.flush()
        return take_turn(self.project, self.fence, now)[1]

    def turns_until(self, kind: str, most: int = 60) -> Step:
        """Turns are taken until an Action of a kind is done."""
        for _ in range(most):
            for step in self.turn():
                action = step.decision.action
                assert step.outcome.error is None, step.outcome.error
                if action is not None and action.kind == kind:
                    return step
        raise AssertionError(f"{kind} never came")

    def asked(self, kind: str, inputs: dict[str, Json]) -> str:
        """What the loop answers to a person who asks for something; it may take some turns."""
        request = self.project.requests.submit(kind, inputs, "ann", now())
        for _ in range(20):
            self.turn()
            if (answer := self.project.requests.answer(request)) is not None:
                return answer
        raise AssertionError(f"{kind} was never answered")

    def try_out(self, bundle: BundleId) -> None:
        """The bundle is pursued by the loop as one that passed gates, approval and replay."""
        project, policy, snapshot = self.project, self.project.policy, SnapshotId("s" * 64)
        champion = project.releases.current().champion
        code = fingerprint(project.layout.project)
        train = kinds.train(policy, snapshot, code)
        assert champion is not None
        self._done(train, {"bundle": bundle})
        self._done(kinds.track(train), {})
        self._done(kinds.evaluate(policy, bundle, snapshot), {"evaluation": "e"})
        self._done(kinds.evaluate(policy, champion, snapshot), {"evaluation": "e"})
        self._done(kinds.gate(policy, bundle, snapshot, champion), {"passed": True})
        self._done(kinds.register(bundle), {"version": 1})
        project.decisions.record(bundle, approved=True, by="rule", comment="", now=now())
        self._done(kinds.verify(policy, bundle, snapshot, "e"), {"passed": True})

    def _done(self, action: Action, result: dict[str, Json]) -> None:
        journal = self.project.journal
        journal.intend(action, "planted", "planted", self.fence, now())
        journal.finish(action.key, Outcome(True, result=result), self.fence, now())


def vouch_for(project: Project, fence: Fence, bundle: BundleId) -> None:
    """The bundle passed gates, approval and replay, and nobody brings it to traffic."""
    snapshot, policy = SnapshotId("o" * 64), project.policy
    passed: dict[str, Json] = {"passed": True, "reasons": []}
    gate, verify = (
        kinds.gate(policy, bundle, snapshot, None),
        kinds.verify(policy, bundle, snapshot, "e"),
    )
    for action in (gate, verify):
        project.journal.intend(action, "planted", "planted", fence, now())
        project.journal.finish(action.key, Outcome(True, result=passed), fence, now())
    project.decisions.record(bundle, approved=True, by="rule", comment="", now=now())


@contextmanager
def planted(project: Project, champion: BundleId) -> Iterator[Planted]:
    """The project's real service over a champion; stopped on leaving."""
    fence = acquire(project, now())
    if fence is None:
        raise Refused("another controller runs")
    project.releases.promote(champion, fence, now())
    publish(project, now())
    command = (sys.executable, "-m", "everloop_runtime.main")
    address = keep_service(project.layout, command, "127.0.0.1", 0)
    try:
        with address.client(timeout=20) as client:
            client.wait_ready(60)
            yield Planted(project, fence, client)
    finally:
        stop_servers(project)
        project.leases.release(fence)
