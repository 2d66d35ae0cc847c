"""Which labelled samples somebody looks for: by label, side, origin, who said so, and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from everloop_runtime.ids import canonical_json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a standing label and its sample must be; what is empty or None leaves everything in."""

    label: str = ""
    """A label's text; of labels with several classes or boxes, a class that is among them."""
    side: str = ""
    origin: str = ""
    by: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def fits(self, label: str, side: str, origin: str, by: str, at: datetime) -> bool:
        """Whether one sample's standing label does."""
        is_in = label.startswith("{") and _quoted(self.label) in label
        return (
            (not self.label or label == self.label or is_in)
            and self.side in ("", side)
            and self.origin in ("", origin)
            and self.by in ("", by)
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
        )


def condition(chosen: Chosen) -> tuple[str, Mapping[str, str | int]]:
    """The same of the catalogue's tables `sample` and `standing`, as SQL and its values."""
    asked: dict[str, tuple[str, str | int]] = {}
    for name, column in (("side", "side"), ("origin", "origin"), ("by", "who")):
        if value := getattr(chosen, name):
            asked[name] = (f"{column} = :{name}", value)
    if chosen.since is not None:
        asked["since"] = ("at >= :since", _microseconds(chosen.since))
    if chosen.until is not None:
        asked["until"] = ("at < :until", _microseconds(chosen.until))
    values = {name: value for name, (_, value) in asked.items()}
    parts = [text for text, _ in asked.values()]
    if chosen.label:
        # Labels of several classes are JSON, in which a class stands in quotes.
        parts.append("(label = :label OR substr(label, 1, 1) = '{' AND instr(label, :quoted) > 0)")
        values |= {"label": chosen.label, "quoted": _quoted(chosen.label)}
    return " AND ".join(["label IS NOT NULL", *parts]), values


def _quoted(name: str) -> str:
    """A class as it stands in the text of a label that has several."""
    return canonical_json(name).decode()


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
