"""A test message to one receiver, at once and past the outbox."""

import os
import secrets
import tempfile
from datetime import datetime
from pathlib import Path

from everloop.alerting.courier import Courier, order, send
from everloop.alerting.place import Place
from everloop.errors import Refused
from everloop.state.outbox import Letter

_LONGER = 5.0
"""Seconds that the sender's process has beyond the time for one attempt."""


def try_receiver(courier: Courier, name: str, product: str, now: datetime) -> str | None:
    """Why a test message did not arrive; None when the receiver took it."""
    letter = Letter(
        id=secrets.token_hex(16),
        rule="test",
        kind="alert",
        target=name,
        title=f"[{product}] test: alerts arrive here",
        body="Somebody tried whether this address is reached: everloop alerts test.",
        facts={"product": product, "rule": "test", "level": "info", "count": 0, "alarms": []},
        attachments=(),
        made_at=now,
        attempts=0,
        not_before=now,
        error=None,
        delivered_at=None,
    )
    try:
        address = courier.receivers.address(name)
    except Refused as refused:
        return str(refused)
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), letter.id)
        taken = place.take()
        assert taken is not None  # noqa: S101 - the folder is new
        try:
            sender = send(order(letter, address, Path(folder), courier.policy), taken[0])
            sender.wait(courier.policy.timeout.total_seconds() + _LONGER)
        finally:
            os.close(taken[0])
        is_over, error = place.concluded()
    return error if is_over else "the sender ended without a result"
