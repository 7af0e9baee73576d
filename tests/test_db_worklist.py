"""The review worklist: what each filter lists, and pairs of blind decisions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from db_rows import add_run, add_scan, add_visit

from db import queries
from db.engine import Database, open_database
from db.record import add_review
from db.worklist import Wanted, counts, paired_decisions, worklist

WARNING = [{"code": "x", "severity": "warning"}]
INFO = [{"code": "y", "severity": "info"}]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """S0 open; S1 open and flagged; S2 approved by A; S3 corrected and open; S4 without a result."""
    opened = open_database(tmp_path / "thighseg.sqlite")
    with opened.write() as session:
        scans = [add_scan(session, add_visit(session, f"S{n}"), "abcde"[n]) for n in range(5)]
        runs = [add_run(session, scan) for scan in scans[:4]]
        runs[0].flags = INFO
        runs[1].flags = WARNING
        add_review(session, run_id=runs[2].id, decision="approved", reviewer="A")
        add_review(session, run_id=runs[3].id, decision="needs_correction", reviewer="A")
        add_run(session, scans[3], 2, kind="corrected")
    yield opened
    opened.close()


def listed(database: Database, **wanted: object) -> list[str]:
    with database.read() as session:
        return [row["subject"] for row in queries.rows(session, worklist(Wanted(**wanted)))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("to_review", ["S0", "S1", "S3"]),
        ("flagged", ["S1"]),
        ("approved", ["S2"]),
        ("rejected", []),
        ("needs_correction", []),  # the correction came
        ("corrected", ["S3"]),
        ("all", ["S0", "S1", "S2", "S3"]),
    ],
)
def test_each_filter_lists_its_results_oldest_first(database: Database, shown: str, expected: list[str]) -> None:
    assert listed(database, shown=shown) == expected
    with database.read() as session:
        assert counts(session)[shown] == len(expected)


def test_the_list_is_narrowed_by_code_network_and_study(database: Database) -> None:
    assert listed(database, shown="all", text="s2") == ["S2"]
    assert listed(database, shown="all", text="%") == []
    assert listed(database, shown="all", model="manet") == []
    assert listed(database, shown="all", study_id=99) == []


def test_a_second_reader_gets_what_others_decided_and_they_did_not(database: Database) -> None:
    assert listed(database, second_reader="B") == ["S2"]
    assert listed(database, second_reader=" a ") == []
    with database.write() as session:
        add_review(session, run_id=3, decision="rejected", reviewer="B", blind=True)
    assert listed(database, second_reader="B") == []


def test_only_a_blind_decision_of_another_reader_makes_a_pair(database: Database) -> None:
    with database.write() as session:
        add_review(session, run_id=3, decision="rejected", reviewer="C")  # not blind
        add_review(session, run_id=3, decision="rejected", reviewer="a", blind=True)  # the same person
        add_review(session, run_id=3, decision="comment", reviewer="B", comment="?", blind=True)
        assert paired_decisions(session) == []
        add_review(session, run_id=3, decision="approved", reviewer="B", blind=True)
        add_review(session, run_id=3, decision="rejected", reviewer="D", blind=True)
        assert paired_decisions(session) == [("approved", "approved")]
        assert paired_decisions(session, study_id=99) == []


def test_an_unknown_filter_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="shown must be one of"):
        worklist(Wanted(shown="mine"))
