"""Which classes a pixel may have: truth that is sure about some classes and silent about others, as one bit a class.

A full annotation allows one class a pixel, a drawing of muscle groups alone allows every class but the groups where it
says 0, and a pixel that nobody annotated allows all. One loss serves them all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from thighseg_core.labels import CLASSES

N_CLASSES = len(CLASSES)
ALL_BITS = (1 << N_CLASSES) - 1  # nothing is known
FEW_PIXELS = 10.0  # a class of fewer on an image hardly counts in its Dice
OPEN = N_CLASSES  # in maps of class indices: any class


def bits_of(*class_names: str) -> int:
    """The bit set of these classes."""
    return sum(1 << CLASSES.index(name) for name in class_names)


def allowed_of_labels(labels: Tensor) -> Tensor:
    """(B, H, W) class indices -> the same as sets of one class, of all where the index is `OPEN`."""
    return torch.where(labels == OPEN, ALL_BITS, torch.ones_like(labels) << labels)


def members(allowed: Tensor, n_classes: int = N_CLASSES) -> Tensor:
    """(B, H, W) bit sets -> (B, C, H, W) bool, whether the pixel may have the class."""
    bits = (1 << torch.arange(n_classes, device=allowed.device, dtype=torch.int16)).view(1, -1, 1, 1)
    return (allowed.to(torch.int16)[:, None] & bits) != 0


def membership(allowed: Tensor, n_classes: int = N_CLASSES) -> tuple[Tensor, Tensor]:
    """(B, H, W) bit sets -> (B, C, H, W) bool twice: surely of the class; known whether of the class or not."""
    may = members(allowed, n_classes)
    sure = may & (may.sum(dim=1, keepdim=True) == 1)
    return sure, sure | ~may


def loss_of(logits: Tensor, allowed: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy of the allowed classes together, weighted by pixel, plus soft Dice of each image's classes.

    logits: (B, C, H, W). allowed: (B, H, W) bit sets. weights: (B, H, W). Pixels that allow every class teach nothing.
    Dice of a class counts the pixels of an image that surely have it or surely not; a class that no pixel surely has is
    left out. By image, as in the tables of evaluation: in the sum over a batch a thin gracilis is nothing.
    """
    may = members(allowed, logits.shape[1])
    informative = ~may.all(dim=1)
    # minus log of the summed probability of the allowed classes
    log_probability = logits.log_softmax(dim=1)
    surprise = -log_probability.masked_fill(~may, float("-inf")).logsumexp(dim=1) * weights
    entropy = surprise[informative].sum() / informative.sum().clamp(min=1)
    probability = log_probability.exp()
    truth, known = (part.float() for part in membership(allowed, logits.shape[1]))
    overlap = (probability * truth).sum(dim=(2, 3))
    total = (probability * known).sum(dim=(2, 3)) + truth.sum(dim=(2, 3))
    present = truth.sum(dim=(2, 3)) > 0
    if not present.any():
        return entropy
    return entropy + 1 - ((2 * overlap + FEW_PIXELS) / (total + FEW_PIXELS))[present].mean()
