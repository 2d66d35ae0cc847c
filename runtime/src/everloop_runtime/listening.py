"""The socket that a server listens on, and who can reach it."""

import ipaddress
import socket

from everloop_runtime.errors import Refused, Unavailable

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""How clients of this machine address a server on loopback."""


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach an address.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int, *, allow_remote: bool) -> socket.socket:
    """A socket that is bound; port 0 takes any free one.

    Raises `Refused` for an address that others can reach unless that is allowed, `Unavailable`
    when the port is taken.
    """
    if not allow_remote and not is_loopback(host):
        raise Refused(f"{host} can be reached by others; say --allow-remote if that is meant")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named: without it the event loop would not turn Nagle's algorithm off, and
    # each answer would wait 40 ms for the client's delayed acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise Unavailable(f"cannot listen on {host} port {port}: {error}") from error
    return listening


def origin_of(listening: socket.socket, scheme: str = "http") -> str:
    """The URL of a bound socket, without a path."""
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
