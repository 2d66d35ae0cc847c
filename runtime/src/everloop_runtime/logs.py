"""Logs: one line of JSON a record; what a client sent cannot break, colour or fill them."""

import json
import logging
import re
import time

from everloop_runtime.head import Head
from everloop_runtime.problems import Problem

_A_SECOND = 50
_LONGEST = 300
_SECRET = re.compile(
    r"(?i)(bearer\s+|basic\s+|evl_|(?:api[_-]?key|token|password|secret|authorization)"
    r"[\"']?\s*[=:]\s*[\"']?)([^\s\"'&,;]+)"
)


def redact(text: str) -> str:
    """The text without what looks like a key or password.

    >>> redact("Authorization: Bearer abc.def")
    'Authorization: Bearer ***'
    """
    return _SECRET.sub(lambda found: found[1] + "***", _SECRET.sub(_hide, text))


def _hide(found: "re.Match[str]") -> str:
    return found[0] if found[2].lower() in {"bearer", "basic"} else found[1] + "***"


class JsonLines(logging.Formatter):
    """Formats a record, with its `fields` if it has some."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        told = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            told.update({name: redact(str(value)) for name, value in fields.items()})
        if record.exc_info:
            told["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(told)


class RequestLog:
    """Tells of requests that were refused or failed; a flood of them is counted, not written."""

    def __init__(self) -> None:
        self._log = logging.getLogger("everloop_runtime.requests")
        self._second = 0
        self._told = 0
        self._untold = 0

    def refused(self, head: Head, problem: Problem) -> None:
        """A request was refused."""
        level = logging.ERROR if problem.status >= 500 else logging.INFO
        if self._may_tell():
            fields = {**_fields(head), "status": problem.status, "reason": problem.message}
            self._log.log(level, "refused", extra={"fields": fields})

    def broke(self, head: Head, error: Exception) -> None:
        """The service itself failed on a request."""
        if self._may_tell():
            self._log.error("broke", exc_info=error, extra={"fields": _fields(head)})

    def _may_tell(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            if self._untold:
                self._log.warning("%d more requests were refused", self._untold)
            self._second, self._told, self._untold = second, 0, 0
        self._told += 1
        self._untold += self._told > _A_SECOND
        return self._told <= _A_SECOND


def _fields(head: Head) -> dict[str, str]:
    headers = head.headers
    told = {
        "request_id": headers.get(b"x-request-id", b"").decode("latin-1"),
        "traceparent": headers.get(b"traceparent", b"").decode("latin-1"),
        "client": head.client or head.peer,
        "method": head.method,
        "path": head.path,
    }
    return {name: value[:_LONGEST] for name, value in told.items() if value}
