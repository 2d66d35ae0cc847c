"""Audit: what was done that must be proved later, and whether the log is whole."""

from everloop.errors import Refused
from everloop.web.asked import Answer, Asked, figure_of
from everloop.web.drawing import page

_MOST = 200
_CHECKED = 5_000
"""Seals of so many entries are checked for a page; the command checks all there are."""


def show(asked: Asked) -> Answer:
    """Some entries, newest first, and what checking the seals of the newest ones says."""
    before = figure_of(asked.argument("before")) or None
    entries = asked.audit.newest(_MOST, before)
    try:
        asked.audit.check(_CHECKED)
    except Refused as error:
        broken = str(error)
    else:
        broken = ""
    return page(
        asked, "audit.html", title="Audit", entries=entries, total=asked.audit.count(),
        checked=_CHECKED, broken=broken, before=before,
        earlier=entries[-1].number if entries and entries[-1].number > 1 else None,
    )  # fmt: skip
