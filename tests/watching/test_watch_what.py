"""What is followed: numbers of filters by their equations, units from record to record, probes of all kinds, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from watched import QUICK, net, probes

import interp
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.images import Preprocess
from interp.kernels import Kernels, noise
from interp.watching import Detail, Recording
from interp.watching.filters import measured, summed_up
from interp.watching.grey import in_colour
from interp.zoo.loading import load


def kernels(*shape: int, seed: int = 0) -> Kernels:
    return Kernels("conv", "Conv2d", np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def test_change_is_relative_to_the_norm_before() -> None:
    before = kernels(3, 2, 3, 3).weights
    moved = before.copy()
    moved[0] *= 1.25
    moved[1] = 0
    after = Kernels("conv", "Conv2d", moved)
    found = measured(after, before, 0, 0)
    assert np.allclose(found["change"], [0.25, 1.0, 0.0], atol=1e-6)
    assert np.allclose(found["norm"], np.sqrt(np.square(moved).sum((1, 2, 3))))
    assert np.isnan(measured(after, None, 0, 0)["change"]).all()
    assert np.isnan(measured(after, moved, 0, 0)["change"]).tolist() == [False, True, False]


def test_ranks_of_known_filters() -> None:
    weights = np.zeros((2, 4, 2, 2), np.float32)
    weights[0] = np.outer([1, 2, 3, 4], [1, -1, 2, 0]).reshape(4, 2, 2)
    weights[1] = np.eye(4).reshape(4, 2, 2)
    found = measured(Kernels("conv", "Conv2d", weights), None, 0, 0)
    assert np.allclose(found["stable_rank"], [1, 4], atol=1e-4)
    assert np.allclose(found["effective_rank"], [1, 4], atol=1e-4)


def test_noise_is_asked_of_some_filters_evenly() -> None:
    given = kernels(9, 15, 5, 5)
    found = measured(given, None, 3, 0)["noise_p"]
    assert np.flatnonzero(np.isfinite(found)).tolist() == [0, 4, 8]
    assert np.allclose(found[[0, 4, 8]], noise.of(replace(given, weights=given.weights[[0, 4, 8]][:, ::2])).p)
    assert np.allclose(measured(given, None, 9, 0)["noise_p"], noise.of(given).p)
    assert np.isnan(measured(kernels(4, 2, 1, 1), None, 4, 0)["noise_p"]).all()


def test_sums_are_over_what_is_defined() -> None:
    columns = {
        "norm": np.array([1, 3, np.nan], np.float32),
        "change": np.full(3, np.nan, np.float32),
        "noise_p": np.array([0.001, 0.9, np.nan], np.float32),
        "dead": np.array([True, False, False]),
    }
    assert summed_up(columns) == {"norm": 2.0, "dead": pytest.approx(1 / 3), "structured": 0.5}


def test_a_unit_that_nothing_changed_is_climbed_further(tmp_path: Path) -> None:
    network = net()
    detail = Detail(channels=2, side=8, steps=8, tested=0)
    with interp.watch(network, tmp_path / "run", probes(), every=1, units=["conv2:1"], budget=None, detail=detail) as recorder:
        for _ in range(5):
            recorder.step()
    scores = [float(record.array("units/scores")[0]) for record in Recording.read(tmp_path / "run").records]
    assert scores[1] > scores[0]
    assert scores[-1] > scores[1]


def test_a_grey_network_is_the_same_in_colour() -> None:
    model = load(net(channels=1), preprocess=Preprocess((12, 12), None, (0.4,), (0.3,)))
    colour = in_colour(model)
    images = probes(3)
    assert torch.allclose(colour(images), model(images.mean(1, keepdim=True)), atol=1e-6)
    assert colour.module is model.module
    assert in_colour(load(net(), preprocess=Preprocess((12, 12)))).preprocess.mean == Preprocess().mean


def test_units_of_a_grey_network(tmp_path: Path) -> None:
    network, detail = net(channels=1), Detail(channels=2, side=8, steps=40, tested=0)
    interp.watch(network, tmp_path / "run", probes(channels=1), units=["conv1:0", "fc:1"], budget=None, detail=detail).close()
    (record,) = Recording.read(tmp_path / "run").records
    assert record.images.shape == (2, 12, 12, 1)
    image = torch.from_numpy(record.images[0].astype(np.float32) / 255).permute(2, 0, 1)[None]
    with torch.no_grad():
        scores = network.eval().conv1(torch.cat([image, probes(8, channels=1)]))[:, 0].mean((1, 2))
    assert float(scores[0]) > float(scores[1:].max())
    assert abs(float(scores[0]) - float(record.array("units/scores")[0])) < 0.02


def test_patterns_of_units_and_layers(tmp_path: Path) -> None:
    given: dict[str, Any] = {"units": ["conv1:0-2", Unit("fc", 1)], "kernels": ["conv*"], "activations": [], "gradcam": []}
    interp.watch(net(), tmp_path / "run", probes(), budget=None, detail=QUICK, **given).close()
    plan = Recording.read(tmp_path / "run").header.plan
    assert plan.units == (Unit("conv1", 0), Unit("conv1", 1), Unit("conv1", 2), Unit("fc", 1))
    assert plan.kernels == ("conv1", "conv2")
    assert plan.activations == plan.gradcam == ()


def test_a_network_without_convolutions(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 5), nn.ReLU(), nn.Linear(5, 3))
    with interp.watch(network, tmp_path / "run", probes(), every=1, budget=None, detail=QUICK) as recorder:
        recorder.step(loss=1)
    recording = Recording.read(tmp_path / "run")
    assert recording.header.plan.convolutions == recording.header.plan.kernels == recording.header.plan.gradcam == ()
    assert recording.records[1].scores.shape == (2, 3)


def test_photographs_as_probes(tmp_path: Path) -> None:
    network = net()
    prepared = Preprocess((12, 12), 12, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    interp.watch(network, tmp_path / "run", ["cat", "coffee"], preprocess=prepared, budget=None, detail=QUICK).close()
    recording = Recording.read(tmp_path / "run")
    assert [probe.name for probe in recording.header.probes] == ["cat", "coffee"]
    assert np.array_equal(recording.probes, prepared(interp.photos(["cat", "coffee"])).numpy())
    with torch.no_grad():
        expected = network.eval()((torch.from_numpy(recording.probes) - 0.5) / 0.25)
    assert np.allclose(recording.records[0].scores, expected, atol=1e-5)


def test_pictures_of_pillow_and_arrays(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (14, 12, 3), dtype=np.uint8)
    prepared = Preprocess((12, 12), 12, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    given: list[Any] = [Image.fromarray(pixels), pixels]
    interp.watch(net(), tmp_path / "run", given, preprocess=prepared, budget=None, detail=QUICK).close()
    recording = Recording.read(tmp_path / "run")
    assert [probe.name for probe in recording.header.probes] == ["image 0", "image 1"]
    assert np.array_equal(recording.probes[0], recording.probes[1])
    assert np.allclose(recording.probes[0], pixels[1:13].transpose(2, 0, 1) / 255)


def test_a_model_brings_its_preprocessing(tmp_path: Path) -> None:
    model = load(net(), preprocess=Preprocess((12, 12), 12), classes=["ant", "bee", "cat"])
    interp.watch(model, tmp_path / "run", ["cat"], targets=["bee"], budget=None, detail=QUICK).close()
    recording = Recording.read(tmp_path / "run")
    assert recording.header.preprocess == model.preprocess
    assert recording.records[0].entry.targets == (1,)
    assert recording.header.network.classes == ("ant", "bee", "cat")
    with pytest.raises(InterpError, match="a Model has its `preprocess`, `classes` and `output`"):
        interp.watch(model, tmp_path / "other", ["cat"], preprocess=Preprocess())


class Several(nn.Module):
    """Gives a dictionary, as many libraries do."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.net(x), "other": x}


