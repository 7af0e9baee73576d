"""Objects in synthetic pictures: what they change, and what they leave alone."""

import torch

from thighseg_core.labels import CLASS_INDEX
from training.allowed import OPEN
from training.objects import METAL_HU, ObjectRange, Picture, add_objects
from training.randomness import Draw

N, HEIGHT, WIDTH, PIXEL_MM = 12, 90, 110, 2.0
EXTENSOR = CLASS_INDEX["extensor"]
FEMUR_RADIUS_MM, BODY_RADIUS_MM = 14.0, 60.0


def legs() -> tuple[Picture, torch.Tensor]:
    """Round legs of one muscle around a femur off the picture's middle, and the distance from the femur's edge, mm."""
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    reach_mm = torch.hypot(rows - 40.0, columns - 60.0) * PIXEL_MM
    femur, body = reach_mm < FEMUR_RADIUS_MM, reach_mm < BODY_RADIUS_MM
    labels = torch.where(femur, CLASS_INDEX["femur"], torch.where(body, CLASS_INDEX["extensor"], 0))
    hu = torch.where(femur, 1000.0, torch.where(body, 50.0, -1000.0))
    picture = Picture(hu.expand(N, 1, -1, -1).clone(), labels.expand(N, -1, -1).clone(), PIXEL_MM)
    return picture, (reach_mm - FEMUR_RADIUS_MM).expand(N, 1, -1, -1)


def with_objects(ranges: ObjectRange, *, level: float = 0.5) -> tuple[Picture, Picture]:
    before, femur_mm = legs()
    draw = Draw(N, torch.Generator().manual_seed(3))
    return before, add_objects(before, femur_mm=femur_mm, level=torch.full((N,), level), draw=draw, ranges=ranges)


def area(picture: Picture, label: int) -> torch.Tensor:
    return (picture.labels == label).sum(dim=(1, 2)).float()


def test_no_object_leaves_the_picture_and_the_draws_as_they_are() -> None:
    draw = Draw(N, torch.Generator().manual_seed(3))
    before, femur_mm = legs()
    assert add_objects(before, femur_mm=femur_mm, level=torch.zeros(N), draw=draw, ranges=ObjectRange()) is before
    assert torch.equal(draw.uniform(0, 1), Draw(N, torch.Generator().manual_seed(3)).uniform(0, 1))


def test_a_mass_that_pushes_leaves_more_muscle_than_one_that_eats() -> None:
    def muscle(seed: float) -> torch.Tensor:
        ranges = ObjectRange(mass=1.0, mass_mm=(18.0, 18.0), mass_seed=(seed, seed))
        before, after = with_objects(ranges)
        grown = area(after, OPEN) > 100
        assert grown.sum() >= N // 2
        return (area(after, EXTENSOR) - area(before, EXTENSOR))[grown].mean() / (torch.pi * (18.0 / PIXEL_MM) ** 2)

    assert -1.1 < muscle(0.99) < -0.6
    assert muscle(0.2) > muscle(0.99) + 0.1


def test_bone_is_never_a_mass() -> None:
    _, after = with_objects(ObjectRange(mass=1.0, mass_mm=(60.0, 60.0), mass_seed=(1.0, 1.0)))
    assert (after.hu[:, 0][after.labels == CLASS_INDEX["femur"]] > 300).all()
    assert (area(after, CLASS_INDEX["femur"]) > 100).all()


def test_metal_streaks_fade_with_distance_and_change_no_label() -> None:
    before, after = with_objects(ObjectRange(metal=1.0))
    _, femur_mm = legs()
    metal = after.hu == METAL_HU
    assert metal.flatten(1).any(dim=1).all()
    assert (femur_mm[metal] < 7).all()
    assert torch.equal(before.labels, after.labels)
    change_hu = (after.hu - before.hu).abs()
    near, far = (change_hu[~metal & (femur_mm > low) & (femur_mm < low + 8)].mean() for low in (4, 40))
    assert near > 1.8 * far > 0


def test_near_the_joints_the_metal_is_the_femur_itself() -> None:
    _, after = with_objects(ObjectRange(metal=1.0), level=0.95)
    assert (after.hu[:, 0][after.labels == CLASS_INDEX["femur"]] == METAL_HU).float().mean() > 0.8


def test_what_lies_beside_lies_in_the_air_and_is_of_no_group() -> None:
    before, after = with_objects(ObjectRange(beside=1.0))
    changed = (after.hu != before.hu)[:, 0]
    assert changed.flatten(1).any(dim=1).sum() >= N // 2
    assert not before.labels[changed].any()
    allowed = torch.tensor([CLASS_INDEX[name] for name in ("background", "other_muscle", "other_bone")])
    assert torch.isin(after.labels[changed], allowed).all()
    assert area(after, CLASS_INDEX["other_muscle"]).max() > 50
    assert area(after, CLASS_INDEX["other_bone"]).max() > 2


def test_thick_slices_soften_edges_and_change_no_label() -> None:
    before, after = with_objects(ObjectRange(slant_mm=2.0))
    assert torch.equal(before.labels, after.labels)
    softened = ~torch.isin(after.hu.round(), torch.tensor([1000.0, 50.0, -1000.0]))
    assert (softened.flatten(1).sum(dim=1) > 50).all()
    assert (after.hu.mean() - before.hu.mean()).abs() < 10
