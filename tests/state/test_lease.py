"""One controller at a time, and no write by an older one."""

import subprocess
import sys
from datetime import timedelta

import pytest
from tests.support.clock import at

from everloop.action import Action, Outcome
from everloop.errors import Conflict
from everloop.ids import BundleId
from everloop.state.database import Database
from everloop.state.journal import Journal
from everloop.state.lease import Fence, Leases, this_process
from everloop.state.releases import Releases

TTL = timedelta(seconds=15)


def test_only_one_holds_it_until_it_runs_out(database: Database) -> None:
    leases = Leases(database)
    first = leases.acquire("c", "elsewhere/1/1", at(0), TTL)
    assert first == Fence("c", 1)
    assert leases.acquire("c", "elsewhere/2/2", at(14), TTL) is None
    assert leases.renew(first, at(14), TTL)
    assert leases.acquire("c", "elsewhere/2/2", at(20), TTL) is None
    assert leases.acquire("c", "elsewhere/2/2", at(30), TTL) == Fence("c", 2)
    assert not leases.renew(first, at(31), TTL)


def test_a_lease_given_back_is_free_at_once(database: Database) -> None:
    leases = Leases(database)
    first = leases.acquire("c", "elsewhere/1/1", at(0), TTL)
    assert first is not None
    leases.release(first)
    second = leases.acquire("c", "elsewhere/2/2", at(0), TTL)
    assert second == Fence("c", 2)
    leases.release(first)
    assert leases.acquire("c", "elsewhere/3/3", at(1), TTL) is None


def test_a_holder_that_died_here_loses_it_at_once(database: Database) -> None:
    leases = Leases(database)
    script = "from everloop.state.lease import this_process; print(this_process())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert leases.acquire("c", done.stdout.decode().strip(), at(0), TTL)
    assert leases.holder("c") is None
    assert leases.acquire("c", this_process(), at(1), TTL) == Fence("c", 2)
    assert leases.holder("c") == this_process()


def test_a_clock_that_jumps_back_does_not_lock_everyone_out(database: Database) -> None:
    leases = Leases(database)
    assert leases.acquire("c", "elsewhere/1/1", at(100_000), TTL)
    assert leases.acquire("c", "elsewhere/2/2", at(0), TTL) == Fence("c", 2)


def test_a_controller_that_was_overtaken_can_write_nothing(database: Database) -> None:
    leases, journal, releases = Leases(database), Journal(database), Releases(database)
    old = leases.acquire("c", "elsewhere/1/1", at(0), TTL)
    assert old is not None
    action = Action("gate", {"bundle": "b"})
    journal.intend(action, "judge", "why", old, at(0))
    assert leases.acquire("c", "elsewhere/2/2", at(60), TTL)
    with pytest.raises(Conflict, match="another has taken over"):
        journal.intend(Action("gate", {"bundle": "c"}), "judge", "why", old, at(61))
    with pytest.raises(Conflict):
        journal.finish(action.key, Outcome(final=True), old, at(61))
    with pytest.raises(Conflict):
        releases.set_champion(BundleId("b" * 64), "late", old, at(61))
    entry = journal.entry(action.key)
    assert entry is not None
    assert entry.outcome is None
    assert releases.current().champion is None
