"""Logging in and out, and the files that pages load."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from everloop.errors import Refused
from everloop.state.access import Person
from everloop.web.asked import Answer, Asked, goto, nothing_there
from everloop.web.drawing import build, page, static_files
from everloop.web.gate import session_of, tell_flood
from everloop.web.tries import Tries
from everloop_runtime.problems import Problem

if TYPE_CHECKING:
    from everloop.adapters.oidc import Oidc

_YEAR = "public, max-age=31536000, immutable"
_KEPT = timedelta(days=30)
"""How long a session that is over is remembered."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """Opens and ends sessions."""

    cookie: str
    """Its name."""
    tries: Tries
    lasts: timedelta
    """How long a session lasts at most."""
    provider: "Oidc | None" = None
    """Where people may log in instead of showing a token."""

    def show(self, asked: Asked) -> Answer:
        """The form for a token."""
        return self._form(asked)

    def go_to_provider(self, asked: Asked) -> Answer:
        """Send somebody to the provider."""
        from everloop.adapters.oidc import LASTS

        place, state = self._provided().begin(asked.now)
        # So that nobody is logged in as somebody else by a link.
        return goto(place, {"Set-Cookie": self._cookie(asked, state, LASTS, self._on_the_way)})

    def come_back(self, asked: Asked) -> Answer:
        """Open a session for whom the provider vouches. Raises `Refused` for everybody else."""
        provider, state = self._provided(), asked.argument("state")
        kept = session_of(asked.cookies, self._on_the_way)
        if not kept or not hmac.compare_digest(kept.encode(), state.encode()):
            raise Refused("this log-in was begun in another browser: begin anew")
        if said := asked.argument("error"):
            raise Refused(f"the provider let nobody in: {said}")
        found = provider.finish(state, asked.argument("code", 4000), asked.now)
        person, secret = asked.access.let_in(
            found.name, found.role, subject=found.subject, now=asked.now, lasts=self.lasts
        )
        told = {"role": person.role, "by": "oidc"}
        asked.audit.append("web: log in", person.name, told, asked.now)
        return goto("/", {"Set-Cookie": self._cookie(asked, secret, self.lasts)})

    def _form(self, asked: Asked, problem: Problem | None = None) -> Answer:
        return page(
            asked,
            "login.html",
            title="Log in",
            status=problem.status if problem else 200,
            problem=problem,
            provided=self.provider is not None,
        )

    @property
    def _on_the_way(self) -> str:
        return f"{self.cookie}-oidc"

    def _provided(self) -> "Oidc":
        if self.provider is None:
            raise nothing_there("other way to log in: [web.oidc] names no issuer")
        return self.provider

    def log_in(self, asked: Asked) -> Answer:
        """Open a session. Raises `Problem` where too many tokens or passwords were wrong."""
        form = asked.form()
        # Guesses at one person's password are counted together, wherever they come from.
        guessed = [f"the name {form.get('name', '')[:60]}"] if "password" in form else []
        for who in (asked.peer, *guessed):
            if problem := self.tries.refusal(who, asked.now.timestamp()):
                raise problem
        try:
            person, secret = self._enter(asked, form)
        except Refused as error:
            self._note_wrong(asked, guessed)
            wrong = Problem(401, str(error), "ask whoever runs this for a new one")
            return self._form(asked, wrong)
        for who in (asked.peer, *guessed):
            self.tries.right(who)
        asked.access.forget_ended(asked.now - _KEPT)
        asked.audit.append("web: log in", person.name, {"role": person.role}, asked.now)
        return goto("/", {"Set-Cookie": self._cookie(asked, secret, self.lasts)})

    def _enter(self, asked: Asked, form: Mapping[str, str]) -> tuple[Person, str]:
        if "password" not in form:
            return asked.access.enter(form.get("token", "").strip(), asked.now, self.lasts)
        token = asked.passwords.find(form.get("name", ""), form["password"], asked.now)
        if token is None:
            raise Refused("this name and password do not belong together, or are not good any more")
        return asked.access.enter_by(token, asked.now, self.lasts)

    def log_out(self, asked: Asked) -> Answer:
        """End the session it is asked in."""
        asked.access.leave(asked.secret, asked.now)
        asked.record("log out")
        return goto("/login", {"Set-Cookie": self._cookie(asked, "", timedelta(0))})

    def _note_wrong(self, asked: Asked, guessed: Sequence[str]) -> None:
        # Once, when the door closes: a flood of wrong tokens does not flood the log.
        now = asked.now.timestamp()
        closed = [self.tries.wrong(who, now) for who in (asked.peer, *guessed)]
        if any(closed):
            more = {"for": guessed[0]} if guessed else {}
            tell_flood(asked.audit, asked.now, asked.peer, **more)

    def _cookie(self, asked: Asked, secret: str, lasts: timedelta, name: str = "") -> str:
        flags = "; Secure" if asked.is_secure else ""
        age = int(lasts.total_seconds())
        return (
            f"{name or self.cookie}={secret}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{flags}"
        )


def show_static(asked: Asked) -> Answer:
    """A style or a script, kept by browsers for as long as it is the same."""
    found = static_files().get(asked.named["name"])
    if found is None or asked.named["build"] != build():
        raise Problem(404, "there is no such file", "load the page anew")
    kind, data = found
    return Answer(data, kind, headers={"Cache-Control": _YEAR})


def show_alive(_asked: Asked) -> Answer:
    """That the server answers; nothing else."""
    return Answer(b'{"live":true}', b"application/json")
