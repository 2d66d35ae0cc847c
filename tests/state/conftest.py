from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.clock import at

from everloop.state.database import Database
from everloop.state.lease import Fence, Leases


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.open(tmp_path / "state.db")


@pytest.fixture
def fence(database: Database) -> Fence:
    fence = Leases(database).acquire("controller", "a test", at(0), timedelta(seconds=15))
    assert fence is not None
    return fence
