"""Model cards in words: the card's own figures, and plainly when no real scan was tested."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pages.parts import model_words
from thighseg_core.checkpoint import ModelCard, available_models, read_card

SYNTHETIC = {"slices": 64, "dice": {"extensor": 0.8065, "mean": 0.5}}
SCORE = {"dice_mean": 0.9012, "dice_worst": 0.71, "worst_case": "A slice 3", "area_error_percent": -2.5, "n": 28}
REAL = {"scans": 16, "slices": 33, "reference": "hand-drawn", "shaft": {"extensor": SCORE}, "all": {}}


def card(**validation: object) -> ModelCard:
    return ModelCard(network="segformer", version="1", validation=dict(validation), training={"data": "Synthetic CT"})


def test_a_test_on_real_scans_is_told_with_its_reference_and_level() -> None:
    said = model_words.validated_on(card(real=REAL, synthetic=SYNTHETIC))
    assert "33 slices of 16 real scans (reference: hand-drawn)" in said
    assert "At the shaft of the thigh: mean Dice extensor 0.90." in said


def test_a_network_that_saw_no_real_scan_says_so() -> None:
    said = model_words.validated_on(card(synthetic=SYNTHETIC))
    assert "64 synthetic slices only, on **no real scan**: mean Dice extensor 0.81." in said


def test_a_network_without_validation_says_so() -> None:
    assert "no validation on record" in model_words.validated_on(card())


def test_the_table_has_mean_worst_and_area_error() -> None:
    (row,) = model_words.validation_rows(card(real=REAL))
    assert (row["Dice, mean"], row["Dice, worst slice"], row["Area error, mean"]) == ("0.901", "0.710", "-2.5 %")
    assert model_words.validation_rows(card(synthetic=SYNTHETIC)) == []


def test_the_training_data_is_told() -> None:
    assert model_words.trained_on(card()) == "Trained on synthetic CT."


def test_nested_facts_are_flattened_with_their_outer_name() -> None:
    facts = dict(model_words.facts_of({"config": {"spacing_mm": 1.5, "clip_hu": [-200.0, 300.0]}, "steps": 10}))
    assert facts == {"config spacing mm": "1.5", "config clip hu": "-200, 300", "steps": "10"}


@pytest.mark.parametrize("name", available_models())
def test_the_shipped_cards_can_be_told(name: str) -> None:
    assert "mean Dice" in model_words.validated_on(read_card(name))


def test_networks_are_compared_best_first_with_their_worst_slice() -> None:
    worse = ModelCard(
        network="manet", version="1", validation={"real": REAL | {"shaft": {"extensor": SCORE | {"dice_mean": 0.8}}}},
        training={},
    )  # fmt: skip
    first, second = model_words.comparison([worse, card(real=REAL), card(synthetic=SYNTHETIC)], level="shaft")
    assert (first.network, first.scores) == ("segformer", {"extensor": "0.90 (0.71)"})
    assert second.network == "manet"
    assert "33 slices of 16 scans: hand-drawn." in first.reference
    assert model_words.comparison([worse], level="all") == []


def test_the_pace_is_the_median_by_network_and_device() -> None:
    began = datetime(2026, 11, 22, tzinfo=UTC)
    board = [
        {
            "model": "manet", "device": "auto", "run_device": "cpu", "status": status, "n_slices": slices,
            "started_at": began, "finished_at": began + timedelta(seconds=took),
        }
        for status, slices, took in (("done", 100, 50), ("done", 100, 70), ("done", 50, 60), ("failed", 1, 999))
    ]  # fmt: skip
    (row,) = model_words.pace(board).to_dict("records")
    assert row == {"model": "manet", "device": "cpu", "scans": 3, "seconds": 60.0, "seconds_a_slice": 0.7}
    assert model_words.pace([]).empty
