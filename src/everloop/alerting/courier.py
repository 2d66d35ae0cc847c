"""The courier: letters are sent by processes of their own, and never waited for."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from everloop.alerting.place import Place
from everloop.alerting.receivers import Receivers
from everloop.errors import Refused
from everloop.policy import AlertingPolicy
from everloop.state.lease import Fence
from everloop.state.outbox import Letter, Outbox, Waiting

_COMMAND = (sys.executable, "-m", "everloop.alerting.sender")
_AT_ONCE = 4
_FIRST_PAUSE = timedelta(seconds=1)
_MOST_DOUBLINGS = 20
_HOLDS = 24
"""Attempts in which a letter keeps those after it back: more than an hour of them. Then it is the
letter that is not taken, more likely than its receiver that is away."""


@dataclass(slots=True)
class Courier:
    """Nothing of it must survive: what an attempt came to is on the disk.

    A letter is noted as delivered when its sender has written down that it was accepted. It is sent
    twice only where a sender is killed after a receiver has accepted and before that is written;
    the repetition then carries the same key, and says that it may be one.
    """

    outbox: Outbox
    folder: Path
    receivers: Receivers
    policy: AlertingPolicy
    _running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def tend(self, fence: Fence, now: datetime) -> None:
        """Note what came of attempts, and begin those that are due; waits for nobody.

        Raises `Conflict` when another controller has taken over.
        """
        waiting = self.outbox.waiting()
        if not waiting and not self._running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        ended = self._reap()
        kept_back: set[tuple[str, bool]] = set()
        for letter in waiting:
            # A receiver gets its messages one after another, as they were written. Reports are
            # a row of their own: what is large and not urgent is in nobody's way.
            row = (letter.target, letter.kind == "report")
            if row not in kept_back and self._holds(letter, ended, fence, now):
                kept_back.add(row)

    def _holds(self, letter: Waiting, ended: frozenset[str], fence: Fence, now: datetime) -> bool:
        """See to one letter; whether those after it wait for it."""
        if letter.id in self._running:
            return True
        if letter.not_before <= now:
            if (is_delivered := self._settled(letter, fence, now)) is not None:
                return not is_delivered
            if letter.id in ended:
                self._failed(letter, "the sender ended without a result", fence, now)
            elif self._begin(letter, fence, now):
                return True
        return letter.attempts < _HOLDS

    def wait(self) -> None:
        """Until every attempt under way has ended: for commands that send and go."""
        for process in self._running.values():
            process.wait()

    def _reap(self) -> frozenset[str]:
        ended = frozenset(name for name, sent in self._running.items() if sent.poll() is not None)
        for letter in ended:
            del self._running[letter]
        return ended

    def _settled(self, letter: Waiting, fence: Fence, now: datetime) -> bool | None:
        """Note what an attempt came to: whether it was delivered; None: it is not over."""
        place = Place(self.folder, letter.id)
        is_over, error = place.concluded()
        if not is_over:
            return None
        if error is None:
            self.outbox.delivered(letter.id, fence, now)
        else:
            self._failed(letter, error, fence, now)
        # Noted first: a result that is gone and not noted would be an attempt too many.
        place.clear()
        return error is None

    def _begin(self, letter: Waiting, fence: Fence, now: datetime) -> bool:
        """Begin an attempt; False when it failed at once."""
        if len(self._running) >= _AT_ONCE:
            return True
        taken = Place(self.folder, letter.id).take()
        # Somebody is at it: the sender of a controller that was killed.
        if taken is None:
            return True
        lock, is_again = taken
        try:
            # What was read may be old: with the lock, and as the one who may write, it is not.
            whole = self.outbox.opened(letter.id, fence)
            if whole is None or self._is_over(letter):
                return True
            address = self.receivers.address(letter.target)
            # One that was not answered in time may have been taken all the same.
            maybe = is_again or letter.attempts > 0
            told = order(whole, address, self.folder, self.policy, is_again=maybe)
            self._running[letter.id] = send(told, lock)
        except (Refused, OSError) as error:
            self._failed(letter, str(error), fence, now)
            Place(self.folder, letter.id).clear()
            return False
        finally:
            os.close(lock)
        return True

    def _is_over(self, letter: Waiting) -> bool:
        return Place(self.folder, letter.id).result.exists()

    def _failed(self, letter: Waiting, error: str, fence: Fence, now: datetime) -> None:
        doublings = min(letter.attempts, _MOST_DOUBLINGS)
        pause = min(_FIRST_PAUSE * 2**doublings, self.policy.longest_pause)
        self.outbox.failed(letter, error, now + pause, fence)


def order(
    letter: Letter, address: str, folder: Path, policy: AlertingPolicy, *, is_again: bool = False
) -> dict[str, Any]:
    """What a sender is told."""
    return {
        "result": str(Place(folder, letter.id).result),
        "id": letter.id,
        "is_again": is_again,
        "address": address,
        "kind": letter.kind,
        "title": letter.title,
        "body": letter.body,
        "facts": dict(letter.facts),
        "attachments": list(letter.attachments),
        "made_at": letter.made_at.isoformat(),
        "internal": list(policy.internal),
        "timeout": policy.timeout.total_seconds(),
    }


def send(what: dict[str, Any], lock: int) -> "subprocess.Popen[bytes]":
    """A process that sends; it outlives this one, and holds the lock until it ends."""
    process = subprocess.Popen(
        _COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=(lock,),
    )
    assert process.stdin is not None  # noqa: S101 - it was asked for
    # One that ended at once has left no result: it is begun again.
    with suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(json.dumps(what).encode())
    return process
