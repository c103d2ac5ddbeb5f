"""Names become layers, units and classes, or a message that helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported

Network = Callable[[str], Model]


def test_globs_in_firing_order(network: Network) -> None:
    model = network("resnet18")
    names = [layer.name for layer in model.select(["layer[34].*.conv2", "conv1", "layer3.0.conv2"])]
    assert names == ["conv1", "layer3.0.conv2", "layer3.1.conv2", "layer4.0.conv2", "layer4.1.conv2"]


def test_a_glob_without_a_match_is_refused(network: Network) -> None:
    with pytest.raises(UnknownName, match=r"no layer 'layer9\.\*' in 'resnet18'"):
        network("resnet18").select("layer9.*")


def test_units_of_ranges_globs_and_all(network: Network) -> None:
    model = network("resnet18")
    assert model.units("conv1:0-2,63") == [Unit("conv1", c) for c in (0, 1, 2, 63)]
    assert len(model.units("layer4.*.conv2:*")) == 1024
    assert model.units(["fc:3", "conv1:1@0,111", "fc:3"]) == [Unit("fc", 3), Unit("conv1", 1, (0, 111))]


def test_the_strongest_channels_are_asked_for_once_for_all_layers(network: Network) -> None:
    model = network("resnet18")
    asked: list[list[str]] = []

    def strengths(layers: Sequence[str]) -> dict[str, list[float]]:
        asked.append(list(layers))
        return {name: [float(c == 5) - (c == 2) for c in range(model.layer(name).channels)] for name in layers}

    found = model.units(["conv1:top2", "layer4.*.conv2:top1", "fc:3"], strengths)
    assert found == [Unit("conv1", 5), Unit("conv1", 0), Unit("layer4.0.conv2", 5), Unit("layer4.1.conv2", 5), Unit("fc", 3)]
    assert asked == [["conv1", "layer4.0.conv2", "layer4.1.conv2"]]
    assert model.units("conv1:3", strengths) == [Unit("conv1", 3)]
    assert len(asked) == 1, "nothing is asked where no strongest channels are wanted"


def test_the_strongest_channels_need_images(network: Network) -> None:
    with pytest.raises(InterpError, match="'conv1:top2' needs images that say which channels are strongest"):
        network("resnet18").units("conv1:top2")


def test_globs_leave_out_layers_without_maps_and_say_which(trap_model: Model) -> None:
    assert {unit.layer for unit in trap_model.units("*:0")} == {layer.name for layer in trap_model.layers if layer.layout is not None}
    assert [layer.name for layer in trap_model.unmapped(["*:0", "conv1:0"])] == ["both"]
    with pytest.raises(Unsupported, match="layer 'both'"):
        trap_model.units("both:0")
    with pytest.raises(Unsupported, match=r"none of the 1 layers that 'bot\*' matches has maps: 'both'"):
        trap_model.units("bot*:0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv1:64", "no unit 'conv1:64': layer 'conv1' has 64 channels, 0 to 63"),
        ("conv1:60-70", "no unit 'conv1:64': layer 'conv1' has 64 channels"),
        ("conv1:0@112,3", "no unit 'conv1:0@112,3': the maps of 'conv1' have 112 rows and 112 columns, so row,col goes up to 111,111"),
        ("fc:0@0,1", "'fc' have 1 rows and 1 columns"),
        ("conv2:0", "no layer 'conv2' in 'resnet18': did you mean"),
    ],
)
def test_units_that_are_not_there(network: Network, text: str, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        network("resnet18").units(text)


def test_classes_by_number_name_and_unit(network: Network) -> None:
    model = network("resnet18")
    assert {model.class_unit(t) for t in (281, "281", "tabby", " Tabby ", "fc:281")} == {Unit("fc", 281)}
    assert model.class_name(281) == "tabby"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (1000, "no class 1000: 'resnet18' has 1000 classes, 0 to 999"),
        ("-1", "no class -1"),
        ("tabbi", "no class 'tabbi' in 'resnet18': did you mean 'tabby'"),
        ("fc:1000", "layer 'fc' has 1000 channels"),
    ],
)
def test_classes_that_are_not_there(network: Network, target: int | str, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        network("resnet18").class_unit(target)


def test_a_name_of_two_classes_asks_for_a_number(trap_model: Model) -> None:
    with pytest.raises(InterpError, match="'bee' names 2 classes: give one of the numbers 1, 3"):
        trap_model.class_unit("bee")


def test_without_class_names_the_number_is_the_name(network: Network) -> None:
    model = network("resnet18")
    assert model.class_name(10**6) == "class 1000000"


def test_token_maps_at_another_image_size(network: Network) -> None:
    model = network("vit_b_16")
    name = "encoder.layers.encoder_layer_0"
    output = torch.arange(2.0 * 10 * 3).reshape(2, 10, 3)
    assert torch.equal(model.maps(name, output)[1, 2], output[1, 1:, 2].reshape(3, 3))
    with pytest.raises(Unsupported, match="gives 9 tokens at this image size, which form no square grid"):
        model.maps(name, output[:, :9])
