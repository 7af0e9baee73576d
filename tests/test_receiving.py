"""Uploads go to the disk as they come in; the web server sees a receipt only."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from db import receipts
from db.settings import Settings
from pages.parts.receiving import ToDisk, take_to_disk

BOUNDARY = b"----WebKitFormBoundaryAbC123"
HEAD = (
    b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="file"; filename="IM01"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
)
END = b"\r\n--" + BOUNDARY + b"--\r\n"
# bytes that look like a beginning of the boundary, so that what is held back matters
CONTENT = bytes(range(256)) * 40 + END[:9] + b"\r\n--" + BOUNDARY[:-1] + b"\r\n\r\n" + b"\0" * 5000


class Server:
    """Stands where Streamlit stands; keeps what it got and answers with `status`."""

    def __init__(self, status: int = 204) -> None:
        self.status = status
        self.got = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            self.got += message.get("body", b"")
            if not message.get("more_body"):
                break
        lengths = [int(value) for name, value in scope["headers"] if name == b"content-length"]
        assert lengths == [len(self.got)]
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def put(
    server: Server, settings: Settings, body: bytes, *, piece: int = 1000, vanish: bool = False, asked: bool = True
) -> int:
    """Send a body in pieces; returns the status of the answer (0: none, the browser had gone)."""
    take_to_disk("session", wanted=asked)
    sent = [body[at : at + piece] for at in range(0, len(body), piece)]
    messages: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in sent]
    messages.append({"type": "http.disconnect"} if vanish else {"type": "http.request", "body": b""})
    waiting = iter(messages)
    answers: list[Message] = []

    async def receive() -> Message:
        return next(waiting)

    async def send(message: Message) -> None:
        answers.append(message)

    scope: Scope = {
        "type": "http",
        "method": "PUT",
        "path": "/_stcore/upload_file/session/file",
        "headers": [
            (b"content-type", b"multipart/form-data; boundary=" + BOUNDARY),
            (b"content-length", str(len(body)).encode()),
        ],
    }
    asyncio.run(ToDisk(server, settings=settings)(scope, receive, send))
    return next((answer["status"] for answer in answers if answer["type"] == "http.response.start"), 0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def left(settings: Settings) -> list[Path]:
    return [path for path in (settings.data_dir / "uploads").rglob("*") if path.is_file()]


@pytest.mark.parametrize("piece", [1, 7, 33, 1000, 10**6])
def test_the_file_is_on_disk_byte_by_byte_however_the_network_cuts_it(piece: int, settings: Settings) -> None:
    server = Server()
    assert put(server, settings, HEAD + CONTENT + END, piece=piece) == 204
    receipt = server.got.removeprefix(HEAD).removesuffix(END)
    path = receipts.received_file(settings, receipt)
    assert path is not None
    assert path.read_bytes() == CONTENT


def test_an_empty_file_arrives_too(settings: Settings) -> None:
    server = Server()
    assert put(server, settings, HEAD + END) == 204
    (path,) = left(settings)
    assert path.read_bytes() == b""


def test_the_server_decides_and_what_it_refuses_is_not_kept(settings: Settings) -> None:
    assert put(Server(403), settings, HEAD + CONTENT + END) == 403
    assert left(settings) == []


@pytest.mark.parametrize(
    "body",
    [b"no multipart at all", HEAD + CONTENT, HEAD + CONTENT + END[:-4], HEAD + b"a\r\n" + HEAD + b"b" + END, b""],
    ids=["no parts", "no end", "half an end", "two files", "nothing"],
)
def test_a_body_that_is_not_one_file_is_refused_and_not_kept(body: bytes, settings: Settings) -> None:
    server = Server()
    assert put(server, settings, body) == 400
    assert server.got == b""
    assert left(settings) == []


def test_a_browser_that_goes_away_leaves_nothing(settings: Settings) -> None:
    put(Server(), settings, HEAD + CONTENT, vanish=True)
    assert left(settings) == []


def test_a_file_beyond_the_limit_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.parts.receiving.config.get_option", lambda _: 1)
    assert put(Server(), settings, HEAD + bytes(3 << 20) + END, piece=1 << 16) == 413
    assert left(settings) == []


def test_a_session_that_did_not_ask_gets_its_bytes(settings: Settings) -> None:
    server = Server()
    assert put(server, settings, HEAD + CONTENT + END, asked=False) == 204
    assert server.got == HEAD + CONTENT + END


def test_a_receipt_that_was_never_given_out_is_an_ordinary_file(settings: Settings) -> None:
    given = receipts.new_receipt(settings)
    assert receipts.received_file(settings, given.content) is None, "no byte has come yet"
    given.path.write_bytes(b"x")
    assert receipts.received_file(settings, given.content) == given.path
    wrong = [given.content[:-1], given.content + b"0", given.content[:-1] + b"/", b"thighseg-receipt-" + b"../" * 11]
    for content in wrong:
        assert receipts.received_file(settings, content) is None
