"""A message as a signed POST of JSON."""

import hashlib
import hmac
import http.client
import ssl
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from everloop.errors import Refused, Unavailable

SCHEMES = ("http", "https")
_OK = range(200, 300)
_AWAY = range(300, 400)


def deliver(address: str, body: bytes, headers: Mapping[str, str], timeout: float) -> None:
    """POST `body` to an address and have it accepted.

    What stands after the address' `#` is never sent: it is the secret that signs. Redirections are
    not followed. Raises `Unavailable` when it may be accepted later, `Refused` when it will not be.
    """
    parts = urlsplit(address)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise Refused("a webhook's address begins with https:// and the name of a host")
    sent = {"Content-Type": "application/json", "User-Agent": "everloop", **headers}
    if parts.fragment:
        sent["Everloop-Signature"] = signature(parts.fragment, body, int(time.time()))
    where = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    port = parts.port
    connection = (
        http.client.HTTPSConnection(
            parts.hostname, port, timeout=timeout, context=ssl.create_default_context()
        )
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, port, timeout=timeout)
    )
    try:
        connection.request("POST", where, body, sent)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"{parts.hostname} did not answer: {error}") from error
    finally:
        connection.close()
    if status in _AWAY:
        raise Refused(f"{parts.hostname} sends elsewhere ({status}): name that address itself")
    if status not in _OK:
        raise Unavailable(f"{parts.hostname} answered {status}")


def signature(secret: str, body: bytes, at: int) -> str:
    """Proves who sent a body, and when (seconds since 1970): HMAC-SHA-256 over both.

    >>> signature("s", b"{}", 0)[:20]
    't=0,v1=4be98b13aa0b4'
    """
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hexdigest()}"
