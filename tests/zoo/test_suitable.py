"""Modules as users have them: wrappers come off, what has no layers to look at is refused in one sentence."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interp.errors import InterpError, Unsupported
from interp.images import Preprocess
from interp.zoo.loading import load
from interp.zoo.suitable import bare

SMALL = Preprocess(size=(8, 8), resize=8)


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


@pytest.mark.parametrize(
    "wrap",
    [nn.DataParallel, torch.compile, torch.optim.swa_utils.AveragedModel, lambda n: nn.DataParallel(torch.compile(n))],
    ids=["DataParallel", "compile", "AveragedModel", "both"],
)
def test_wrappers_come_off(wrap: Any) -> None:
    inner = net().eval()
    model = load(wrap(inner), preprocess=SMALL)
    assert [layer.name for layer in model.layers] == ["0", "1", "2", "3", "4"]
    x = torch.rand(2, 3, 8, 8)
    assert torch.allclose(model(x), inner(model.normalized(x)))


class Holding(nn.Module):
    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Any:
        return self.part(x)


class FullyShardedDataParallel(Holding):
    """Called as PyTorch's own, which needs a group of processes to be made."""


def quantized() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: nn.Module = torch.ao.quantization.quantize_dynamic(net(), {nn.Linear}, dtype=torch.qint8)
    return made


def exported() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(net().eval(), (torch.rand(2, 3, 8, 8),))


def in_place() -> nn.Module:
    made = Holding(net())
    made.part.compile()
    return made


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.jit.script(net()), "is a scripted module, whose layers cannot be hooked: give the Python module"),
        (lambda: torch.jit.trace(net(), torch.rand(1, 3, 8, 8)), "is a scripted module"),
        (lambda: exported().module(), "is an exported program, whose layers are dissolved"),
        (quantized, r"'4' in 'Sequential' is quantized \(Linear\), and has no gradients: give the float network it was made from"),
        (lambda: FullyShardedDataParallel(net()), "'FullyShardedDataParallel' is sharded by FSDP over processes: give the network"),
        (lambda: Holding(torch.compile(net())), "'part' in 'Holding' is compiled, so that its layers cannot be hooked"),
        (in_place, "'part' in 'Holding' is compiled"),
        (lambda: Holding(nn.LazyConv2d(3, 3)), r"'part' in 'Holding' has weights without values \(lazy, or on the device 'meta'\)"),
        (lambda: nn.Conv2d(3, 3, 3, device="meta"), "'Conv2d' has weights without values"),
    ],
)
def test_what_has_no_layers_is_refused(make: Any, message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, on what it makes here
        given = make()
    with pytest.raises(Unsupported, match=message) as caught:
        load(given, preprocess=SMALL)
    assert "\n" not in str(caught.value)


def test_a_graph_that_calls_its_layers_can_be_looked_into() -> None:
    inner = net().eval()
    model = load(torch.fx.symbolic_trace(inner), preprocess=SMALL)
    assert [layer.kind for layer in model.layers] == ["Conv2d", "ReLU", "AdaptiveAvgPool2d", "Flatten", "Linear"]


def test_what_is_no_module() -> None:
    with pytest.raises(InterpError, match=r"'net' is an int, not a torch\.nn\.Module"):
        bare(3, "net")
    with pytest.raises(Unsupported, match="'net' is an exported program, whose layers are dissolved: give the Python module"):
        bare(exported(), "net")


class OfSound(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv1d(1, 4, 9), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2))


class OfVideo(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (OfSound, r"its convolutions are Conv1d, for signals \(n, channels, length\), and interp looks into networks of images"),
        (OfVideo, r"its convolutions are Conv3d, for volumes or videos \(n, channels, frames, rows, cols\)"),
    ],
)
def test_networks_of_sound_and_video_are_refused(kind: type[nn.Module], message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        load(kind(), preprocess=SMALL)


def test_other_channels_than_were_said() -> None:
    with pytest.raises(
        Unsupported, match=r"its first convolution takes 1 channel, and it is given 3: give --mean and --std with a number each"
    ):
        load(nn.Sequential(nn.Conv2d(1, 2, 3)), preprocess=SMALL)
    with pytest.raises(
        Unsupported, match="takes 4 channels, and it is given 3: give --mean and --std with 4 numbers each, or --normalize-from"
    ):
        load(nn.Sequential(nn.Conv2d(4, 2, 3)), preprocess=SMALL)


def test_a_convolution_of_one_dimension_inside_of_a_network_of_images_is_no_reason() -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.across = nn.Conv2d(3, 4, 3), nn.Conv1d(1, 1, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            means = self.conv(x).mean((2, 3))
            scores: Tensor = self.across(means[:, None])[:, 0]
            return scores

    assert load(Attending(), preprocess=SMALL, output="0").classes == 4


def test_bare_gives_the_module_itself() -> None:
    module = net()
    assert bare(module, "net") is module


def test_a_factory_that_compiles(tmp_path: Path) -> None:
    network = "nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1))"
    text = f"import torch\nfrom torch import nn\ndef net():\n    return torch.compile({network})\n"
    (tmp_path / "net.py").write_text(text)
    reference = f"{tmp_path / 'net.py'}:net"
    model = load(reference, preprocess=SMALL)
    assert [layer.name for layer in model.layers] == ["0", "1"]
    torch.save(model.module.state_dict(), tmp_path / "w.pt")
    assert load(reference, weights=tmp_path / "w.pt", preprocess=SMALL).spec.sha256 == model.spec.sha256


def test_a_network_in_half_precision() -> None:
    model = load(net().to(torch.bfloat16), preprocess=SMALL)
    assert model(torch.rand(2, 3, 8, 8)).dtype == torch.bfloat16
