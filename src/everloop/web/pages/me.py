"""What somebody may do about their own access: a password, for logging in by name."""

from everloop.errors import Refused
from everloop.state.passwords import SHORTEST
from everloop.web.asked import Answer, Asked, goto
from everloop.web.drawing import page


def show(asked: Asked) -> Answer:
    """Who one is here, and the form for a password."""
    has_one = asked.passwords.is_set(asked.who.token)
    done, ended = (asked.argument(name) == "yes" for name in ("done", "ended"))
    return page(
        asked, "me.html", title="You", has_one=has_one, shortest=SHORTEST, done=done, ended=ended
    )


def leave_others(asked: Asked) -> Answer:
    """End all one's sessions but the one it is asked in."""
    asked.access.leave_others(asked.who.token, asked.secret, asked.now)
    asked.record("end other sessions")
    return goto("/me?ended=yes")


def put_password(asked: Asked) -> Answer:
    """Set or change one's own password; all of one's other sessions end."""
    form, token = asked.form(), asked.who.token
    if asked.passwords.is_set(token) and not asked.passwords.check(token, form.get("before", "")):
        raise Refused("the password until now was another one")
    if form.get("password", "") != form.get("again", ""):
        raise Refused("the two are not the same")
    asked.passwords.put(token, form.get("password", ""), asked.now)
    asked.access.leave_others(token, asked.secret, asked.now)
    asked.record("set a password")
    return goto("/me?done=yes")
