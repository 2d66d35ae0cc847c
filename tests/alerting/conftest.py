"""What the tests of alerting start from."""

from tests.support.state import database, fence

__all__ = ["database", "fence"]
