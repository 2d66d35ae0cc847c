"""What a route is, and finding the one that a request is for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from everloop.state.access import Role
from everloop.web.asked import Handler

Lane: TypeAlias = Literal["here", "desk", "views", "ask"]
"""Who answers: the event loop itself (`here`: nothing that waits), the lane of labelling and
logging in, the lane of everything that reads a lot, or the one that waits for the service."""

_NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
"""What may stand for a `{name}`: no slash, no percent sign, nothing that climbs."""


def is_name(part: str) -> bool:
    """Whether a text may stand for a `{name}` of a path."""
    return _NAMED.match(part) is not None


@dataclass(frozen=True, slots=True)
class Route:
    """One address with a method, and who may use it."""

    method: Literal["GET", "POST"]
    path: str
    """`{name}` stands for one part."""
    roles: frozenset[Role] | None
    """None: open to all, strangers too."""
    handler: Handler
    lane: Lane = "views"
    most: int = 0
    """Bytes that the body may have."""
    speaks_json: bool = False
    """Whether refusals are JSON, for a script; pages otherwise."""

    def match(self, path: str) -> Mapping[str, str] | None:
        """What stands for each `{name}`; None when the path is not this route's."""
        mine, theirs = self.path.split("/"), path.split("/")
        if len(mine) != len(theirs):
            return None
        named = {}
        for pattern, part in zip(mine, theirs, strict=True):
            if pattern.startswith("{"):
                if not is_name(part):
                    return None
                named[pattern[1:-1]] = part
            elif pattern != part:
                return None
        return named


@dataclass(frozen=True, slots=True)
class Found:
    """The route of a request."""

    route: Route
    named: Mapping[str, str]


def find(routes: Sequence[Route], method: str, path: str) -> Found | tuple[str, ...]:
    """The route of a request, or the methods that its path takes; none when there is no such."""
    methods = []
    for route in routes:
        named = route.match(path)
        if named is None:
            continue
        if method == route.method or (method == "HEAD" and route.method == "GET"):
            return Found(route, named)
        methods.append(route.method)
    return tuple(methods)
