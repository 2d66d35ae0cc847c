"""What a page is asked, and what it answers: plain values, so that pages are plain functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast
from urllib.parse import parse_qsl

import msgspec

from everloop.ids import Json
from everloop.state.access import Access, Person
from everloop.state.audit import Audit
from everloop.state.passwords import Passwords
from everloop_runtime.problems import Problem

if TYPE_CHECKING:
    from everloop.loop.project import Project
    from everloop.loop.world import World
    from everloop.web.watching import Opened

JSON = b"application/json"
HTML = b"text/html; charset=utf-8"
_FIELDS = 40
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, by somebody who may make it."""

    now: datetime
    person: Person | None
    """None: a route that is open to all, asked by a stranger."""
    peer: str
    named: Mapping[str, str]
    """What stands in the place of `{name}` in the route's path."""
    query: str
    body: bytes
    access: Access
    passwords: Passwords
    audit: Audit
    opened: "Callable[[], Opened]" = field(repr=False)
    secret: str = field(default="", repr=False)
    """Of the session; empty for a program with a token."""
    cookies: bytes = field(default=b"", repr=False)
    """As they came."""
    is_secure: bool = False
    """Whether it came over TLS."""

    @property
    def project(self) -> "Project":
        """The product's stores, as this thread has opened them; raises as opening does."""
        return self.opened().project

    def world(self) -> "World":
        """The world as the loop sees it, a second old at most."""
        return self.opened().world(self.now)

    @property
    def who(self) -> Person:
        """Who asks, on a route that is not open to all."""
        assert self.person is not None  # noqa: S101 - the gate let nobody else through
        return self.person

    def record(self, what: str, **told: Json) -> None:
        """Write into the audit log what the one who asks has just done."""
        self.audit.append(f"web: {what}", self.who.name, {"role": self.who.role, **told}, self.now)

    def argument(self, name: str, longest: int = 200) -> str:
        """One value of the query, empty where there is none; too long a one is cut."""
        return _fields(self.query).get(name, "")[:longest]

    def form(self) -> Mapping[str, str]:
        """The fields of a form. Raises `Problem` for a body that is none."""
        try:
            return _fields(self.body.decode("ascii"))
        except UnicodeDecodeError as error:
            raise Problem(400, "the body is no form", "send it URL-encoded") from error

    def json(self, kind: type[_T]) -> _T:
        """The body as a `msgspec.Struct`. Raises `Problem`: 400 for no JSON, 422 for another."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.ValidationError as error:
            raise Problem(422, f"the body is not as expected: {error}", "see the page") from error
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise Problem(400, f"the body is no JSON: {error}", "send JSON") from error


def _fields(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, max_num_fields=_FIELDS, errors="replace"))
    except ValueError as error:
        raise Problem(400, f"more than {_FIELDS} fields", "send fewer") from error


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    body: bytes
    kind: bytes = HTML
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further ones; nothing in their values comes from a request unchecked."""


Handler: TypeAlias = Callable[[Asked], Answer]


def told(value: Any, status: int = 200) -> Answer:
    """An answer for a script or a program."""
    return Answer(msgspec.json.encode(value), JSON, status)


def goto(path: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Go on at another page, by GET. `path` is one of ours."""
    return Answer(b"", status=303, headers={"Location": path, **(headers or {})})


def nothing_there(what: str) -> Problem:
    """404: an id that nothing here has, another product's among them."""
    return Problem(404, f"there is no {what}", "go back and choose one that is listed")


def figure_of(text: str, most: int = 2**62) -> int:
    """A whole number from 0 in an address. Raises `Problem` for anything else."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 20) or int(text) > most:
        raise Problem(422, f"{text[:30]!r} is no number from 0 to {most}", "follow a link instead")
    return int(text)


def mapping(value: object) -> Mapping[str, Any]:
    """A value out of a journal as the table it was written as; nothing for anything else."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
