"""The addresses below /scan-data: the viewer's scripts, the scan and its labels, and where a correction is sent.

Streamlit's own check of who may see a page does not cover them; a ticket (`tickets`) in the address does.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from db.readings import record_reading
from db.record import record_correction
from pages.parts import cache, tickets
from thighseg_core.display_grid import display_grid
from thighseg_core.errors import InputError, ThighSegError
from thighseg_core.nifti import nifti_bytes

ASSETS = Path(__file__).resolve().parent.parent / "assets"
PREFIX = "scan-data"
_SCRIPTS = {
    "niivue.min.js": "niivue/niivue.min.js",
    "viewer.js": "viewer/viewer.js",
    "toolbar.js": "viewer/toolbar.js",
    "brush.js": "viewer/brush.js",
    "profile.js": "viewer/profile.js",
    "scene.js": "viewer/scene.js",
    "flat.js": "viewer/flat.js",
}
_MAX_PACKED_BYTES = 64 << 20  # of a correction; labels pack to well under a hundredth
_COMPRESSION = 1  # the fastest: the browser waits for it


def routes() -> list[Route]:
    """What `app.py` gives to st.App."""
    return [
        Route(f"/{PREFIX}/scripts/{{version}}/{{name}}", _script),
        Route(f"/{PREFIX}/image/{{ticket}}/image.nii.gz", _image),
        Route(f"/{PREFIX}/labels/{{ticket}}/labels.nii.gz", _labels),
        Route(f"/{PREFIX}/correction/{{ticket}}", _correction, methods=["POST"]),
        Route(f"/{PREFIX}/reading/{{ticket}}", _reading, methods=["POST"]),
    ]


@lru_cache(maxsize=1)
def scripts_version() -> str:
    """Changes with the content of any script, so that a browser never mixes two versions."""
    digest = hashlib.sha256()
    for path in sorted(_SCRIPTS.values()):
        digest.update((ASSETS / path).read_bytes())
    return digest.hexdigest()[:16]


async def _script(request: Request) -> Response:
    name = _SCRIPTS.get(request.path_params["name"])
    if name is None:
        return Response("no such script", status_code=404)
    content = await run_in_threadpool((ASSETS / name).read_bytes)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="text/javascript", headers=headers)


async def _image(request: Request) -> Response:
    return await run_in_threadpool(_volume_answer, request.path_params["ticket"], "image")


async def _labels(request: Request) -> Response:
    return await run_in_threadpool(_volume_answer, request.path_params["ticket"], "labels")


def _volume_answer(text: str, purpose: tickets.Purpose) -> Response:
    try:
        ticket = tickets.read(cache.ticket_key(), text, purpose=purpose)
        content = volume_file(ticket)
    except tickets.TicketError as error:
        return _refused(error, status=403)
    except ThighSegError as error:
        return _refused(error, status=404)
    headers = {"Cache-Control": "private, max-age=900, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="application/gzip", headers=headers)


def volume_file(ticket: tickets.Ticket) -> bytes:
    """The scan or its labels as the viewer lays them out, .nii.gz."""
    volume = cache.volume(ticket.storage_path)
    labels = cache.label_map(ticket.label_map_path, ticket.storage_path) if ticket.label_map_path else None
    grid = display_grid(volume, labels)
    if ticket.purpose == "image":
        shown = np.rint(grid.take(volume.attenuation_hu)).clip(-32768, 32767).astype(np.int16)
    elif labels is None:
        raise InputError("this scan has no result yet")
    else:
        shown = np.ascontiguousarray(grid.take(labels.labels))
    return gzip.compress(
        nifti_bytes(shown, grid.geometry, description="ThighSeg display"), compresslevel=_COMPRESSION, mtime=0
    )


async def _correction(request: Request) -> Response:
    """Take a painted label map in, measure it and store it as the next version."""
    return await _painted_answer(request, "correct")


async def _reading(request: Request) -> Response:
    """Take a painted label map in as the reading of one person; the result that counts stays as it is."""
    return await _painted_answer(request, "reading")


async def _painted_answer(request: Request, purpose: tickets.Purpose) -> Response:
    try:
        ticket = tickets.read(cache.ticket_key(), request.path_params["ticket"], purpose=purpose)
        packed = bytearray()
        async for chunk in request.stream():
            packed += chunk
            if len(packed) > _MAX_PACKED_BYTES:
                raise InputError(f"the correction is larger than {_MAX_PACKED_BYTES >> 20} MB; nothing was stored")
        author = ticket.user or unquote(request.headers.get("x-author", ""))
        stored = await run_in_threadpool(store_painted, ticket, bytes(packed), author=author)
    except tickets.TicketError as error:
        return _refused(error, status=403)
    except ThighSegError as error:
        return _refused(error, status=422)
    return JSONResponse({"id": stored})


def store_painted(ticket: tickets.Ticket, packed: bytes, *, author: str) -> int:
    """Lay painted labels (gzip of the viewer's array) back onto the scan and record them.

    Returns the id of the new run, or of the new reading when that is what the ticket is for.
    Raises InputError when nothing was changed, the author is missing or the bytes are not what was shown.
    """
    before = cache.label_map(ticket.label_map_path, ticket.storage_path)
    grid = display_grid(cache.volume(ticket.storage_path), before)
    painted = np.frombuffer(_unpacked(packed, n_bytes=int(np.prod(grid.shape))), dtype=np.uint8).reshape(grid.shape)
    after = grid.put_back(before, painted)
    if ticket.purpose == "reading":
        comment = f"by brush in the viewer, from the labels of run {ticket.run_id}"
        return record_reading(
            cache.database(),
            cache.settings(),
            after,
            scan_id=ticket.scan_id,
            reader=author[:200],
            source_format="viewer",
            comment=comment,
        )
    if (after.labels == before.labels).all():
        raise InputError("nothing was painted; change something before saving")
    return record_correction(cache.database(), cache.settings(), after, parent_id=ticket.run_id, author=author[:200])


def _unpacked(packed: bytes, *, n_bytes: int) -> bytes:
    """Exactly `n_bytes` out of a gzip stream; never more in memory."""
    stream = zlib.decompressobj(wbits=31)
    try:
        content = stream.decompress(packed, n_bytes + 1)
    except zlib.error as error:
        raise InputError("the correction arrived damaged; save it again") from error
    if len(content) != n_bytes:
        raise InputError(
            f"the correction holds {len(content)} voxels, {n_bytes} were shown; reload the page, paint again"
        )
    return content


def _refused(error: ThighSegError, *, status: int) -> Response:
    return JSONResponse({"error": str(error)}, status_code=status, headers={"Cache-Control": "no-store"})
