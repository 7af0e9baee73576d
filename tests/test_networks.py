"""The default network is the published one, and folding its normalisations changes no answer."""

import pytest
import torch
from torch import nn

from thighseg_core.folding import folded
from thighseg_core.networks import NETWORKS, build_network
from thighseg_core.torchvision_guard import make_torchvision_importable


def _with_statistics(network: nn.Module) -> nn.Module:
    """Normalisations that do something: as after training."""
    torch.manual_seed(5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return network.eval()


def _take(network: nn.Module, values: list[torch.Tensor]) -> None:
    """Load weights that have other names in the same order."""
    network.load_state_dict(dict(zip(network.state_dict(), values, strict=True)))


def test_the_encoder_gives_the_features_of_the_published_efficientnet_lite0_with_the_same_weights() -> None:
    make_torchvision_importable()
    import timm

    published = _with_statistics(timm.create_model("tf_efficientnet_lite0", pretrained=False, in_chans=1))
    encoder = build_network("manet").get_submodule("encoder")
    _take(encoder, [value for name, value in published.state_dict().items() if not name.startswith("classifier")])
    image = torch.randn(2, 1, 96, 160)
    with torch.inference_mode():
        wanted = published.forward_features(image)
        deepest = encoder.get_submodule("_conv_head")(encoder(image)[-1])
        got = nn.functional.relu6(encoder.get_submodule("_bn1")(deepest))
    assert float(wanted.std()) > 0.1
    assert torch.allclose(got, wanted, atol=1e-4)


def test_segformer_gives_the_answer_of_the_decoder_of_transformers() -> None:
    network = _with_statistics(build_network("segformer"))
    for name, value in network.named_parameters():
        if name.endswith("bias"):
            nn.init.uniform_(value, -0.5, 0.5)
    image = torch.randn(2, 1, 96, 160)
    with torch.inference_mode():
        small = network.get_submodule("segformer")(pixel_values=image).logits
        wanted = nn.functional.interpolate(small, size=(96, 160), mode="bilinear", align_corners=False)
        got = network(image)
    assert float(wanted.std()) > 0.1
    assert torch.allclose(got, wanted, atol=1e-4)


def test_half_precision_of_depthwise_filters_is_left_out_on_a_cpu_and_the_answer_stays() -> None:
    network = _with_statistics(build_network("manet"))
    image = torch.randn(1, 1, 64, 96)
    with torch.inference_mode():
        wanted = network(image)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            got = network(image).float()
    assert float((got - wanted).abs().mean()) < 0.05 * float(wanted.std())


def test_manet_gives_the_answer_of_segmentation_models_pytorch_with_the_same_features_and_weights() -> None:
    make_torchvision_importable()
    import segmentation_models_pytorch as smp

    published = smp.MAnet(
        "efficientnet-b0", encoder_weights=None, in_channels=1, classes=7, decoder_channels=(96, 64, 48, 32, 16)
    )
    published = _with_statistics(published)
    ours = build_network("manet", n_classes=7)
    for part in ("decoder", "segmentation_head"):
        ours.get_submodule(part).load_state_dict(published.get_submodule(part).state_dict())
    image = torch.randn(2, 1, 96, 160)
    with torch.inference_mode():
        features = [image, *ours.get_submodule("encoder")(image)]
        wanted, got = published.segmentation_head(published.decoder(features)), ours(image)
    assert float(wanted.std()) > 0.1
    assert torch.allclose(got, wanted, atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_folded_network_gives_the_same_answer_with_fewer_normalisations(name: str) -> None:
    network = _with_statistics(build_network(name))
    plain = folded(network)
    image = torch.randn(1, 1, 96, 160)
    with torch.inference_mode():
        wanted, got = network(image), plain(image)
    assert torch.allclose(got, wanted, atol=1e-4 * float(wanted.abs().max()))
    left, before = (sum(isinstance(m, nn.BatchNorm2d) for m in n.modules()) for n in (plain, network))
    assert left < before
    assert before > 0  # the network that was handed in keeps its own


def test_a_network_without_a_normalisation_is_not_copied() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1))
    assert folded(network) is network


def test_manet_learns() -> None:
    torch.manual_seed(2)
    network = build_network("manet").train()
    loss = nn.functional.cross_entropy(network(torch.randn(2, 1, 64, 64)), torch.randint(0, 3, (2, 64, 64)))
    loss.backward()
    used = [p for name, p in network.named_parameters() if "_conv_head" not in name and "encoder._bn1" not in name]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in used)
