"""A limit of memory: fewer images at once, the same results; what does not fit is refused, and what runs out is halved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from interp import activations, attribution
from interp.attribution import gradcam
from interp.core.memory import as_option, by_parts, fitting, halving, limited, peak, size_of
from interp.core.model import Model
from interp.core.score import evaluate
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import AscentConfig, visualize
from interp.featurevis.config import Precision
from interp.featurevis.quality.scoring import own_scores
from interp.featurevis.units import Channel
from interp.images import Preprocess
from interp.metrics.evidence import Evidence
from interp.metrics.registry import METRICS
from interp.zoo.loading import load

KIB = 1024
UNIT = Unit("0", 1)
SIDE = 16


@pytest.fixture
def model() -> Model:
    """One 3 x 3 convolution to 12 channels, ReLU, the mean, a line: what it takes can be counted by hand."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4))
    return load(net, preprocess=Preprocess(size=(SIDE, SIDE), resize=SIDE))


@pytest.fixture
def images() -> Tensor:
    return torch.rand(7, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@contextmanager
def batches(model: Model) -> Iterator[list[int]]:
    """The sizes of the batches that go into the network inside."""
    sizes: list[int] = []
    hook = model.module.get_submodule("0").register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    try:
        yield sizes
    finally:
        hook.remove()


@pytest.mark.parametrize(
    ("text", "count"),
    [("500MB", 5 * 10**8), ("4GB", 4 * 10**9), ("1.5 gb", 15 * 10**8), ("2GiB", 2 * 1024**3), ("300m", 3 * 10**8), ("0.001T", 10**9)],
)
def test_sizes_are_read(text, count):
    assert size_of(text) == count


@pytest.mark.parametrize("text", ["", "4", "GB", "-4GB", "four GB", "4GBs", "1e3GB", "nan", "4,5GB", "9999999GB", "4 G B", "0x10MB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InterpError, match=r"--memory '.*' is no size: write a number and its unit, such as 500MB or 4GB"):
        size_of(text)


def test_sizes_below_a_megabyte_are_refused():
    with pytest.raises(InterpError, match=r"--memory 500kB is too small: give at least 1MB"):
        size_of("500kB")


@given(st.integers(10**6, 10**14))
def test_what_is_told_is_enough_when_it_is_given(count):
    assert count <= size_of(as_option(count)) <= 1.1 * count + 10**5


def test_peaks_count_what_lives_at_the_same_moment():
    there = torch.ones(KIB)

    def one_after_the_other() -> Tensor:
        first = torch.ones(KIB)
        second = first + 1
        part = second[:3]
        del first, second
        third = torch.ones(3 * KIB)
        return part + third[:3]

    assert peak(lambda: torch.ones(KIB)) == 4 * KIB
    assert peak(lambda: there.view(2, -1)) == 0
    assert peak(lambda: there.mul_(2)) == 0
    # The view keeps the 4 KiB behind it alive, beside the 12 of the third; the last sum is 12 bytes.
    assert peak(one_after_the_other) == 16 * KIB + 12


def test_a_forward_takes_what_its_maps_take(model):
    images, pixels = torch.rand(1, 3, SIDE, SIDE), SIDE * SIDE
    with torch.no_grad():
        found = peak(lambda: model(images))
    # While the ReLU runs: the normalized image is alive, and the maps before and after it.
    assert 4 * (3 + 12) * pixels <= found <= 4 * (3 + 3 + 12 + 12) * pixels + KIB


def test_parts_are_as_large_as_fit(model):
    limited_ = replace(model, memory=3 * 4 * KIB + 5)
    parts = by_parts(limited_, 8, lambda start, stop: (start, stop, torch.ones(stop - start, KIB))[:2], "ones")
    assert parts == [(0, 3), (3, 6), (6, 8)]
    assert by_parts(limited_, 8, lambda start, stop: (start, stop), "nothing", 2) == [(0, 2), (2, 4), (4, 6), (6, 8)]
    assert by_parts(limited_, 0, lambda start, stop: (start, stop), "none") == []


def test_without_a_limit_all_go_at_once(model):
    assert by_parts(model, 8, lambda start, stop: (start, stop), "ones") == [(0, 8)]
    assert by_parts(model, 8, lambda start, stop: (start, stop), "ones", 5) == [(0, 5), (5, 8)]


def test_a_cost_is_measured_once(model):
    calls: list[int] = []
    small = replace(model, memory=10**6)
    for _ in range(3):
        fitting(small, "work", 4, lambda: calls.append(1))
    assert calls == [1]


def test_an_image_that_does_not_fit_is_refused(model):
    small = replace(model, memory=10**6)
    with pytest.raises(
        InterpError, match=r"one image takes about 4MB in 'Sequential' here, more than the .* of 1MB: give --memory 4MB or more"
    ):
        by_parts(small, 2, lambda start, stop: torch.ones(10**6), "large")
    with pytest.raises(InterpError, match=r"3 images at once take about 1.2MB .* or work on fewer at once \(`batch_size`\)"):
        fitting(small, "three", 8, lambda: torch.ones(10**5), least=3)


def exhausted(start: int, stop: int) -> list[int]:
    """Work for which there is room for two images."""
    if stop - start > 2:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    return list(range(start, stop))


def test_what_runs_out_is_halved_and_said(model):
    with pytest.warns(UserWarning, match=r"a batch of [347] was halved.*not deterministic") as said:
        parts = by_parts(model, 7, exhausted, "work")
    assert [i for part in parts for i in part] == list(range(7))
    assert max(map(len, parts)) == 2
    assert len(said) == 3  # 7 into 3 and 4, and each of these


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
        ),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
    ],
)
def test_one_image_for_which_there_is_no_room_is_one_line(model, error):
    def work(*_: object) -> None:
        raise error

    with pytest.raises(InterpError, match=r"memory ran out with a single image \(.*\): choose smaller images"):
        by_parts(model, 1, work, "work")
    with pytest.raises(InterpError, match=r"memory ran out with a single image"):
        halving(1, work)


