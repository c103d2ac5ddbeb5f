"""CAMs without gradients: each channel of a layer weighed by what its map, as a mask or when zeroed, does to the score.

Score-CAM (Wang et al. 2020) and Ablation-CAM (Ramaswamy & Desai 2020), at any layer with places and for any unit behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.degeneration import of_values
from interp.attribution.places import check
from interp.attribution.variants import blend, refuse_below, scores_of
from interp.core.baseline import Baseline, baseline
from interp.core.capture import hooked, replaced, tensor_of
from interp.core.memory import fitting, halving
from interp.core.method import Family, Heatmap, Place, frozen
from interp.core.model import Model
from interp.core.score import checked_units, evaluate, score_of
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported

Weights = Callable[[Tensor, Tensor, Unit], np.ndarray]
"""From an image, the layer's maps (c, rows, cols) and a unit to one weight per channel."""


@dataclass(frozen=True)
class ScoreCAM:
    """sum_k w_k A_k, where w is the softmax over channels of their increase of confidence C(A_k) (equations 6 to 8).

    C(A_k) = f(x masked by A_k) - f(baseline), with A_k upsampled bilinearly and stretched to [0, 1]; a channel that is the same
    at all places masks everything. f is the unit's score: a class's logit. The softmax takes no notice of what all
    channels share, so f(baseline) cancels there and is left out, as pytorch-grad-cam does. The map is signed where
    the activations are, in their unit; the paper's ReLU is ``heatmap.positive``. What is masked fades to ``baseline``,
    by default the mean colour: the paper multiplies the normalized image.

    ``n_channels``: only that many, those of the largest mean magnitude; the others have no weight. None: all.
    One forward pass per channel that is not the same everywhere.
    """

    name: ClassVar[str] = "scorecam"
    title: ClassVar[str] = "Score-CAM"
    place: ClassVar[Place] = Place.LAYER
    family: ClassVar[Family] = Family.CAM
    source: ClassVar[str] = "Wang et al. 2020"

    layer: str
    n_channels: int | None = None
    baseline: Baseline = Baseline.MEAN
    batch_size: int = 16

    def __post_init__(self) -> None:
        _check(self.n_channels, self.batch_size)

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap per image, (rows, cols) of the layer's maps.

        Raises Unsupported where the layer has no places or fires no earlier than a unit's layer.
        """

        def weights(image: Tensor, maps: Tensor, unit: Unit) -> np.ndarray:
            scores = self._scores(model, image, maps, unit)
            rises = np.nan_to_num(np.exp(scores - np.nanmax(scores)))
            softmax: np.ndarray = rises / rises.sum()
            return softmax

        return _maps(self, model, images, units, weights)

    def _scores(self, model: Model, image: Float[Tensor, "c h w"], maps: Float[Tensor, "k r s"], unit: Unit) -> Float[np.ndarray, " k"]:
        """The score under each channel's mask; NaN for those left out."""
        filler = baseline(model, image[None], self.baseline)[0]
        scores = np.full(len(maps), np.nan)
        chosen = _strongest(maps, self.n_channels)
        flat = maps.amax((1, 2)) == maps.amin((1, 2))
        live, dead = chosen[~flat[chosen]], chosen[flat[chosen]]

        def masked(start: int, stop: int) -> Tensor:
            return blend(image, filler, _masks(maps[live[start:stop]], image))

        scores[live.cpu().numpy()] = scores_of(model, unit, len(live), self.batch_size, masked)
        if len(dead):
            scores[dead.cpu().numpy()] = float(evaluate(model, filler[None], [unit], self.batch_size))
        return scores


