"""Random weights and held-out models: copies are copies, classes are found by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from interp.core.model import Model, ModelSpec
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.errors import Unsupported
from interp.featurevis.quality.randomized import randomized
from interp.featurevis.quality.transfer import judged, same_class, transfer
from interp.featurevis.units import Channel, Logit

from .conftest import CLASSES, PLAIN, expected, linear, noise


def test_random_weights_are_the_same_numbers_elsewhere(cnn: Model) -> None:
    before = {name: value.clone() for name, value in cnn.module.state_dict().items()}
    copy = randomized(cnn, 0)
    assert all(torch.equal(value, before[name]) for name, value in cnn.module.state_dict().items())
    for name, value in copy.module.named_parameters():
        assert torch.equal(value.flatten().sort().values, before[name].flatten().sort().values), name
        assert not torch.equal(value, before[name]), name
        assert value.data_ptr() != dict(cnn.module.named_parameters())[name].data_ptr()
    for name, value in copy.module.named_buffers():
        assert torch.equal(value, before[name]), name
    assert copy.layers == cnn.layers
    assert copy.spec.reference == "tiny (weights permuted)"


def test_random_weights_follow_the_seed(cnn: Model) -> None:
    state = torch.get_rng_state()
    first, second, third = (randomized(cnn, seed).module.state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], third["conv1.weight"])
    assert torch.equal(state, torch.get_rng_state())


def test_what_cannot_be_copied() -> None:
    class Stubborn(nn.Conv2d):
        def __deepcopy__(self, memo: object) -> None:
            raise TypeError("no copies")

    module = nn.Sequential(Stubborn(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = trace(module, ModelSpec("tiny"), PLAIN)
    with pytest.raises(Unsupported, match="'tiny' cannot be copied for the randomization check: no copies; measure without"):
        randomized(model, 0)


def test_classes_by_name() -> None:
    classes = ("Tench", "tabby_cat", "crane", "crane", "maillot", "Maillot, tank suit")
    assert same_class("tench, Tinca tinca", classes) == 0
    assert same_class("tabby  cat", classes) == 1
    assert same_class("crane", classes) is None, "two of that name"
    assert same_class("maillot", classes) == 4, "the exact name goes first"
    assert same_class("dog", classes) is None


def test_rank_and_probability() -> None:
    found, _ = judged(np.log(np.array([1.0, 4.0, 3.0, 2.0])), 2, "x")
    assert found is not None
    assert (found.name, found.rank) == ("x", 2)
    assert found.probability == pytest.approx(0.3)
    top, _ = judged(np.array([1000.0, -1000.0]), 0, "x")
    assert top is not None
    assert (top.rank, top.probability) == (1, 1.0)
    equal, _ = judged(np.zeros(4), 0, "x")
    assert equal is not None
    assert equal.rank == 4, "no choice is no hit"
    assert judged(np.array([np.nan, 1.0]), 1, "x") == (None, "a logit of the held-out model is no finite number")


def test_a_held_out_model_sees_classes_of_the_same_name(linear_model: Model) -> None:
    judge = linear(("dark", "Green", "RED", "else"), size=16)
    images = noise(4, 32, 32, 3)
    objectives = [Logit(Unit("flat", 0)), Channel(Unit("flat", 1)), Logit(Unit("flat", 2)), Channel(Unit("conv", 0))]
    found = transfer(linear_model, judge, objectives, images, 3)
    # Means survive the resizing.
    logits = np.stack([expected(k, images) for k in range(4)], 1)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for k, there in ((0, 2), (1, 1)):
        result, why = found[k]
        assert result is not None
        assert why == ""
        assert result.name == judge.spec.classes[there]
        assert result.rank == 1 + (logits[k] > logits[k, there]).sum()
        assert result.probability == pytest.approx(shares[k, there], rel=1e-3)
    assert found[2] == (None, f"'linear' has no single class named '{CLASSES[2]}'")
    assert found[3] == (None, "the objective is no class of 'linear'")
