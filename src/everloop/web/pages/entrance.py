"""Logging in and out, and the files that pages load."""

from dataclasses import dataclass
from datetime import timedelta

from everloop.errors import Refused
from everloop.web.asked import Answer, Asked, goto
from everloop.web.drawing import build, page, static_files
from everloop.web.tries import Tries
from everloop_runtime.problems import Problem

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

    def show(self, asked: Asked) -> Answer:
        """The form for a token."""
        return page(asked, "login.html", title="Log in", problem=None)

    def log_in(self, asked: Asked) -> Answer:
        """Open a session. Raises `Problem` where too many tokens were wrong."""
        if problem := self.tries.refusal(asked.peer, asked.now.timestamp()):
            raise problem
        text = asked.form().get("token", "").strip()
        try:
            person, secret = asked.access.enter(text, asked.now, self.lasts)
        except Refused as error:
            self._note_wrong(asked)
            wrong = Problem(401, str(error), "ask whoever runs this for a new one")
            return page(asked, "login.html", title="Log in", status=401, problem=wrong)
        self.tries.right(asked.peer)
        asked.access.forget_ended(asked.now - _KEPT)
        asked.audit.append("web: log in", person.name, {"role": person.role}, asked.now)
        return goto("/", {"Set-Cookie": self._cookie(asked, secret, self.lasts)})

    def log_out(self, asked: Asked) -> Answer:
        """End the session it is asked in."""
        asked.access.leave(asked.secret, asked.now)
        asked.record("log out")
        return goto("/login", {"Set-Cookie": self._cookie(asked, "", timedelta(0))})

    def _note_wrong(self, asked: Asked) -> None:
        # Once, when the door closes: a flood of wrong tokens does not flood the log.
        if self.tries.wrong(asked.peer, asked.now.timestamp()):
            told = {"from": asked.peer[:60]}
            asked.audit.append("web: too many wrong tokens", "a stranger", told, asked.now)

    def _cookie(self, asked: Asked, secret: str, lasts: timedelta) -> str:
        flags = "; Secure" if asked.is_secure else ""
        age = int(lasts.total_seconds())
        return f"{self.cookie}={secret}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{flags}"


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
