"""A trained network as teacher: its probabilities, for every pixel of a batch, real or synthetic.

Teacher and pupil see the same picture, varied alike (Beyer et al., Knowledge distillation: a good teacher is patient
and consistent, CVPR 2022): also where no truth is known, and how sure the teacher is, too.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from thighseg_core.checkpoint import load_checkpoint
from thighseg_core.folding import folded


def load_teacher(checkpoint: Path, *, device: str) -> nn.Module:
    """The network in this folder, only to be asked."""
    model = load_checkpoint(checkpoint.name, device=device, folder=checkpoint.parent)
    return folded(model.network).eval()


def divergence(logits: Tensor, taught: Tensor) -> Tensor:
    """Kullback-Leibler divergence of a pupil's logits from its teacher's, (B, C, H, W); mean of the pixels."""
    log_pupil, log_teacher = logits.log_softmax(dim=1), taught.log_softmax(dim=1)
    return (log_teacher.exp() * (log_teacher - log_pupil)).sum(dim=1).mean()
