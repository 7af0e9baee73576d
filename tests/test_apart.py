"""Work in a child process: results, reports and named errors come back, and its end is told in words."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pages.parts import apart
from thighseg_core.errors import InputError


@pytest.fixture(autouse=True)
def functions_of_this_file_are_found_over_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def own_number() -> int:
    return os.getpid()


def counted(upto: int, *, report: Callable[[int], None]) -> int:
    for number in range(upto):
        report(number)
    return sum(range(upto))


def refuses() -> None:
    raise InputError("no CT in it; send CT")


def has_a_bug() -> None:
    raise ZeroDivisionError("1 / 0")


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def prints() -> str:
    os.write(1, b"a C library says hello")
    return "whole"


def test_the_work_is_done_in_one_other_process_that_ends_with_the_block() -> None:
    with apart.process() as call:
        child = call(own_number)
        assert child != os.getpid()
        assert call(own_number) == child
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_what_the_work_reports_is_heard_in_order_before_its_result() -> None:
    heard: list[int] = []
    with apart.process() as call:
        assert call(counted, 4, heard=heard.append) == 6
    assert heard == [0, 1, 2, 3]


def test_a_named_error_comes_back_as_itself_and_the_next_call_works() -> None:
    with apart.process() as call:
        with pytest.raises(InputError, match="no CT in it; send CT"):
            call(refuses)
        assert call(own_number) != os.getpid()


def test_an_error_that_nobody_foresaw_and_a_death_are_told_in_words() -> None:
    with apart.process() as call:
        with pytest.raises(apart.BrokenOffError, match=r"unexpected error \(ZeroDivisionError"):
            call(has_a_bug)
        with pytest.raises(apart.BrokenOffError, match=r"ended before its time \(status -9"):
            call(dies)
        assert call(own_number) != os.getpid(), "a new process takes over"


def test_what_is_printed_over_there_does_not_come_between() -> None:
    with apart.process() as call:
        assert call(prints) == "whole"
