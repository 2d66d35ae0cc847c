"""A world in memory that Actions act on, for the tests of `decide`.

It holds the invariants of the loop itself: whatever is decided, an Action that breaks one of
them fails the test at once.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from tests.support.clock import START

from everloop.action import Action, Entry, Outcome
from everloop.ids import BundleId, Json, PolicyVersion
from everloop.labelling.prelabel import Rule
from everloop.loop.actions.release import MODES
from everloop.loop.arms.experiment import variants_of
from everloop.loop.decide import decide
from everloop.loop.decision import Decision
from everloop.loop.world import (
    Audit,
    Gate,
    Labels,
    Prelabels,
    Queue,
    Request,
    Service,
    Source,
    World,
)
from everloop.policy import Policy
from everloop.rollout.figures import Beside, ServedFigures
from everloop.rollout.sequential.quantile import histogram
from everloop.state.experiments import Experiment, Variant
from everloop.state.releases import CanaryState, Release
from everloop_runtime.ids import digest_json


def served(
    requests: int, errors: int = 0, latency_ms: float = 5.0, confidence: float = 0.9
) -> ServedFigures:
    """Figures of a bundle whose answers all took the same time and were as sure."""
    answered = requests - errors
    return ServedFigures(
        requests=requests,
        errors=errors,
        latency=histogram([latency_ms] * answered),
        answers={"cat": answered},
        confidence=answered * confidence,
    )


HEALTHY = served(500)
FAILING = served(500, 400)


def empty_world() -> World:
    """Nothing has happened yet."""
    return World(
        now=START,
        code="c" * 8,
        labels=Labels("0", 0, 0),
        queue=Queue(0, None, 0, None, None),
        release=Release(),
        gate=Gate(PolicyVersion("a" * 64)),
        service=Service(0, {}),
    )


class Simulation:
    """A world, and what Actions make of it. `chance` says yes or no where the world could."""

    def __init__(self, policy: Policy, chance: Callable[[], bool] = lambda: True) -> None:
        self.policy = policy
        self.world = empty_world()
        self.chance = chance
        self.done: list[Action] = []
        self._segment_answers = 0
        self._line: list[BundleId] = []
        """The champions one after another, without those that were sent back."""
        self._sent_back: set[BundleId] = set()
        self._experiments: set[str] = set()
        self._effects: dict[str, Callable[[Action], dict[str, Json]]] = {
            "ingest": self._nothing,
            "track": self._nothing,
            "collect": self._collect,
            "record-answers": self._record,
            "snapshot": self._snapshot,
            "train": lambda action: {"bundle": digest_json(action.key)},
            "evaluate": lambda action: {"evaluation": digest_json(action.key)},
            "gate": self._verdict,
            "verify": self._verdict,
            "register": lambda _: {"version": 1},
            "approve": self._approve,
            "canary": self._canary,
            "promote": self._promote,
            "deploy": self._deploy,
            "rollback": self._roll_back,
            "roll-out": self._roll_out,
            "experiment": self._experiment,
            "take-out": self._take_out,
            "end-experiment": self._end_experiment,
            "monitor": self._monitor,
            "inspect": self._nothing,
            "report": self._nothing,
            "select": self._select,
            "clear": self._clear,
            "prelabel-rule": self._rule,
            "accept": self._accept,
            "withdraw-prelabels": self._withdraw,
            "close-request": self._close,
        }

    def turn(self, *, crash: bool = False, fail: bool = False) -> tuple[Decision, ...]:
        """One turn of the loop. `crash`: it dies before the outcome of its last Action."""
        decisions = decide(self.policy, self.world)
        actions = [d for d in decisions if d.action is not None]
        keys = [d.action.key for d in actions if d.action]
        assert len(keys) == len(set(keys)), "asked for one Action twice in a turn"
        for decision in actions:
            assert decision.action is not None
            self._perform(decision, decision.action, crash=crash and decision is actions[-1],
                          fail=fail)  # fmt: skip
        return decisions

    def _perform(self, decision: Decision, action: Action, *, crash: bool, fail: bool) -> None:
        world = self.world
        entry = world.journal.get(action.key)
        over = entry is not None and entry.outcome is not None and entry.outcome.final
        assert not over, f"{action.kind} was asked for again after its end"
        if entry is None:
            entry = Entry(action, decision.arm, decision.reason, world.now, None, 0, None, None)
        if fail:
            outcome = self._failed(entry)
        else:
            outcome = Outcome(final=True, result=self._effects[action.kind](action))
            self.done.append(action)
        if crash:
            outcome_or_none, finished = entry.outcome, None
        else:
            outcome_or_none = outcome
            finished = world.now if outcome.final else None
        delay = outcome.delay if not crash else None
        self._set(
            journal={
                **self.world.journal,
                action.key: replace(
                    entry,
                    outcome=outcome_or_none,
                    finished_at=finished,
                    failures=entry.failures + (fail and not crash),
                    not_before=None if delay is None else world.now + delay,
                ),
            }
        )

    def _failed(self, entry: Entry) -> Outcome:
        if entry.failures + 1 >= self.policy.loop.attempts:
            return Outcome(final=True, error="it broke for good")
        return Outcome(final=False, delay=timedelta(seconds=5), error="it broke")

    def _set(self, **changes: object) -> None:
        self.world = replace(self.world, **changes)  # type: ignore[arg-type]

    # What happens outside.

    def pass_time(self, seconds: float) -> None:
        self._set(now=self.world.now + timedelta(seconds=seconds))

    def label(self, train: int, holdout: int) -> None:
        labels = self.world.labels
        self._set(
            labels=Labels(
                str(int(labels.version) + 1), labels.train + train, labels.holdout + holdout
            )
        )

    def source(self, listing: str) -> None:
        self._set(sources=(Source("data/labelled", listing, 9),))

    def traffic(self, answers: int) -> None:
        name = f"{len(self.world.journal):06d}-{answers}.sealed"
        self._set(segments=(*self.world.segments, name))
        self._segment_answers = answers

    def people_answer(self, count: int, at: datetime | None = None) -> None:
        queue = self.world.queue
        count = min(count, queue.open)
        if count:
            self._set(
                queue=replace(
                    queue,
                    open=queue.open - count,
                    unrecorded=digest_json([queue.unrecorded, count, str(self.world.now)]),
                    unrecorded_count=queue.unrecorded_count + count,
                    newest_answer=at or self.world.now,
                    oldest_open=queue.oldest_open if queue.open > count else None,
                )
            )

    def ask(self, kind: str, inputs: dict[str, Json]) -> None:
        number = len(self.world.requests) + len(self.done)
        request = Request(f"r{number}", kind, inputs, "ann")
        self._set(requests=(*self.world.requests, request))

    def decide_on(self, bundle: BundleId, *, approved: bool) -> None:
        self._set(decisions={**self.world.decisions, bundle: (approved, "ann")})

    def overtake(self, bundle: BundleId) -> None:
        """A bundle came as far as it could, and another candidate was newer."""
        done = Outcome(final=True, result={"passed": True})
        for kind in ("gate", "verify"):
            action = Action(kind, {"bundle": bundle})
            entry = Entry(action, "then", "then", self.world.now, None, 0, done, self.world.now)
            self._set(journal={**self.world.journal, action.key: entry})
        self.decide_on(bundle, approved=True)

    def serve(self, canary: ServedFigures | None, champion: ServedFigures | None) -> None:
        self._set(figures=Beside(canary or ServedFigures(), champion or ServedFigures()))

    def watch(self, champion: ServedFigures | None, before: ServedFigures) -> None:
        self._set(watched=Beside(champion or ServedFigures(), before))

    def serve_variants(self, variants: ServedFigures | None, champion: ServedFigures) -> None:
        running = self.world.release.experiment
        bundles = [] if running is None else [variant.bundle for variant in running.live]
        self._set(tried={b: Beside(variants or ServedFigures(), champion) for b in bundles})

    # What Actions do.

    def _nothing(self, _action: Action) -> dict[str, Json]:
        return {}

    def _collect(self, action: Action) -> dict[str, Json]:
        name = action.inputs["segment"]
        left = tuple(segment for segment in self.world.segments if segment != name)
        answers = self.world.answers
        if self.world.release.champion is not None:
            answers += self._segment_answers
        self._set(segments=left, answers=answers)
        return {}

    def _record(self, _action: Action) -> dict[str, Json]:
        queue = self.world.queue
        audited = self.world.audit
        if audited is not None:
            self._set(audit=replace(audited, answered=40, right=40 if self.chance() else 10))
        self.label(queue.unrecorded_count, max(1, queue.unrecorded_count // 4))
        self._set(queue=replace(queue, unrecorded=None, unrecorded_count=0, newest_answer=None))
        return {}

    def _snapshot(self, action: Action) -> dict[str, Json]:
        labels = self.world.labels
        return {"snapshot": digest_json(str(action.inputs["labels"])), "samples": labels.total}

    def _verdict(self, _action: Action) -> dict[str, Json]:
        return {"passed": self.chance(), "reasons": ["so it was"]}

    def _approve(self, action: Action) -> dict[str, Json]:
        bundle = BundleId(str(action.inputs["bundle"]))
        self._set(decisions={**self.world.decisions, bundle: (True, "rule")})
        return {}

    def _must_be_fit(self, bundle: BundleId) -> None:
        for kind in ("gate", "verify"):
            assert any(
                entry.action.kind == kind
                and entry.action.inputs["bundle"] == bundle
                and (self.world.result(entry.action) or {}).get("passed") is True
                for entry in self.world.journal.values()
            ), f"{bundle[:8]} reached traffic without passing {kind}"
        assert self.world.decisions.get(bundle, (False, ""))[0], "nobody approved it"

    def _canary(self, action: Action) -> dict[str, Json]:
        bundle, running = BundleId(str(action.inputs["bundle"])), self.world.release.canary
        self._must_be_fit(bundle)
        assert bundle not in self._sent_back, "what was sent back has traffic again"
        assert running is None or running.bundle == bundle, "two canaries"
        assert self.world.release.experiment is None, "a canary beside an experiment"
        step, share = int(str(action.inputs["step"])), float(str(action.inputs["share"]))
        mode = MODES[str(action.inputs.get("mode", "canary"))]
        if running is not None and running.step == step:
            return {}
        assert running is None or running.step < step, "a step was taken back"
        canary = CanaryState(bundle, step, share, self.world.now, mode)
        self._set(release=replace(self.world.release, canary=canary), figures=None)
        return {}

    def _promote(self, action: Action) -> dict[str, Json]:
        bundle = BundleId(str(action.inputs["bundle"]))
        self._must_be_fit(bundle)
        if self.world.release.champion != bundle:
            self._line.append(bundle)
            self._champion()
        return {"champion": bundle}

    def _champion(self) -> None:
        champion, *before = reversed(self._line)
        generation = self.world.release.generation + 1
        previous = before[0] if before else None
        self._set(
            release=Release(generation, champion, self.world.now, previous),
            answers=0,
            audit=None,
            figures=None,
            watched=None,
        )

    def _deploy(self, action: Action) -> dict[str, Json]:
        result = self._promote(action)
        self._answered(action)
        return result

    def _roll_back(self, action: Action) -> dict[str, Json]:
        bundle, to = (BundleId(str(action.inputs[name])) for name in ("bundle", "to"))
        release = self.world.release
        self._sent_back.add(bundle)
        if release.experiment is not None and release.experiment.variant(bundle):
            assert release.champion == bundle, "a variant was taken for a candidate"
        if release.canary is not None and release.canary.bundle == bundle:
            self._set(release=replace(release, canary=None), figures=None)
        elif release.champion == bundle:
            assert to in self._line, "it would go back to what was sent back"
            del self._line[self._line.index(to) + 1 :]
            self._champion()
        self._answered(action)
        return {"champion": to}

    def _roll_out(self, action: Action) -> dict[str, Json]:
        self._must_be_fit(BundleId(str(action.inputs["bundle"])))
        self._answered(action)
        return {}

    def _experiment(self, action: Action) -> dict[str, Json]:
        name, release = str(action.inputs["experiment"]), self.world.release
        if name not in self._experiments:
            shares = variants_of(action)
            assert release.experiment is None, "two experiments"
            assert release.canary is None or release.canary.bundle in shares, "beside a canary"
            champion = release.champion
            assert champion == action.inputs["champion"] and champion, "beside another champion"
            assert sum(shares.values()) < 1, "nothing is left for the champion"
            for bundle in shares:
                self._must_be_fit(bundle)
                assert bundle not in self._sent_back, "what was sent back has traffic again"
                assert bundle != release.champion, "the champion beside itself"
            variants = tuple(Variant(b[:8], b, share) for b, share in shares.items())
            experiment = Experiment(name, champion, variants, self.world.now)
            self._experiments.add(name)
            self._set(release=replace(release, canary=None, experiment=experiment), figures=None)
        self._answered(action)
        return {}

    def _take_out(self, action: Action) -> dict[str, Json]:
        running, bundle = self.world.release.experiment, BundleId(str(action.inputs["bundle"]))
        self._sent_back.add(bundle)
        if running is None or running.name != action.inputs["experiment"]:
            return {}
        variants = tuple(
            replace(variant, out_at=self.world.now) if variant.bundle == bundle else variant
            for variant in running.variants
        )
        left = replace(running, variants=variants)
        self._set(release=replace(self.world.release, experiment=left if left.live else None))
        return {}

    def _end_experiment(self, action: Action) -> dict[str, Json]:
        running = self.world.release.experiment
        if running is not None and running.name == action.inputs["experiment"]:
            self._set(release=replace(self.world.release, experiment=None))
        self._answered(action)
        return {}

    def _answered(self, action: Action) -> None:
        left = tuple(r for r in self.world.requests if r.id != action.inputs.get("request"))
        self._set(requests=left)

    def _monitor(self, _action: Action) -> dict[str, Json]:
        drifted = self.chance()
        harmful = drifted and self.chance()
        return {
            "drifted": drifted,
            "harmful": harmful,
            "summary": "as it is",
            "reference_accuracy": 0.95,
        }

    def _select(self, action: Action) -> dict[str, Json]:
        count = int(str(action.inputs["budget"]))
        self._set(
            queue=replace(self.world.queue, open=count, oldest_open=self.world.now),
            audit=Audit(self.world.now, 0, 0) if action.inputs["purpose"] == "audit"
            else self.world.audit,
        )  # fmt: skip
        return {"tasks": count}

    def _rule(self, _action: Action) -> dict[str, Json]:
        sure = self.chance()
        if sure:
            self._set(prelabels=Prelabels(None, 0, 0, 0, 0))
        return Rule(0.9 if sure else None, 400 * sure, 0, 400, "so it was").as_json()

    def _accept(self, _action: Action) -> dict[str, Json]:
        state, queue = self.world.prelabels, self.world.queue
        assert state is not None
        taken = state.eligible_count
        self._set(
            prelabels=replace(state, eligible=None, eligible_count=0,
                              accepted=state.accepted + taken),
            queue=replace(queue, open=max(0, queue.open - taken), newest_answer=self.world.now,
                          unrecorded=digest_json(len(self.done)),
                          unrecorded_count=queue.unrecorded_count + taken),
        )  # fmt: skip
        return {"accepted": taken}

    def _withdraw(self, _action: Action) -> dict[str, Json]:
        state, queue = self.world.prelabels, self.world.queue
        assert state is not None
        self._set(
            prelabels=replace(state, accepted=0),
            queue=replace(queue, open=queue.open + state.accepted, oldest_open=self.world.now),
        )
        return {"asked_again": state.accepted}

    def sure_tasks(self, count: int) -> None:
        """So many open tasks whose offered answer is sure enough to be taken."""
        state = self.world.prelabels
        assert state is not None
        self._set(
            prelabels=replace(state, eligible=digest_json(count), eligible_count=count),
            queue=replace(self.world.queue, open=count, oldest_open=self.world.now),
        )

    def audit_sure(self, audited: int, right: int) -> None:
        """People judged so many of the sure answers that were kept for them."""
        state = self.world.prelabels
        assert state is not None
        self._set(prelabels=replace(state, audited=audited, right=right))

    def _clear(self, _action: Action) -> dict[str, Json]:
        queue = self.world.queue
        self._set(
            queue=replace(
                queue,
                open=queue.open + queue.uncleared_count,
                oldest_open=queue.oldest_open or self.world.now,
                uncleared=None,
                uncleared_count=0,
            )
        )
        return {"open": queue.uncleared_count, "held": 0}

    def _close(self, action: Action) -> dict[str, Json]:
        self._answered(action)
        return {}
