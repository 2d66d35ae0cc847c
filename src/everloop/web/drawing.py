"""From a view to a page: templates that escape whatever they show, and the words they share."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.state.access import Role
from everloop.web.asked import Answer, Asked
from everloop.web.gate import csrf_of
from everloop.web.views.review import told
from everloop_runtime.ids import digest_bytes

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent
_SHORT = 8
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_JOINERS = "\u200c\u200d"
_KINDS = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8",
          ".svg": b"image/svg+xml"}  # fmt: skip

_ALL: frozenset[Role] = frozenset({"viewer", "approver", "administrator"})
_LABEL: frozenset[Role] = frozenset({"labeller", "approver", "administrator"})
_ADMIN: frozenset[Role] = frozenset({"administrator"})
_AUDIT: frozenset[Role] = frozenset({"approver", "administrator"})

NAVIGATION: Sequence[tuple[str, str, frozenset[Role]]] = (
    ("/", "Loop", _ALL),
    ("/label", "Label", _LABEL),
    ("/review", "Review", _AUDIT),
    ("/models", "Models", _ALL),
    ("/releases", "Releases", _ALL),
    ("/monitoring", "Monitoring", _ALL),
    ("/data", "Data", _ALL),
    ("/trace", "Trace", _ALL),
    ("/try", "Try it", _ALL | _LABEL),
    ("/audit", "Audit", _AUDIT),
    ("/people", "People", _ADMIN),
)
"""What the menu offers whom; the table of routes is what counts."""


def page(
    asked: Asked | None, template: str, *, title: str, status: int = 200, **shown: Any
) -> Answer:
    """A whole page; for a stranger where nothing was asked. Text is escaped wherever it is put."""
    person = asked.person if asked else None
    role = person.role if person else None
    body = (
        _environment()
        .get_template(template)
        .render(
            title=title,
            now=asked.now if asked else None,
            person=person,
            csrf=csrf_of(asked.secret) if asked and asked.secret else "",
            menu=[(path, name) for path, name, roles in NAVIGATION if role in roles],
            build=build(),
            **shown,
        )
    )
    return Answer(body.encode(), status=status)


@cache
def static_files() -> Mapping[str, tuple[bytes, bytes]]:
    """Each file that pages load: its kind and its bytes."""
    folder = _HERE / "static"
    return {
        path.name: (_KINDS[path.suffix], path.read_bytes())
        for path in sorted(folder.iterdir())
        if path.suffix in _KINDS
    }


@cache
def build() -> str:
    """Names the static files as they are, so that browsers may keep them for good."""
    return digest_bytes(b"".join(data for _, data in static_files().values()))[:12]


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        ago=ago, short=short, percent=percent, figure=figure, moment=moment, seen=seen,
        label=label,
    )  # fmt: skip
    return made


def ago(then: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that fits.

    >>> from datetime import UTC, timedelta
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> ago(now - timedelta(minutes=3), now), ago(now, now), ago(None, now)
    ('3 min ago', 'just now', 'never')
    """
    if then is None:
        return "never"
    seconds = (now - then).total_seconds()
    for size, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s")):
        if seconds >= size:
            return f"{int(seconds // size)} {name} ago"
    return "just now"


def moment(then: datetime | None) -> str:
    """A moment for people, in UTC, to the second."""
    return "" if then is None else f"{then:%Y-%m-%d %H:%M:%S} UTC"


def short(name: str | None) -> str:
    """The beginning of an id."""
    return "" if name is None else name[:_SHORT]


def percent(share: float) -> str:
    """A share of one, for people.

    >>> percent(0.1234)
    '12.3%'
    """
    return f"{share:.1%}"


def seen(text: str) -> str:
    """A name in which nothing hides: what has no shape, or turns text around, by its number.

    Joiners stay: emoji and some scripts are written with them.

    >>> seen("a\\u202eb\\n\\u200bc"), seen("caf\\u00e9 \\U0001f469\\u200d\\U0001f52c")[:4]
    ('a<U+202E>b<U+000A><U+200B>c', 'caf\u00e9')
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in _JOINERS else f"<U+{ord(each):04X}>" for each in text
    )


def label(text: str) -> str:
    """A label's text as people read it, cut where it is endless."""
    return seen(told(text)[:200])


def figure(value: object) -> str:
    """A figure with as many places as people look at.

    >>> figure(0.98765), figure(1234), figure(None)
    ('0.9877', '1,234', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
