from __future__ import annotations

from pathlib import Path

from db_rows import add_scan, add_visit

from db.engine import open_database
from db.study_quality import study_findings


def test_a_scan_is_held_against_the_other_scans_of_its_study_and_no_others(tmp_path: Path) -> None:
    database = open_database(tmp_path / "thighseg.sqlite")
    with database.write() as session:
        scans = []
        for number, kvp in enumerate((120.0, 120.0, 120.0, 80.0)):
            scans.append(add_scan(session, add_visit(session, f"S{number}"), f"{number:08x}"))
            scans[-1].tube_voltage_kvp = kvp
        session.flush()
        ids = [scan.id for scan in scans]
    with database.read() as session:
        assert study_findings(session, ids[0]) == ()
        (flag,) = study_findings(session, ids[3])
        assert flag.code == "study_tube_voltage"
        assert "80 kV; 3 of the 4 scans" in flag.message
        assert study_findings(session, 999) == ()
    database.close()
