"""Maps of many methods: what shares a pass, what chunks change, who is left out and who may not be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from interp.attribution import EigenCAM, GradCAM, LayerCAM, RandomMap, Saliency
from interp.comparisons.attributed import Attributed, attribute
from interp.comparisons.contenders import Contender
from interp.core.method import Family, Heatmap, Place
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported

UNITS = [Unit("fc", k % 4) for k in range(5)]
CAMS = [Contender(kind(layer), layer) for layer in ("conv1", "conv2") for kind in (GradCAM, LayerCAM, EigenCAM)]


@dataclass(frozen=True)
class Refusing:
    """Raises what it is told to."""

    name: ClassVar[str] = "refusing"
    title: ClassVar[str] = "Refusing"
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.GRADIENT
    source: ClassVar[str] = "a test"

    kind: type[InterpError] = Unsupported

    def __call__(self, model, images, units) -> list[Heatmap]:
        raise self.kind("not on this network: choose another")


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(5, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def asked(model, images, contenders: Sequence[Contender], chunk: int = 8, units: Sequence[Unit] = UNITS) -> Attributed:
    return attribute(model, images, units, contenders, lambda *_: None, chunk)


def values(found: Attributed, contender: Contender) -> np.ndarray:
    return np.stack([h.values for h in found.maps[contender]])


def test_maps_are_those_of_the_methods_called_alone(trap_model, images):
    everyone = [Contender(Saliency()), *CAMS, Contender(RandomMap(2))]
    found = asked(trap_model, images, everyone)
    assert list(found.maps) == everyone, "in the order in which they were given"
    for contender in everyone:
        alone = contender.method(trap_model, images, UNITS)
        np.testing.assert_allclose(values(found, contender), np.stack([h.values for h in alone]), rtol=1e-5, atol=1e-7)
        assert [(h.unit, h.method, h.layer) for h in found.maps[contender]] == [(u, contender.title, contender.layer) for u in UNITS]


def test_cams_of_all_kinds_and_layers_come_from_one_pass(trap_model, images):
    forwards = []
    trap_model.module.conv1.register_forward_hook(lambda _m, given, _o: forwards.append(len(given[0])))
    asked(trap_model, images, [])
    before = len(forwards)  # the scores are checked once, whoever competes
    asked(trap_model, images, CAMS)
    assert forwards[before:] == [5, 5], "the check, and one pass for six maps of each image"
    del forwards[:]
    asked(trap_model, images, [*CAMS, Contender(Saliency())], chunk=2)
    assert forwards == [2, 2, 1] * 3, "the check, the CAMs, and saliency by itself"


def test_chunks_do_not_change_maps(trap_model, images):
    everyone = [*CAMS, Contender(Saliency()), Contender(RandomMap(2))]
    whole, parts = asked(trap_model, images, everyone), asked(trap_model, images, everyone, chunk=2)
    for contender in everyone:
        np.testing.assert_allclose(values(parts, contender), values(whole, contender), rtol=1e-4, atol=1e-7)
        assert [h.unit for h in parts.maps[contender]] == UNITS


def test_who_was_not_named_is_left_out_with_the_reason(trap_model, images):
    wrong, right = Contender(Refusing()), Contender(Saliency(), named=True)
    found = asked(trap_model, images, [wrong, right])
    assert list(found.maps) == [right]
    assert found.refused == ((wrong, "not on this network: choose another"),)


def test_who_was_named_is_not(trap_model, images):
    with pytest.raises(Unsupported, match=r"not on this network"):
        asked(trap_model, images, [Contender(Saliency()), Contender(Refusing(), named=True)])


def test_the_named_are_asked_first(trap_model, images):
    steps = []
    everyone = [Contender(Saliency()), Contender(RandomMap()), Contender(Refusing(), named=True)]
    with pytest.raises(Unsupported):
        attribute(trap_model, images, UNITS, everyone, lambda *step: steps.append(step))
    assert steps == [("maps", 0, 3)]


def test_other_errors_are_not_swallowed(trap_model, images):
    with pytest.raises(InterpError, match=r"not on this network"):
        asked(trap_model, images, [Contender(Refusing(InterpError))])


def test_one_layer_that_cannot_be_explained_does_not_take_the_others_with_it(trap_model, images):
    """``fc`` is a vector; ``conv2`` is the unit's own layer."""
    units = [Unit("conv2", 1)] * 5
    bad = [Contender(GradCAM("conv2"), "conv2"), Contender(LayerCAM("fc"), "fc")]
    good = [Contender(GradCAM("conv1"), "conv1"), Contender(EigenCAM("conv2"), "conv2")]
    found = asked(trap_model, images, [*bad, *good], units=units)
    assert list(found.maps) == good
    assert [c for c, _ in found.refused] == bad
    assert "the unit's own layer" in found.refused[0][1]
    assert "gives a vector" in found.refused[1][1]
    named = [Contender(GradCAM(layer), layer, named=True) for layer in ("conv1", "conv2")]
    with pytest.raises(Unsupported, match=r"no Grad-CAM of 'conv2:1' at 'conv2', the unit's own layer"):
        asked(trap_model, images, named, units=units)


def test_scores_that_are_not_finite_are_told_before_any_work(trap_model, images):
    with torch.no_grad():
        trap_model.module.fc.bias[3] = torch.nan
    steps = []
    with pytest.raises(InterpError, match=r"the score of 'fc:3' is nan, not a finite number: check the weights and the images"):
        attribute(trap_model, images, UNITS, CAMS, lambda *step: steps.append(step))
    assert not steps


def test_steps_are_told_from_none_to_all(trap_model, images):
    steps = []
    everyone = [*CAMS, Contender(Saliency()), Contender(RandomMap())]
    attribute(trap_model, images, UNITS, everyone, lambda *step: steps.append(step))
    assert steps == [("maps", k, 3) for k in range(4)]
