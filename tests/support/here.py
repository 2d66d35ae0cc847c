"""`everloop` run in the test's own process: for commands that are many, or need no process."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from everloop.app.main import program
from everloop.cli.main import run


@dataclass(frozen=True)
class Here:
    """A project, and what commands on it print."""

    project: Path
    printed: pytest.CaptureFixture[str] | None = None

    def run(self, *arguments: str | Path, code: int = 0) -> tuple[str, str]:
        """Run a command that must end with `code`; its output and its errors."""
        found = run(program(), [*map(str, arguments), "--project", str(self.project)])
        out, errors = self.printed.readouterr() if self.printed is not None else ("", "")
        assert found == code, errors
        return out, errors

    def told(self, *arguments: str | Path) -> Any:
        """The JSON of a command that must succeed."""
        return json.loads(self.run(*arguments, "--json")[0])

    def said(self, *arguments: str | Path) -> str:
        """What a command prints for people."""
        return self.run(*arguments)[0]

    def refused(self, *arguments: str | Path) -> str:
        """Why a command is refused."""
        return self.run(*arguments, code=3)[1]
