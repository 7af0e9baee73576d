"""The viewer page as Streamlit runs it: addresses, plain pictures, a review, files that are gone."""

# ruff: noqa: F811 - a test's parameter is the imported fixture

from __future__ import annotations

from pathlib import Path

import phantom_study
import pytest
from phantom_study import TWO_PEOPLE
from sqlalchemy import select
from test_app import database, field, press, settings, start, text  # noqa: F401 - fixtures among them

from db.engine import Database
from db.models import Review
from db.settings import Settings


def test_the_viewer_opens_the_scan_of_its_address(settings: Settings, tmp_path: Path) -> None:
    ids = phantom_study.fill(settings, tmp_path)
    app = start("viewer", scan=str(ids[1]))
    assert app.selectbox[0].value == ids[1]
    (plain,) = (toggle for toggle in app.toggle if toggle.label == "Plain pictures")
    plain.set_value(True).run()
    assert "Slice 6 of 12" in text(app)
    (table,) = [block.proto.body for block in app.get("html") if "Extensor" in block.proto.body]
    assert "Intramuscular fat" in table


@pytest.mark.parametrize("asked", ["99", "x", "-1", "<script>"])
def test_an_address_of_no_scan_is_answered_in_words(asked: str, settings: Settings, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path, TWO_PEOPLE[:1])
    assert "There is no scan" in text(start("viewer", scan=asked))


def test_a_review_is_stored_with_its_reviewer_and_refused_without(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    ids = phantom_study.fill(settings, tmp_path, TWO_PEOPLE[:1])
    app = start("viewer", scan=str(ids[0]))
    press(app, "Save the review")
    assert "A review needs its reviewer" in text(app)
    app.text_input[0].set_value("JK")
    app.text_input[1].set_value("*fine* <b>")
    press(app, "Save the review")
    with database.read() as session:
        review = session.scalars(select(Review)).one()
    assert (review.decision, review.reviewer, review.comment) == ("approved", "JK", "*fine* <b>")
    assert "**approved**: *fine* <b>" in text(app)


def test_files_that_are_gone_are_said_to_be_gone(settings: Settings, tmp_path: Path) -> None:
    phantom_study.fill(settings, tmp_path, TWO_PEOPLE[:1])
    (settings.data_dir / "scans").rename(tmp_path / "elsewhere")
    said = text(start("viewer"))
    assert "This scan cannot be shown" in said
    assert "restore" in said
