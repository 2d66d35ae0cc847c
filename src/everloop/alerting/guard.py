"""No connection to where it must not go: looked at when it is made, so that no name can deceive.

Names are checked by nobody: what a name means can change between the check and its use (DNS
rebinding), and a redirection names another. The interpreter itself tells of every connection with
the address it goes to, whichever library asks; that is where it is refused.
"""

import sys
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from everloop.errors import Refused

_CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_NAT64 = ip_network("64:ff9b::/96")


class Guard:
    """Once it stands it stands for the rest of this process."""

    def __init__(self, internal: Sequence[str] = ()) -> None:
        self._internal = [ip_network(network) for network in internal]
        self.refusals: list[str] = []
        """What was refused: libraries tell of it in words of their own."""

    def stand(self) -> None:
        """From now on every connection is looked at."""
        sys.addaudithook(self._look)

    def _look(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in _CONNECTS and arguments[1] is not None and (why := self.why(arguments[1])):
            self.refusals.append(why)
            raise Refused(why)

    def why(self, address: object) -> str | None:
        """Why a socket's address is refused; None when it is not.

        >>> Guard().why(("169.254.169.254", 80))
        "169.254.169.254 is no public address; [alerting] internal may allow its network"
        >>> Guard(["10.0.0.0/8"]).why(("10.1.2.3", 443))
        """
        if not isinstance(address, tuple):
            return f"{address!r} is no address of the internet"
        try:
            found = ip_address(str(address[0]).partition("%")[0])
        except ValueError:
            return f"{address[0]!r} is a name where an address is wanted"
        if all(_is_public(each) or self._allows(each) for each in _within(found)):
            return None
        return f"{found} is no public address; [alerting] internal may allow its network"

    def _allows(self, address: IPv4Address | IPv6Address) -> bool:
        return any(_is_in(address, network) for network in self._internal)


def _is_in(address: IPv4Address | IPv6Address, network: IPv4Network | IPv6Network) -> bool:
    return address.version == network.version and address in network


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast


def _within(address: IPv4Address | IPv6Address) -> tuple[IPv4Address | IPv6Address, ...]:
    """The address that is meant: IPv6 can carry one of IPv4."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    inner = address.sixtofour or (address.teredo[1] if address.teredo else None)
    if address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFF_FFFF)
    return (address,) if inner is None else (inner,)
