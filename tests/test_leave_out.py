"""Leaving patients out: who scores a fold taught it nothing, whatever other patients training knows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import training.leave_out
from thighseg_core.checkpoint import load_checkpoint
from training.allowed import bits_of
from training.compact import load_shipped
from training.config import TrainConfig
from training.leave_out import leave_out
from training.real_batches import RealInput
from training.real_data import RealScan
from training.splits import Split, patients_seen, refuse_seen
from training.synthesis import Atlas
from training.train import train

TINY = TrainConfig(
    network="segformer", steps=1, batch_size=4, image_pixels=64, validate_every=1, validation_slices=2, threads=1
)


def _scan(patient: str, *, kind: str) -> RealScan:
    hu = np.full((1, 60, 60), 60, dtype=np.int16)
    return RealScan(patient, hu, np.full(hu.shape, bits_of("extensor"), np.uint16), np.array([3]), (2, 2), kind=kind)


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[RealInput, ...]:
    """Four patients with drawings, and sure answers for them and for five others."""
    for number in range(9):
        _scan(f"P{number}", kind="pseudo").save(tmp_path / "pseudo")
        if number % 2:
            _scan(f"P{number}", kind="drawn").save(tmp_path / "drawn")
    return tuple(RealInput(str(tmp_path / name), share=0.5) for name in ("drawn", "pseudo"))


@pytest.mark.parametrize("folds", [0, 2])
def test_every_drawn_patient_is_scored_by_a_network_that_learnt_nothing_from_that_patient(
    tmp_path: Path, inputs: tuple[RealInput, ...], monkeypatch: pytest.MonkeyPatch, folds: int
) -> None:
    scored: list[str] = []

    def judge(name: str, *, folder: Path, output: Path, patients: tuple[str, ...], **_: object) -> None:
        seen = patients_seen(load_checkpoint(name, device="cpu", folder=folder).card.training)
        assert patients
        assert seen
        assert seen.isdisjoint(patients)
        scored.extend(patients)
        pd.DataFrame({"patient": patients}).to_csv(output / "scores.csv")

    monkeypatch.setattr(training.leave_out, "evaluate", judge)
    monkeypatch.setattr(training.leave_out, "write_summary", lambda *_, **__: {})
    leave_out(
        replace(TINY, real=inputs), folds=folds, only=[], atlas=Atlas(load_shipped()[:1]), output=tmp_path / "runs",
        data=tmp_path, card=None,
    )  # fmt: skip
    assert sorted(scored) == ["P1", "P3", "P5", "P7"]


def test_a_run_that_starts_from_a_network_taught_by_a_patient_cannot_keep_that_patient_out(
    tmp_path: Path, inputs: tuple[RealInput, ...]
) -> None:
    atlas = Atlas(load_shipped()[:1])
    first = replace(TINY, real=inputs, split=Split(hold_out=("P1", "P3")))
    train(first, atlas=atlas, run=tmp_path / "first", resume=False, device="cpu")
    second = replace(first, start_from=str(tmp_path / "first" / "last"), split=Split(hold_out=("P1",)))
    train(second, atlas=atlas, run=tmp_path / "second", resume=False, device="cpu")
    third = replace(first, start_from=str(tmp_path / "second" / "last"), real=inputs[:1], split=Split(hold_out=("P3",)))
    with pytest.raises(ValueError, match="drawings of P3"):
        train(third, atlas=atlas, run=tmp_path / "third", resume=False, device="cpu")


def test_answers_of_a_network_cannot_teach_where_a_patient_whose_drawing_it_knows_is_kept_out(
    tmp_path: Path, inputs: tuple[RealInput, ...]
) -> None:
    def sources(drawings_of: tuple[str, ...]) -> tuple[RealInput, ...]:
        folder = tmp_path / f"answers{len(drawings_of)}"
        replace(_scan("P0", kind="pseudo"), drawings_of=drawings_of).save(folder)
        return (RealInput(str(folder), share=0.5), replace(inputs[0], share=0.0, score_only=True))

    atlas = Atlas(load_shipped()[:1])
    train(replace(TINY, real=sources(())), atlas=atlas, run=tmp_path / "free", resume=False, device="cpu")
    card = load_checkpoint("last", device="cpu", folder=tmp_path / "free").card.training
    assert (card["real_patients_seen"], card["drawn_patients_seen"]) == (["P0"], [])
    with pytest.raises(ValueError, match="drawings of P3"):
        train(replace(TINY, real=sources(("P3",))), atlas=atlas, run=tmp_path / "told", resume=False, device="cpu")


def test_cards_of_before_the_list_of_all_patients_are_read_by_their_inputs() -> None:
    refuse_seen({"real_inputs": [{"patients": ["P1", "P2"]}]}, ["P3"])
    with pytest.raises(ValueError, match="P2"):
        refuse_seen({"real_inputs": [{"patients": ["P1", "P2"]}]}, ["P2", "P3"])
