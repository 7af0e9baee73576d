"""Synthetic anatomy, its CT and whole made-up people, from the atlas that ships with the project."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from thighseg_core.labels import CLASS_INDEX, class_of_label, label_value
from training.compact import load_shipped
from training.courses import GRACILIS, SARTORIUS, VASTUS_MEDIALIS
from training.phantom import Acquisition, Person, Scan, at_next_visit, thigh_scan
from training.randomness import Draw, Slab
from training.rendering import CAPSULE_MM, FEMUR_CUT_MM, RenderRange, render
from training.synthesis import Anatomy, AnatomyRange, Atlas, anatomy

COARSE = Acquisition(slice_mm=40.0, pixel_mm=2.0, levels=(0.3, 0.8), noise_hu=5.0)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return Atlas(load_shipped())


@pytest.fixture(scope="module")
def scan() -> Scan:
    return thigh_scan(Person("female", seed=4), COARSE)


def subject_at(atlas: Atlas, level: float, ranges: AnatomyRange, *, seed: int = 3) -> tuple[Anatomy, Draw]:
    """Eight slices at a level of the femur; `ranges` changes nothing but what it says."""
    draw = Draw(8, torch.Generator().manual_seed(seed))
    leg, levels = torch.tensor([0, 1] * 4), torch.full((8,), level)
    return anatomy(atlas, leg=leg, level=levels, draw=draw, size=(96, 96), pixel_mm=2.0, ranges=ranges), draw


STILL = AnatomyRange(muscle_shift_mm=0.0, muscle_level=0.0, muscle_growth_mm=0.0, two_legs=0.0, shift_mm=0.0)


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


def test_the_gracilis_reaches_lower_than_in_the_atlas_and_lies_beside_the_sartorius(atlas: Atlas) -> None:
    as_it_is, _ = subject_at(atlas, 0.85, STILL)
    lower, _ = subject_at(atlas, 0.85, replace(STILL, gracilis_reach=(0.25, 0.3)))
    belly = lower.muscles_mm[:, GRACILIS] < -1
    assert belly.sum() > 4 * (as_it_is.muscles_mm[:, GRACILIS] < -1).sum()
    assert belly.flatten(1).any(dim=1).all()
    assert not (belly & (lower.muscles_mm[:, SARTORIUS] < -3)).any()
    grown, _ = subject_at(atlas, 0.85, replace(STILL, gracilis_reach=(0.25, 0.3), gracilis_growth_mm=(2.0, 2.1)))
    assert (grown.muscles_mm[:, GRACILIS] < -1).sum() > 1.3 * belly.sum()


def test_the_sartorius_of_a_higher_level_lies_further_forward(atlas: Atlas) -> None:
    def row(ranges: AnatomyRange) -> float:
        subject, _ = subject_at(atlas, 0.4, ranges)
        return float((subject.muscles_mm[:, SARTORIUS] < 0).nonzero()[:, 1].double().mean())

    assert row(replace(STILL, sartorius_rise=(0.15, 0.16))) < row(STILL) - 2


def test_the_sartorius_can_be_larger_than_in_the_atlas(atlas: Atlas) -> None:
    def area(ranges: AnatomyRange) -> float:
        return float((subject_at(atlas, 0.4, ranges)[0].muscles_mm[:, SARTORIUS] < 0).sum())

    assert area(replace(STILL, sartorius_growth_mm=(3.0, 3.1))) > 1.5 * area(STILL)


def test_the_sartorius_can_be_drawn_out_to_a_strap_that_leaves_the_gracilis_alone(atlas: Atlas) -> None:
    as_it_is, _ = subject_at(atlas, 0.78, STILL)
    strap, _ = subject_at(atlas, 0.78, replace(STILL, sartorius_strap_mm=(15.0, 15.0 + 1e-6)))
    area = [(subject.muscles_mm[:, SARTORIUS] < 0).sum() for subject in (as_it_is, strap)]
    assert area[1] > 1.2 * area[0]
    both = (strap.muscles_mm[:, SARTORIUS] < -2) & (strap.muscles_mm[:, GRACILIS] < -2)
    assert not both.any()


def test_vessels_of_the_canal_lie_behind_the_vastus_medialis_and_nearer_to_the_femur(atlas: Atlas) -> None:
    def distance_mm(ranges: AnatomyRange, of: int | None) -> torch.Tensor:
        subject, _ = subject_at(atlas, 0.66, ranges)
        deepest = subject.artery_mm.flatten(1).argmin(dim=1, keepdim=True)
        field = subject.femur_mm[:, 0] if of is None else subject.muscles_mm[:, of]
        return field.flatten(1).gather(1, deepest)[:, 0]

    moved = replace(STILL, canal=1.0)
    assert distance_mm(moved, None).mean() < distance_mm(STILL, None).mean() - 3
    assert distance_mm(moved, VASTUS_MEDIALIS).abs().max() < 15


def test_muscles_make_room_for_the_vessels_between_them(atlas: Atlas) -> None:
    tight, _ = subject_at(atlas, 0.6, replace(STILL, canal=1.0))
    roomy, _ = subject_at(atlas, 0.6, replace(STILL, canal=1.0, cleft_mm=(9.0, 10.0)))

    def in_muscle(subject: Anatomy) -> torch.Tensor:
        vessels = torch.minimum(subject.artery_mm, subject.vein_mm) < 0
        return (vessels & (subject.muscles_mm.min(dim=1, keepdim=True).values < 0)).sum()

    assert in_muscle(tight) > 0
    assert in_muscle(roomy) == 0
    assert (roomy.artery_mm < 0).flatten(1).any(dim=1).all()


def test_artery_and_vein_can_lie_in_one_sheath(atlas: Atlas) -> None:
    apart, _ = subject_at(atlas, 0.6, STILL)
    joined, _ = subject_at(atlas, 0.6, replace(STILL, vessels_joined=1.0))
    assert (joined.artery_mm < 0).sum() > ((apart.artery_mm < 0) | (apart.vein_mm < 0)).sum()


def test_bare_vessels_have_no_rim_of_fat(atlas: Atlas) -> None:
    def around_vessels(ranges: RenderRange) -> float:
        subject, draw = subject_at(atlas, 0.5, replace(STILL, canal=1.0))
        image, _ = render(subject, draw=draw, ranges=ranges)
        field = torch.minimum(subject.artery_mm, subject.vein_mm)
        rim = (field > 0) & (field < 2) & (subject.muscles_mm.min(dim=1, keepdim=True).values < -1)
        return float(image[rim].mean())

    still = RenderRange(contrast_filled=0.0, infiltration=(0.0, 0.0), noise_hu=(1.0, 1.0), field_cut=0.0)
    assert around_vessels(replace(still, bare_vessels=1.0)) > around_vessels(still) + 5


def test_plaques_in_the_wall_of_the_artery_are_bright(atlas: Atlas) -> None:
    def brightest(ranges: RenderRange) -> float:
        subject, draw = subject_at(atlas, 0.5, STILL)
        image, _ = render(subject, draw=draw, ranges=ranges)
        return float(image[subject.artery_mm.abs() < 1].max())

    still = RenderRange(contrast_filled=0.0, field_cut=0.0, noise_hu=(1.0, 1.0))
    assert brightest(replace(still, calcified=1.0)) > brightest(still) + 60


def test_above_the_knee_fat_before_the_femur_can_be_tendon_and_is_no_muscle(atlas: Atlas) -> None:
    def seen(capsule: float) -> tuple[torch.Tensor, torch.Tensor, Anatomy]:
        subject, draw = subject_at(atlas, 0.88, STILL)
        image, labels = render(subject, draw=draw, ranges=RenderRange(capsule=capsule, field_cut=0.0, noise_hu=(0, 1)))
        return image[:, 0], labels, subject

    plain, labels, subject = seen(0.0)
    filled, same_labels, _ = seen(1.0)
    assert torch.equal(labels, same_labels)
    near = (labels == CLASS_INDEX["intermuscular"]) & (subject.femur_mm[:, 0] < CAPSULE_MM)
    assert (filled[near] > 0).sum() > 2 * (plain[near] > 0).sum()


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
