"""People: who may do what. Tokens are made, shown once, and revoked here."""

from datetime import timedelta

from everloop.errors import Refused
from everloop.state.access import PEOPLE
from everloop.web.asked import Answer, Asked, figure_of, goto, nothing_there
from everloop.web.drawing import page

_MOST_DAYS = 365
_DOES = {
    "viewer": "sees everything but people and audit; may try the model",
    "labeller": "labels, and tries the model; sees nothing else",
    "approver": "sees what a viewer sees; labels, decides labels that are in doubt, approves, "
    "rejects, rolls back, reads the audit log",
    "administrator": "all of it, and makes and revokes tokens",
}


def show(asked: Asked) -> Answer:
    """Everybody's tokens."""
    return _page(asked, None)


def make(asked: Asked) -> Answer:
    """Make a token; its text is on this page once and nowhere else."""
    form = asked.form()
    role = next((role for role in PEOPLE if role == form.get("role")), None)
    if role is None:
        raise Refused(
            f"there is no role {form.get('role', '')[:40]!r}; there are: {', '.join(PEOPLE)}"
        )
    days = figure_of(form.get("days", "30"), _MOST_DAYS) or 1
    name = form.get("name", "").strip()
    made, text = asked.access.make(
        name, role, by=asked.who.name, now=asked.now, lasts=timedelta(days=days)
    )
    asked.record("make a token", token=made.id, name=made.name, for_role=role, days=days)
    return _page(asked, text)


def revoke(asked: Asked) -> Answer:
    """Void a token and the sessions it opened."""
    token = asked.named["token"]
    if token == asked.who.token:
        raise Refused("this is the token you are logged in with; another administrator can void it")
    if token not in {each.id for each in asked.access.tokens()}:
        raise nothing_there("such token")
    gone = asked.access.revoke(token, asked.now)
    asked.record("revoke a token", token=token, name=gone.name)
    return goto("/people")


def _page(asked: Asked, text: str | None) -> Answer:
    tokens = asked.access.tokens()
    return page(asked, "people.html", title="People", tokens=tokens, text=text, roles=_DOES)
