"""Attention probabilities, read where a network computes them, whatever module or function it uses.

Fused attention never forms its probabilities; inside the context it is computed step by step instead, with the same
result. Nothing of the network is replaced: torch hands each function call to a `TorchFunctionMode`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_SOFTMAXES = (F.softmax, torch.softmax, torch.special.softmax, Tensor.softmax)
_MULTI_HEAD = inspect.signature(F.multi_head_attention_forward)


class Interception(TorchFunctionMode):
    """Inside, ``keep(probabilities)`` is called for each softmax over the last of three or more dimensions."""

    def __init__(self, keep: Callable[[Tensor], None]) -> None:
        super().__init__()
        self._keep = keep

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # Their signatures are torch's own, which is what makes calling them this way safe.
        if func is F.scaled_dot_product_attention:
            probabilities, output = _step_by_step(*args, **kwargs)
            self._keep(probabilities)
            return output
        if func is F.multi_head_attention_forward:
            return self._multi_head(args, kwargs)
        result = func(*args, **kwargs)
        if func in _SOFTMAXES and result.ndim > 2 and _dim(args, kwargs) in (-1, result.ndim - 1):
            self._keep(result)
        return result

    def _multi_head(self, args: Any, kwargs: Any) -> tuple[Tensor, Tensor | None]:
        """`torch.nn.MultiheadAttention`, asked for the probabilities of each head, which also keeps it off its fused path."""
        given = _MULTI_HEAD.bind(*args, **kwargs)
        given.apply_defaults()
        wanted, averaged = given.arguments["need_weights"], given.arguments["average_attn_weights"]
        given.arguments.update(need_weights=True, average_attn_weights=False)
        output, probabilities = F.multi_head_attention_forward(*given.args, **given.kwargs)
        assert probabilities is not None, "weights were asked for"
        self._keep(probabilities)
        if not wanted:
            return output, None
        return output, probabilities.mean(dim=-3) if averaged else probabilities


def _dim(args: Any, kwargs: Any) -> int | None:
    dim: int | None = kwargs["dim"] if "dim" in kwargs else args[1] if len(args) > 1 else None
    return dim


def _step_by_step(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor, Tensor]:
    """Probabilities and output of ``F.scaled_dot_product_attention``, by its definition; no dropout, as in eval mode."""
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], dim=-3)
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    probabilities = scores.softmax(dim=-1)
    return probabilities, probabilities @ value
