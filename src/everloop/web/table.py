"""The one table of routes and roles. What is not in it is refused."""

from everloop.state.access import PEOPLE, Role
from everloop.web.pages import (
    answers,
    audit,
    data,
    entrance,
    hooks,
    label,
    loop,
    me,
    metrics,
    models,
    monitoring,
    people,
    releases,
    review,
    samples,
    trace,
    trial,
)
from everloop.web.routes import Route

EVERYBODY: frozenset[Role] = frozenset(PEOPLE)
LOOKS: frozenset[Role] = frozenset({"viewer", "approver", "administrator"})
LABELS: frozenset[Role] = frozenset({"labeller", "approver", "administrator"})
DECIDES: frozenset[Role] = frozenset({"approver", "administrator"})
MANAGES: frozenset[Role] = frozenset({"administrator"})
TELLS: frozenset[Role] = frozenset({"hook"})
"""Programs, by a token of their own. They come without a session, so no page can send for them."""

_FORM = 8_192
_LABEL = 262_144
"""Bytes of one answer: some thousand boxes."""
_PICTURE = 20_000_000
_CALL = 65_536
"""Bytes of a call by another program; they are read and thrown away."""


def routes(door: entrance.Entrance, calls: hooks.Hooks | None = None) -> tuple[Route, ...]:
    """Every route; `door` opens and ends sessions, `calls` takes what programs tell."""
    calls = calls or hooks.Hooks()
    return (
        Route("GET", "/livez", None, entrance.show_alive, "here"),
        Route("GET", "/static/{build}/{name}", None, entrance.show_static, "here"),
        Route("GET", "/login", None, door.show, "here"),
        Route("POST", "/login", None, door.log_in, "desk", _FORM),
        Route("GET", "/login/oidc", None, door.go_to_provider, "ask"),
        Route("GET", "/login/oidc/back", None, door.come_back, "ask"),
        Route("POST", "/logout", EVERYBODY, door.log_out, "desk", _FORM),
        Route("GET", "/me", EVERYBODY, me.show, "desk"),
        Route("POST", "/me/password", EVERYBODY, me.put_password, "desk", _FORM),
        Route("POST", "/me/leave", EVERYBODY, me.leave_others, "desk", _FORM),
        Route("GET", "/", EVERYBODY, loop.show),
        Route("GET", "/models", LOOKS, models.show_all),
        Route("GET", "/models/compare", LOOKS, models.compare),
        Route("GET", "/models/{bundle}", LOOKS, models.show_one),
        Route("GET", "/models/{bundle}/card", LOOKS, models.show_card),
        Route("POST", "/models/{bundle}/checklist", DECIDES, models.sign, most=_FORM),
        Route("POST", "/models/{bundle}/approve", DECIDES, models.approve, most=_FORM),
        Route("POST", "/models/{bundle}/reject", DECIDES, models.reject, most=_FORM),
        Route("GET", "/releases", LOOKS, releases.show),
        Route("POST", "/releases/rollback", DECIDES, releases.roll_back, most=_FORM),
        Route("GET", "/label", LABELS, label.show, "desk"),
        Route("POST", "/label/tasks", LABELS, label.take, "desk", _FORM, speaks_json=True),
        Route("GET", "/label/{task}/image", LABELS, label.picture, "desk"),
        Route("POST", "/label/{task}/answer", LABELS, label.answer, "desk", _LABEL, True),
        Route("POST", "/label/{task}/skip", LABELS, label.skip, "desk", _FORM, True),
        Route("POST", "/label/{task}/undo", LABELS, label.undo, "desk", _FORM, True),
        Route("GET", "/review", DECIDES, review.show),
        Route("GET", "/review/quality", DECIDES, review.show_quality),
        Route("GET", "/review/{sample}/image", DECIDES, data.picture),
        Route("POST", "/review/{sample}", DECIDES, review.decide, most=_LABEL),
        Route("POST", "/review/{sample}/undo", DECIDES, review.undo, most=_FORM),
        Route("POST", "/hooks/label-studio", TELLS, calls.label_studio, "here", _CALL, True),
        Route("GET", "/data", LOOKS, data.show),
        Route("GET", "/data/samples", LOOKS, samples.show),
        Route("GET", "/data/samples/{sample}", LOOKS, data.show_sample),
        Route("GET", "/data/samples/{sample}/image", LOOKS, data.thumbnail),
        Route("GET", "/data/samples/{sample}/similar", LOOKS, answers.show_similar),
        Route("GET", "/data/answers", LOOKS, answers.show),
        Route("POST", "/data/answers/ask", DECIDES, answers.ask_people, most=_FORM),
        Route("GET", "/data/map", LOOKS, answers.show_map),
        Route("GET", "/trace", LOOKS, trace.show),
        Route("GET", "/trace/{prediction}", LOOKS, trace.show_one),
        Route("GET", "/try", EVERYBODY, trial.show, "ask"),
        Route("POST", "/try", EVERYBODY, trial.ask, "ask", _PICTURE, speaks_json=True),
        Route("POST", "/try/wrong", LABELS, trial.correct, "ask", _FORM, speaks_json=True),
        Route("GET", "/monitoring", LOOKS, monitoring.show),
        Route("POST", "/monitoring/ack", DECIDES, monitoring.acknowledge, most=_FORM),
        Route("GET", "/monitoring/reports/{name}", LOOKS, monitoring.show_report),
        Route("GET", "/metrics", LOOKS, metrics.show),
        Route("GET", "/audit", DECIDES, audit.show),
        Route("GET", "/people", MANAGES, people.show, "desk"),
        Route("POST", "/people", MANAGES, people.make, "desk", _FORM),
        Route("POST", "/people/{token}/revoke", MANAGES, people.revoke, "desk", _FORM),
    )
