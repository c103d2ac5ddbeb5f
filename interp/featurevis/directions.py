"""Directions in a layer's space of channels: what several channels say together (Olah et al. 2018; Carter et al. 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.model import Model
from interp.errors import InterpError
from interp.featurevis.fixed import Fixed
from interp.featurevis.objective import Activations, Objective
from interp.featurevis.units import check_place

# Below it a cosine counts as this much, so that a power of it stays positive and its gradient alive (Carter et al. 2019).
LEAST_COSINE = 0.1
# Shorter products of lengths are taken as this long: the cosine with nothing is 0, not NaN.
_TINY = 1e-6


class Kind(StrEnum):
    """How activations are compared with a direction."""

    DOT = "dot"
    COSINE = "cosine"
    DOT_COSINE = "dot-cosine"


@dataclass(frozen=True)
class Direction(Objective):
    """The activations of ``layer`` along ``direction`` (c,), at each place, averaged over all places or at ``at`` = (row, col).

    ``DOT``: the dot product, in the layer's unit times the direction's length. ``COSINE``: the cosine, in [-1, 1].
    ``DOT_COSINE``: dot * max(0.1, cosine) ** ``power``, which weakens what is strong in other directions too
    (activation atlas, Carter et al. 2019; they use 2). ``power`` matters for that kind alone. A direction of zeros has
    the value 0 everywhere.
    """

    layer: str
    direction: Fixed
    kind: Kind = Kind.DOT
    power: float = 2.0
    at: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_fixed(self.direction, "`direction` of Direction", "one number per channel", 1)
        check_power("Direction", self.power)

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        maps = activations[self.layer]
        if self.at is not None:
            check_place(f"place of '{self}'", self.layer, (maps.shape[2], maps.shape[3]), self.at)
            maps = maps[:, :, self.at[0], self.at[1], None, None]
        direction = self.direction.like(maps)
        dot = torch.einsum("nchw,c->nhw", maps, direction)
        if self.kind is Kind.DOT:
            return dot.mean((1, 2))
        cosine = dot / (maps.norm(dim=1) * direction.norm()).clamp_min(_TINY)
        along: Tensor = cosine if self.kind is Kind.COSINE else dot * cosine.clamp_min(LEAST_COSINE) ** self.power
        return along.mean((1, 2))

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        channels, rows, cols = model.layer(self.layer).map_shape
        if self.direction.shape != (channels,):
            raise InterpError(
                f"the direction '{self.direction.name}' has {self.direction.shape[0]} numbers, but layer '{self.layer}' has {channels} "
                "channels: give one number per channel"
            )
        if self.at is not None and (size is None or size == model.preprocess.size):
            check_place(f"place of '{self}'", self.layer, (rows, cols), self.at)

    def __str__(self) -> str:
        kind = f"{self.kind}^{self.power:g}" if self.kind is Kind.DOT_COSINE else str(self.kind)
        place = "" if self.at is None else f"@{self.at[0]},{self.at[1]}"
        return f"{self.layer}:{tagged(self.direction)}{place} {kind}"


def tagged(fixed: Fixed) -> str:
    """A name that no other values share: ``cat[1f2e3d4c]``."""
    return f"{fixed.name}[{fixed.sha256[:8]}]"


def check_fixed(fixed: Fixed, what: str, meaning: str, dimensions: int) -> None:
    """Raise InterpError where an array has other ``dimensions``, no entry, or values that are not finite."""
    shape = "x".join(map(str, fixed.shape)) or "()"
    if len(fixed.shape) != dimensions or 0 in fixed.shape:
        raise InterpError(f"the {what}, '{fixed.name}', is an array of shape {shape}: give {meaning}, {dimensions} dimension(s)")
    if not bool(torch.isfinite(fixed.values).all()):
        raise InterpError(f"the {what}, '{fixed.name}', holds NaN or infinite values: give finite ones")


def check_power(what: str, power: float) -> None:
    """Raise InterpError where the exponent of a cosine is none."""
    if not 0 <= power < math.inf:
        raise InterpError(f"the `power` of {what} is {power}: give the exponent of the cosine, 0 or more, such as 2.0")
