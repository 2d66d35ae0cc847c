"""An Alarm: something that somebody should know of, and what to do about it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Level: TypeAlias = Literal["info", "warning", "critical"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""From the least to the most urgent."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """What is wrong, or has happened; told once for as long as it stands."""

    what: str
    """Its kind, by which rules and silences name it, such as `service-down`."""
    subject: str
    """What it is about: two alarms of a kind differ in this; empty where there is only one."""
    level: Level
    summary: str
    """One line for people."""
    command: str
    """The command to look closer or to act."""
    page: str = "/"
    """The same on the pages: a path."""
    passes: bool = True
    """Whether its end is news: not of what happened at one moment."""

    @property
    def key(self) -> str:
        """The same as long as it is the same alarm."""
        return f"{self.what}:{self.subject}" if self.subject else self.what
