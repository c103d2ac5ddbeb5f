"""Lucent's objectives, used as ours, have lucent's value and sign."""

from __future__ import annotations

import pytest
import torch

from interp.core.model import Model
from interp.errors import InterpError, UnknownName, Unsupported
from interp.featurevis.ascent import AscentConfig, visualize
from interp.featurevis.lucent import from_lucent

objectives = pytest.importorskip("lucent.optvis.objectives")
LAYERS = ("block.conv2", "conv1")


def activations() -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return {"block.conv2": torch.rand(2, 4, 5, 5, generator=rng), "conv1": torch.rand(2, 4, 5, 5, generator=rng)}


def test_values() -> None:
    maps = activations()
    channel = from_lucent(objectives.channel("block_conv2", 1), LAYERS)
    torch.testing.assert_close(channel(maps), maps["block.conv2"][:, 1].mean((1, 2)))
    both = from_lucent(objectives.channel("block_conv2", 1) - 2 * objectives.neuron("conv1", 3), LAYERS)
    torch.testing.assert_close(both(maps), channel(maps) - 2 * maps["conv1"][:, 3, 2, 2])
    towards = from_lucent(objectives.direction("conv1", torch.ones(4)), ("conv1",))
    torch.testing.assert_close(towards(maps), torch.cosine_similarity(torch.ones(1, 4, 1, 1), maps["conv1"]).mean((1, 2)))
    assert channel.layers == LAYERS
    assert "Channel" in str(channel)


def test_optimizes(cnn: Model) -> None:
    (feature,) = visualize(cnn, [from_lucent(objectives.channel("conv2", 1), ("conv2",))], AscentConfig(steps=5), 0)
    assert feature.final > feature.scores[0]


def test_refusals() -> None:
    with pytest.raises(UnknownName, match=r"reads layer 'conv2', which is not among its `layers` .*did you mean"):
        from_lucent(objectives.channel("conv2", 1), ("conv1",))(activations())
    for joint in (objectives.alignment("conv1"), objectives.diversity("conv1")):
        with pytest.raises(Unsupported, match="no loss for a single image"):
            from_lucent(joint, ("conv1",))(activations())
    with pytest.raises(InterpError, match="`layers` is"):
        from_lucent(objectives.channel("conv1", 1), ())
