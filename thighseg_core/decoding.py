"""Decode packed pixel data in a child process, because a damaged JPEG can abort the whole process.

GDCM ends the process on some damaged lossless JPEG frames (a C++ exception that nobody catches). In a child that is
one unreadable file; in the dashboard it would be everybody's session. Run as a script, this module is that child.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

DECODE_SECONDS = 120.0  # for one file; a 4096 x 4096 JPEG 2000 frame takes about one
CHILD_MEMORY_BYTES = 8 << 30  # address space: a 2 GiB multi-frame file twice over, and the libraries

Decode = Callable[[Path], NDArray[Any]]


class DecodingFailedError(Exception):
    """The child could not decode the file, or died of it."""


@contextmanager
def decoder() -> Iterator[Decode]:
    """A function path -> stored pixels. The child starts at the first call and again after one it did not survive."""
    child: subprocess.Popen[bytes] | None = None

    def decode(path: Path) -> NDArray[Any]:
        nonlocal child
        if child is None or child.poll() is not None:
            child = subprocess.Popen(
                [sys.executable, "-P", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        watch = threading.Timer(DECODE_SECONDS, child.kill)
        watch.start()
        try:
            return _ask(child, path)
        finally:
            watch.cancel()

    try:
        yield decode
    finally:
        if child is not None:
            child.kill()
            child.communicate()


def _ask(child: subprocess.Popen[bytes], path: Path) -> NDArray[Any]:
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(json.dumps(str(path)).encode() + b"\n")
        child.stdin.flush()
        line = child.stdout.readline()
    except BrokenPipeError:
        line = b""
    if not line:
        raise _broken_off(child)
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise DecodingFailedError(answer["error"])
    data = child.stdout.read(answer["n_bytes"])
    if len(data) < answer["n_bytes"]:
        raise _broken_off(child)
    return np.frombuffer(data, dtype=np.dtype(answer["dtype"])).reshape(tuple(answer["shape"]))


def _broken_off(child: subprocess.Popen[bytes]) -> DecodingFailedError:
    child.kill()
    child.wait()  # so that the next call sees that it is gone
    return DecodingFailedError("the decoder broke off")


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """In the child: one path a line in, one line of JSON and the bytes out."""
    import pydicom

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    for line in requests:
        try:
            array = np.ascontiguousarray(pydicom.dcmread(json.loads(line), force=True).pixel_array)
        except Exception as error:  # decoders of five libraries raise what they like
            words = str(error).splitlines()
            answers.write(
                json.dumps({"error": f"{type(error).__name__}: {words[0][:120] if words else ''}"}).encode() + b"\n"
            )
        else:
            answers.write(
                json.dumps({"shape": array.shape, "dtype": array.dtype.str, "n_bytes": array.nbytes}).encode() + b"\n"
            )
            answers.write(array.tobytes())
        answers.flush()


def _main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what C libraries print must not come between the answers
    try:
        import resource
    except ImportError:  # not on Windows
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (CHILD_MEMORY_BYTES, CHILD_MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    _main()