def test_an_output_among_several(tmp_path: Path) -> None:
    interp.watch(Several(), tmp_path / "run", probes(), output="logits", budget=None, detail=QUICK).close()
    assert Recording.read(tmp_path / "run").records[0].scores.shape == (2, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": ["conv1:9"]}, r"no unit 'conv1:9': layer 'conv1' has 4 channels"),
        ({"units": "conv1:1"}, r"`units` is the unit 'conv1:1': give a sequence of them, such as \['conv1:1'\]"),
        ({"kernels": ["relu"]}, r"layer 'relu' \(ReLU\) has no kernels"),
        ({"kernels": ["convv1"]}, r"no layer 'convv1' in 'Net': did you mean 'conv1'"),
        ({"gradcam": ["fc"]}, r"layer 'fc' \(Linear\) gives a vector, which has no places"),
        ({"activations": ["nowhere"]}, r"no layer 'nowhere' in 'Net'"),
        ({"targets": [1]}, "`targets` is 1 for 2 images: give one class for each"),
        ({"targets": [1, 7]}, "no class 7: 'Net' has 3 classes"),
        ({"targets": ["conv1:1", "fc:1"]}, "the target 'conv1:1' is no class"),
        ({"images": probes()[0]}, r"`images` is a tensor of shape \(3, 12, 12\): give \(n, channels, rows, cols\)"),
        ({"images": (probes() * 255).byte()}, r"`images` is torch\.uint8: give floats"),
        (
            {"images": probes(channels=1)},
            r"`images` have 1 channel, and the first convolution of 'Net' takes 3: give a tensor \(n, 3, rows, cols\), or photographs with "
            r'`preprocess=\{"mean": \.\.\., "std": \.\.\.\}` of 3 numbers each$',
        ),
        ({"images": np.zeros((1, 3, 12, 12), np.uint8)}, r"`images` is torch\.uint8: give floats"),
        ({"images": np.zeros((3, 12, 12))}, r"`images` is a tensor of shape \(3, 12, 12\): give \(n, channels, rows, cols\)"),
        ({"images": np.array(["a"])}, r"`images` is an array of <U1: give floats \(n, channels, rows, cols\)"),
        ({"images": []}, "`images` holds no picture"),
        ({"images": ["no such file.png"]}, r"no such file\.png"),
        (
            {"images": probes(), "preprocess": Preprocess((8, 8))},
            r"`images` are of 12 x 12 px \(rows x cols\), and `preprocess` is for 8 x 8",
        ),
        (
            {"images": probes() * 3 - 1, "units": ["conv1:0"]},
            r"`units` are optimized in \[0, 1\], and `images` run from -0\.989 to 2: give images in \[0, 1\]",
        ),
        ({"images": torch.full((1, 3, 12, 12), float("nan"))}, "`images` holds NaN"),
        ({"writers": ["tensorbord"]}, "no writer 'tensorbord': did you mean 'tensorboard'"),
        ({"writers": "wandb"}, r"`writers` is 'wandb': give a sequence, such as \['wandb'\]"),
        ({"writers": [object()]}, "an? object is no writer: give 'tensorboard' or 'wandb', or an object with numbers, record and close"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    network = net()
    unchecked = getattr(interp.watch, "__wrapped__", interp.watch)  # annotations are not checked in a user's process
    with pytest.raises(InterpError, match=message) as caught:
        unchecked(network, tmp_path / "run", **{"images": probes(), "budget": None, "detail": QUICK, **options})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
    assert network.training


def test_photographs_for_a_grey_network_need_a_preprocessing(tmp_path: Path) -> None:
    with pytest.raises(InterpError, match="the network takes 1 channel and `images` are photographs: give a tensor, or say how"):
        interp.watch(net(channels=1), tmp_path / "run")


def test_units_need_colour_or_grey(tmp_path: Path) -> None:
    with pytest.raises(InterpError, match=r"'Net' takes 5 channels: images of units are made for 3 \(RGB\) and 1 \(grey\) only"):
        interp.watch(net(channels=5), tmp_path / "run", probes(channels=5), units=["conv1:0"])
    interp.watch(net(channels=5), tmp_path / "run", probes(channels=5), budget=None, detail=QUICK).close()
    assert Recording.read(tmp_path / "run").records[0].kernels("conv1").weights.shape == (4, 5, 3, 3)


@pytest.mark.parametrize(("name", "value"), [("channels", 0), ("steps", 2.5), ("seed", -1), ("side", True)])
def test_detail_takes_counts(name: str, value: Any) -> None:
    unchecked = getattr(Detail.__init__, "__wrapped__", Detail.__init__)
    with pytest.raises(InterpError, match=f"`{name}` of Detail is {value}: give a whole number"):
        unchecked(object.__new__(Detail), **{name: value})


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ">f4"])
def test_arrays_are_as_tensors(tmp_path: Path, dtype: Any) -> None:
    images = probes().half().float()
    given = images.numpy().astype(dtype)[::-1]
    given.flags.writeable = False
    interp.watch(net(), tmp_path / "run", given, budget=None, detail=QUICK).close()
    assert np.array_equal(Recording.read(tmp_path / "run").probes, images.numpy()[::-1])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_in_double_precision(tmp_path: Path, channels: int) -> None:
    """Its records are those of the same network in single precision, but for rounding."""
    for name, network in (("single", net(channels=channels)), ("double", net(channels=channels).double())):
        given = {"every": 1, "units": ["conv2:1"], "budget": None, "detail": QUICK}
        with interp.watch(network, tmp_path / name, probes(channels=channels), **given) as recorder:
            recorder.step()
        assert {one.dtype for one in network.parameters()} == {torch.float32 if name == "single" else torch.float64}
    single, double = (Recording.read(tmp_path / name).records[-1] for name in ("single", "double"))
    assert not double.entry.missing
    for name in ("probes/scores", "gradcam/conv2", "units/scores"):
        assert np.allclose(single.array(name), double.array(name), atol=1e-3)


