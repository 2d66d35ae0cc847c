"""Audit: what was done that must be proved later, and whether the log is whole."""

from everloop.errors import Refused
from everloop.web.asked import Answer, Asked
from everloop.web.drawing import page

_MOST = 200


def show(asked: Asked) -> Answer:
    """The newest entries, and what checking all seals says."""
    entries = asked.audit.entries()
    try:
        asked.audit.check()
    except Refused as error:
        broken = str(error)
    else:
        broken = ""
    shown = entries[::-1][:_MOST]
    return page(
        asked, "audit.html", title="Audit", entries=shown, total=len(entries), broken=broken
    )
