"""What every request must pass before its body is read: host, origin, key, and room for it."""

from urllib.parse import urlsplit

from everloop_runtime.head import Head
from everloop_runtime.keys import KeyRing
from everloop_runtime.problems import Problem, busy

_REMEMBERED = 64


class Guard:
    """Refuses foreign hosts and pages (403) and, where keys are asked for, strangers (401)."""

    def __init__(self, hosts: tuple[str, ...], keys: KeyRing | None) -> None:
        """`hosts`: names by which clients may address the service; `*` stands for any."""
        self._hosts = frozenset(hosts)
        self._any = "*" in self._hosts
        self._keys = keys
        self._known: set[bytes] = set()

    def check(self, head: Head) -> Problem | None:
        """Why the request is refused; None, and its client's name known, when it is not."""
        host = head.headers.get(b"host", b"")
        if not self._any and host not in self._known:
            if host_name(f"//{host.decode('latin-1')}") not in self._hosts:
                told = f"this service is not called {_shown(host)}"
                return Problem(403, told, "address it by its name; see --host-name")
            if len(self._known) < _REMEMBERED:
                self._known.add(host)
        origin = head.headers.get(b"origin")
        if origin is not None and host_name(origin.decode("latin-1")) not in self._hosts:
            told = f"requests from pages of {_shown(origin)} are not taken"
            return Problem(403, told, "send it from a program, or from a page of this host")
        if self._keys is None:
            head.client = head.peer
            return None
        return self._keyed(head, self._keys)

    def _keyed(self, head: Head, keys: KeyRing) -> Problem | None:
        given = head.headers.get(b"x-api-key")
        if given is None:
            scheme, _, token = head.headers.get(b"authorization", b"").partition(b" ")
            given = token.strip() if scheme.lower() == b"bearer" else None
        if given is None:
            told, remedy = "an API key is asked for", "send it as Authorization: Bearer KEY"
            return Problem(401, told, remedy, {"WWW-Authenticate": "Bearer"})
        name = keys.client_of(given)
        if name is None:
            told, remedy = "this API key is not known here", "ask whoever runs this service for one"
            return Problem(401, told, remedy, {"WWW-Authenticate": "Bearer"})
        head.client = name
        return None


class Room:
    """How many requests may be on their way, in all and of one client."""

    def __init__(self, in_all: int, of_one: int) -> None:
        self._in_all, self._of_one = in_all, of_one
        self._by_client: dict[str, int] = {}
        self.taken = 0
        """Requests on their way."""

    def enter(self, client: str) -> Problem | None:
        """Take a place; the reason when there is none."""
        if self.taken >= self._in_all:
            return busy(f"{self.taken} requests are being answered")
        mine = self._by_client.get(client, 0)
        if mine >= self._of_one:
            return busy(f"{mine} requests of yours are being answered")
        self.taken += 1
        self._by_client[client] = mine + 1
        return None

    def leave(self, client: str) -> None:
        """Give the place back."""
        self.taken -= 1
        mine = self._by_client[client] - 1
        if mine:
            self._by_client[client] = mine
        else:
            del self._by_client[client]


def host_name(url: str) -> str | None:
    """The host of a URL as a Host header writes it, without the port; None where it is none."""
    try:
        name = urlsplit(url).hostname
    except ValueError:
        return None
    return f"[{name}]" if name and ":" in name else name


def _shown(value: bytes) -> str:
    return repr(value[:100].decode("latin-1"))
