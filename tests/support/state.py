"""A product's state on its own, and the right to write to it. For a `conftest.py` to import."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.clock import at

from everloop.state.database import Database
from everloop.state.lease import Fence, Leases


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A new database."""
    return Database.open(tmp_path / "state.db")


@pytest.fixture
def fence(database: Database) -> Fence:
    """The controller's, for fifteen seconds."""
    fence = Leases(database).acquire("controller", "a test", at(0), timedelta(seconds=15))
    assert fence is not None
    return fence
