"""The loop's figures, for Prometheus."""

from everloop.loop.metrics import families, text
from everloop.web.asked import Answer, Asked

_KIND = b"text/plain; version=0.0.4; charset=utf-8"


def show(asked: Asked) -> Answer:
    """Everything as text; a program asks with a viewer's token."""
    return Answer(text(families(asked.project, asked.world(), asked.now)), _KIND)