def test_other_errors_pass(model):
    def work(*_: object) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        by_parts(model, 4, work, "work")
    with pytest.raises(RuntimeError, match="shapes do not match"):
        halving(4, work)


@pytest.mark.filterwarnings("ignore:memory ran out")
def test_halving_ends_at_the_least():
    tried: list[int] = []

    def work(count: int) -> str:
        tried.append(count)
        if count > 3:
            raise MemoryError
        return "done"

    assert halving(16, work) == "done"
    assert tried == [16, 8, 4, 2]
    with pytest.raises(InterpError, match="memory ran out"):
        halving(16, work, least=5)


def test_a_limit_on_cuda_is_torchs_and_is_lifted_again(model, monkeypatch):
    shares: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, device: shares.append(share))
    with limited(replace(model, memory=10**6)):
        pass
    assert shares == []
    monkeypatch.setattr(Model, "device", property(lambda self: torch.device("cuda:0")))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: type("P", (), {"total_memory": 10**7}))
    with pytest.raises(KeyError), limited(replace(model, memory=10**6)):
        raise KeyError
    assert shares == [0.1, 1.0]


def of_method(name: str, model: Model, images: Tensor, **options: object) -> np.ndarray:
    kind = attribution.registry.METHODS[name]
    layer = {"layer": "1"} if "layer" in kind.__dataclass_fields__ else {}
    method = kind(**layer, **options)
    return np.stack([heatmap.values for heatmap in method(model, images, [Unit("4", i % 4) for i in range(len(images))])])


def of_metric(name: str, model: Model, images: Tensor) -> np.ndarray:
    units = tuple(Unit("4", i % 4) for i in range(len(images)))
    method = attribution.registry.METHODS["gradcam"](layer="1")
    return METRICS[name]()(Evidence(model, images, units, tuple(method(model, images, list(units))), method))


ALONG = ("layer-integrated-gradients", "conductance")
WORK = {
    "activations": lambda model, images: activations.of(model, images, ["1", "4"])["1"].maps,
    "gradcam": lambda model, images: np.stack([m["1"].values for m in gradcam.of(model, images, [Unit("4", 2)] * 7, ["1"])]),
    "scores": lambda model, images: evaluate(model, images, [Unit("4", 3)] * 7).numpy(),
    "probabilities": lambda model, images: evaluate(model, images, [Unit("4", 3)] * 7, softmax=True).numpy(),
    "objectives": lambda model, images: own_scores(model, [Channel(UNIT)] * 7, images.permute(0, 2, 3, 1).numpy()),
    "deletion": lambda model, images: of_metric("deletion", model, images),
    **{
        name: lambda model, images, name=name: of_method(name, model, images)
        for name in (
            *("saliency", "guided-backprop", "integrated-gradients", "smoothgrad", *ALONG),
            *("occlusion", "rise", "scorecam", "ablationcam", "lime"),
        )
    },
}


@pytest.mark.parametrize("name", WORK)
def test_a_limit_makes_batches_smaller_and_results_no_other(model, images, name):
    """Room for one image of the gradient methods, of which each takes the most, and for a few of the others."""
    from interp.attribution.gradients import gradient

    cost = peak(lambda: gradient(model, images[:1].clone(), [Unit("4", 0)]))
    # Those along a path at a layer take at least two steps at once.
    small = replace(model, memory=int((2.2 if name in ALONG else 1.2) * cost))
    with batches(model) as whole:
        expected = WORK[name](model, images)
    with batches(small) as parts:
        found = WORK[name](small, images)
    # Work without gradients takes less, so that more of its images fit; sums over places in another order round otherwise.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * float(np.abs(expected).max() or 1))
    assert max(parts) < max(whole)
    assert model.module.get_submodule("0")._forward_pre_hooks == {}


def test_random_points_do_not_hang_on_the_limit(model, images):
    """GradientSHAP draws its points one after the other, so that smaller batches are of the same points."""
    from interp.attribution.gradients import gradient

    cost = peak(lambda: gradient(model, images[:1].clone(), [Unit("4", 0)]))
    with batches(model) as whole:
        expected = of_method("gradient-shap", model, images)
    with batches(replace(model, memory=int(3.2 * cost))) as parts:
        found = of_method("gradient-shap", replace(model, memory=int(3.2 * cost)), images)
    assert (max(whole), 3 in parts, max(parts) < 8) == (8, True, True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * float(np.abs(expected).max()))
    np.testing.assert_array_equal(of_method("gradient-shap", replace(model, memory=10**8), images), expected)
    one = of_method("gradient-shap", model, images, batch_size=1)
    np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-5 * float(np.abs(expected).max()))
    with pytest.raises(InterpError, match=r"one image takes about .* give --memory"):
        of_method("gradient-shap", replace(model, memory=cost // 2), images)


def test_optimized_images_are_fewer_at_once_and_the_same(model):
    units = [Unit("0", channel) for channel in range(4)]
    config = AscentConfig(steps=3, precision=Precision.FLOAT32)
    expected = visualize(model, units, config, seed=0)
    one = 2 * 4 * 11 * SIDE * SIDE
    with batches(model) as sizes:
        found = visualize(replace(model, memory=one), units, config, seed=0)
    assert sizes == [] or max(sizes) <= 4  # the ascent runs in a working copy
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.image, b.image, atol=1e-3)
    with pytest.raises(InterpError, match=r"one image takes about .* more than the memory limit"):
        visualize(replace(model, memory=1000), units, config, seed=0)
