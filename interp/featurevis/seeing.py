"""What objectives are given to read: the images, and what layers make of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interp.featurevis.engine import Engine
from interp.featurevis.objective import ALPHA, IMAGE, layer_of, source_of

# See-through images are laid on blotches this many to a side, so that no single background is learned.
_BLOTCHES = 4


def image_activations(shown: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
    """What is known without the network: ``IMAGE`` and ``ALPHA`` of RGB or RGBA images."""
    alpha = shown[:, 3:] if shown.shape[1] == 4 else torch.ones_like(shown[:, :1])
    return {IMAGE: shown[:, :3], ALPHA: alpha}


def read(made: Engine, keys: Sequence[str], moved: Float[Tensor, "n c rows cols"]) -> dict[str, Tensor]:
    """What ``keys`` stand for, for images as the network sees them: maps, tokens and inputs of layers."""
    wanted = {key: source for key in keys if (source := source_of(key)) is not None}
    if not wanted:
        return {}
    outputs = made.outputs(list(dict.fromkeys(wanted.values())), moved)
    plain = {key for key in wanted if key == layer_of(key)}
    return {key: made.model.maps(key, outputs[key]) if key in plain else outputs[source] for key, source in wanted.items()}


def laid(shown: Float[Tensor, "n c h w"], generators: Sequence[torch.Generator]) -> Float[Tensor, "n 3 h w"]:
    """RGB images as they are; RGBA ones laid on random blotches of colour, each image on its own."""
    if shown.shape[1] == 3:
        return shown
    coarse = torch.stack([torch.rand(3, _BLOTCHES, _BLOTCHES, generator=g) for g in generators]).to(shown)
    ground = F.interpolate(coarse, size=shown.shape[2:], mode="bicubic", align_corners=False).clamp(0, 1)
    return shown[:, :3] * shown[:, 3:] + ground * (1 - shown[:, 3:])
