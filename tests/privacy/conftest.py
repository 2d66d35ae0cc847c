"""What the tests of the gate start from."""

from tests.support.state import database, fence

__all__ = ["database", "fence"]