@dataclass(frozen=True)
class AblationCAM:
    """sum_k w_k A_k with w_k = (y - y_k) / |y|, y the unit's score and y_k that with map k zeroed (equation 6).

    The paper divides by y, which turns the map's sign over where the score is negative; a score of exactly 0 divides
    nothing. The map is in the unit of the activations. What is zeroed are the places that the map shows, thus not a
    transformer's class token. Of a module called several times, the last call counts.

    The layers before run once per batch where the network allows it, which the first batch tests, else once per channel.

    ``n_channels``: only that many, those of the largest mean magnitude; the others have no weight. None: all.
    """

    name: ClassVar[str] = "ablationcam"
    title: ClassVar[str] = "Ablation-CAM"
    place: ClassVar[Place] = Place.LAYER
    family: ClassVar[Family] = Family.CAM
    source: ClassVar[str] = "Ramaswamy & Desai 2020"

    layer: str
    n_channels: int | None = None
    batch_size: int = 16

    def __post_init__(self) -> None:
        _check(self.n_channels, self.batch_size)

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap per image, (rows, cols) of the layer's maps.

        Raises Unsupported where the layer has no places or fires no earlier than a unit's layer.
        """

        def weights(image: Tensor, maps: Tensor, unit: Unit) -> np.ndarray:
            whole = float(evaluate(model, image[None], [unit], self.batch_size))
            chosen = _strongest(maps, self.n_channels)
            live = chosen[(maps[chosen] != 0).flatten(1).any(1)]  # zeroing a map of zeros changes nothing
            falls = np.zeros(len(maps))
            ablation = _Ablation(model, self.layer, image, unit)
            falls[live.cpu().numpy()] = whole - halving(ablation.at_once(self.batch_size), lambda count: ablation.scores(live, count))
            return falls / (abs(whole) or 1.0)

        return _maps(self, model, images, units, weights)


@dataclass(frozen=True, eq=False)
class _Ablation:
    """One image's score with one channel of a layer zeroed per row of the batch."""

    model: Model
    layer: str
    image: Tensor
    unit: Unit

    def at_once(self, most: int) -> int:
        """How many channels at a time fit the model's memory."""
        what = ("scores", (self.unit.layer,), tuple(self.image.shape))
        return fitting(self.model, what, most, lambda: evaluate(self.model, self.image[None], [self.unit]))

    def scores(self, channels: Int[Tensor, " n"], batch_size: int) -> Float[np.ndarray, " n"]:
        if not len(channels):
            return np.empty(0)
        first, *rest = channels.split(batch_size)
        whole = self._forward(first, self.image.expand(len(first), -1, -1, -1))
        rows = 1 if rest and self._can_widen(first, whole) else None
        found = torch.cat([whole, *(self._forward(part, self.image.expand(rows or len(part), -1, -1, -1)) for part in rest)])
        if not bool(torch.isfinite(found).all()):
            channel = int(channels[int((~torch.isfinite(found)).nonzero()[0])])
            raise InterpError(f"the score of '{self.unit}' with '{self.layer}:{channel}' zeroed is not finite: check the weights")
        return found.double().numpy()

    @torch.no_grad()
    def _forward(self, channels: Int[Tensor, " n"], images: Float[Tensor, "b c h w"]) -> Float[Tensor, " m"]:
        """Scores for ``images`` that are as many as the channels, or one, which the layer's output is then copied from."""
        module = self.model.module.get_submodule(self.layer)
        left = self.model.layer(self.layer).calls

        def zeroed(_key: str, output: Any) -> Any:
            nonlocal left
            left -= 1
            tensor = tensor_of(output)
            if left or tensor is None:
                return None
            copies = tensor.expand(len(channels), *tensor.shape[1:]).clone()
            # The layouts' maps are views, so this writes into the copies.
            self.model.maps(self.layer, copies)[torch.arange(len(channels)), channels.to(copies.device)] = 0
            return replaced(output, copies)

        with hooked({self.layer: module}, zeroed):
            outputs, _ = self.model.capture([self.unit.layer], images, truncate=True)
        maps = self.model.maps(self.unit.layer, outputs[self.unit.layer])
        return torch.stack([score_of(rows, self.unit) for rows in maps]).float().cpu()

    def _can_widen(self, channels: Int[Tensor, " n"], expected: Float[Tensor, " n"]) -> bool:
        """Whether the batch may grow at the layer: not where the network joins its output to something from before it by rows."""
        try:
            found = self._forward(channels, self.image[None])
        except (RuntimeError, AssertionError, ValueError, IndexError, TypeError, InterpError):
            return False
        tolerance = torch.finfo(self.image.dtype).eps ** 0.5
        return found.shape == expected.shape and torch.allclose(found, expected, rtol=tolerance, atol=tolerance)


def _check(n_channels: int | None, batch_size: int) -> None:
    refuse_below(1, batch_size=batch_size)
    if n_channels is not None:
        refuse_below(1, n_channels=n_channels)


def _maps(
    method: ScoreCAM | AblationCAM, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit], weights: Weights
) -> list[Heatmap]:
    images = model.checked(images)
    units = checked_units(model, units, len(images))
    for unit in units:
        check(model, unit, method.layer, method.title)
    found = []
    for image, unit in zip(images, units, strict=True):
        with torch.no_grad():
            outputs, _ = model.capture([method.layer], image[None], truncate=True)
        if method.layer not in outputs:
            raise Unsupported(f"layer '{method.layer}' did not fire for these images, though it did when the model was loaded")
        maps = model.maps(method.layer, outputs[method.layer])[0].float()
        values = frozen(np.einsum("k,khw->hw", weights(image, maps, unit), maps.cpu().double().numpy()).astype(np.float32))
        found.append(Heatmap(values, unit, method.title, method.layer, degenerations=of_values(values)))
    return found


def _strongest(maps: Float[Tensor, "k r s"], count: int | None) -> Int[Tensor, " n"]:
    """Channels by their mean magnitude, the largest first and ties in order; all where ``count`` is None."""
    return maps.abs().mean((1, 2)).argsort(descending=True, stable=True)[:count]


def _masks(maps: Float[Tensor, "n r s"], image: Float[Tensor, "c h w"]) -> Float[Tensor, "n 1 h w"]:
    """``maps`` at the image's size, each stretched to [0, 1] (equation 5); all 0 where there is nothing to stretch."""
    large = F.interpolate(maps[:, None], size=tuple(image.shape[1:]), mode="bilinear", align_corners=False)
    low, high = large.amin((2, 3), keepdim=True), large.amax((2, 3), keepdim=True)
    span = torch.where(high > low, high - low, torch.ones_like(high))
    return ((large - low) / span).to(image.dtype)
