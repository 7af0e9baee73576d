"""Ten people at once on the dashboard: seconds until a page is drawn, and every error.

.venv/bin/python -m tests.benchmarks.ten_people DATA_FOLDER [PEOPLE] [ROUNDS]

Each person is a session of its own over the server's websocket and opens one page after the other, as a browser
does; what a browser then needs to paint is not counted.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection

from db.settings import Settings
from pages.parts import navigation
from tests.serving import serving

_LIMIT_S = 300.0


def main() -> None:
    data = Path(sys.argv[1])
    people, rounds = (int(text) for text in (*sys.argv[2:], *("10", "2")[len(sys.argv) - 2 :]))
    with serving(Settings(data_dir=data.resolve())) as server:
        address = server.address.replace("http://", "ws://") + "/_stcore/stream"
        asyncio.run(_person(address, rounds=1, start=0))  # warms the caches
        began = time.monotonic()
        visits = asyncio.run(_all(address, people=people, rounds=rounds))
    seconds = time.monotonic() - began
    times = sorted(took for _, took, _ in visits)
    errors = [f"{view}: {error}" for view, _, error in visits if error]
    _say(f"{people} people, {len(visits)} pages in {seconds:.0f} s, {len(errors)} errors")
    _say(f"a page: median {statistics.median(times):.2f} s, 95 % within {times[int(0.95 * len(times))]:.2f} s")
    for view in dict.fromkeys(view for view, _, _ in visits):
        one = [took for name, took, _ in visits if name == view]
        _say(f"  {view}: median {statistics.median(one):.2f} s, longest {max(one):.2f} s")
    for error in errors:
        _say(error)
    sys.exit(1 if errors else 0)


async def _all(address: str, *, people: int, rounds: int) -> list[tuple[str, float, str]]:
    """(page, seconds, error or "") of every visit; each person begins at another page."""
    found = await asyncio.gather(*(_person(address, rounds=rounds, start=number) for number in range(people)))
    return [visit for visits in found for visit in visits]


async def _person(address: str, *, rounds: int, start: int) -> list[tuple[str, float, str]]:
    entries = (
        navigation.ENTRIES[start % len(navigation.ENTRIES) :] + navigation.ENTRIES[: start % len(navigation.ENTRIES)]
    )
    visits = []
    async with websockets.connect(address, subprotocols=["streamlit"], max_size=None) as connection:  # type: ignore[list-item]
        for entry in entries * rounds:
            began = time.monotonic()
            name = "" if entry.view == navigation.HOME else entry.view
            error = await asyncio.wait_for(_visit(connection, name), _LIMIT_S)
            visits.append((entry.view, time.monotonic() - began, error))
    return visits


async def _visit(connection: ClientConnection, page_name: str) -> str:
    """Ask for a page and read until its script has ended; the error that came, or ""."""
    ask = BackMsg()
    ask.rerun_script.page_name = page_name
    ask.rerun_script.query_string = "scan=1" if page_name == "viewer" else ""
    await connection.send(ask.SerializeToString())
    error = ""
    while True:
        message = ForwardMsg()
        message.ParseFromString(await connection.recv(decode=False))
        kind = message.WhichOneof("type")
        if kind == "delta" and message.delta.new_element.HasField("exception"):
            error = message.delta.new_element.exception.message
        if kind == "page_not_found":
            error = "page not found"
        if kind == "script_finished":
            finished = ForwardMsg.ScriptFinishedStatus
            if message.script_finished == finished.FINISHED_SUCCESSFULLY:
                return error
            if message.script_finished == finished.FINISHED_WITH_COMPILE_ERROR:
                return "the script could not be compiled"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
