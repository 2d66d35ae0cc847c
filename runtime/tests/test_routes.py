"""Who answers a request: by its key, steadily, in the share that is asked for."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.ids import BundleId
from everloop_runtime.errors import Refused
from everloop_runtime.routes import (
    CanaryRoute,
    Choice,
    Experiment,
    Leased,
    Routes,
    ShadowRoute,
    Variant,
    choose,
    mirrored,
    read_routes,
    write_routes,
)

LIVE: frozenset[Leased] = frozenset({"canary", "shadow", "experiment"})
A, B, C = (BundleId(letter * 64) for letter in "abc")


def _routes(share: float) -> Routes:
    canary = CanaryRoute(bundle=BundleId("c" * 64), share=share, lease_seconds=1, renewal=1)
    return Routes(champion=BundleId("a" * 64), canary=canary)


@given(st.text(max_size=50), st.floats(0, 1), st.floats(0, 1))
def test_a_key_in_the_canary_stays_there_as_the_share_grows(
    key: str, one: float, other: float
) -> None:
    small, large = sorted((one, other))
    if choose(_routes(small), key, LIVE).role == "canary":
        assert choose(_routes(large), key, LIVE).role == "canary"


@given(st.text(max_size=50))
def test_nobody_goes_to_a_canary_without_a_lease_or_share(key: str) -> None:
    assert choose(_routes(1.0), key, frozenset()).role == "champion"
    assert choose(_routes(0.0), key, LIVE).role == "champion"
    assert choose(_routes(1.0), key, LIVE).role == "canary"


def test_the_share_is_kept() -> None:
    chosen = [choose(_routes(0.3), f"user {n}", LIVE).role for n in range(10_000)]
    assert abs(chosen.count("canary") - 3000) < 6 * (10_000 * 0.3 * 0.7) ** 0.5


def test_a_named_key_goes_to_the_canary_whatever_its_share() -> None:
    canary = CanaryRoute(bundle=C, share=0, keys=("tester",), lease_seconds=1, renewal=1)
    routes = Routes(champion=A, canary=canary)
    assert choose(routes, "tester", LIVE).role == "canary"
    assert choose(routes, "somebody", LIVE).role == "champion"


def _experiment(name: str = "blue-button") -> Routes:
    variants = (
        Variant(name="one", bundle=B, share=0.25),
        Variant(name="two", bundle=C, share=0.25),
    )
    experiment = Experiment(name=name, variants=variants, lease_seconds=1, renewal=1)
    return Routes(champion=A, experiment=experiment)


def test_an_experiment_gives_each_variant_its_share_and_each_key_one_variant() -> None:
    keys = [f"user {n}" for n in range(8000)]
    chosen = [choose(_experiment(), key, LIVE) for key in keys]
    assert chosen == [choose(_experiment(), key, LIVE) for key in keys]
    counts = Counter(choice.variant for choice in chosen)
    # Six standard deviations of a binomial draw.
    assert all(abs(counts[name] - 2000) < 6 * 38.8 for name in ("one", "two"))
    assert {(c.variant, c.bundle) for c in chosen} == {("one", B), ("two", C), (None, A)}


def test_the_keys_of_a_variant_taken_out_are_the_champions_and_no_others_move() -> None:
    routes = _experiment()
    assert routes.experiment is not None
    one, two = routes.experiment.variants
    out = Variant(name=one.name, bundle=one.bundle, share=one.share, out=True)
    left = routes.experiment.model_copy(update={"variants": (out, two)})
    after = routes.model_copy(update={"experiment": left})
    assert after.trials() == (C,) and B not in after.named()
    for key in (f"user {n}" for n in range(2000)):
        was, now = choose(routes, key, LIVE), choose(after, key, LIVE)
        assert now == (Choice("champion", A) if was.variant == "one" else was)


def test_another_experiment_draws_anew() -> None:
    keys = [f"user {n}" for n in range(4000)]
    both = Counter(
        (choose(_experiment("x"), key, LIVE).variant, choose(_experiment("y"), key, LIVE).variant)
        for key in keys
    )
    assert abs(both["one", "one"] - 250) < 100


def test_an_experiment_without_a_lease_leaves_everyone_with_the_champion() -> None:
    assert {choose(_experiment(), f"user {n}", frozenset()).role for n in range(50)} == {"champion"}


def test_a_shadow_sees_its_share_of_copies_and_only_with_a_lease() -> None:
    shadow = ShadowRoute(bundle=B, share=0.5, lease_seconds=1, renewal=1)
    routes = Routes(champion=A, shadow=shadow)
    seen = [mirrored(routes, f"request {n}", LIVE) for n in range(2000)]
    assert 850 < seen.count(B) < 1150
    assert mirrored(routes, "request 1", frozenset()) is None
    assert choose(routes, "request 1", LIVE).role == "champion"


def test_a_document_of_an_earlier_version_still_reads(tmp_path: Path) -> None:
    canary = {"bundle": C, "share": 0.2, "lease_seconds": 30.0, "renewal": 7}
    old = {"generation": 3, "champion": A, "canary": canary}
    (tmp_path / "routes.json").write_text(json.dumps(old))
    routes = read_routes(tmp_path / "routes.json")
    assert (routes.champion, routes.canary) == (A, CanaryRoute.model_validate(canary))
    write_routes(tmp_path / "again.json", routes)
    assert json.loads((tmp_path / "again.json").read_bytes()) == old, "older services read it too"


@pytest.mark.parametrize(
    "variants",
    [
        [{"name": "one", "bundle": B, "share": 0.7}, {"name": "two", "bundle": C, "share": 0.7}],
        [{"name": "one", "bundle": B, "share": 0.1}, {"name": "one", "bundle": C, "share": 0.1}],
        [{"name": "../x", "bundle": B, "share": 0.1}],
        [],
    ],
    ids=["too much", "twice", "no name", "none"],
)
def test_an_experiment_that_cannot_be_is_refused(
    tmp_path: Path, variants: list[dict[str, object]]
) -> None:
    experiment = {"name": "x", "lease_seconds": 1, "renewal": 1, "variants": variants}
    (tmp_path / "routes.json").write_text(json.dumps({"experiment": experiment}))
    with pytest.raises(Refused, match="is not a routes document"):
        read_routes(tmp_path / "routes.json")
