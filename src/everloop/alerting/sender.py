"""Sending one letter, in a process of its own: `python -m everloop.alerting.sender`.

What is to be sent comes as JSON on standard input: addresses hold secrets, so they are in no
argument and in no file. What came of it is written to the disk before the process ends, and the
letter's lock, which it was handed, is held until then. So the controller may be killed at any
moment: who sends goes on, and whoever looks next finds what came of it.
"""

import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from everloop.alerting.guard import Guard
from everloop.alerting.place import conclude
from everloop.errors import EverloopError, Refused, Unavailable


def main() -> int:
    """Send what standard input says; 0 when there is a result, sent or not."""
    # Cut short by the end of whoever wrote it, it is no JSON: nothing is sent then.
    order: dict[str, Any] = json.load(sys.stdin)
    conclude(Path(order["result"]), attempt(order))
    return 0


def attempt(order: dict[str, Any]) -> str | None:
    """Try to have it accepted; why that failed, or None.

    This process is never the same again: it connects nowhere that it must not.
    """
    guard = Guard(order["internal"])
    _end_after(float(order["timeout"]))
    try:
        if order["address"].partition("://")[0] in ("http", "https"):
            # Imported before connections are looked at: what they load is no connection.
            from everloop.alerting.webhook import deliver

            guard.stand()
            deliver(order["address"], _document(order), _headers(order), order["timeout"])
        else:
            _by_apprise(order, guard)
    except (EverloopError, OSError) as error:
        return guard.refusals[0] if guard.refusals else str(error) or type(error).__name__
    return None


def _headers(order: dict[str, Any]) -> dict[str, str]:
    told = {"Idempotency-Key": order["id"]}
    return {**told, "Everloop-Repeated": "maybe"} if order["is_again"] else told


def _document(order: dict[str, Any]) -> bytes:
    told = {name: order[name] for name in ("id", "kind", "title", "body", "made_at")}
    return json.dumps({**told, **order["facts"]}).encode()


def _by_apprise(order: dict[str, Any], guard: Guard) -> None:
    try:
        import apprise
    except ImportError as error:
        raise Refused("this kind of address needs everloop[alerts]: pip install it") from error
    guard.stand()
    channel = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False))
    if not channel.add(_with_key(order["address"], order["id"])):
        raise Refused("apprise knows no such kind of address, or it is not complete")
    kinds = {"critical": "failure", "warning": "warning", "resolved": "success"}
    kind = order["kind"] if order["kind"] == "resolved" else order["facts"].get("level")
    sent = channel.notify(
        title=order["title"],
        body=f"{order['body']}\n\n{order['id']}",
        notify_type=kinds.get(str(kind), "info"),
        body_format="text",
        # What is gone meanwhile (too old, forgotten) would keep the letter from ever arriving.
        attach=[file for file in order["attachments"] if Path(file).is_file()] or None,
    )
    if not sent:
        raise Unavailable("the receiver did not take it")


def _with_key(address: str, key: str) -> str:
    """E-mail takes a header of ours along, by which a mailbox can tell a repetition."""
    if address.partition("://")[0] not in ("mailto", "mailtos"):
        return address
    return f"{address}{'&' if '?' in address else '?'}%2BX-Everloop-Key={key}"


def _end_after(seconds: float) -> None:
    """However slowly a receiver talks, this process ends."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"not done within {seconds:g} s")

    signal.signal(signal.SIGALRM, end)
    # Again and again: a library may take it for the end of one of its own attempts.
    signal.setitimer(signal.ITIMER_REAL, seconds, 2.0)


if __name__ == "__main__":
    sys.exit(main())
