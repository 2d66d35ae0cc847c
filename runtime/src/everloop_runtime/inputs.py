"""The samples of a request, whatever form they come in.

Images: raw, multipart, or base64 in JSON. Rows: JSON objects in JSON.
"""

import binascii
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from everloop_runtime.errors import Refused
from everloop_runtime.head import Head, Request
from everloop_runtime.problems import Problem
from everloop_runtime.rows import canonical_row

MOST_IMAGES = 256
"""In one request."""
LONGEST_KEY = 256
_FIELD = b"file"
_FORM = b"multipart/form-data"
_LIBRARY = "let a library make the form"
_PARTS = 2 * MOST_IMAGES
_LOOKED_AT = 4_000_000

T = TypeVar("T")


@dataclass(slots=True)
class Inputs:
    """What a request to predict asks about."""

    samples: list[bytes]
    """Original bytes: an image's file, a row's canonical JSON."""
    key: str | None
    """What a canary's share is drawn by."""
    many: bool = False
    """Whether the answer is a list."""


class JsonInputs(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a JSON request: one of the first four, and a key where one is wanted."""

    image: str | None = None
    """base64"""
    images: list[str] | None = None
    row: dict[str, Any] | None = None
    """Its columns by name."""
    rows: list[dict[str, Any]] | None = None
    key: str | None = None


_json = msgspec.json.Decoder(JsonInputs)


def is_one(head: Head) -> bool:
    """Whether the body is one image, as it is."""
    kind = head.headers.get(b"content-type", b"")
    return not kind.startswith((_FORM, b"application/json"))


def key_of(head: Head) -> str | None:
    """What a canary's share is drawn by, if the client says."""
    given = head.headers.get(b"x-everloop-key")
    return None if given is None else given[:LONGEST_KEY].decode("latin-1")


def read_inputs(request: Request, most_bytes: int) -> Inputs:
    """The samples of a form or of JSON. Raises `Problem` when they cannot be taken."""
    kind = request.headers.get(b"content-type", b"")
    if kind.startswith(_FORM):
        images = _multipart(request.body, kind, most_bytes)
        return Inputs(images, key_of(request.head), many=len(images) > 1)
    return _from_json(decoded(_json, request.body), key_of(request.head), most_bytes)


def decoded(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    """A JSON body as what the decoder is for. Raises `Problem`: 400 no JSON, 422 another form."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        if not _is_json(body):
            raise Problem(400, "the body is not JSON, or nested too deep", _SEE) from None
        raise Problem(422, f"the JSON has another form: {error}", _SEE) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Problem(400, f"the body is not JSON: {error}", _SEE) from None


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body if len(body) <= _LOOKED_AT else b"0")
    except msgspec.ValidationError:
        # JSON, with a number that no machine number is.
        return True
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return True


_SEE = "GET /openapi.json tells what is taken"


def _from_json(told: JsonInputs, key: str | None, most_bytes: int) -> Inputs:
    forms = (told.image, told.images, told.row, told.rows)
    if sum(form is not None for form in forms) != 1:
        names = "'image', 'images', 'row' and 'rows'"
        raise Problem(422, f"the JSON has none or several of {names}", _SEE)
    key = told.key[:LONGEST_KEY] if told.key is not None else key
    if told.row is not None or told.rows is not None:
        rows = [told.row] if told.row is not None else told.rows or []
        _check_count(len(rows))
        return Inputs([_row(row) for row in rows], key, many=told.rows is not None)
    texts = [told.image] if told.image is not None else told.images or []
    _check_count(len(texts))
    return Inputs([_unpacked(t, most_bytes) for t in texts], key, many=told.images is not None)


def _check_count(count: int) -> None:
    if not 0 < count <= MOST_IMAGES:
        told_most = f"{count} samples in one request; 1 to {MOST_IMAGES} are taken"
        raise Problem(422, told_most, "send several requests")


def _row(row: dict[str, Any]) -> bytes:
    try:
        return canonical_row(row)
    except Refused as error:
        raise Problem(422, str(error), _SEE) from None


def _unpacked(text: str, most_bytes: int) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(422, f"an image is not base64: {error}", "encode its bytes") from None
    if len(data) > most_bytes:
        raise too_large(most_bytes)
    return data


def too_large(most_bytes: int) -> Problem:
    """Why an image is not taken."""
    told = f"an image has more than {most_bytes} bytes"
    return Problem(413, told, "send a smaller picture")


@dataclass(slots=True)
class _Part:
    name: bytes = b""
    header: bytes = b""
    value: bytes = b""
    data: list[bytes] = field(default_factory=list)


class _Form:
    """The parts of a form, as the parser finds them."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []

    def on_part_begin(self) -> None:
        if len(self.parts) >= _PARTS:
            raise Problem(422, f"the form has more than {_PARTS} parts", "send fewer in one")
        self.parts.append(_Part())

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].value += data[start:end]

    def on_header_end(self) -> None:
        part = self.parts[-1]
        if part.header.lower() == b"content-disposition":
            part.name = parse_options_header(part.value)[1].get(b"name", b"")
        part.header = part.value = b""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].data.append(data[start:end])


def _multipart(body: bytes, kind: bytes, most_bytes: int) -> list[bytes]:
    _, options = parse_options_header(kind)
    boundary = options.get(b"boundary")
    if not boundary:
        raise Problem(400, "the form has no boundary", _LIBRARY)
    form = _Form()
    callbacks = {name: getattr(form, name) for name in dir(form) if name.startswith("on_")}
    parser = MultipartParser(boundary, cast("Any", callbacks))
    try:
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Problem(400, f"the form is broken: {error}", _LIBRARY) from None
    images = [b"".join(part.data) for part in form.parts if part.name == _FIELD]
    if not 0 < len(images) <= MOST_IMAGES:
        told = f"the form has {len(images)} files in fields called 'file'"
        raise Problem(400, told, f"send 1 to {MOST_IMAGES}")
    if any(len(image) > most_bytes for image in images):
        raise too_large(most_bytes)
    return images
