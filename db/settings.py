"""The one Settings, read once from the environment by whoever starts a process."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from thighseg_core.checkpoint import DEFAULT_MODEL
from thighseg_core.errors import DatabaseError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
SECRET_BYTES = 32


@dataclass(frozen=True)
class Settings:
    """Where data live and what a new job runs with.

    THIGHSEG_DATA    data folder; default `data` below the project root
    THIGHSEG_MODEL   network of new jobs; default thighseg_core.checkpoint.DEFAULT_MODEL
    THIGHSEG_DEVICE  "auto" (GPU when there is one), "cpu" or "cuda"
    """

    data_dir: Path
    default_model: str = DEFAULT_MODEL
    default_device: str = "auto"

    @property
    def database_path(self) -> Path:
        return self.data_dir / "thighseg.sqlite"

    @property
    def secret_path(self) -> Path:
        return self.data_dir / "deidentification.key"

    @property
    def worker_log_path(self) -> Path:
        return self.data_dir / "worker.log"

    @property
    def worker_lock_path(self) -> Path:
        return self.data_dir / "worker.lock"


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment (or the mapping given)."""
    values = os.environ if environ is None else environ
    return Settings(
        data_dir=Path(values.get("THIGHSEG_DATA") or PROJECT_ROOT / "data").expanduser().resolve(),
        default_model=values.get("THIGHSEG_MODEL") or DEFAULT_MODEL,
        default_device=values.get("THIGHSEG_DEVICE") or "auto",
    )


def deidentification_secret(settings: Settings) -> bytes:
    """The installation's key for pseudonymous UIDs and dates; made at first use, readable by its owner only.

    Losing it means that later scans of a subject get other shifted dates than the earlier ones: back it
    up with the data folder, and do not give it away with de-identified data.
    """
    path = settings.secret_path
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, secrets.token_hex(SECRET_BYTES).encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(fresh, path)  # the first of two processes wins, and nobody sees half a key
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    text = path.read_text().strip()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != SECRET_BYTES:
        raise DatabaseError(f"{path} is damaged; restore it from a backup (it keeps the dates of a subject consistent)")
    return key
