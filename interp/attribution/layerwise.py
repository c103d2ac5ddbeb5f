"""Path methods at a layer: what its maps contribute between a baseline and the image, summed over channels.

Captum is given a probe, an ``nn.Identity`` outside the network that a hook calls with the layer's output. So a tuple that holds
None is resolved before Captum sees it, an in-place ReLU behind the layer cannot change what it saw, and of a module called
several times it is the last call that is explained. (The gradient at a layer times its maps is HiResCAM.)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import captum.attr
from jaxtyping import Float
from torch import Tensor, nn

from interp.attribution import places
from interp.attribution.degeneration import class_token_only, of_values
from interp.attribution.gradients import at_once
from interp.attribution.scoped import undisturbed
from interp.attribution.variants import refuse_below
from interp.core.baseline import Baseline, baseline
from interp.core.capture import describe, hooked, replaced, tensor_of
from interp.core.layout import Tokens
from interp.core.memory import halving
from interp.core.method import Family, Heatmap, Place, frozen
from interp.core.model import Model
from interp.core.score import Scores, checked_units
from interp.core.unit import Unit
from interp.errors import Unsupported

# Conductance takes differences of neighbouring steps.
_LEAST = 2


@dataclass(frozen=True)
class AlongPath(ABC):
    """A `Method` that sums over ``n_steps`` points on the line from a baseline to the image, ``batch_size`` at a time.

    The baseline is an image, as in `IntegratedGradients`. Maps are signed, in the layer's own resolution and the score's unit.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    place: ClassVar[Place] = Place.LAYER
    family: ClassVar[Family] = Family.GRADIENT

    layer: str
    n_steps: int = 32
    baseline: Baseline = Baseline.MEAN
    batch_size: int = 32

    def __post_init__(self) -> None:
        refuse_below(1, n_steps=self.n_steps)
        refuse_below(_LEAST, batch_size=self.batch_size)

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap per image, (rows, cols) of the layer's maps.

        Raises UnknownName where a layer or unit does not exist; Unsupported where the layer has no places or a unit does
        not depend on it; InterpError where the images are no [0, 1] batch or the units not one per image.
        """
        images = model.checked(images)
        units = checked_units(model, units, len(images))
        for unit in dict.fromkeys(units):
            places.check(model, unit, self.layer, self.title)
        with undisturbed(model.module):
            images = images.clone()
            starts = baseline(model, images, self.baseline)
            return [self._one(model, images[i : i + 1], starts[i : i + 1], unit) for i, unit in enumerate(units)]

    @staticmethod
    @abstractmethod
    def captum(forward: nn.Module, layer: nn.Module) -> Any:
        """The method of Captum's that is meant."""

    def _one(self, model: Model, image: Float[Tensor, "1 c h w"], start: Float[Tensor, "1 c h w"], unit: Unit) -> Heatmap:
        probed = _Probed(model, unit, self.layer)
        method = self.captum(probed, probed.probe)

        def along(count: int) -> Any:
            return method.attribute(image, start, target=0, n_steps=self.n_steps, internal_batch_size=count)

        try:
            found = halving(at_once(model, image, unit, self.batch_size, _LEAST), along, _LEAST)
        except RuntimeError as error:
            if not places.is_cut(error):
                raise
            raise places.apart(model, unit, self.layer, self.title) from error
        found = (found[0] if isinstance(found, tuple) else found).detach()
        values = model.maps(self.layer, found).float().sum(dim=1)[0].cpu().numpy()
        cause = (class_token_only(self.layer),) if self._only_tokens(model, found) else ()
        return Heatmap(frozen(values), unit, self.title, self.layer, degenerations=(*cause, *of_values(values)))

    def _only_tokens(self, model: Model, found: Tensor) -> bool:
        layout = model.layer(self.layer).layout
        if not isinstance(layout, Tokens) or not layout.prefix:
            return False
        return bool(found[:, : layout.prefix].ne(0).any()) and not bool(found[:, layout.prefix :].ne(0).any())


@dataclass(frozen=True)
class LayerIntegratedGradients(AlongPath):
    """Integrated gradients from the layer's maps of the baseline to its maps of the image, on the straight line between the maps.

    Where nothing goes round the layer, the values (with those of tokens without a place) add up to f(x) - f(x0).
    """

    name: ClassVar[str] = "layer-integrated-gradients"
    title: ClassVar[str] = "Layer integrated gradients"
    source: ClassVar[str] = "Sundararajan et al. 2017, at a layer"

    @staticmethod
    def captum(forward: nn.Module, layer: nn.Module) -> Any:
        return captum.attr.LayerIntegratedGradients(forward, layer)


@dataclass(frozen=True)
class Conductance(AlongPath):
    """The integrated gradients of the image that flow through each place of the layer: the path is straight in the image.

    A sum over steps, of which the first and the last are close to the baseline and the image (7% of the way is left out with 5
    steps, 0.3% with 32). Where nothing goes round the layer, the values (with those of tokens without a place) add up to f(x) - f(x0).
    """

    name: ClassVar[str] = "conductance"
    title: ClassVar[str] = "Conductance"
    source: ClassVar[str] = "Dhamdhere et al. 2018; Shrikumar et al. 2018"

    @staticmethod
    def captum(forward: nn.Module, layer: nn.Module) -> Any:
        return captum.attr.LayerConductance(forward, layer)


@dataclass(frozen=True)
class InternalInfluence(AlongPath):
    """The mean gradient of the score in the layer's maps along the straight path in the image; in score per unit of the maps."""

    name: ClassVar[str] = "internal-influence"
    title: ClassVar[str] = "Internal influence"
    source: ClassVar[str] = "Leino et al. 2018"

    @staticmethod
    def captum(forward: nn.Module, layer: nn.Module) -> Any:
        return captum.attr.InternalInfluence(forward, layer)


class _Probed(nn.Module):
    """[0, 1] images -> the unit's score (N, 1), in which the layer's last output goes through ``probe``."""

    def __init__(self, model: Model, unit: Unit, layer: str) -> None:
        super().__init__()
        self.scores = Scores(model, [unit])
        self.probe = nn.Identity()
        self._layer, self._module, self._calls = layer, model.module.get_submodule(layer), model.layer(layer).calls

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1"]:
        left = self._calls

        def through(_key: str, output: Any) -> Any:
            nonlocal left
            left -= 1
            if left:
                return None
            tensor = tensor_of(output)
            if tensor is None:
                raise Unsupported(f"layer '{self._layer}' returns {describe(output)}, not one tensor: choose a layer inside or behind it")
            return replaced(output, self.probe(tensor).clone())

        with hooked({self._layer: self._module}, through):
            scores: Tensor = self.scores(images)
        return scores
