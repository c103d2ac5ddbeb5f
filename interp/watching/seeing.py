"""What a network answers to the probes: one forward in evaluation mode for activations, class scores and filters that are silent."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float16
from torch import Tensor

from interp.activations.stream import firing
from interp.core.model import Model
from interp.watching.plan import Followed, Plan

# The largest number that float16 holds.
_MOST = 65504.0


@dataclass(eq=False)
class Seen:
    """``activations`` by layer; ``dead`` by the layer that was read: channels above 0 at no place of no probe; ``scores`` of classes."""

    activations: dict[str, Float16[np.ndarray, "n k rows cols"]] = field(default_factory=dict)
    dead: dict[str, Bool[np.ndarray, " c"]] = field(default_factory=dict)
    scores: Float[np.ndarray, "n classes"] = field(default_factory=lambda: np.empty((0, 0), np.float32))


def seen(model: Model, images: Float[Tensor, "n c h w"], plan: Plan) -> Seen:
    """The `Seen` of [0, 1] ``images``; the model is left as it was. Raises Unsupported where a layer does not fire."""
    found = Seen()
    followed = {one.layer: one for one in plan.activations}
    read = {one.read for one in plan.convolutions if one.read}

    def on_maps(layer: str, maps: Float[Tensor, "n c rows cols"]) -> None:
        if layer in followed:
            found.activations[layer] = _small(maps, followed[layer])
        if layer in read:
            found.dead[layer] = (~(maps > 0).any(dim=(0, 2, 3))).cpu().numpy()
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
