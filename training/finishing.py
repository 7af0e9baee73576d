"""What is stored of a run: the average of its weights, drawn back towards those it started from, logits shifted.

Fine-tuning on a few drawings forgets what it does not see there. Weights between those before and after it keep more of
both than either end (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn

from thighseg_core.labels import CLASSES


@torch.no_grad()
def finished(
    network: nn.Module, start: nn.Module, *, keep_of_start: float, logit_shift: Mapping[str, float]
) -> nn.Module:
    """A copy of `network` as it is stored; the two themselves stay as they are.

    keep_of_start: share (0 to 1) of the weights of `start`. logit_shift: class name -> what is added to its logit.
    """
    ended = copy.deepcopy(network)
    for value, before in zip(ended.state_dict().values(), start.state_dict().values(), strict=True):
        if value.dtype.is_floating_point:
            value.lerp_(before, keep_of_start)
    for name, shift in logit_shift.items():
        bias = classifier(ended).bias
        assert bias is not None
        bias[CLASSES.index(name)] += shift
    return ended


def classifier(network: nn.Module) -> nn.Conv2d:
    """The convolution that gives the logits: the last one with a channel for every class."""
    return [part for part in network.modules() if isinstance(part, nn.Conv2d) and part.out_channels == len(CLASSES)][-1]
