"""Backward passes with another rule at ReLUs: guided backprop, deconvolution, and guided backprop weighted by Grad-CAM.

Captum's rules change ``nn.ReLU`` modules only. In a network with ReLU6, GELU or a functional ReLU the result is the plain
gradient under another name; whether it is, is told by comparing the two, and said as `Fault.PLAIN_GRADIENT`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import captum.attr
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interp.attribution import gradcam
from interp.attribution.channels import Reduction
from interp.attribution.gradients import gradient
from interp.attribution.pixelwise import Explained, Pixelwise
from interp.core.memory import by_parts
from interp.core.method import Degeneration, Fault, Place
from interp.core.model import Model
from interp.core.score import Scores
from interp.core.unit import Unit

# Two backward passes that do the same differ by rounding, which is below this share of the largest gradient.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class GuidedBackprop(Pixelwise):
    """The gradient in which each ReLU lets through only what is positive; by default the largest magnitude over channels.

    Known to depend little on the upper layers' weights (Adebayo et al. 2018). `raw` is signed.
    """

    name: ClassVar[str] = "guided-backprop"
    title: ClassVar[str] = "Guided backprop"
    source: ClassVar[str] = "Springenberg et al. 2014"

    reduction: Reduction = Reduction.MAX_ABS

    @property
    def reduces_by(self) -> Reduction:
        return self.reduction

    def _explain(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Explained:
        return _ruled(captum.attr.GuidedBackprop, self.title, model, images, units)


@dataclass(frozen=True)
class Deconvolution(Pixelwise):
    """The backward pass in which each ReLU is applied to the gradient instead of to what went forward.

    By default the largest magnitude over channels; `raw` is signed.
    """

    name: ClassVar[str] = "deconvolution"
    title: ClassVar[str] = "Deconvolution"
    source: ClassVar[str] = "Zeiler & Fergus 2014"

    reduction: Reduction = Reduction.MAX_ABS

    @property
    def reduces_by(self) -> Reduction:
        return self.reduction

    def _explain(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Explained:
        return _ruled(captum.attr.Deconvolution, self.title, model, images, units)


@dataclass(frozen=True)
class GuidedGradCam(Pixelwise):
    """Guided backprop times the positive part of Grad-CAM at ``layer``, which is made as large as the image bilinearly.

    At the image's size, by default the largest magnitude over channels; `raw` is signed. Captum enlarges by nearest
    neighbours unless told otherwise, which draws the layer's cells into the map.
    """

    name: ClassVar[str] = "guided-gradcam"
    title: ClassVar[str] = "Guided Grad-CAM"
    source: ClassVar[str] = "Selvaraju et al. 2017"
    place: ClassVar[Place] = Place.LAYER

    layer: str
    reduction: Reduction = Reduction.MAX_ABS

    @property
    def reduces_by(self) -> Reduction:
        return self.reduction

    @property
    def computed_at(self) -> str:
        return self.layer

    def _explain(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Explained:
        cams = [maps[self.layer] for maps in gradcam.of(model, images, units, [self.layer])]
        coarse = torch.stack([torch.tensor(cam.values) for cam in cams])[:, None].clamp(min=0).to(images)
        guided = _ruled(captum.attr.GuidedBackprop, self.title, model, images, units)
        weights = F.interpolate(coarse, size=images.shape[-2:], mode="bilinear", align_corners=False)
        # Of the coarse map's faults, that it sees nothing but the class token explains a zero here.
        causes = [tuple(d for d in cam.degenerations if d.fault is Fault.CLASS_TOKEN_ONLY) for cam in cams]
        doubts = tuple((*cause, *found) for cause, found in zip(causes, guided.degenerations, strict=True))
        return Explained(guided.values * weights, guided.measures, doubts)


def _ruled(rule: type[Any], title: str, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Explained:

    def part(start: int, stop: int) -> Tensor:
        scores = Scores(model, units[start:stop])
        own = images[start:stop].detach().requires_grad_()
        values: Tensor = rule(scores).attribute(own, target=scores.columns(units[start:stop])).detach()
        return values

    layers = tuple(dict.fromkeys(unit.layer for unit in units))
    values = torch.cat(by_parts(model, len(images), part, (title, layers, tuple(images.shape[1:]))))
    doubts = tuple((_plain(title),) if same else () for same in _equal(values, gradient(model, images, units).detach()))
    return Explained(values, ((),) * len(units), doubts)


def _equal(values: Float[Tensor, "n c h w"], gradients: Float[Tensor, "n c h w"]) -> list[bool]:
    """For each image, whether the two are the same but for rounding. Two that are zero are not called so: that is a zero map."""
    differences, largest = ((t.abs().flatten(1).amax(dim=1)) for t in (values - gradients, gradients))
    same: list[bool] = ((differences <= _ROUNDING * largest) & (largest > 0)).tolist()
    return same


def _plain(title: str) -> Degeneration:
    sentence = (
        f"{title} changes the backward pass at nn.ReLU modules only, and none between the image and the unit makes a difference here "
        "(ReLU6, GELU and functional ReLUs are left alone): this is the plain gradient, so call it 'saliency' or choose another method"
    )
    return Degeneration(Fault.PLAIN_GRADIENT, "plain gradient", sentence)
