"""What a labelling tool of a team's own must be able to do to stand in for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from everloop.ids import LabelTaskId
from everloop.labels import Label


@dataclass(frozen=True, slots=True)
class Pushed:
    """One task on its way there."""

    task: LabelTaskId
    picture: bytes
    """The rendition: what the privacy policy lets labellers see."""
    format: str
    """`png`, `jpeg` or `webp`."""
    width: int
    height: int
    suggestion: Label | None
    """What is offered; edges of boxes as shares of the picture's sides."""
    confidence: float | None
    suggested_by: str | None


@dataclass(frozen=True, slots=True)
class There:
    """One of our tasks as the tool has it."""

    name: str
    """What the tool calls it."""
    is_answered: bool


@dataclass(frozen=True, slots=True)
class Returned:
    """One person's answer."""

    name: str
    """What the tool calls the answer; the same for all versions of it."""
    version: str
    """Another one whenever the answer is changed there."""
    task: LabelTaskId
    label: Label | None
    """None: they skipped it. Edges of boxes as shares of the picture's sides."""
    by: str
    at: datetime
    problem: str | None = None
    """Why it cannot be taken, such as a turned rectangle."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """The answers that are new or changed since a cursor."""

    answers: tuple[Returned, ...]
    """In the order in which they were given; some may have been pulled before."""
    cursor: str
    """Pull from here next time."""


class Backend(Protocol):
    """A labelling tool, addressed one batch at a time. `Unavailable` when it does not answer."""

    @property
    def name(self) -> str:
        """Who holds the tasks that are there, for the record."""

    def there(self) -> Mapping[LabelTaskId, There]:
        """All of our tasks that are there."""

    def push(self, tasks: Sequence[Pushed]) -> None:
        """Put tasks there that are not yet."""

    def withdraw(self, names: Sequence[str]) -> None:
        """Take tasks away, by what the tool calls them; those that are gone are passed over."""

    def pull(self, cursor: str) -> Pulled:
        """Answers since a cursor; all of them for an empty one."""


@runtime_checkable
class Calling(Protocol):
    """A labelling tool that can call when somebody answered there. `Unavailable` when it does not
    answer."""

    def call(self, url: str, token: str) -> None:
        """Have it call this URL from now on, showing the token; instead of what it called before
        of the same path."""

    def call_no_more(self, path: str) -> int:
        """Have it call no URL of this path any more; how many it called."""
