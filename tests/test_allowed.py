"""Truth as sets of classes: what the loss accepts, what it ignores, and that full labels are a special case."""

import pytest
import torch
from torch.nn import functional as F

from training.allowed import ALL_BITS, FEW_PIXELS, N_CLASSES, allowed_of_labels, bits_of, loss_of, members, membership

EQUAL = torch.ones(1, 1, 4)


def _logits(*classes: int) -> torch.Tensor:
    return F.one_hot(torch.tensor([[list(classes)]]), N_CLASSES).movedim(-1, 1).float() * 60


def test_a_set_holds_exactly_its_classes() -> None:
    sets = torch.tensor([[[bits_of("background", "femur")]]])
    assert members(sets)[0, :, 0, 0].nonzero()[:, 0].tolist() == [0, 6]


def test_any_allowed_class_is_right_and_any_other_is_wrong() -> None:
    allowed = torch.full((1, 1, 4), bits_of("background", "femur"))
    assert float(loss_of(_logits(0, 6, 0, 6), allowed, EQUAL)) == pytest.approx(0, abs=1e-5)
    assert float(loss_of(_logits(0, 6, 0, 2), allowed, EQUAL)) == pytest.approx(60 / 4, rel=0.02)


def test_probability_spread_over_the_allowed_classes_costs_nothing() -> None:
    even = torch.full((1, N_CLASSES, 1, 4), -60.0)
    even[:, [0, 6]] = 0.0
    assert float(loss_of(even, torch.full((1, 1, 4), bits_of("background", "femur")), EQUAL)) == pytest.approx(
        0, abs=1e-5
    )


def test_a_pixel_that_allows_everything_teaches_nothing() -> None:
    logits = torch.randn(1, N_CLASSES, 1, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    allowed = torch.tensor([[[1, 2, ALL_BITS, ALL_BITS]]])
    loss_of(logits, allowed, EQUAL).backward()
    assert logits.grad is not None
    assert logits.grad[..., 2:].abs().max() == 0
    assert logits.grad[..., :2].abs().max() > 0


def test_with_full_labels_it_is_cross_entropy_plus_soft_dice_of_each_image() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(2, N_CLASSES, 3, 5, generator=generator)
    labels = torch.stack([torch.randint(0, few, (3, 5), generator=generator) for few in (4, 2)])
    probability, truth = logits.softmax(1), F.one_hot(labels, N_CLASSES).movedim(-1, 1).float()
    area = FEW_PIXELS + probability.sum((2, 3)) + truth.sum((2, 3))
    dice = (2 * (probability * truth).sum((2, 3)) + FEW_PIXELS) / area
    expected = F.cross_entropy(logits, labels) + 1 - torch.cat([dice[0, :4], dice[1, :2]]).mean()
    got = loss_of(logits, allowed_of_labels(labels), torch.ones(2, 3, 5))
    assert float(got) == pytest.approx(float(expected), rel=1e-5)


def test_a_pixel_of_one_of_two_classes_is_known_only_for_the_others() -> None:
    sure, known = membership(torch.tensor([[[bits_of("extensor", "flexor"), bits_of("extensor")]]]))
    assert sure[0, 1, 0].tolist() == [False, True]
    assert known[0, 1, 0].tolist() == [False, True]
    assert known[0, 3, 0].tolist() == [True, True]
