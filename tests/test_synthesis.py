"""Synthetic anatomy, its CT and whole made-up people, from the atlas that ships with the project."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from thighseg_core.labels import CLASS_INDEX, class_of_label, label_value
from training.compact import load_shipped
from training.phantom import Acquisition, Person, Scan, at_next_visit, thigh_scan
from training.randomness import Draw, Slab
from training.rendering import FEMUR_CUT_MM, RenderRange, render
from training.synthesis import AnatomyRange, Atlas, anatomy

COARSE = Acquisition(slice_mm=40.0, pixel_mm=2.0, levels=(0.3, 0.8), noise_hu=5.0)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas(load_shipped())


@pytest.fixture(scope="module")
def scan() -> Scan:
    return thigh_scan(Person("female", seed=4), COARSE)


def batch(atlas: Atlas, *, seed: int, ranges: RenderRange | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    draw = Draw(4, torch.Generator().manual_seed(seed))
    subject = anatomy(
        atlas,
        leg=torch.tensor([0, 1, 0, 1]),
        level=torch.tensor([0.3, 0.4, 0.6, 0.7]),
        draw=draw,
        size=(96, 96),
        pixel_mm=2.5,
        ranges=AnatomyRange(),
    )
    return render(subject, draw=draw, ranges=ranges or RenderRange(field_cut=0.0))


def test_the_same_seed_gives_the_same_images_and_another_seed_others(atlas: Atlas) -> None:
    image, labels = batch(atlas, seed=5)
    again, labels_again = batch(atlas, seed=5)
    other, _ = batch(atlas, seed=6)
    assert torch.equal(image, again)
    assert torch.equal(labels, labels_again)
    assert not torch.equal(image, other)


def test_tissues_have_the_attenuation_of_their_labels(atlas: Atlas) -> None:
    image, labels = batch(atlas, seed=7)

    def inner_mean_hu(name: str) -> float:
        inner = ndimage.binary_erosion(labels.numpy() == CLASS_INDEX[name], np.ones((1, 3, 3)))
        return float(image[:, 0].numpy()[inner].mean())

    assert 20 < inner_mean_hu("extensor") < 75
    assert -125 < inner_mean_hu("subcutaneous") < -70
    assert inner_mean_hu("background") < -900
    assert inner_mean_hu("femur") > 100


def test_a_cut_field_of_view_shows_no_labels_where_it_shows_no_image(atlas: Atlas) -> None:
    image, labels = batch(atlas, seed=8, ranges=RenderRange(field_cut=1.0))
    outside = image[:, 0] == -1024
    assert outside.float().mean() > 0.1
    assert not labels[outside].any()


def test_a_picture_can_end_beside_the_femur(atlas: Atlas) -> None:
    _, labels = batch(atlas, seed=8)
    image, _ = batch(atlas, seed=8, ranges=RenderRange(field_cut=0.0, femur_cut=1.0))
    assert (image > -1024).float().mean() < 0.7
    for shown, femur in zip(image[:, 0] > -1024, labels == CLASS_INDEX["femur"], strict=True):
        for axis in (0, 1):
            place = shown.any(dim=1 - axis).nonzero()[:, 0]
            middle = femur.nonzero()[:, axis].float().mean()
            low_mm, high_mm = (float(abs(edge - middle)) * 2.5 for edge in (place[0], place[-1]))
            assert min(low_mm, high_mm) <= FEMUR_CUT_MM[1] + 10


def test_slabs_of_one_scan_fit_together() -> None:
    def fields(start: int, n: int) -> torch.Tensor:
        return Draw(n, torch.Generator().manual_seed(9), Slab(start, 10)).field(2, 5, (8, 9))

    assert torch.allclose(torch.cat([fields(0, 4), fields(4, 6)]), fields(0, 10))


def test_the_left_leg_lies_to_the_patients_left_and_every_group_is_there_on_both_sides(scan: Scan) -> None:
    for name in ("extensor", "flexor", "adductor", "sartorius", "femur"):
        left_mm, right_mm = (
            scan.geometry.to_lps_mm(np.argwhere(scan.labels == label_value(name, side)).astype(float))[:, 0]
            for side in ("left", "right")
        )
        assert len(left_mm) > 50
        assert len(right_mm) > 50
        assert left_mm.mean() > right_mm.mean() + 50


def test_groups_lie_where_anatomy_has_them(scan: Scan) -> None:
    centre = {
        name: scan.geometry.to_lps_mm(np.argwhere(scan.labels == label_value(name, "left")).astype(float)).mean(axis=0)
        for name in ("extensor", "flexor", "adductor", "femur")
    }
    assert centre["extensor"][1] < centre["femur"][1] < centre["flexor"][1]  # front, bone, back
    assert centre["adductor"][0] < centre["femur"][0]  # inner side of a left leg


def test_muscle_lost_until_the_next_visit_is_lost_in_the_truth() -> None:
    person = Person("male", seed=6, atrophy_mm=0.0)
    later = thigh_scan(at_next_visit(person, atrophy_mm=1.0, fat_share=0.0), COARSE)
    before = thigh_scan(person, COARSE)

    def muscle_cm3(scan: Scan) -> float:
        groups = np.isin(class_of_label()[scan.labels], [CLASS_INDEX[n] for n in ("extensor", "flexor", "adductor")])
        return float(groups.sum()) * scan.geometry.voxel_volume_cm3

    assert 0.75 < muscle_cm3(later) / muscle_cm3(before) < 0.97
