"""Releases: shares, the canary's analysis, the way back, and what served before."""

from everloop.errors import Refused
from everloop.loop.releases import released
from everloop.web.asked import Answer, Asked, goto
from everloop.web.drawing import page
from everloop.web.views.releases import back, releases_view


def show(asked: Asked) -> Answer:
    """What serves now and how what is tried does."""
    project, world = asked.project, asked.world()
    told = released(project, world)
    view = releases_view(project.releases.current(), told, project.releases.history())
    waiting = project.requests.pending()
    answer = _answer(asked)
    runs = project.leases.holder("controller") is not None
    return page(
        asked, "releases.html", title="Releases", view=view, waiting=waiting, answer=answer,
        runs=runs,
    )  # fmt: skip


def roll_back(asked: Asked) -> Answer:
    """Ask the loop to go back; it does so within moments, whatever else it is at."""
    project = asked.project
    if not back(project.releases.current()):
        raise Refused("there is nothing to go back from: one champion serves, and none before it")
    request = project.requests.submit("rollback", {}, asked.who.name, asked.now)
    asked.record("roll back", request=request)
    return goto(f"/releases?asked={request}")


def _answer(asked: Asked) -> str | None:
    """What the loop answered to the request that this page was sent on with."""
    request = asked.argument("asked", 40)
    return asked.project.requests.answer(request) if request else None
