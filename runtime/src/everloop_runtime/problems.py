"""What is wrong with a request, as a client is told it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

_LONGEST = 500


@dataclass(eq=False)
class Problem(Exception):
    """A refusal: what is wrong and what to do, with the HTTP status."""

    status: int
    message: str
    remedy: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers; values must not come from a request."""

    plain: bool = False
    """Whether the body is the Open Inference Protocol's: one text."""

    def body(self) -> bytes:
        """The answer's JSON."""
        if self.plain:
            return msgspec.json.encode({"error": f"{self.message[:_LONGEST]}; {self.remedy}"})
        error = {"code": self.status, "message": self.message[:_LONGEST], "remedy": self.remedy}
        return msgspec.json.encode({"error": error})

    def header_lines(self) -> bytes:
        """The headers, each with its line end."""
        lines = (f"{name}: {value}\r\n" for name, value in self.headers.items())
        return "".join(lines).encode("latin-1")


def busy(message: str, seconds: int = 1) -> Problem:
    """429: too much at once from here."""
    told = {"Retry-After": str(seconds)}
    return Problem(429, message, "send less at once, and again after Retry-After", told)


def unavailable(message: str, remedy: str = "try again in a moment") -> Problem:
    """503: not now."""
    return Problem(503, message, remedy, {"Retry-After": "1"})
