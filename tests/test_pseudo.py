"""Sure answers of a network: what is taken for sure, and asking about the picture turned."""

import numpy as np
import torch
from torch import Tensor, nn

from thighseg_core.labels import CLASS_INDEX, CLASSES
from training.allowed import bits_of
from training.pseudo import AIR, TurnedAnswer, sure_sets

N = len(CLASSES)


def test_a_pixel_is_of_one_class_only_where_the_network_is_sure_and_the_finished_label_agrees() -> None:
    probability = np.full((N, 1, 3), 0.001, dtype=np.float32)
    extensor, flexor = CLASS_INDEX["extensor"], CLASS_INDEX["flexor"]
    probability[extensor, 0] = (0.95, 0.95, 0.7)
    probability[flexor, 0] = (0.03, 0.03, 0.28)
    finished = np.array([[extensor, flexor, extensor]], dtype=np.uint8)
    sets = sure_sets(probability, finished, sure=0.9, possible=0.05)
    assert sets.tolist() == [[bits_of("extensor"), bits_of("extensor", "flexor"), bits_of("extensor", "flexor")]]


class _Bright(nn.Module):
    """Says extensor where the picture is bright; keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Tensor] = []

    def forward(self, image: Tensor) -> Tensor:
        self.asked.append(image)
        logits = torch.full((len(image), N, *image.shape[-2:]), -20.0)
        logits[:, CLASS_INDEX["background"]] = 0.0
        logits[:, CLASS_INDEX["extensor"]] = 40 * image[:, 0]
        return logits


def test_answers_to_turned_pictures_come_back_to_the_places_they_are_about() -> None:
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(96.0), indexing="ij")
    inside = (((rows - 20) / 13) ** 2 + ((columns - 60) / 22) ** 2 < 1).float()  # off the middle, no symmetry
    network = _Bright()
    answer = TurnedAnswer(network)((2 * inside - 1)[None, None]).exp()
    assert len(network.asked) == 3
    assert all(float(asked[0, 0, -1, -1]) == AIR for asked in network.asked)
    assert torch.allclose(answer.sum(dim=1), torch.ones(1, 64, 96), atol=1e-4)
    found = (answer[0, CLASS_INDEX["extensor"]] > 0.5).float()
    assert 2 * (found * inside).sum() / (found.sum() + inside.sum()) > 0.98
