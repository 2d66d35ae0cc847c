"""The gate before every page: this host, this page's own origin, a known person, a right role."""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from everloop.state.access import Access, Person
from everloop.state.audit import Audit
from everloop.web.asked import Asked
from everloop.web.routes import Found, Route, find
from everloop.web.tries import Tries
from everloop_runtime.guard import host_name
from everloop_runtime.head import Head
from everloop_runtime.ids import digest_bytes
from everloop_runtime.problems import Problem

_OWN = frozenset({b"same-origin", b"none"})
CSRF_HEADER, CSRF_FIELD = b"x-everloop-csrf", "csrf"


@dataclass(frozen=True, slots=True)
class Passed:
    """A request that may be made, once its body is there."""

    found: Found
    person: Person | None
    secret: str = field(default="", repr=False)
    """Of the session, where the person came with one."""

    @property
    def route(self) -> Route:
        return self.found.route


class Gate:
    """Deny by default: what is no route of the table, for the role, is refused."""

    def __init__(
        self,
        access: Callable[[], Access],
        routes: Sequence[Route],
        *,
        hosts: Sequence[str],
        cookie: str,
        tries: Tries,
        clock: Callable[[], datetime],
        audit: Callable[[], Audit],
    ) -> None:
        """`hosts`: names by which browsers may address this server; `*` stands for any.

        `access` is called when somebody shows a token or a session, not before; `audit` when
        somebody has shown too many wrong ones.
        """
        self._access, self._routes = access, routes
        self._hosts, self._any = frozenset(name.lower() for name in hosts), "*" in hosts
        self._cookie = cookie
        self._tries = tries
        self._clock = clock
        self._audit = audit

    def check(self, head: Head) -> Passed | Problem:
        """Whether the request may be made, by its head alone."""
        if problem := self._stranger_page(head):
            return problem
        found = find(self._routes, head.method, head.path)
        if not isinstance(found, Found):
            return _no_route(head, found)
        if found.route.roles is None:
            return Passed(found, None)
        person, secret = self._who(head)
        if isinstance(person, Problem):
            return person
        if person is None:
            told = {"WWW-Authenticate": "Bearer"}
            return Problem(401, "nobody is logged in", "log in with your token", told)
        head.client = person.name
        if person.role not in found.route.roles:
            told_roles = " or ".join(sorted(found.route.roles))
            return Problem(
                403, f"this is not for a {person.role}", f"ask somebody who is {told_roles}"
            )
        return Passed(found, person, secret)

    def _stranger_page(self, head: Head) -> Problem | None:
        host = head.headers.get(b"host", b"").decode("latin-1").lower()
        if not self._any and host_name(f"//{host}") not in self._hosts:
            told = f"this server is not called {host[:100]!r}"
            return Problem(403, told, "address it by its name; see [web] hosts")
        origin = head.headers.get(b"origin")
        if origin is not None and _place(origin.decode("latin-1").lower()) != host:
            told = f"requests from pages of {origin[:100].decode('latin-1')!r} are not taken"
            return Problem(403, told, "use the pages of this server")
        site = head.headers.get(b"sec-fetch-site")
        if head.method == "POST" and site is not None and site not in _OWN:
            return Problem(403, "another page sent this", "use the pages of this server")
        return None

    def _who(self, head: Head) -> tuple[Person | Problem | None, str]:
        scheme, _, token = head.headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            return self._by_token(head.peer, token.strip().decode("latin-1")), ""
        secret = session_of(head.headers.get(b"cookie", b""), self._cookie)
        if not secret:
            return None, ""
        return self._access().of_session(secret, self._clock()), secret

    def _by_token(self, peer: str, token: str) -> Person | Problem | None:
        now = self._clock()
        if problem := self._tries.refusal(peer, now.timestamp()):
            return problem
        person = self._access().of_token(token, now)
        if person is None and self._tries.wrong(peer, now.timestamp()):
            tell_flood(self._audit(), now, peer)
        return person


def tell_flood(audit: Audit, now: datetime, peer: str, **more: str) -> None:
    """Write into the audit log that the door closed to somebody; once each time it does."""
    told = {"from": peer[:60], **more}
    audit.append("web: too many wrong tokens", "a stranger", told, now)


def csrf_of(secret: str) -> str:
    """What a session's own pages send with every change; other pages cannot know it."""
    return digest_bytes(f"csrf {secret}".encode())[:40]


def check_csrf(passed: Passed, asked: Asked, head: Head) -> None:
    """Raise `Problem` for a change that did not come from one of our own pages."""
    if passed.route.method != "POST" or not passed.secret:
        return
    given = head.headers.get(CSRF_HEADER, b"").decode("latin-1")
    if not given and not passed.route.speaks_json:
        given = asked.form().get(CSRF_FIELD, "")
    if not hmac.compare_digest(given.encode(), csrf_of(passed.secret).encode()):
        raise Problem(403, "this did not come from a page of this session", "load the page anew")


def session_of(header: bytes, name: str) -> str:
    """The session's secret among a request's cookies; empty without one."""
    try:
        cookies = SimpleCookie(header.decode("latin-1"))
    except CookieError:
        return ""
    return cookies[name].value[:200] if name in cookies else ""


def _no_route(head: Head, methods: tuple[str, ...]) -> Problem:
    if not methods:
        return Problem(404, f"there is nothing at {head.path[:100]!r}", "start at /")
    allowed = ", ".join(methods)
    return Problem(405, f"{head.method} is not for this", f"use {allowed}", {"Allow": allowed})


def _place(origin: str) -> str | None:
    """Host and port of an origin, as a Host header writes them."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None
