"""The working copy gives what the model gives, and the model does not notice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from interp.core.model import Model
from interp.errors import Unsupported
from interp.featurevis.config import Precision
from interp.featurevis.engine import TOLERANCE, Engine, engine, fastest, usable

from .conftest import traced

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(3))
NOT_AUTO = [p for p in Precision if p is not Precision.AUTO]


@pytest.mark.parametrize("precision", NOT_AUTO)
@pytest.mark.parametrize("which", ["cnn", "vit"])
def test_copy_computes_the_same(precision: Precision, which: str, request: pytest.FixtureRequest) -> None:
    model: Model = request.getfixturevalue(which)
    layers = ["conv1", "relu2", "fc"] if which == "cnn" else ["encoder.layers.encoder_layer_1", "heads.head"]
    made = engine(model, precision)
    exact, _ = model.capture(layers, IMAGES)
    with torch.no_grad():
        found = made.outputs(layers, IMAGES)
    for name in layers:
        error = float((found[name].float() - exact[name]).norm() / exact[name].norm())
        assert error < (1e-5 if precision is Precision.FLOAT32 else TOLERANCE)
        assert (error > 0) == (precision is not Precision.FLOAT32) or precision is Precision.FLOAT32
    assert usable(model, made, layers, Precision.AUTO)


def test_model_is_not_touched(cnn: Model) -> None:
    cnn.module.train()
    before = {k: (t.clone(), t.dtype, t.is_contiguous(), t.requires_grad) for k, t in cnn.module.named_parameters()}
    made = engine(cnn, Precision.BFLOAT16)
    made.outputs(["fc"], IMAGES.clone().requires_grad_())
    assert cnn.module.training
    for name, parameter in cnn.module.named_parameters():
        values, dtype, contiguous, requires_grad = before[name]
        assert torch.equal(parameter, values)
        assert (parameter.dtype, parameter.is_contiguous(), parameter.requires_grad) == (dtype, contiguous, requires_grad)
    assert made.model.module.get_parameter("conv1.weight").dtype is torch.bfloat16
    assert made.model.module.get_parameter("conv1.weight").is_contiguous(memory_format=torch.channels_last)
    assert not any(p.requires_grad or m.training for m in made.model.module.modules() for p in m.parameters())


class Standardized(nn.Conv2d):
    """A convolution whose weights are standardized first: rounding them first would change the result."""

    def forward(self, x: Tensor) -> Tensor:
        weight = (self.weight - self.weight.mean()) / self.weight.std()
        return nn.functional.conv2d(x, weight, self.bias)


def test_only_plain_weights_are_rounded() -> None:
    net = nn.Sequential(Standardized(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    made = engine(traced(net), Precision.BFLOAT16)
    assert made.model.module[0].weight.dtype is torch.float32
    assert made.model.module[3].weight.dtype is torch.bfloat16


class Cancelling(nn.Module):
    """The small difference of large numbers: half precision has no digit of it left."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x + 1000.0) - self.conv(x + 1000.01)
        scores: Tensor = self.pool(y).flatten(1)
        return scores


def test_layers_that_half_precision_spoils_are_told() -> None:
    model = traced(Cancelling())
    made = engine(model, Precision.BFLOAT16)
    assert not usable(model, made, ["pool"], Precision.AUTO)
    assert usable(model, made, ["pool"], Precision.BFLOAT16), "asked for by name, it is taken"
    assert usable(model, engine(model, Precision.FLOAT32), ["pool"], Precision.AUTO)


class Picky(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        # In-place writing of another precision fails.
        y = torch.zeros(x.shape[0], 2)
        torch.mm(x.mean((2, 3)), self.fc.weight.T, out=y) if not x.requires_grad else None
        scores: Tensor = self.fc(x.mean((2, 3)))
        return scores + y


def test_what_cannot_be_computed_is_refused_or_left() -> None:
    model = traced(Picky())
    made = engine(model, Precision.BFLOAT16)
    assert not usable(model, made, ["fc"], Precision.AUTO)
    with pytest.raises(Unsupported, match=r"'tiny' cannot be run in bfloat16 on 'cpu': .*; use float32"):
        usable(model, made, ["fc"], Precision.BFLOAT16)


class Uncopied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def __deepcopy__(self, memo: object) -> object:
        raise TypeError("one of its kind")

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.fc(x.mean((2, 3)))
        return scores


def test_what_cannot_be_copied_is_used_as_it_is() -> None:
    model = traced(Uncopied())
    made = engine(model, Precision.FLOAT32)
    assert isinstance(made, Engine)
    assert made.model is model


def test_the_choice_is_the_hardware_s() -> None:
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    assert fastest(torch.device("cpu")) is (Precision.BFLOAT16 if fast else Precision.FLOAT32)
    assert engine(traced(Uncopied()), Precision.AUTO).precision is fastest(torch.device("cpu"))
