"""The release: at most one canary, and doing a thing twice changes nothing."""

import pytest
from tests.support.clock import at

from everloop.errors import Conflict
from everloop.ids import BundleId
from everloop.state.database import Database
from everloop.state.lease import Fence
from everloop.state.releases import Releases

A, B, C = (BundleId(letter * 64) for letter in "abc")


def test_a_life_of_releases(database: Database, fence: Fence) -> None:
    releases = Releases(database)
    for _ in range(2):
        releases.promote(A, fence, at(0))
        releases.set_canary(B, 0, 0.2, fence, at(1))
    assert releases.current().generation == 2
    with pytest.raises(Conflict, match="canary already"):
        releases.set_canary(C, 0, 0.2, fence, at(2))
    releases.set_canary(B, 1, 0.5, fence, at(3))
    canary = releases.current().canary
    assert canary is not None
    assert (canary.bundle, canary.share, canary.since) == (B, 0.5, at(3))
    for _ in range(2):
        releases.promote(B, fence, at(4))
        releases.end_canary(B, "late", fence, at(5))
    now = releases.current()
    assert (now.champion, now.previous, now.canary, now.generation) == (B, A, None, 4)
    assert [(c.what, c.bundle) for c in releases.history()] == [
        ("champion", A), ("canary", B), ("canary", B), ("champion", B)
    ]  # fmt: skip
