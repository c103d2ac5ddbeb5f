"""What a network answers to the probes: one forward in evaluation mode for activations, class scores and filters that are silent."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float16
from torch import Tensor

from interp.activations.stream import firing
from interp.core.model import Model
from interp.errors import Unsupported
from interp.watching.plan import Followed, Plan

# The largest number that float16 holds.
_MOST = 65504.0


@dataclass(eq=False)
class Seen:
    """``activations`` by layer; ``scores`` of classes; by the layer that was read: ``dead``, channels above 0 at no place of no probe,
    and ``unknown``, those of which that cannot be said, as they hold NaN and nothing above 0: none of them is dead."""

    activations: dict[str, Float16[np.ndarray, "n k rows cols"]] = field(default_factory=dict)
    dead: dict[str, Bool[np.ndarray, " c"]] = field(default_factory=dict)
    unknown: dict[str, Bool[np.ndarray, " c"]] = field(default_factory=dict)
    scores: Float[np.ndarray, "n classes"] = field(default_factory=lambda: np.empty((0, 0), np.float32))


def seen(model: Model, images: Float[Tensor, "n c h w"], plan: Plan) -> Seen:
    """The `Seen` of [0, 1] ``images``; the model is left as it was. Raises Unsupported where a layer does not fire, or
    has come to have another number of channels."""
    found = Seen()
    followed = {one.layer: one for one in plan.activations}
    read = {one.read for one in plan.convolutions if one.read}

    def on_maps(layer: str, maps: Float[Tensor, "n c rows cols"]) -> None:
        before = model.layer(layer).channels
        if maps.shape[1] != before:
            raise Unsupported(f"layer '{layer}' gives {maps.shape[1]} channels, and gave {before} when the recorder was made")
        if layer in followed:
            found.activations[layer] = _small(maps, followed[layer])
        if layer in read:
            silent, unknown = ~(maps > 0).any(dim=(0, 2, 3)), maps.isnan().any(dim=(0, 2, 3))
            found.dead[layer] = (silent & ~unknown).cpu().numpy()
            found.unknown[layer] = (silent & unknown).cpu().numpy()
        if layer == model.output:
            found.scores = maps.float().mean((2, 3)).cpu().numpy()

    wanted = {*followed, *read, model.output}
    firing.forward(model, model.checked(images), [layer.name for layer in model.layers if layer.name in wanted], on_maps)
    return found


def _small(maps: Float[Tensor, "n c rows cols"], followed: Followed) -> Float16[np.ndarray, "n k high wide"]:
    """The chosen channels, each place of the smaller map the mean over the places that it stands for."""
    chosen = maps[:, list(followed.channels)].float()
    pooled = chosen if chosen.shape[2:] == followed.size else F.adaptive_avg_pool2d(chosen, followed.size)
    result: np.ndarray = pooled.clamp(-_MOST, _MOST).half().cpu().numpy()
    return result
