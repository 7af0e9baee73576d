"""Pixel data are unpacked in a child that may die without harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1
from thigh_array import thigh_hu

from thighseg_core.decoding import DecodingFailedError, decoder
from training.dicom_factory import axial_affine, write_ct_series


def test_one_child_serves_many_files_and_survives_a_file_it_cannot_decode(tmp_path: Path) -> None:
    paths = write_ct_series(tmp_path / "a", thigh_hu(), axial_affine(), transfer_syntax=JPEG2000Lossless)
    (tmp_path / "text").write_text("not DICOM")
    with decoder() as decode:
        assert np.array_equal(decode(paths[0]).astype(int) - 1024, thigh_hu()[0])
        for bad in (tmp_path / "text", tmp_path / "gone"):
            with pytest.raises(DecodingFailedError):
                decode(bad)
        assert np.array_equal(decode(paths[7]).astype(int) - 1024, thigh_hu()[7])


def test_after_a_file_that_kills_the_child_the_next_one_is_decoded(tmp_path: Path) -> None:
    paths = write_ct_series(tmp_path / "a", thigh_hu(), axial_affine(), transfer_syntax=JPEGLosslessSV1)
    data = paths[0].read_bytes()
    paths[0].write_bytes(data.replace(b"\xff\xc3\x00\x0b\x10", b"\xff\xc3\x00\x0b\xff"))
    with decoder() as decode:
        with pytest.raises(DecodingFailedError, match="broke off"):
            decode(paths[0])
        assert np.array_equal(decode(paths[1]).astype(int) - 1024, thigh_hu()[1])
