"""Who answers a request: by its key, steadily, in the share that is asked for."""

from hypothesis import given
from hypothesis import strategies as st

from everloop.ids import BundleId
from everloop_runtime.routes import CanaryRoute, Routes, choose


def _routes(share: float) -> Routes:
    canary = CanaryRoute(bundle=BundleId("c" * 64), share=share, lease_seconds=1, renewal=1)
    return Routes(champion=BundleId("a" * 64), canary=canary)


@given(st.text(max_size=50), st.floats(0, 1), st.floats(0, 1))
def test_a_key_in_the_canary_stays_there_as_the_share_grows(
    key: str, one: float, other: float
) -> None:
    small, large = sorted((one, other))
    if choose(_routes(small), key, lease_alive=True) == "canary":
        assert choose(_routes(large), key, lease_alive=True) == "canary"


@given(st.text(max_size=50))
def test_nobody_goes_to_a_canary_without_a_lease_or_share(key: str) -> None:
    assert choose(_routes(1.0), key, lease_alive=False) == "champion"
    assert choose(_routes(0.0), key, lease_alive=True) == "champion"
    assert choose(_routes(1.0), key, lease_alive=True) == "canary"


def test_the_share_is_kept() -> None:
    chosen = [choose(_routes(0.3), f"user {n}", lease_alive=True) for n in range(10_000)]
    assert abs(chosen.count("canary") - 3000) < 6 * (10_000 * 0.3 * 0.7) ** 0.5
