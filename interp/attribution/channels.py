"""From one value per pixel and colour channel to one per pixel."""

from __future__ import annotations

from enum import StrEnum

from jaxtyping import Float
from torch import Tensor


class Reduction(StrEnum):
    """``SUM`` over channels: signed, keeps completeness. ``MAX_ABS``: the largest magnitude, as Simonyan et al. 2013 draw gradients."""

    SUM = "sum"
    MAX_ABS = "max-abs"


def reduced(values: Float[Tensor, "n c h w"], by: Reduction) -> Float[Tensor, "n h w"]:
    """One value per pixel."""
    return values.sum(dim=1) if by is Reduction.SUM else values.abs().amax(dim=1)
