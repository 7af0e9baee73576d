"""A trained network as teacher: its probabilities, for every pixel of a batch, real or synthetic.

Teacher and pupil see the same picture, varied alike (Beyer et al., Knowledge distillation: a good teacher is patient and
consistent, CVPR 2022): also where no truth is known, and how sure the teacher is, too.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from thighseg_core.checkpoint import load_checkpoint
from thighseg_core.folding import folded


def load_teacher(checkpoint: Path, *, device: str) -> nn.Module:
    """The network in this folder, only to be asked."""
    model = load_checkpoint(checkpoint.name, device=device, folder=checkpoint.parent)
    return folded(model.network).eval()


@torch.no_grad()
def answers(teacher: nn.Module, images: Tensor) -> Tensor:
    """(B, 1, H, W) normalised images -> (B, C, H, W) probabilities: the mean of the picture's and its mirror image's."""
    both = teacher(torch.cat([images, images.flip(-1)])).float().softmax(dim=1)
    own, mirrored = both.chunk(2)
    return (own + mirrored.flip(-1)) / 2


def divergence(logits: Tensor, probabilities: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the pupil's logits from the teacher's probabilities, (B, C, H, W); mean of pixels."""
    log_teacher = probabilities.clamp(min=1e-6).log()
    apart = (probabilities * (log_teacher - logits.log_softmax(dim=1))).sum(dim=1)
    return apart.mean()
