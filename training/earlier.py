"""Weights that an earlier commit shipped, as a run that another one starts from.

python -m training.earlier 88c8bff thighseg_core/weights/segformer --output runs/segformer-synthetic
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

FILES = ("model.json", "model.safetensors")


def fetch(commit: str, folder: str, output: Path) -> None:
    """The checkpoint in `folder` of `commit` -> output/last. Raises CalledProcessError where git does not have it."""
    last = output / "last"
    last.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shown = subprocess.run(["git", "show", f"{commit}:{folder}/{name}"], check=True, capture_output=True)
        (last / name).write_bytes(shown.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("folder")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    fetch(arguments.commit, arguments.folder, arguments.output)
