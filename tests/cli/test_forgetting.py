"""`everloop data usage`, `gc` and `forget` print what they did, for people and for programs."""

import json
from pathlib import Path

import pytest
from tests.support.stored import anna, filled

from everloop.app.assemble import assemble
from everloop.app.storage import open_data
from everloop.cli.main import run
from everloop.cli.program import Program


def test_the_commands_that_remove_things_say_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(filled(tmp_path / "project").layout.project)
    program = Program(assemble, open_data, lambda *_: None)

    def told(*arguments: str) -> str:
        assert run(program, ["data", *arguments, "--project", place]) == 0
        return capsys.readouterr().out

    assert "bytes.lance" in told("usage")
    assert json.loads(told("usage", "--json"))["samples"]["s"] == 40
    assert not json.loads(told("gc", "--dry-run", "--json"))["collected"]
    certificate = json.loads(told("forget", "--subject", "anna", "--json"))
    assert certificate["samples"] == anna()
    assert "certificate" in told("forget", "--subject", "anna", "--yes")
    told("gc")
    assert run(program, ["data", "forget", "--project", place]) == 2
