"""From the browser's upload to the disk: each file is copied and its bytes given back at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from db.settings import Settings
from db.uploads import Upload, stage_upload


def stage(settings: Settings, files: Sequence[UploadedFile]) -> Upload:
    """Copy uploaded files into the data folder. Raises InputError in words; the server's memory is freed either way."""
    try:
        return stage_upload(settings, _one_by_one(files))
    finally:
        for file in files:
            _release(file)


def _one_by_one(files: Sequence[UploadedFile]) -> Iterator[tuple[str, BinaryIO]]:
    for file in files:
        yield file.name, file
        _release(file)


def _release(file: UploadedFile) -> None:
    """Let go of a file's bytes. Streamlit keeps them until the session ends and has no public call to drop them."""
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)
    file.close()
