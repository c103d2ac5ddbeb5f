"""The score of a unit: the one number per image that attributions explain and that metrics watch.

A class's logit (a unit of the last layer), the mean over places of any layer's channel, or one neuron of it (``unit.at``).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from interp.core.memory import by_parts
from interp.core.model import Model
from interp.core.unit import AnyUnit, Unit
from interp.errors import InterpError, UnknownName, Unsupported


class Scores(nn.Module):
    """A network seen as [0, 1] images (N, C, H, W) -> scores (N, units), one column for each distinct unit.

    Normalization is inside; the forward ends at the deepest layer needed, in eval mode, with frozen parameters. The network
    is a submodule (``network``), so that methods which hook or replace modules find them. Differentiable in the images.
    """

    def __init__(self, model: Model, units: Sequence[Unit]) -> None:
        super().__init__()
        self.network = model.module
        self.training = False
        self._model = model
        self.units = tuple(dict.fromkeys(model.unit(unit) for unit in units))
        self._layers = list(dict.fromkeys(unit.layer for unit in self.units))

    def columns(self, units: Sequence[Unit]) -> Int[Tensor, " n"]:
        """The column of each image's unit, as Captum's ``target``."""
        return torch.tensor([self.units.index(unit) for unit in units], device=self._model.device)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n units"]:
        outputs, _ = self._model.capture(self._layers, images, truncate=True)
        for layer in self._layers:
            if layer not in outputs:
                raise Unsupported(f"layer '{layer}' did not fire for these images, though it did when the model was loaded")
        maps = {layer: self._model.maps(layer, outputs[layer]) for layer in self._layers}
        return torch.stack([_scores_of(maps[unit.layer], unit) for unit in self.units], dim=1)


def checked_units(model: Model, units: Sequence[AnyUnit], images: int) -> list[Unit]:
    """``units``, one per image and each checked by `Model.unit`; raises InterpError or UnknownName otherwise."""
    if isinstance(units, (Unit, str)) or not hasattr(units, "__len__"):
        raise InterpError(f"`units` is the unit '{units}': give a sequence with one unit per image, [Unit, ...]")
    if len(units) != images:
        raise InterpError(f"{len(units)} units for {images} images: give one unit per image")
    return [model.unit(unit) for unit in units]


def score_of(maps: Float[Tensor, "c rows cols"], unit: Unit) -> Float[Tensor, ""]:
    """The score of ``unit`` in one image's maps of its layer; raises UnknownName where the maps have no such place."""
    return _scores_of(maps[None], unit)[0]


def _scores_of(maps: Float[Tensor, "n c rows cols"], unit: Unit) -> Float[Tensor, " n"]:
    channel = maps[:, unit.channel]
    if unit.at is None:
        return channel.mean(dim=(1, 2))
    rows, cols = channel.shape[1:]
    if not (unit.at[0] < rows and unit.at[1] < cols):
        raise UnknownName(f"no unit '{unit}' at this image size: the maps of '{unit.layer}' have {rows} rows and {cols} columns")
    return channel[:, unit.at[0], unit.at[1]]


@torch.no_grad()
def evaluate(
    model: Model, images: Float[Tensor, "n c h w"], units: Sequence[AnyUnit], batch_size: int = 32, *, softmax: bool = False
) -> Float[Tensor, " n"]:
    """The score of one unit per image, at most ``batch_size`` images at a time, on the CPU in float32; no graph.

    With ``softmax`` the probability of the class, for which each unit must be one of the last layer without a place (the network's own
    where it returns probabilities). Raises Unsupported where it is not, or there are no classes, InterpError where a score is not
    finite or ``batch_size`` below 1.
    """
    if batch_size < 1:
        raise InterpError(f"`batch_size` is {batch_size}: give at least 1")
    units = checked_units(model, units, len(images))
    for unit in dict.fromkeys(units) if softmax else ():
        if unit.layer != model.output or unit.at is not None:
            raise Unsupported(f"'{unit}' is no class, so it has no probability: use its score, or a unit of '{model.output}'")

    def scored(start: int, stop: int) -> Tensor:
        batch, wanted = images[start:stop].to(model.device), units[start:stop]
        if softmax:
            rows = model.probabilities(model(batch).float())
            columns = torch.tensor([unit.channel for unit in wanted], device=rows.device)
        else:
            scores = Scores(model, wanted)
            rows, columns = scores(batch).float(), scores.columns(wanted)
        found: Tensor = rows[torch.arange(len(wanted)), columns].cpu()
        return found

    layers = (model.output,) if softmax else tuple(dict.fromkeys(unit.layer for unit in units))
    parts = by_parts(model, len(images), scored, ("scores", layers, tuple(images.shape[1:])), batch_size)
    found = torch.cat(parts) if parts else torch.zeros(0)
    if not bool(torch.isfinite(found).all()):
        index = int((~torch.isfinite(found)).nonzero()[0])
        raise InterpError(f"the score of '{units[index]}' is {float(found[index])}, not a finite number: check the weights and the images")
    return found
