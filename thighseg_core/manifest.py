"""What made a set of numbers: the run manifest that every stored value points to."""

from __future__ import annotations

import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from thighseg_core import __version__


@dataclass(frozen=True)
class RunManifest:
    """Provenance of one analysis; `started_at` is ISO 8601 in UTC."""

    software_version: str
    git_commit: str
    model_name: str  # "segformer", ...; "external" for a label map that was handed in
    model_version: str
    weights_sha256: str
    label_scheme: str
    group_map_version: int
    hu_preset: str
    device: str  # "cpu", "cuda"
    started_at: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@cache
def git_commit() -> str:
    """Commit of this checkout, "unknown" outside one."""
    root = Path(__file__).resolve().parent.parent
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def utc_now() -> str:
    """Now, ISO 8601 in UTC with seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def software_version() -> str:
    """Version of this package, as written into every manifest."""
    return __version__
