"""What the tests of state start from."""

from tests.support.state import database, fence

__all__ = ["database", "fence"]
