"""Every kind of bad input through the whole way in, upload to intake: refused, and what is stored stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from bad_inputs import BAD_INPUTS, BadInput
from db_scans import store_phantom

from db.engine import Database, open_database
from db.entry import Entry
from db.intake import store_series
from db.settings import Settings
from db.storage import file_sha256
from db.uploads import discard_upload, inspect, stage_upload
from thighseg_core.errors import ThighSegError


@dataclass(frozen=True)
class Stock:
    """A data folder with one good scan."""

    settings: Settings
    database: Database

    def state(self) -> tuple[list[str], dict[str, str]]:
        """Every row as SQL, and the digest of every file but the database's own."""
        connection = self.database.reader.raw_connection()
        try:
            rows = list(connection.driver_connection.iterdump())  # type: ignore[union-attr]
        finally:
            connection.close()
        files = {
            str(path): file_sha256(path)
            for name in ("scans", "uploads", "staging")
            for path in (self.settings.data_dir / name).rglob("*")
            if path.is_file()
        }
        return rows, files


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    folder = tmp_path_factory.mktemp("stock")
    settings = Settings(data_dir=folder / "data")
    database = open_database(settings.database_path)
    store_phantom(database, settings, folder / "dicom")
    yield Stock(settings=settings, database=database)
    database.close()


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name)
def test_bad_input_is_refused_in_words_and_harms_nothing_stored(bad: BadInput, stock: Stock, tmp_path: Path) -> None:
    before = stock.state()
    assert sum('INSERT INTO "scan"' in row for row in before[0]) == 1
    said = refusals(stock, bad.make(tmp_path))
    assert said
    assert all(len(sentence) > 20 and "Traceback" not in sentence for sentence in said)
    assert stock.state() == before


def refusals(stock: Stock, source: Path) -> list[str]:
    """What a user is told who uploads `source` and stores all that is offered. Only ThighSegError is caught."""
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    try:
        upload = stage_upload(stock.settings, [(path.name, path.read_bytes()) for path in files])
    except ThighSegError as error:
        return [str(error)]
    try:
        found = inspect(upload)
        said = [str(rejection) for rejection in found.rejected]
        for candidate in found.series:
            try:
                entry = Entry(study="Kill", subject_code="BAD")
                store_series(stock.database, stock.settings, candidate, entry=entry)
            except ThighSegError as error:
                said.append(str(error))
        return said
    finally:
        discard_upload(upload)
