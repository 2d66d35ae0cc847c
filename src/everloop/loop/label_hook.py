"""Having a labelling tool call us when somebody answered there, with a token of its own."""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from everloop.errors import EverloopError, Refused
from everloop.labelling.backend import Backend, Calling
from everloop.loop.project import Project
from everloop.state.access import Token
from everloop_runtime.listening import is_loopback

PATH = "/hooks/label-studio"
"""Where calls are taken."""


def begin_calls(
    project: Project, backend: Backend, address: str, lasts: timedelta, *, by: str, now: datetime
) -> Token:
    """Have the tool call the pages at `address` with a new token; earlier tokens of it are void.

    Raises `Refused` for an address over which the token would travel in the open, and for a tool
    that cannot call; `Unavailable` when it does not answer.
    """
    tool, url = _calling(backend), urlsplit(address)
    safe = url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname or ""))
    if not safe or not url.hostname or url.username or url.query or url.fragment:
        raise Refused(f"{address[:100]!r} is no https:// address; the token must not be overheard")
    made, text = project.access.make(backend.name, "hook", by=by, now=now, lasts=lasts)
    try:
        tool.call(address.rstrip("/") + PATH, text)
    except EverloopError:
        project.access.revoke(made.id, now)
        raise
    _void(project, backend, now, but=made.id)
    told = {"token": made.id, "name": made.name, "for_role": "hook", "address": address[:200]}
    project.audit.append("have a labelling tool call", by, told, now)
    return made


def end_calls(project: Project, backend: Backend, *, by: str, now: datetime) -> tuple[int, int]:
    """Have the tool call no more: how many addresses it called, and how many tokens are void now.

    The tokens are void first, so that it is over even where the tool does not answer. Raises as
    `begin_calls`.
    """
    tool = _calling(backend)
    void = _void(project, backend, now)
    project.audit.append("have a labelling tool call no more", by, {"tokens": void}, now)
    return tool.call_no_more(PATH), void


def _calling(backend: Backend) -> Calling:
    if not isinstance(backend, Calling):
        raise Refused(f"{backend.name} cannot call; everloop label sync --every asks it instead")
    return backend


def _void(project: Project, backend: Backend, now: datetime, but: str = "") -> int:
    """Void the tool's tokens; how many."""
    mine = [
        token.id
        for token in project.access.tokens()
        if (token.role, token.name) == ("hook", backend.name)
        and token.revoked_at is None
        and token.id != but
    ]
    for token in mine:
        project.access.revoke(token, now)
    return len(mine)
