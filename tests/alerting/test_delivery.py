"""Letters arrive: after an hour without a receiver, after a kill in the middle, and once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.support.clock import START, at
from tests.support.projects import until
from tests.support.receivers import Inbox, http_receiver, smtp_receiver

from everloop.alerting.courier import Courier
from everloop.alerting.receivers import Receivers
from everloop.alerting.webhook import signature
from everloop.errors import Conflict, Refused
from everloop.policy import AlertingPolicy
from everloop.state.database import Database
from everloop.state.lease import Fence, Leases
from everloop.state.outbox import Message, Outbox

POLICY = AlertingPolicy.model_validate({"internal": ["127.0.0.0/8"], "timeout": "20s"})
NEWS = Message("ops", "alert", ("OPS",), "[digits] a title", "what to do", {"level": "critical"})

REPORT = Message("report", "report", ("OPS",), "[digits] the day", "what was", {})


def _courier(database: Database, folder: Path, **addresses: str) -> Courier:
    return Courier(Outbox(database), folder / "outbox", Receivers(addresses, None), POLICY)


def _settle(courier: Courier, fence: Fence, now: datetime) -> None:
    """Attempts that are due at `now`, and what comes of them."""
    courier.tend(fence, now)
    courier.wait()
    courier.tend(fence, now)


def test_a_webhook_gets_a_signed_message_once(
    database: Database, fence: Fence, tmp_path: Path
) -> None:
    with http_receiver() as inbox:
        courier = _courier(database, tmp_path, OPS=f"http://127.0.0.1:{inbox.port}/in?a=b#s3cret")
        for _ in range(2):
            # Written twice, as by a controller that was killed before it had noted it.
            courier.outbox.post([NEWS], fence, START)
        for seconds in range(3):
            _settle(courier, fence, at(seconds))
        ((heads, body),) = inbox.got
    told = json.loads(body)
    assert (told["title"], told["body"], told["level"]) == (
        "[digits] a title", "what to do", "critical")  # fmt: skip
    assert heads["idempotency-key"] == told["id"] and "everloop-repeated" not in heads
    moment = int(heads["everloop-signature"].partition(",")[0][2:])
    assert heads["everloop-signature"] == signature("s3cret", body, moment)
    assert courier.outbox.undelivered() == ()
    assert list((tmp_path / "outbox").iterdir()) == []


def test_a_receiver_that_is_down_for_an_hour_gets_it_afterwards(
    database: Database, fence: Fence, tmp_path: Path
) -> None:
    with http_receiver() as inbox:
        port = inbox.port
    courier = _courier(database, tmp_path, OPS=f"http://127.0.0.1:{port}/")
    courier.outbox.post([NEWS], fence, START)
    tries, seconds, pauses = 0, 0.0, []
    while seconds < 3600:
        _settle(courier, fence, at(seconds))
        (letter,) = courier.outbox.undelivered()
        tries += 1
        assert letter.attempts == tries and "did not answer" in (letter.error or "")
        pauses.append((letter.not_before - at(seconds)).total_seconds())
        # Most of the hour is passed by without a look: nothing is due.
        seconds += max(pauses[-1], 700)
    assert pauses[:3] == [1, 2, 4] and max(pauses) <= 300
    with http_receiver(port) as inbox:
        _settle(courier, fence, at(4000))
        assert len(inbox.got) == 1
    assert courier.outbox.undelivered() == ()


_STORY = tuple(replace(NEWS, title=f"news {n}", subject=str(n)) for n in range(4))


def test_what_is_written_while_a_receiver_is_away_arrives_once_and_in_order(
    database: Database, fence: Fence, tmp_path: Path
) -> None:
    with http_receiver() as inbox:
        address = f"http://127.0.0.1:{inbox.port}/"
        courier = _courier(database, tmp_path, OPS=address, LOG=f"{address}log")
        inbox.status = 500
        # Two are written at once, two later; the second is due while the first waits long.
        courier.outbox.post(_STORY[:2], fence, START)
        for seconds in (0, 1, 3, 7):
            _settle(courier, fence, at(seconds))
        courier.outbox.post(_STORY[2:], fence, at(8))
        _settle(courier, fence, at(9))
        tried = [json.loads(body)["title"] for _, body in inbox.got]
        assert tried == ["news 0"] * 4, "one probe each time, however much waits"
        courier.outbox.post([replace(NEWS, to=("LOG",)), REPORT], fence, at(9))
        inbox.got.clear()
        inbox.status = 200
        _settle(courier, fence, at(10))
        others = {json.loads(body)["title"] for _, body in inbox.got}
        assert others == {NEWS.title, REPORT.title}, "others are not kept back, nor is a report"
        inbox.got.clear()
        for seconds in range(20, 25):
            _settle(courier, fence, at(seconds))
        found = [(json.loads(body)["title"], "everloop-repeated" in heads)
                 for heads, body in inbox.got]  # fmt: skip
    assert found == [("news 0", True), ("news 1", False), ("news 2", False), ("news 3", False)]
    assert courier.outbox.undelivered() == ()


def test_what_is_never_taken_keeps_others_back_for_an_hour_and_no_longer(
    database: Database, fence: Fence, tmp_path: Path
) -> None:
    courier = _courier(database, tmp_path)
    courier.outbox.post(_STORY[:2], fence, START)
    seen = []
    for number in range(26):
        courier.tend(fence, START + number * timedelta(minutes=5))
        seen.append(tuple(letter.attempts for letter in courier.outbox.undelivered()))
    assert seen[22:] == [(23, 0), (24, 0), (25, 1), (26, 2)]


def test_pauses_grow_to_the_longest_and_no_letter_is_given_up(
    database: Database, fence: Fence, tmp_path: Path
) -> None:
    courier = _courier(database, tmp_path)
    courier.outbox.post([NEWS], fence, START)
    now, pauses = START, []
    for _ in range(40):
        courier.tend(fence, now)
        (letter,) = courier.outbox.undelivered()
        pauses.append((letter.not_before - now).total_seconds())
        now = letter.not_before
    assert pauses[:10] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300] and pauses[-1] == 300
    assert "the address of OPS is not in the environment: set OPS=..." in (letter.error or "")


_TENDS = """
import sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tests.alerting.test_delivery import NEWS, _courier
from everloop.state.database import Database
from everloop.state.lease import Leases

