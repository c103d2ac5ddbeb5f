"""A way out for units that are silent on the starting image: gradients that a ReLU would swallow whole.

Behind a ReLU near-grey noise often gives nothing, and no gradient to leave it by. For an image whose whole gradient
a ReLU would stop, the gradient is passed on, except where it would push negative inputs lower still (lucid's
"redirected ReLU").
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

# How many of the first steps are helped, as in lucid.
STEPS = 16
_CEILINGS = {nn.ReLU: None, nn.ReLU6: 6.0}


class _Redirected(torch.autograd.Function):
    """``x`` clamped to [0, ceiling]; where an image's whole gradient would be stopped, most of it is let through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ceiling: float | None) -> Tensor:
        ctx.save_for_backward(x)
        ctx.ceiling = ceiling
        return x.clamp(min=0, max=ceiling)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        (x,) = ctx.saved_tensors
        below = x <= 0
        above = torch.zeros_like(below) if ctx.ceiling is None else x >= ctx.ceiling
        plain = gradient.masked_fill(below | above, 0)
        outward = (below & (gradient < 0)) | (above & (gradient > 0))
        stopped = ~(plain != 0).flatten(1).any(1)
        return torch.where(stopped.view(-1, *[1] * (x.ndim - 1)), gradient.masked_fill(outward, 0), plain), None


@contextmanager
def escaping(module: nn.Module) -> Iterator[None]:
    """Inside, the ReLU modules of ``module`` (nn.ReLU, nn.ReLU6; not its functional calls) let stopped gradients through."""
    changed = [m for m in module.modules() if type(m) in _CEILINGS and "forward" not in vars(m)]
    try:
        for m in changed:
            ceiling = _CEILINGS[type(m)]
            # On the instance: the class, and every other network, stay as they are.
            m.forward = lambda x, ceiling=ceiling: _Redirected.apply(x, ceiling)
        yield
    finally:
        for m in changed:
            vars(m).pop("forward", None)
