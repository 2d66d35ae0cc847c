"""Samples cleared for label tasks, without filters and without pictures."""

from collections.abc import Sequence, Set

from tests.support.clock import at

from everloop.ids import PolicyVersion, RenditionId, SampleId
from everloop.state.clearances import Claim, Clearances, Cleared, Judged
from everloop.state.database import Database
from everloop.state.lease import Fence

VERSION = PolicyVersion("a" * 64)
RENDITION = RenditionId("d" * 64)


class EveryRendition:
    """A store that holds whatever it is asked about."""

    def held(self, claims: Sequence[Claim]) -> Set[Claim]:
        return set(claims)


def cleared(
    database: Database, fence: Fence, sample: SampleId, version: PolicyVersion = VERSION
) -> Cleared:
    """The proof that a sample passed the gate, as the book of clearances gives it."""
    book = Clearances(database, EveryRendition())
    book.record([Judged(sample, version, RENDITION, None)], fence, at(0))
    return book.cleared([sample], version)[sample]
