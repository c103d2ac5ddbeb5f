"""The baselines of SHAP methods: not one image without anything to see, but several to average over."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.baseline import Baseline, baseline
from interp.core.model import Model
from interp.errors import InterpError

SEVERAL = (Baseline.BLACK, Baseline.WHITE, Baseline.MEAN, Baseline.BLUR)


def checked(kinds: tuple[Baseline, ...], title: str) -> None:
    """Raise InterpError unless there are two kinds or more."""
    if len(set(kinds)) < 2:
        raise InterpError(f"`baselines` of {title} holds {len(set(kinds))} kinds: give at least two, or use one baseline's method")


def of(model: Model, image: Float[Tensor, "1 c h w"], kinds: tuple[Baseline, ...]) -> Float[Tensor, "k c h w"]:
    """One baseline of each kind for one image, [0, 1]."""
    return torch.cat([baseline(model, image, kind) for kind in kinds])
