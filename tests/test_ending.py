"""The served dashboard ends when it is asked to, whatever its browsers do."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
import streamlit
from serving import PATIENCE_S, serving

from db.settings import Settings

SCRIPTS = Path(streamlit.__file__).parent / "static" / "static" / "js"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_browser_that_stops_reading_in_the_middle_of_a_file_does_not_hold_the_server(
    number: signal.Signals, tmp_path: Path
) -> None:
    largest = max(SCRIPTS.glob("*.js"), key=lambda path: path.stat().st_size)  # more than the kernel takes in
    with serving(Settings(data_dir=tmp_path / "data")) as server, socket.socket() as browser:
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        browser.connect(("127.0.0.1", int(server.address.rpartition(":")[2])))
        browser.sendall(f"GET /static/js/{largest.name} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert browser.recv(64).startswith(b"HTTP/1.1 200")
        server.process.send_signal(number)
        assert server.process.wait(timeout=PATIENCE_S) == 0, "ended by its own clock"
