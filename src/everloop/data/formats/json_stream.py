"""The arrays of a JSON file, one element at a time, however long the file is.

Python's own scanner decodes each element. The streaming parsers stop at the first `NaN` that a
tool wrote; here it becomes a figure that the caller can name with its row.
"""

import codecs
import json
from collections.abc import Container, Iterator
from typing import Any, BinaryIO

from everloop.errors import Refused

_PIECE = 2**20
_LARGEST = 64 * 2**20
"""Characters of one element at most."""
_SPACE = " \t\n\r"
_LONGEST_INTEGER = 300
"""Digits; beyond that a figure is infinite, as it would be for any program that reads doubles."""


def elements(file: BinaryIO, keys: Container[str]) -> Iterator[tuple[str, Any]]:
    """`(key, element)` for each element of the arrays under `keys` of the outermost object.

    The elements of an outermost array have the key `""`. Raises `Refused` where the text is no
    JSON, not UTF-8, nested too deep, or has an element of more than 64 MiB.
    """
    text = _Text(file)
    opened = text.peek()
    if opened == "[":
        text.skip("[")
        for value in _array(text):
            yield "", value
    elif opened == "{":
        text.skip("{")
        yield from _members(text, keys)
    else:
        raise Refused("it is not a JSON object or array")
    if text.peek():
        raise Refused("there is more text after the end of its JSON")


def _members(text: "_Text", keys: Container[str]) -> Iterator[tuple[str, Any]]:
    if text.peek() == "}":
        text.skip("}")
        return
    while True:
        key = text.value()
        if not isinstance(key, str):
            raise Refused("it is not JSON: a member of an object has no name")
        text.skip(":")
        if text.peek() == "[":
            text.skip("[")
            for value in _array(text):
                if key in keys:
                    yield key, value
        else:
            text.value()
        if text.next_of(",}") == "}":
            return


def _array(text: "_Text") -> Iterator[Any]:
    if text.peek() == "]":
        text.skip("]")
        return
    while True:
        yield text.value()
        if text.next_of(",]") == "]":
            return


class _Text:
    """Characters read piece by piece; what has been taken is let go of."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._bytes = codecs.getincrementaldecoder("utf-8-sig")()
        self._scan = json.JSONDecoder(parse_int=_integer).raw_decode
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def next_of(self, wanted: str) -> str:
        """Take the next character, which must be one of these."""
        found = self.peek()
        if not found or found not in wanted:
            told = repr(found) if found else "its end"
            raise Refused(f"it is not JSON: {told} where one of {' '.join(wanted)} is wanted")
        self._at += 1
        return found

    def skip(self, wanted: str) -> None:
        """Take this character."""
        self.next_of(wanted)

    def value(self) -> Any:
        """Take one whole value."""
        self.peek()
        while True:
            try:
                value, end = self._scan(self._text, self._at)
            except json.JSONDecodeError as error:
                # Cut off inside the value, unless there is nothing more to read.
                if not self._more():
                    raise Refused(f"it is not JSON: {error.msg}") from error
            except (RecursionError, ValueError) as error:
                raise Refused(f"its JSON cannot be read: {error}") from error
            else:
                if end < len(self._text) or not self._more():
                    self._at = end
                    return value

    def _more(self) -> bool:
        if self._ended:
            return False
        left = len(self._text) - self._at
        if left > _LARGEST:
            raise Refused(f"an element of its JSON has more than {_LARGEST} characters, or no end")
        data = self._file.read(max(_PIECE, left))
        try:
            new = self._bytes.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise Refused(f"it is not UTF-8: {error}") from error
        self._ended = not data
        self._text = self._text[self._at :] + new
        self._at = 0
        return not self._ended


def _integer(text: str) -> int | float:
    return int(text) if len(text) < _LONGEST_INTEGER else float(text)
