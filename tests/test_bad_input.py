"""Bad input is refused with a sentence that names the problem and the remedy; nothing else is raised."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from bad_inputs import BAD_INPUTS, BadInput, answers
from thigh_array import thigh_hu

from thighseg_core.deidentify import deidentify_series
from thighseg_core.errors import ThighSegError
from thighseg_core.reading import find_series, load_series
from training.dicom_factory import axial_affine, write_ct_series, write_enhanced_ct


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda bad: bad.name)
def test_bad_input_is_refused_in_words(bad: BadInput, tmp_path: Path) -> None:
    source = bad.make(tmp_path)
    said = "\n".join(answers(source, tmp_path / "work"))
    for word in bad.words:
        assert word in said, f"expected {word!r} in: {said}"


def test_randomly_damaged_files_raise_nothing_else(tmp_path: Path) -> None:
    """Bytes changed or cut off at fixed-seed random places of a series, a NIfTI and a zip."""
    rng = random.Random(7)
    write_ct_series(tmp_path / "good", thigh_hu(3)[:, :16, :16], axial_affine())
    write_enhanced_ct(tmp_path / "enhanced.dcm", thigh_hu(3)[:, :16, :16], axial_affine())
    nibabel.save(nibabel.Nifti1Image(thigh_hu(3).transpose(2, 1, 0), np.eye(4)), tmp_path / "scan.nii.gz")
    shutil.make_archive(str(tmp_path / "scan"), "zip", tmp_path / "good")
    for n in range(120):
        folder = tmp_path / f"damaged-{n}"
        shutil.copytree(tmp_path / "good", folder)
        name = rng.choice(("good/IM00001.dcm", "enhanced.dcm", "scan.nii.gz", "scan.zip"))
        data = bytearray((tmp_path / name).read_bytes())
        for _ in range(rng.choice((1, 2, 8))):
            data[rng.randrange(min(len(data), rng.choice((400, 1500, len(data)))))] = rng.choice((0, 255, 9))
        (folder / Path(name).name).write_bytes(data[: rng.choice((len(data), rng.randrange(len(data))))])
        try:
            for candidate in find_series(folder, work_dir=folder / "work").series:
                load_series(candidate)
                deidentify_series(candidate, folder / "copy", secret=bytes(16), subject_code="S1")
        except ThighSegError:
            continue


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
