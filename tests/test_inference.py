"""The network over a stack: batches, padding, mirroring, smoothing, and what happens when memory ends."""

import time

import numpy as np
import pytest
import torch
from leg_phantom import ReadsAttenuation, grid, scan, truth
from torch import nn

from thighseg_core.checkpoint import Preprocessing
from thighseg_core.inference import InferenceOptions, _gaussian, _smoothed, predict, resolve_device
from thighseg_core.labels import CLASS_INDEX, class_of_label

PREPROCESSING = Preprocessing(spacing_mm=2.0)
PLAIN = InferenceOptions(flip_averaging=False)


def _predict(hu, network, options=PLAIN, spacing_mm=(5.0, 2.0, 2.0), preprocessing=PREPROCESSING, **more):
    return predict(
        hu,
        spacing_mm=spacing_mm,
        network=network,
        preprocessing=preprocessing,
        device="cpu",
        options=options,
        **more,
    )


def test_classes_come_back_voxel_for_voxel_when_the_grid_is_that_of_the_network():
    geometry = grid()
    prediction = _predict(scan(geometry).attenuation_hu, ReadsAttenuation(PREPROCESSING))
    assert (prediction.classes == class_of_label()[truth(geometry).labels]).all()
    assert prediction.device == "cpu"
    assert prediction.notes == ()


def test_a_finer_grid_comes_back_on_its_own_grid_without_a_shift():
    geometry = grid((2, 240, 500), (5.0, 0.75, 0.75))
    wanted = class_of_label()[truth(geometry).labels]
    got = _predict(
        scan(geometry).attenuation_hu, ReadsAttenuation(PREPROCESSING), spacing_mm=geometry.spacing_mm
    ).classes
    for name in ("subcutaneous", "femur"):  # round; the others have neighbours whose mean looks like a third
        a, b = got == CLASS_INDEX[name], wanted == CLASS_INDEX[name]
        shift = [abs(np.nonzero(a)[n].mean() - np.nonzero(b)[n].mean()) for n in (1, 2)]
        assert max(shift) < 0.5, name
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.85, name


