"""Sure answers of a network: what is taken for sure."""

import numpy as np

from thighseg_core.labels import CLASS_INDEX, CLASSES
from training.allowed import bits_of
from training.pseudo import sure_sets

N = len(CLASSES)


def test_a_pixel_is_of_one_class_only_where_the_network_is_sure_and_the_finished_label_agrees() -> None:
    probability = np.full((N, 1, 3), 0.001, dtype=np.float32)
    extensor, flexor = CLASS_INDEX["extensor"], CLASS_INDEX["flexor"]
    probability[extensor, 0] = (0.95, 0.95, 0.7)
    probability[flexor, 0] = (0.03, 0.03, 0.28)
    finished = np.array([[extensor, flexor, extensor]], dtype=np.uint8)
    sets = sure_sets(probability, finished, sure=0.9, possible=0.05)
    assert sets.tolist() == [[bits_of("extensor"), bits_of("extensor", "flexor"), bits_of("extensor", "flexor")]]