folder, address = Path(sys.argv[1]), sys.argv[2]
database = Database.open(folder / "state.db")
now = datetime.now(UTC)
fence = Leases(database).acquire("controller", "the one that dies", now, timedelta(seconds=0))
courier = _courier(database, folder, OPS=address)
courier.outbox.post([NEWS], fence, now)
courier.tend(fence, now)
print(courier._running.popitem()[1].pid, flush=True)
time.sleep(60)
"""


def _killed_in_the_middle(folder: Path, inbox: Inbox) -> int:
    """A controller that began to deliver is killed; the pid of its sender."""
    inbox.hold.clear()
    command = [sys.executable, "-c", _TENDS, str(folder), f"http://127.0.0.1:{inbox.port}/"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as dying:
        assert dying.stdout is not None
        sender = int(dying.stdout.readline())
        assert inbox.arrived.wait(30)
        dying.kill()
    return sender


def _next_controller(folder: Path, inbox: Inbox) -> Callable[[], bool]:
    database = Database.open(folder / "state.db")
    now = START + timedelta(days=3650)
    fence = Leases(database).acquire("controller", "the next", now, timedelta(seconds=15))
    assert fence is not None
    courier = _courier(database, folder, OPS=f"http://127.0.0.1:{inbox.port}/")

    def delivered() -> bool:
        courier.tend(fence, now + timedelta(days=1))
        return courier.outbox.undelivered() == ()

    return delivered


def test_a_controller_killed_in_the_middle_of_delivering_doubles_nothing(tmp_path: Path) -> None:
    with http_receiver() as inbox:
        _killed_in_the_middle(tmp_path, inbox)
        delivered = _next_controller(tmp_path, inbox)
        assert not delivered(), "the sender is still at it: nobody else begins"
        inbox.hold.set()
        until(delivered, 30, "the letter was not noted as delivered")
        assert len(inbox.got) == 1


def test_a_sender_killed_before_it_is_answered_repeats_with_the_same_key_and_says_so(
    tmp_path: Path,
) -> None:
    with http_receiver() as inbox:
        os.kill(_killed_in_the_middle(tmp_path, inbox), signal.SIGKILL)
        inbox.hold.set()
        delivered = _next_controller(tmp_path, inbox)
        until(delivered, 30, "the letter was not delivered")
        (first, one), (second, two) = inbox.got
    assert first["idempotency-key"] == second["idempotency-key"] and one == two
    assert "everloop-repeated" not in first and second["everloop-repeated"] == "maybe"


def test_who_may_not_write_any_more_delivers_nothing(
    database: Database, fence: Fence, tmp_path: Path
) -> None:
    with http_receiver() as inbox:
        courier = _courier(database, tmp_path, OPS=f"http://127.0.0.1:{inbox.port}/")
        courier.outbox.post([NEWS], fence, START)
        later = Leases(database).acquire("controller", "another", at(60), timedelta(seconds=15))
        assert later is not None
        with pytest.raises(Conflict):
            courier.tend(fence, at(60))
        assert inbox.got == []
        _settle(courier, later, at(61))
        assert len(inbox.got) == 1


def test_a_receiver_that_never_ends_its_answer_is_left(
    database: Database, fence: Fence, tmp_path: Path
) -> None:
    with http_receiver() as inbox:
        inbox.hold.clear()
        courier = _courier(database, tmp_path, OPS=f"http://127.0.0.1:{inbox.port}/")
        courier.policy = AlertingPolicy.model_validate(
            {"internal": ["127.0.0.0/8"], "timeout": "300ms"}
        )
        courier.outbox.post([NEWS], fence, START)
        _settle(courier, fence, START)
        (letter,) = courier.outbox.undelivered()
    assert letter.attempts == 1


def test_mail_arrives_by_apprise_with_its_key(
    database: Database, fence: Fence, tmp_path: Path
) -> None:
    pytest.importorskip("apprise", reason="apprise is not installed (everloop[alerts])")
    with smtp_receiver() as inbox:
        address = f"mailto://127.0.0.1:{inbox.port}?from=loop@example.org&to=ann@example.org"
        courier = _courier(database, tmp_path, OPS=address)
        courier.outbox.post([NEWS], fence, START)
        _settle(courier, fence, START)
        assert courier.outbox.undelivered() == (), courier.outbox.undelivered()
        ((_, mail),) = inbox.got
    assert b"Subject: [digits] a title" in mail and b"what to do" in mail
    assert b"X-Everloop-Key: " in mail


def test_addresses_come_from_a_file_that_only_its_owner_may_read(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    path.write_text("# who is told\nOPS = https://hooks.example/a=b#s\n")
    path.chmod(0o644)
    receivers = Receivers({"OPS": "json://old", "BOSS": "mailto://x"}, path)
    with pytest.raises(Refused, match=r"others may read .* chmod 600"):
        receivers.address("OPS")
    path.chmod(0o600)
    assert receivers.address("OPS") == "https://hooks.example/a=b#s"
    assert receivers.address("BOSS") == "mailto://x"
    with pytest.raises(Refused, match="the address of NOBODY"):
        receivers.address("NOBODY")
    assert "hooks" not in repr(receivers) and "mailto" not in repr(receivers)


def test_tending_waits_for_no_receiver(database: Database, fence: Fence, tmp_path: Path) -> None:
    with http_receiver() as inbox:
        inbox.hold.clear()
        courier = _courier(database, tmp_path, OPS=f"http://127.0.0.1:{inbox.port}/")
        courier.outbox.post([NEWS], fence, START)
        began = time.process_time()
        for _ in range(20):
            courier.tend(fence, START)
        assert time.process_time() - began < 5
        assert inbox.arrived.wait(30)
        assert len(inbox.got) == 1, "however often it is looked after, it is begun once"