class _LooksLeft(nn.Module):
    """Calls the half of the image with smaller columns extensor, whatever it shows."""

    def forward(self, image):
        logits = torch.zeros(len(image), 10, *image.shape[2:])
        logits[:, 1, :, : image.shape[3] // 2] = 2.0
        logits[:, 0, :, image.shape[3] // 2 :] = 1.0
        return logits


def test_averaging_with_the_mirror_image_removes_what_depends_on_the_side():
    hu = np.full((1, 32, 32), -1000, dtype=np.int16)
    once = _predict(hu, _LooksLeft()).classes
    averaged = _predict(hu, _LooksLeft(), InferenceOptions(flip_averaging=True)).classes
    assert (once[..., :16] == 1).all()
    assert (once[..., 16:] == 0).all()
    assert (averaged == averaged[..., ::-1]).all()


def test_the_mirror_image_is_seen_larger_and_answered_in_its_place():
    class Noting(ReadsAttenuation):
        def forward(self, image):
            sizes.append(image.shape[-2:])
            return super().forward(image)

    sizes: list[tuple[int, ...]] = []
    geometry = grid()
    prediction = _predict(scan(geometry).attenuation_hu[:1], Noting(PREPROCESSING), InferenceOptions())
    assert all(second > 1.15 * first for first, second in zip(*sizes[:2], strict=True))
    wanted = class_of_label()[truth(geometry).labels][:1]
    assert (prediction.classes == wanted).mean() > 0.99
    for name in ("femur", "subcutaneous"):  # the others have neighbours whose mean looks like a third
        places = [np.argwhere(found == CLASS_INDEX[name]).mean(axis=0) for found in (prediction.classes, wanted)]
        assert np.abs(places[0] - places[1]).max() < 0.3, name


def test_padding_values_look_like_air_to_the_network():
    network = ReadsAttenuation(PREPROCESSING)
    geometry = grid((1, 240, 500), (5.0, 0.75, 0.75))  # finer than the network: pixels at the skin are averaged
    hu = scan(geometry).attenuation_hu.copy()
    hu[hu == -1000] = -1024
    wanted = _predict(hu, network, spacing_mm=geometry.spacing_mm).classes
    hu[hu == -1024] = -3024
    got = _predict(hu, network, spacing_mm=geometry.spacing_mm).classes
    assert (got == wanted).all()


def test_progress_rises_to_one():
    seen = []
    _predict(scan(grid()).attenuation_hu, ReadsAttenuation(PREPROCESSING), progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 1
    assert seen[-1] == 1.0


def test_smoothing_weighs_neighbours_by_distance_and_keeps_constants():
    weights = _gaussian(1.0)
    impulse = [torch.full((1, 1, 1), float(n == 4)) for n in range(9)]
    smooth = [float(t) for t in _smoothed(iter(impulse), weights)]
    full = [np.exp(-0.5 * n**2) for n in (2, 1, 0, 1, 2)]
    assert smooth == pytest.approx([0, 0, *(np.array(full) / sum(full)), 0, 0], abs=1e-6)
    for n in (1, 2, 3, 9):
        assert [float(t) for t in _smoothed([torch.ones(1)] * n, weights)] == pytest.approx([1.0] * n)


def test_no_smoothing_leaves_slices_alone():
    assert _gaussian(0.0) == [1.0]
    assert [float(t) for t in _smoothed([torch.tensor(3.0), torch.tensor(5.0)], [1.0])] == [3.0, 5.0]


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_batches_computed_beside_one_another_come_in_order_and_leave_the_threads_as_they_were(two_threads):
    class SlowAtFirst(ReadsAttenuation):
        def forward(self, image):
            time.sleep(0.3 if (image[0] < -0.9).all() else 0.0)  # the first batch, of air, is ready last
            return super().forward(image)

    hu = np.repeat(scan(grid()).attenuation_hu[:1], 12, axis=0)
    hu[:4] = -1000
    averaged = _predict(hu, SlowAtFirst(PREPROCESSING), InferenceOptions(flip_averaging=True))
    assert torch.get_num_threads() == 2
    assert (averaged.classes[:4] == 0).all()
    assert (averaged.classes[4:] == averaged.classes[4]).all()
    assert averaged.classes[4].any()
    assert (averaged.mirror.answers[:4] == 0).all()
    assert (averaged.mirror.answers[4:].sum(axis=1) > 0).all()


def test_short_memory_leads_to_smaller_batches_and_says_so(monkeypatch):
    from thighseg_core import inference

    class Hungry(ReadsAttenuation):
        def forward(self, image):
            if len(image) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(image)

    batches = inference._Batches(Hungry(PREPROCESSING), "cpu", flip=False)
    batches.size = 8
    monkeypatch.setattr(batches, "device", "cuda-in-name-only")
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_args, **_kwargs: self)
    monkeypatch.setattr(torch, "autocast", lambda *_args, **_kwargs: __import__("contextlib").nullcontext())
    done = list(batches.run([torch.zeros(5, 1, 32, 32)]))
    assert len(done) == 5
    assert batches.size == 2
    assert len(batches.notes) == 1


def test_a_gpu_too_small_for_one_slice_hands_over_to_the_cpu(monkeypatch):
    from thighseg_core import inference

    class Starving(ReadsAttenuation):
        def forward(self, image):
            if batches.device != "cpu":
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(image)

    batches = inference._Batches(Starving(PREPROCESSING), "cpu", flip=False)
    batches.size = 1
    monkeypatch.setattr(batches, "device", "cuda-in-name-only")
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_args, **_kwargs: self)
    monkeypatch.setattr(torch, "autocast", lambda *_args, **_kwargs: __import__("contextlib").nullcontext())
    done = list(batches.run([torch.zeros(3, 1, 32, 32)]))
    assert len(done) == 3
    assert batches.device == "cpu"
    assert "CPU was used" in batches.notes[-1]


def test_auto_takes_a_gpu_only_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == "cuda"
    assert resolve_device("cpu") == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_half_precision_on_the_gpu_gives_the_classes_of_the_cpu():
    from thighseg_core.networks import build_network

    torch.manual_seed(0)
    network = build_network("segformer")
    hu = scan(grid()).attenuation_hu
    on_cpu = _predict(hu, network).classes
    prediction = predict(
        hu,
        spacing_mm=(5.0, 2.0, 2.0),
        network=network.to("cuda"),
        preprocessing=PREPROCESSING,
        device="cuda",
        options=PLAIN,
    )
    assert prediction.device == "cuda"
    assert (prediction.classes == on_cpu).mean() > 0.98


class _SeesItsPicture(nn.Module):
    """Calls everything brighter than air extensor and keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def forward(self, image):
        self.shown.append(image)
        logits = torch.zeros(len(image), 10, *image.shape[2:])
        logits[:, 1] = 10 * (image[:, 0] + 0.95)
        return logits


@pytest.mark.parametrize(
    ("cut", "margins"),
    [
        (np.s_[:, 20:, :30], (0, 20, 20, 0)),
        (np.s_[:, :44, 30:], (20, 0, 0, 20)),
        (np.s_[:, 20:44, 30:66], (0, 0, 0, 0)),
    ],
    ids=["bottom left", "top right", "nowhere"],
)
def test_where_the_edge_cuts_the_body_the_network_sees_air_beyond_and_every_voxel_stays_in_place(cut, margins):
    hu = np.full((2, 64, 96), -1000.0)
    hu[cut] = 50.0
    network = _SeesItsPicture()
    assert (_predict(hu, network).classes == (hu > 0)).all()
    top, bottom, left, right = margins
    shown = network.shown[0][0, 0].numpy()
    rows, columns = np.flatnonzero((shown > -0.95).any(axis=1)), np.flatnonzero((shown > -0.95).any(axis=0))
    first = (np.flatnonzero((hu[0] > 0).any(axis=1))[0], np.flatnonzero((hu[0] > 0).any(axis=0))[0])
    assert (rows[0], columns[0]) == (first[0] + top, first[1] + left)
    assert shown.shape[0] >= 64 + top + bottom
    assert shown.shape[1] >= 96 + left + right
