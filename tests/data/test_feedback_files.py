"""Files of feedback: what each line says, and what is wrong with the others."""

import doctest
from pathlib import Path

import pytest

from everloop.data import feedback_files
from everloop.data.feedback_files import read_lines
from everloop.errors import Refused
from everloop_runtime.client import Statement

P = "0" * 32


def test_json_lines_are_read_and_what_is_wrong_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    file.write_text(
        f'{{"prediction_id": "{P}", "kind": "label", "value": "cat"}}\n'
        "\n"
        "no json\n"
        f'{{"prediction_id": "{P}", "kind": "opinion", "value": "cat"}}\n'
        f'{{"prediction_id": "{P}", "kind": "event", "value": {{"basket": 1e999}}}}\n'
        f'{{"prediction_id": "{P}", "kind": "event", "value": {"9" * 5000}}}\n'
        f'{{"prediction_id": "{P}", "kind": "event", "value": "{"x" * 70_000}"}}\n'
        f'{{"prediction_id": "{P}", "kind": "event"}}\n'
        f'{{"prediction_id": 7, "kind": "event", "value": 1}}\n'
        f'{{"prediction_id": "{P}", "kind": "event", "value": {"[" * 30_000}}}\n'
        f'{{"prediction_id": "{P}", "kind": "event", "value": {{"basket": 2.5}}, "user": 3}}\n'
    )
    lines = list(read_lines(file))
    assert [line.number for line in lines] == [1, *range(3, 12)]
    assert lines[0].said == Statement(P, "label", "cat")
    assert lines[-1].said == Statement(P, "event", {"basket": 2.5})
    assert all(line.said is None and line.trouble for line in lines[1:-1])
    assert "'opinion'; there are: label, correction, event" in (lines[2].trouble or "")


def test_csv_is_read_with_its_columns_in_any_order(tmp_path: Path) -> None:
    file = tmp_path / "said.csv"
    file.write_text(
        f'kind,prediction_id,user,value\nlabel,{P},ann,7\nevent,{P},bo,"{{""basket"": 2}}"\n'
        f"event,{P},bo,clicked\nevent\n"
    )
    assert [line.said for line in read_lines(file)] == [
        Statement(P, "label", "7"),
        Statement(P, "event", {"basket": 2}),
        Statement(P, "event", "clicked"),
        None,
    ]


@pytest.mark.parametrize("content", [b"prediction_id,value\n", b"\xff\xfe\x00", b""])
def test_a_table_without_the_columns_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "said.csv"
    file.write_bytes(content)
    with pytest.raises(Refused):
        list(read_lines(file))


def test_the_examples_hold() -> None:
    assert doctest.testmod(feedback_files).failed == 0
