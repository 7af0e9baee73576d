"""From the network straight to the disk: an uploaded file never stands in the server's memory.

Streamlit's uploader sends each file with one PUT and keeps the bytes in memory until the session ends. This
ASGI middleware writes the file to the data folder as it comes in and lets Streamlit have a receipt instead
(`db.receipts`); Streamlit's own checks of session, cross-site request and size still decide whether it is taken.
Only sessions that ask for it (`take_to_disk`, the Upload page) get receipts: an uploader elsewhere gets its bytes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import BinaryIO

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config

from db import receipts
from db.settings import Settings, read_settings
from db.storage import require_free_space
from thighseg_core.errors import ThighSegError

_UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+\Z")
_HEAD_LIMIT_BYTES = 16 << 10  # boundary and headers of the one part
_BLOCK_BYTES = 1 << 20
_SESSIONS_KEPT = 1000
_sessions: dict[str, None] = {}  # those that get receipts, the oldest first


def take_to_disk(session_id: str, *, wanted: bool) -> None:
    """Whether files that this session uploads from now on become receipts. Call it in every script run."""
    _sessions.pop(session_id, None)
    if wanted:
        _sessions[session_id] = None
    while len(_sessions) > _SESSIONS_KEPT:
        del _sessions[next(iter(_sessions))]


class RefusedError(ThighSegError):
    """The request is no upload that can be taken; the message goes to the browser with `status`."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class ToDisk:
    """Middleware for `st.App`. `settings`: where to; read from the environment at the first upload when not given."""

    def __init__(self, app: ASGIApp, *, settings: Settings | None = None) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_wanted(scope):
            await self.app(scope, receive, send)
            return
        self.settings = self.settings or read_settings()
        receipt = receipts.new_receipt(self.settings)
        taken = False
        try:
            body = await _to_disk(self.settings, scope, receive, receipt)
            status = await _hand_on(self.app, scope, body, send)
            taken = 200 <= status < 300
        except RefusedError as error:
            await PlainTextResponse(str(error), status_code=error.status)(scope, receive, send)
        finally:
            if not taken:
                receipts.discard(receipt.path)


def _is_wanted(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "PUT":
        return False
    upload = _UPLOAD.search(scope["path"])
    return upload is not None and upload[1] in _sessions


async def _to_disk(settings: Settings, scope: Scope, receive: Receive, receipt: receipts.Receipt) -> bytes:
    """Write the one file of a multipart body to the receipt's path; returns the body with the receipt in its place."""
    limit = int(config.get_option("server.maxUploadSize")) << 20
    headers = Headers(scope=scope)
    boundary = re.search(r'boundary="?([^";]+)"?', headers.get("content-type", ""))
    if boundary is None:
        raise RefusedError("expected one file as multipart/form-data", status=400)
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit + _HEAD_LIMIT_BYTES:
        raise RefusedError("File too large", status=413)
    try:
        require_free_space(settings, needed_bytes=int(declared) if declared.isdigit() else 0)
    except ThighSegError as error:
        raise RefusedError(str(error), status=507) from error
    stream = _stream(receive)
    head, first = await _head(stream)
    end = b"\r\n--" + boundary[1].encode("latin-1")
    with receipt.path.open("wb") as out:
        await _copy(stream, first, end=end, out=out, limit=limit)
    return head + receipt.content + end + b"--\r\n"


async def _stream(receive: Receive) -> AsyncIterator[bytes]:
    """The body in pieces. A browser that goes away ends the request."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError("the browser went away", status=400)
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def _head(stream: AsyncIterator[bytes]) -> tuple[bytes, bytes]:
    """Everything before the file's first byte, and what of the file came with it."""
    data = b""
    async for piece in stream:
        data += piece
        before, blank_line, after = data.partition(b"\r\n\r\n")
        if blank_line:
            return before + blank_line, after
        if len(data) > _HEAD_LIMIT_BYTES:
            break
    raise RefusedError("expected one file as multipart/form-data", status=400)


async def _copy(stream: AsyncIterator[bytes], first: bytes, *, end: bytes, out: BinaryIO, limit: int) -> None:
    """Write the file up to the closing boundary. What could be the beginning of it is held back until known."""
    held = bytearray(first)
    written = 0

    async def write(n_bytes: int) -> None:
        nonlocal written
        written += n_bytes
        if written > limit:
            raise RefusedError("File too large", status=413)
        await to_thread.run_sync(out.write, bytes(held[:n_bytes]))
        del held[:n_bytes]

    searched = 0
    while (at := held.find(end, searched)) < 0:
        searched = max(0, len(held) - len(end))
        if len(held) > _BLOCK_BYTES:
            await write(searched)
            searched = 0
        piece = await anext(stream, None)
        if piece is None:
            raise RefusedError("the upload ended too early", status=400)
        held += piece
    await write(at)
    async for piece in stream:
        held += piece[:_HEAD_LIMIT_BYTES]
        if len(held) > _HEAD_LIMIT_BYTES:
            break
    if bytes(held).strip() != (end + b"--").strip():
        raise RefusedError("expected one file in a request", status=400)


async def _hand_on(app: ASGIApp, scope: Scope, body: bytes, send: Send) -> int:
    """Let Streamlit have the small body; returns the status of its answer."""
    headers = [
        (name, value) for name, value in scope["headers"] if name not in (b"content-length", b"transfer-encoding")
    ]
    headers.append((b"content-length", str(len(body)).encode()))
    status = 0
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def watch(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        await send(message)

    await app({**scope, "headers": headers}, receive, watch)
    return status
