"""Bad input is refused with a sentence that names the problem and the remedy; nothing else is raised."""

from __future__ import annotations

from pathlib import Path

import pytest
from bad_inputs import BAD_INPUTS, BadInput, answers


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name)
def test_bad_input_is_refused_in_words(bad: BadInput, tmp_path: Path) -> None:
    source = bad.make(tmp_path)
    said = "\n".join(answers(source, tmp_path / "work"))
    for word in bad.words:
        assert word in said, f"expected {word!r} in: {said}"


def test_the_catalogue_has_thirty_kinds_and_more() -> None:
    assert len({bad.name for bad in BAD_INPUTS}) == len(BAD_INPUTS) >= 30


def test_a_refused_zip_leaves_nothing_behind(tmp_path: Path) -> None:
    for bad in BAD_INPUTS:
        if "zip" in bad.name and bad.name not in ("empty zip", "zip in a zip"):
            folder = tmp_path / bad.name.replace(" ", "-")
            folder.mkdir()
            work = folder / "work"
            answers(bad.make(folder), work)
            assert not work.exists() or list(work.iterdir()) == [], bad.name
            assert not (tmp_path / "evil.dcm").exists()
