"""Muon, the optimizer that the embedded network is trained with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Muon(torch.optim.Optimizer):
    """SGD with momentum whose step is orthogonalized (Jordan et al. 2024) and scaled to the weight's own norm.

    For convolutions followed by BatchNorm, whose scale is free: each weight is kept at its initial norm,
    so ``lr`` is the share of that norm moved per step.
    """

    def __init__(self, params: list[nn.Parameter], lr: float, momentum: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["buffer"] = torch.zeros_like(p)
                    state["norm"] = p.norm()
                state["buffer"].lerp_(p.grad, 1 - group["momentum"])
                update = orthogonalize(p.grad.lerp(state["buffer"], group["momentum"]).flatten(1))
                p.sub_(update.view_as(p), alpha=float(group["lr"] * state["norm"] / update.norm()))
                p.mul_(state["norm"] / p.norm())


def orthogonalize(matrix: Float[Tensor, "rows cols"], steps: int = 4) -> Float[Tensor, "rows cols"]:
    """Nearest semi-orthogonal matrix, roughly: the quintic Newton-Schulz iteration of Muon (Jordan et al. 2024)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm() + 1e-7)
    if x.shape[0] > x.shape[1]:
        x = x.T
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x if x.shape == matrix.shape else x.T
    return result
