"""From the browser's upload to the upload folder: each file is moved or copied there, its bytes given back at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from db import receipts
from db.settings import Settings
from db.uploads import Upload, stage_upload
from pages.parts import receiving


def prepare(*, to_disk: bool) -> None:
    """Say in every script run whether this session's uploads are to go to the disk as they come in."""
    context = get_script_run_ctx()
    if context is not None:
        receiving.take_to_disk(context.session_id, wanted=to_disk)


def content_of(settings: Settings, file: UploadedFile) -> bytes:
    """The bytes of a small uploaded file, wherever they are."""
    path = _received(settings, file)
    return file.getvalue() if path is None else path.read_bytes()


def stage(settings: Settings, files: Sequence[UploadedFile]) -> Upload:
    """Put uploaded files into the data folder. Raises InputError in words; the server's memory is freed either way.

    A file that `pages.parts.receiving` put on disk while it came in is moved; any other one is copied.
    """
    moved: list[Path] = []
    try:
        return stage_upload(settings, _one_by_one(settings, files, moved))
    finally:
        for path in moved:
            receipts.discard(path)
        for file in files:
            _release(file)


def _one_by_one(
    settings: Settings, files: Sequence[UploadedFile], moved: list[Path]
) -> Iterator[tuple[str, BinaryIO | Path]]:
    for file in files:
        path = _received(settings, file)
        if path is None:
            yield file.name, file
        else:
            moved.append(path)
            yield file.name, path
        _release(file)


def _received(settings: Settings, file: UploadedFile) -> Path | None:
    return receipts.received_file(settings, file.getbuffer()[: receipts.LENGTH + 1].tobytes())


def _release(file: UploadedFile) -> None:
    """Let go of a file's bytes. Streamlit keeps them until the session ends and has no public call to drop them."""
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)
    file.close()
