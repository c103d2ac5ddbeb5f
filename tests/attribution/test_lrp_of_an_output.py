"""LRP of a chosen output, and methods at layers on which a score does not depend."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interp.attribution import gradcam
from interp.attribution.layerwise import Conductance
from interp.attribution.lrp import LRP
from interp.core.unit import Unit
from interp.errors import Unsupported
from interp.images import Preprocess
from interp.zoo.loading import load

SMALL = Preprocess((12, 12), None, (0.5,) * 3, (0.25,) * 3)
IMAGES = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(4))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.left, self.right = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)
        self.pool, self.flat, self.head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        shared = self.first(images)
        scores = self.head(self.flat(self.pool(self.left(shared))))
        return {"logits": scores, "aux": self.right(shared)}


def test_lrp_of_an_output_is_that_of_the_layer_that_gives_it() -> None:
    model = load(Branches(), preprocess=SMALL, output="logits")
    chosen, layer = (LRP()(model, IMAGES, [Unit(name, 2)])[0].values for name in ("output", "head"))
    assert np.abs(chosen).max() > 0
    assert np.allclose(chosen, layer)


def test_a_layer_on_another_branch_is_told_by_those_before_it() -> None:
    model = load(Branches(), preprocess=SMALL, output="logits")
    said = r"at 'right', on which the unit does not depend: choose an earlier layer, such as 'left' or 'first'$"
    with pytest.raises(Unsupported, match=said):
        gradcam.of(model, IMAGES, [Unit("output", 1)], ["right"])
    with pytest.raises(Unsupported, match=said):
        Conductance("right")(model, IMAGES, [Unit("output", 1)])
