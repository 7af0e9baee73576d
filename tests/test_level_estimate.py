"""The level of every slice: the line through the answers, the order of the scan, the shipped network's error."""

from pathlib import Path

import numpy as np
import pytest
import torch
from leg_phantom import PAIR, Leg, grid, scan, truth

from thighseg_core.errors import ModelError
from thighseg_core.labels import CLASS_INDEX
from thighseg_core.level_estimate import estimate_levels, fit_line, slice_answers
from thighseg_core.level_network import (
    LEVEL_CLASSES,
    LEVEL_FOLDER,
    LEVEL_WEIGHTS,
    LevelNetwork,
    level_input,
    load_level_network,
    save_level_network,
)
from training.compact import load_shipped
from training.level_slices import Disturbance, disturbed, draw_slices
from training.level_training import LevelConfig, errors, read_level_config, validation_batch
from training.synthesis import Atlas

PLACE_MM = np.arange(60) * 4.0  # 236 mm
WIDTH = np.full(60, 0.04)


def _levels(length_mm: float, lowest: float = 0.8) -> np.ndarray:
    return lowest - PLACE_MM / length_mm


def test_exact_answers_give_their_own_line() -> None:
    line = fit_line(PLACE_MM, _levels(440.0), WIDTH)
    assert line is not None
    assert line.length_mm == pytest.approx(440, abs=2)
    assert line.at(PLACE_MM) == pytest.approx(_levels(440.0), abs=0.005)


def test_a_short_or_long_femur_is_believed_when_the_slices_say_so_clearly() -> None:
    for length in (390.0, 500.0):
        line = fit_line(PLACE_MM, _levels(length), np.full(60, 0.01))
        assert line is not None
        assert line.length_mm == pytest.approx(length, abs=15)


def test_a_third_of_the_slices_far_off_does_not_move_the_line() -> None:
    disturbed = _levels(440.0)
    disturbed[20:40] += 0.3
    line = fit_line(PLACE_MM, disturbed, WIDTH)
    assert line is not None
    assert line.at(PLACE_MM) == pytest.approx(_levels(440.0), abs=0.03)


def test_slices_that_contradict_each_other_give_no_line() -> None:
    assert fit_line(PLACE_MM, _levels(440.0)[::-1].copy(), WIDTH) is None


def test_two_slices_are_too_few() -> None:
    own = np.full(60, np.nan)
    own[:2] = 0.5
    assert fit_line(PLACE_MM, own, WIDTH) is None


def test_levels_fall_towards_the_head_in_the_order_of_the_scans_own_slices() -> None:
    upright, upside_down = grid((12, 90, 90)), grid((12, 90, 90), reverse=(True, False, False))
    found = []
    for geometry in (upright, upside_down):
        label_map = truth(geometry, (Leg("left", 0.0),))
        volume = scan(geometry, (Leg("left", 0.0),))
        found.append(estimate_levels(volume, label_map).level)
    assert set(found[0]) == set(found[1])
    for side in found[0]:
        assert found[0][side] == pytest.approx(found[1][side][::-1])


def test_each_side_gets_its_own_answers_and_slices_without_a_leg_none() -> None:
    geometry = grid()
    labels = truth(geometry, PAIR).labels.copy()
    labels[:4] = 0
    label_map = type(truth(geometry, PAIR))(labels, geometry)
    answers = slice_answers(scan(geometry, PAIR), label_map)
    assert set(answers) == {"left", "right"}
    for own, width in answers.values():
        assert np.isnan(own[:4]).all()
        assert np.isfinite(own[4:]).all()
        assert (width[4:] > 0).all()
    # the legs are mirror images of each other, and the network sees left legs only
    assert answers["left"][0][4:] == pytest.approx(answers["right"][0][4:], abs=0.02)


def test_the_shipped_network_is_small_and_knows_synthetic_slices() -> None:
    assert (LEVEL_FOLDER / LEVEL_WEIGHTS).stat().st_size < 1_000_000
    network, card = load_level_network()
    config = read_level_config(Path(__file__).parents[1] / "training" / "level.toml")
    atlas = Atlas(load_shipped())
    images, level = validation_batch(atlas, config, n=96, seed=77)
    claimed = card["validation"]["synthetic"]["error_share_of_femur"]["mean_absolute"]
    assert errors(network, images, level)["mean_absolute"] < max(0.1, 1.5 * claimed)


def test_another_file_than_the_card_describes_is_refused(tmp_path: Path) -> None:
    save_level_network(LevelNetwork(), {"network": "level", "version": "0"}, tmp_path)
    (tmp_path / LEVEL_WEIGHTS).write_bytes(b"something else")
    with pytest.raises(ModelError, match="not the file that"):
        load_level_network(tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        load_level_network(tmp_path / "nowhere")


def _slices(n: int = 8):
    config = LevelConfig()
    generator = torch.Generator().manual_seed(5)
    atlas = Atlas(load_shipped()[:1])
    return draw_slices(atlas, n=n, anatomy=config.anatomy, rendering=config.render, generator=generator)


def test_every_slice_is_of_a_left_leg_in_the_middle_of_the_picture() -> None:
    slices = _slices()
    assert slices.image.shape == slices.classes.shape == (len(slices), 64, 64)
    for classes in slices.classes:
        rows, columns = torch.isin(classes, torch.tensor([CLASS_INDEX[name] for name in LEVEL_CLASSES])).nonzero().T
        assert float(rows.float().mean()) == pytest.approx(31.5, abs=3)  # the legs beyond the cut square count not
        assert float(columns.float().mean()) == pytest.approx(31.5, abs=3)


def test_a_mass_pushes_tissue_outwards_without_changing_its_area_beyond() -> None:
    slices = _slices()
    still = Disturbance(shift_mm=0, turn_deg=0, stretch=0, mass=0, mistaken=0, blind=0)
    pushing = Disturbance(shift_mm=0, turn_deg=0, stretch=0, mass=1, mass_seed=(0.15, 0.15), mistaken=0, blind=0)
    plain, pushed = (disturbed(slices, how=how, generator=torch.Generator().manual_seed(3)) for how in (still, pushing))
    assert (plain[:, 0] - pushed[:, 0]).abs().mean(dim=(1, 2)).min() > 0.002  # every slice has got a mass
    leg = [float(each[:, -1].sum()) for each in (plain, pushed)]
    assert leg[1] > 0.9 * leg[0]  # nothing is eaten but the small seed; the skin bulges out
    undisturbed = level_input(slices.image.float()[:, None], slices.classes)
    assert (plain - undisturbed).abs().max() < 1e-3


def test_a_right_leg_is_shown_to_the_network_as_a_left_one() -> None:
    geometry = grid()
    answers = slice_answers(scan(geometry, PAIR), truth(geometry, PAIR))
    assert answers["left"][0] == pytest.approx(answers["right"][0], abs=0.02)