def test_filters_that_give_nan_are_not_dead(tmp_path: Path) -> None:
    network = net()
    with torch.no_grad():
        network.bn.weight[2], network.bn.bias[2] = 0.0, -1.0
    with interp.watch(network, tmp_path / "run", probes(), every=1, budget=None, detail=QUICK) as recorder:
        with torch.no_grad():
            network.conv1.weight[1] = float("nan")
        recorder.step()
    before, after = Recording.read(tmp_path / "run").records
    assert before.statistics("conv1")["dead"].tolist() == after.statistics("conv1")["dead"].tolist() == [False, False, True, False]
    assert (before.summary["conv1"]["dead"], after.summary["conv1"]["dead"]) == (1 / 4, pytest.approx(1 / 3))
    assert "dead" in before.summary["conv2"]
    assert "dead" not in after.summary["conv2"]  # behind it all is NaN, and nothing is known
    assert not after.statistics("conv2")["dead"].any()


def test_a_head_that_was_swapped_gives_no_answers(tmp_path: Path) -> None:
    network = net()
    recorder = interp.watch(network, tmp_path / "run", probes(), every=1, budget=None, detail=QUICK)
    network.fc = nn.Linear(4, 7)
    with pytest.warns(UserWarning, match=r"without their answers: Unsupported: layer 'fc' gives 7 channels, and gave 3 when"):
        recorder.step()
    network.conv1 = nn.Conv2d(3, 4, 5, padding=2)
    with pytest.warns(
        UserWarning, match=r"without their filters: Unsupported: the weights of 'conv1' are 4 x 3 x 5 x 5, and were 4 x 3 x 3 x 3"
    ):
        recorder.step()
    recorder.close()
    first, second, third = Recording.read(tmp_path / "run").records
    assert first.scores.shape == (2, 3)
    assert set(second.entry.missing) == {"answers"}
    assert len(second.kernels("conv1")) == 4
    assert not any(name.startswith(("probes", "activations", "gradcam")) for name in (*second.entry.arrays, *third.entry.arrays))
    with pytest.raises(InterpError, match=r"holds no `probes/scores`: its answers are missing \(Unsupported: layer 'fc' gives 7"):
        _ = second.scores
    assert not any(name.startswith("kernels") for name in third.entry.arrays)
