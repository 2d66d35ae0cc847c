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
from everloop.state.outbox import Letter, Outbox

_COMMAND = (sys.executable, "-m", "everloop.alerting.sender")
_AT_ONCE = 4
_FIRST_PAUSE = timedelta(seconds=1)
_MOST_DOUBLINGS = 20


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
        due = self.outbox.due(now)
        if not due and not self._running:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        ended = self._reap()
        for letter in due:
            if letter.id in self._running or self._settled(letter, fence, now):
                continue
            if letter.id in ended:
                self._failed(letter, "the sender ended without a result", fence, now)
            else:
                self._begin(letter, fence, now)

    def wait(self) -> None:
        """Until every attempt under way has ended: for commands that send and go."""
        for process in self._running.values():
            process.wait()

    def _reap(self) -> frozenset[str]:
        ended = frozenset(name for name, sent in self._running.items() if sent.poll() is not None)
        for letter in ended:
            del self._running[letter]
        return ended

    def _settled(self, letter: Letter, fence: Fence, now: datetime) -> bool:
        place = Place(self.folder, letter.id)
        is_over, error = place.concluded()
        if not is_over:
            return False
        if error is None:
            self.outbox.delivered(letter.id, fence, now)
        else:
            self._failed(letter, error, fence, now)
        # Noted first: a result that is gone and not noted would be an attempt too many.
        place.clear()
        return True

    def _begin(self, letter: Letter, fence: Fence, now: datetime) -> None:
        if len(self._running) >= _AT_ONCE:
            return
        taken = Place(self.folder, letter.id).take()
        # Somebody is at it: the sender of a controller that was killed.
        if taken is None:
            return
        lock, is_again = taken
        try:
            # What was read may be old: with the lock, and as the one who may write, it is not.
            if not self.outbox.is_open(letter.id, fence) or self._is_over(letter):
                return
            address = self.receivers.address(letter.target)
            told = order(letter, address, self.folder, self.policy, is_again=is_again)
            self._running[letter.id] = send(told, lock)
        except (Refused, OSError) as error:
            self._failed(letter, str(error), fence, now)
            Place(self.folder, letter.id).clear()
        finally:
            os.close(lock)

    def _is_over(self, letter: Letter) -> bool:
        return Place(self.folder, letter.id).result.exists()

    def _failed(self, letter: Letter, error: str, fence: Fence, now: datetime) -> None:
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
        "attachment": letter.attachment,
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
