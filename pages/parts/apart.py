"""Long work in a process of its own, so that pages stay quick and its memory goes back when it ends.

A thread of the server would wait for the interpreter's lock at every file it touches, and hold it while pages are
drawn; the memory it takes stays with the server. Run as a module, this is that process: it does what comes in.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

from thighseg_core.errors import ThighSegError

_ROOT = Path(__file__).resolve().parent.parent.parent
_Result = TypeVar("_Result")


class BrokenOffError(ThighSegError):
    """The process ended, or failed in a way that nobody foresaw, before the work was done."""


class Call(Protocol):
    def __call__(
        self, function: Callable[..., _Result], *arguments: object, heard: Callable[[Any], None] | None = None
    ) -> _Result:
        """function(*arguments) over there; with `heard`, its keyword `report` is a function that makes itself heard."""


@contextmanager
def process() -> Iterator[Call]:
    """A function that does calls in one child process, which starts at the first and ends with the block.

    What is called must be a function of a module, and arguments, result and errors must be fit for pickle. Its
    ThighSegErrors and OSErrors are raised here; anything else, and a process that dies, as BrokenOffError.
    """
    child: subprocess.Popen[bytes] | None = None

    def call(function: Callable[..., Any], *arguments: object, heard: Callable[[Any], None] | None = None) -> Any:
        nonlocal child
        if child is None or child.poll() is not None:
            command = [sys.executable, "-m", "pages.parts.apart"]
            child = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            pickle.dump((function, arguments, heard is not None), child.stdin)
            child.stdin.flush()
            while True:
                kind, content = pickle.load(child.stdout)
                if kind == "done":
                    return content
                if kind == "failed":
                    raise content
                assert heard is not None
                heard(content)
        except (EOFError, BrokenPipeError) as error:
            raise BrokenOffError(
                f"the process that did the work ended before its time (status {child.wait()}; too little memory?); "
                "try again, with less at once"
            ) from error

    try:
        yield call
    finally:
        if child is not None:
            child.kill()
            child.communicate()


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """In the child: a function and its arguments in, what it reports and its end out, until there is no more."""

    def say(kind: str, content: object) -> None:
        answers.write(pickle.dumps((kind, content)))
        answers.flush()

    while True:
        try:
            function, arguments, is_heard = pickle.load(requests)
        except EOFError:
            return
        try:
            result = function(*arguments, report=lambda said: say("report", said)) if is_heard else function(*arguments)
        except (ThighSegError, OSError) as error:
            say("failed", error)
        except Exception as error:
            logging.getLogger(__name__).exception("%r failed", function)
            say("failed", BrokenOffError(f"an unexpected error ({type(error).__name__}); the server's log has more"))
        else:
            say("done", result)


def _main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what C libraries print must not come between the answers
    _serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    # Pickle looks classes up by their module: this one under its own name, not as __main__.
    from pages.parts import apart

    apart._main()
