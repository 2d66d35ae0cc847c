"""What the address of the samples' browser asks for."""

from urllib.parse import urlencode

from everloop.data.catalogue.chosen import Chosen
from everloop.loop.measured import Sought
from everloop.web.asked import Asked
from everloop.web.views.answers import moment_of, share_of

_LONGEST = 2000
_NAMES = (
    "label", "side", "origin", "by", "since", "until", "slice", "said", "surest", "wrong", "model",
)  # fmt: skip


def chosen_of(asked: Asked) -> Chosen:
    """Which labels. Raises `Problem` for what is no moment."""
    return Chosen(
        asked.argument("label", _LONGEST),
        asked.argument("side"),
        asked.argument("origin", _LONGEST),
        asked.argument("by"),
        moment_of(asked.argument("since")),
        moment_of(asked.argument("until")),
    )


def sought_of(asked: Asked) -> Sought:
    """Which answers about the hold-out. Raises `Problem` for what is no share."""
    return Sought(
        asked.argument("slice", _LONGEST),
        asked.argument("said", _LONGEST),
        share_of(asked.argument("surest")),
        wrong=asked.argument("wrong") == "yes",
    )


def address(asked: Asked, **further: object) -> str:
    """The same page of samples with other settings."""
    kept = {name: asked.argument(name, _LONGEST) for name in _NAMES}
    return "?" + urlencode({name: value for name, value in (kept | further).items() if value})
