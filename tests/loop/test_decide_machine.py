"""`decide` over random histories: what must always hold, whatever the world does."""

from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.support.simulation import FAILING, HEALTHY, Simulation, served

from everloop.ids import BundleId, Json
from everloop.loop.world import Service
from everloop.policy import Policy
from everloop.rollout.figures import ServedFigures

_STILL, _QUIET = 200, 10
_BY_THE_CLOCK = {"inspect", "report"}
"""What each hour and each day asks for, whatever else stands still."""
STRATEGIES = ("canary", "shadow-then-canary", "blue-green")
_FIGURES = st.sampled_from([None, HEALTHY, FAILING, served(3)])


class Histories(RuleBasedStateMachine):
    """The simulation itself holds the invariants: see `tests.support.simulation`."""

    @initialize(
        level=st.sampled_from([0, 1, 2]),
        by=st.sampled_from(["rule", "person"]),
        attempts=st.integers(1, 3),
        strategy=st.sampled_from(STRATEGIES),
        live=st.booleans(),
        random=st.randoms(use_true_random=False),
    )
    def begin(
        self, level: int, by: str, attempts: int, strategy: str, live: bool, random: object
    ) -> None:
        policy = Policy.model_validate(
            {
                "level": level,
                "approval": {"by": by},
                "loop": {"attempts": attempts},
                "train": {"min_labels": 5, "new_labels": 5},
                "rollout": {
                    "strategy": strategy,
                    "shares": [0.2, 0.5],
                    "min_requests": 10,
                    "soak": "5s",
                    "watch": "1000s",
                },
                "monitor": {"window": 20, "confirm": 1},
                "labelling": {"budget": 10, "cooldown": "30s", "audit": 5, "audit_every": "1m"},
            }
        )
        choose = getattr(random, "random")  # noqa: B009 - hypothesis' own kind of Random
        self.life = Simulation(policy, lambda: choose() < 0.9)
        if live:
            self.life.overtake(BundleId("e" * 64))
            self.life.ask("deploy", {"bundle": "e" * 64})
            self.life.turn()

    @rule(crash=st.booleans(), fail=st.sampled_from([False, False, False, True]))
    def turn(self, crash: bool, fail: bool) -> None:
        self.life.turn(crash=crash, fail=fail)

    @rule(turns=st.integers(2, 12))
    def turns(self, turns: int) -> None:
        for _ in range(turns):
            self.life.turn()
            self.life.pass_time(1)

    @rule(canary=_FIGURES)
    def live_on(self, canary: ServedFigures | None) -> None:
        """Enough labels and turns for a candidate to come as far as it may."""
        self.life.label(20, 5)
        for _ in range(14):
            self.life.turn()
            self.life.pass_time(1)
        self.life.serve(canary, HEALTHY)

    @rule(seconds=st.floats(0.1, 100_000))
    def wait(self, seconds: float) -> None:
        self.life.pass_time(seconds)

    @rule(train=st.integers(0, 30), holdout=st.integers(0, 10))
    def label(self, train: int, holdout: int) -> None:
        self.life.label(train, holdout)

    @rule(listing=st.sampled_from("xyz"))
    def source(self, listing: str) -> None:
        self.life.source(listing)

    @rule(answers=st.integers(1, 60))
    def traffic(self, answers: int) -> None:
        self.life.traffic(answers)

    @rule(count=st.integers(1, 20))
    def answer(self, count: int) -> None:
        self.life.people_answer(count)

    @rule(canary=_FIGURES, champion=_FIGURES)
    def serve(self, canary: ServedFigures | None, champion: ServedFigures | None) -> None:
        self.life.serve(canary, champion)

    @rule(champion=_FIGURES)
    def watch(self, champion: ServedFigures | None) -> None:
        self.life.watch(champion, HEALTHY)

    @rule(failed=st.sampled_from(["champion", "candidate"]))
    def fail_in_service(self, failed: str) -> None:
        release = self.life.world.release
        candidate = release.canary.bundle if release.canary else None
        bundle = release.champion if failed == "champion" else candidate
        told = {} if bundle is None else {bundle: "5 of its last 5 requests failed"}
        self.life.world = replace(self.life.world, service=Service(0, told))

    @rule()
    def load(self) -> None:
        """The service has loaded what it was told to."""
        release = self.life.world.release
        loaded = {release.champion, release.canary.bundle if release.canary else None} - {None}
        service = Service(0, {}, frozenset(bundle for bundle in loaded if bundle))
        self.life.world = replace(self.life.world, service=service)

    @rule(which=st.integers(0, 99), strategy=st.sampled_from(STRATEGIES))
    def ask_to_roll_out(self, which: int, strategy: str) -> None:
        bundles = self._bundles() or [BundleId("f" * 64)]
        self.life.ask("deploy", {"bundle": bundles[which % len(bundles)], "strategy": strategy})

    @precondition(lambda self: self._is_live())
    @rule(
        which=st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True),
        name=st.sampled_from(["one", "two", "three"]),
        turns=st.integers(0, 3),
        figures=_FIGURES,
    )
    def try_overtaken_ones(
        self, which: list[str], name: str, turns: int, figures: ServedFigures | None
    ) -> None:
        """An experiment of bundles that were verified and overtaken by newer ones."""
        for letter in which:
            self.life.overtake(BundleId(letter * 64))
        variants: list[Json] = [{"bundle": BundleId(a * 64), "share": 0.3} for a in which]
        self.life.ask("experiment", {"name": name, "variants": variants})
        for _ in range(turns):
            self.life.turn()
            self.life.serve_variants(figures, HEALTHY)
            self.life.pass_time(1)

    @rule(
        which=st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
        share=st.sampled_from([0.1, 0.3, 0.5]),
        name=st.sampled_from(["one", "two", "three"]),
    )
    def ask_for_an_experiment(self, which: list[int], share: float, name: str) -> None:
        bundles = self._bundles() or [BundleId("f" * 64)]
        chosen = dict.fromkeys(bundles[n % len(bundles)] for n in which)
        variants: list[Json] = [{"bundle": bundle, "share": share} for bundle in chosen]
        self.life.ask("experiment", {"name": name, "variants": variants})

    @rule(promote=st.sampled_from([None, 0, 1]))
    def ask_to_end_the_experiment(self, promote: int | None) -> None:
        running = self.life.world.release.experiment
        inputs: dict[str, Json] = {"experiment": "one" if running is None else running.name}
        if promote is not None and running is not None:
            inputs["promote"] = running.variants[promote % len(running.variants)].bundle
        self.life.ask("end-experiment", inputs)

    @rule(variants=_FIGURES)
    def serve_variants(self, variants: ServedFigures | None) -> None:
        self.life.serve_variants(variants, HEALTHY)

    @rule(up=st.booleans())
    def service(self, up: bool) -> None:
        self.life.world = replace(self.life.world, service=Service(0, {}) if up else None)

    @rule(code=st.sampled_from(["c", "d"]))
    def change_code(self, code: str) -> None:
        self.life.world = replace(self.life.world, code=code * 8)

    @precondition(lambda self: self._bundles())
    @rule(which=st.integers(0, 99), approved=st.booleans())
    def approve(self, which: int, approved: bool) -> None:
        bundles = self._bundles()
        self.life.decide_on(bundles[which % len(bundles)], approved=approved)

    @rule(which=st.integers(0, 99))
    def ask_to_deploy(self, which: int) -> None:
        bundles = self._bundles() or [BundleId("f" * 64)]
        self.life.ask("deploy", {"bundle": bundles[which % len(bundles)]})

    @rule()
    def ask_to_go_back(self) -> None:
        self.life.ask("rollback", {})

    @precondition(lambda self: any(a.kind == "snapshot" for a in self.life.done))
    @rule(epochs=st.integers(1, 3))
    def ask_to_train(self, epochs: int) -> None:
        snapshot = next(a for a in reversed(self.life.done) if a.kind == "snapshot")
        result = self.life.world.result(snapshot)
        if result is not None:
            inputs = {"snapshot": result["snapshot"], "code": "c", "params": {"epochs": epochs}}
            self.life.ask("act", {"kind": "train", "inputs": inputs})

    def _is_live(self) -> bool:
        return self.life.policy.level > 0 and self.life.world.release.champion is not None

    def _bundles(self) -> list[BundleId]:
        results = [self.life.world.result(a) for a in self.life.done if a.kind == "train"]
        return [BundleId(str(result["bundle"])) for result in results if result]

    def teardown(self) -> None:
        """Once the world stands still, the loop comes to rest."""
        if not hasattr(self, "life"):
            return
        quiet = 0
        for _ in range(_STILL):
            decisions = self.life.turn()
            asked = {d.action.kind for d in decisions if d.action}
            quiet = quiet + 1 if asked <= _BY_THE_CLOCK else 0
            if quiet == _QUIET:
                return
            # Whatever waits for time (a soak, a pause after a failure) gets more than enough.
            self.life.pass_time(100_000)
        raise AssertionError(f"after {_STILL} turns it still asks for {asked}")


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
