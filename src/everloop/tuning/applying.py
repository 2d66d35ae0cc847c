"""Parameters written into the text of `everloop.toml`; the rest stays as people wrote it."""

import json
import re
import tomllib
from collections.abc import Mapping

from everloop.errors import Refused
from everloop.space import Value

_TABLE = "[train.params]"
_HEADER = re.compile(r"\s*\[")


def with_params(text: str, params: Mapping[str, Value]) -> str:
    """The text with these values in the table `[train.params]`, which is added where it is missing.

    Comments, order and all else stay. Raises `Refused`, saying what to write by hand, when the
    text has the parameters in a form that is not edited here.

    >>> print(with_params('level = 1\\n[train.params]\\nrate = 0.1  # high\\n', {"rate": 0.02}))
    level = 1
    [train.params]
    rate = 0.02  # high
    <BLANKLINE>
    """
    lines = text.splitlines()
    begin = next((at for at, line in enumerate(lines) if _is_table(line)), None)
    if begin is None:
        lines += ["", _TABLE]
        begin = len(lines) - 1
    end = _end(lines, begin)
    for name, value in params.items():
        written = json.dumps(value, ensure_ascii=False)
        place = _place(lines[begin + 1 : end], name)
        if place is None:
            last = max(at for at in range(begin, end) if lines[at].strip())
            lines.insert(last + 1, f"{name} = {written}")
            end += 1
        else:
            at = begin + 1 + place
            lines[at] = _replaced(lines[at], written)
    made = "\n".join(lines) + "\n"
    _check(text, made, params)
    return made


def _is_table(line: str) -> bool:
    return line.partition("#")[0].replace(" ", "").strip() == _TABLE


def _end(lines: list[str], begin: int) -> int:
    for at in range(begin + 1, len(lines)):
        if _HEADER.match(lines[at]):
            return at
    return len(lines)


def _place(lines: list[str], name: str) -> int | None:
    key = re.compile(rf"""\s*["']?{re.escape(name)}["']?\s*=""")
    return next((at for at, line in enumerate(lines) if key.match(line)), None)


def _replaced(line: str, written: str) -> str:
    key, _, rest = line.partition("=")
    comment = re.search(r"""\s+#[^"']*$""", rest)
    return f"{key.rstrip()} = {written}{comment[0] if comment else ''}"


def _check(before: str, after: str, params: Mapping[str, Value]) -> None:
    """What was made must say what the old text said, but for these parameters."""
    wanted = tomllib.loads(before)
    train = dict(wanted.get("train", {}))
    wanted["train"] = {**train, "params": {**train.get("params", {}), **params}}
    try:
        good = tomllib.loads(after) == wanted
    except tomllib.TOMLDecodeError:
        good = False
    if not good:
        told = "\n".join(f"{name} = {json.dumps(value)}" for name, value in params.items())
        raise Refused(f"everloop.toml could not be edited; write there: {_TABLE}\n{told}")
