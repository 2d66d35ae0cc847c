"""What every request must pass before the service looks at it: host, origin, size."""

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Guard:
    """Refuses foreign hosts and origins (403) and bodies beyond the limit (413)."""

    def __init__(self, app: ASGIApp, *, hosts: tuple[str, ...], max_bytes: int) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if why := self._foreign(headers):
            await _refuse(scope, receive, send, 403, why)
            return
        declared = headers.get(b"content-length", "0")
        if not declared.isdigit() or int(declared[:20]) > self._max_bytes:
            await _refuse(scope, receive, send, 413, self._too_large())
            return
        await self._app(scope, self._counted(receive), _with_headers(send))

    def _foreign(self, headers: MutableMapping[bytes, str]) -> str | None:
        host = headers.get(b"host", "")
        if _name(f"//{host}") not in self._hosts:
            return f"this service is not called {host!r}"
        origin = headers.get(b"origin")
        if origin is not None and _name(origin) not in self._hosts:
            return f"requests from pages of {origin!r} are not taken"
        return None

    def _too_large(self) -> str:
        return f"the body is larger than {self._max_bytes} bytes"

    def _counted(self, receive: Receive) -> Receive:
        taken = 0

        async def counting() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_bytes:
                raise HTTPException(413, self._too_large())
            return message

        return counting


def _name(url: str) -> str | None:
    try:
        name = urlsplit(url).hostname
    except ValueError:
        return None
    return f"[{name}]" if name and ":" in name else name


async def _refuse(scope: Scope, receive: Receive, send: Send, code: int, why: str) -> None:
    told = {"error": {"code": code, "message": why, "remedy": "see the service's documentation"}}
    await JSONResponse(told, code, {"Connection": "close"})(scope, receive, send)


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                *message.get("headers", ()),
                (b"x-content-type-options", b"nosniff"),
            ]
        await send(message)

    return sending
