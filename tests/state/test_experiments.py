"""A/B tests beside the release: at most one, never beside a candidate, ended with the champion."""

import pytest
from tests.support.clock import at

from everloop.errors import Conflict
from everloop.ids import BundleId
from everloop.state.database import Database
from everloop.state.experimenting import Experiments
from everloop.state.experiments import Experiment, Variant
from everloop.state.lease import Fence
from everloop.state.releases import Releases

A, B, C = (BundleId(letter * 64) for letter in "abc")


def _experiment(name: str, *bundles: BundleId) -> Experiment:
    variants = tuple(Variant(bundle[:8], bundle, 0.3) for bundle in bundles)
    return Experiment(name, A, variants, at(1), "bought", 5.0)


def test_a_life_of_experiments(database: Database, fence: Fence) -> None:
    releases, experiments = Releases(database), Experiments(database)
    releases.promote(A, fence, at(0))
    wanted = _experiment("ab", B, C)
    for _ in range(2):
        experiments.start(wanted, fence, at(1))
    assert releases.current().experiment == wanted
    with pytest.raises(Conflict, match="ab runs already"):
        experiments.start(_experiment("other", B), fence, at(2))
    with pytest.raises(Conflict, match="experiment ab runs"):
        releases.set_canary(B, 0, 0.2, fence, at(2))
    for _ in range(2):
        experiments.take_out("ab", B, "too slow", fence, at(3))
    running = releases.current().experiment
    assert running is not None and [v.bundle for v in running.live] == [C]
    assert running.variants[0].out_at == at(3)
    for _ in range(2):
        experiments.end("ab", "enough", fence, at(4))
        experiments.start(wanted, fence, at(5))
    assert releases.current().experiment is None
    (ended,) = experiments.all()
    assert (ended.ended_at, ended.reason, ended.event, ended.event_most) == (
        at(4), "enough", "bought", 5.0
    )  # fmt: skip
    assert releases.current().generation == 4
    assert [(c.what, c.reason) for c in releases.history()][1:] == [
        ("experiment", "ab: bbbbbbbb 30%, cccccccc 30%"),
        ("variant out", "ab: too slow"),
        ("experiment ended", "ab: enough"),
    ]


def test_without_variants_it_is_over(database: Database, fence: Fence) -> None:
    releases, experiments = Releases(database), Experiments(database)
    releases.promote(A, fence, at(0))
    experiments.start(_experiment("ab", B), fence, at(1))
    experiments.take_out("ab", B, "too slow", fence, at(2))
    assert releases.current().experiment is None
    assert experiments.all()[0].reason == "all its variants were taken out"


def test_it_ends_when_the_champion_changes_either_way(database: Database, fence: Fence) -> None:
    releases, experiments = Releases(database), Experiments(database)
    releases.promote(B, fence, at(0))
    releases.promote(A, fence, at(1))
    experiments.start(_experiment("one", C), fence, at(2))
    releases.return_to(B, "rolled back", fence, at(3))
    assert releases.current().experiment is None and releases.current().previous is None
    experiments.start(_experiment("two", C), fence, at(4))
    releases.set_champion(C, "deployed", fence, at(5))
    one, two = experiments.all()
    assert one.reason == "bundle bbbbbbbb became the champion"
    assert two.reason == "its variant cccccccc became the champion"
    assert releases.history()[-1].reason == "deployed; this ends experiment two"


def test_a_candidate_that_is_made_a_variant_is_no_candidate_any_more(
    database: Database, fence: Fence
) -> None:
    releases, experiments = Releases(database), Experiments(database)
    releases.promote(A, fence, at(0))
    releases.set_canary(B, 0, 0.2, fence, at(1))
    with pytest.raises(Conflict, match="bbbbbbbb is a candidate"):
        experiments.start(_experiment("ab", C), fence, at(2))
    experiments.start(_experiment("ab", B, C), fence, at(2))
    release = releases.current()
    assert release.canary is None and release.experiment is not None


def test_a_controller_that_lost_its_lease_changes_nothing(database: Database, fence: Fence) -> None:
    releases, experiments = Releases(database), Experiments(database)
    releases.promote(A, fence, at(0))
    stale = Fence(fence.name, fence.token - 1)
    with pytest.raises(Conflict):
        experiments.start(_experiment("ab", B), stale, at(1))
    assert experiments.all() == ()
