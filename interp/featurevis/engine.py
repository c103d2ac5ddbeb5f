"""The network as the ascent runs it: a frozen working copy, laid out and rounded for speed. The caller's model is not touched.

What a score is worth is never taken from here: finished images are scored by the caller's own model in float32.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from interp.core.model import Model
from interp.core.precision import has_fast_bf16
from interp.errors import Unsupported
from interp.featurevis.config import Precision

# Where half precision moves the score of a finished image by more than this share, the image is made again in float32;
# where it moves what a layer gives for noise by more than the second, it is not tried.
TOLERANCE, HOPELESS = 0.02, 0.1
# Only these compute with their weights as they are; a subclass may standardize them first, which needs all bits.
_ROUNDED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_DTYPES = {Precision.FLOAT32: torch.float32, Precision.BFLOAT16: torch.bfloat16, Precision.FLOAT16: torch.float16}


@dataclass(frozen=True, eq=False)
class Engine:
    """A working copy of a model and the precision it computes in (``FLOAT32``, ``BFLOAT16`` or ``FLOAT16``)."""

    model: Model
    precision: Precision

    @property
    def dtype(self) -> torch.dtype:
        return _DTYPES[self.precision]

    @property
    def loss_scale(self) -> float:
        """What scores are multiplied by before the backward pass: float16 has no room for small gradients."""
        return 4096.0 if self.precision is Precision.FLOAT16 else 1.0

    def computing(self) -> AbstractContextManager[object]:
        """The context to run forwards in."""
        if self.precision is Precision.FLOAT32:
            # Off by name: the caller may have it on.
            return torch.autocast(self.model.device.type, enabled=False)
        return torch.autocast(self.model.device.type, self.dtype)

    def outputs(self, layers: Sequence[str], images: Tensor) -> dict[str, Tensor]:
        """Raw outputs of ``layers`` for [0, 1] images (N, 3, H, W), the forward cut off behind the deepest."""
        with self.computing():
            return self.model.capture(layers, images.contiguous(memory_format=torch.channels_last), truncate=True)[0]


def engine(model: Model, precision: Precision) -> Engine:
    """A working copy of ``model`` in ``precision``; AUTO is the fastest that the device has. What cannot be copied is used as it is."""
    chosen = fastest(model.device) if precision is Precision.AUTO else precision
    try:
        module = copy.deepcopy(model.module)
    except (RuntimeError, TypeError, NotImplementedError, copy.Error, pickle.PicklingError):
        return Engine(model, chosen)
    module.eval().requires_grad_(False)
    for m in module.modules():
        if type(m) in _ROUNDED and isinstance(m.weight, Tensor):
            layout = torch.channels_last if m.weight.ndim == 4 else torch.preserve_format
            dtype = m.weight.dtype if chosen is Precision.FLOAT32 else _DTYPES[chosen]
            m.weight.data = m.weight.data.to(dtype, memory_format=layout)
    return Engine(replace(model, module=module), chosen)


def fastest(device: torch.device) -> Precision:
    """bfloat16 where the device has it in hardware, else float32."""
    return Precision.BFLOAT16 if has_fast_bf16(device) else Precision.FLOAT32


@torch.no_grad()
def usable(model: Model, made: Engine, layers: Sequence[str], asked: Precision) -> bool:
    """Whether ``made`` computes ``layers`` at all and, where the choice was AUTO, as ``model`` does up to ``HOPELESS`` of their norm.

    Judged by one noise image. Raises Unsupported where a precision that was asked for cannot be computed.
    """
    if made.precision is Precision.FLOAT32 or not layers:
        return True
    probe = _probe(model)
    try:
        rounded = made.outputs(layers, probe)
    except (RuntimeError, ValueError, TypeError, Unsupported) as error:
        if asked is Precision.AUTO:
            return False
        reason = str(error).strip().split("\n")[0]
        raise Unsupported(f"'{model.spec.reference}' cannot be run in {asked} on '{model.device}': {reason}; use float32") from error
    if asked is not Precision.AUTO:
        return True
    exact, _ = model.capture(layers, probe, truncate=True)
    return all(float((rounded[k].float() - exact[k].float()).norm()) <= HOPELESS * float(exact[k].float().norm()) for k in layers)


def _probe(model: Model) -> Tensor:
    """One noise image of the model's own size, the same for every call."""
    shape = (1, len(model.preprocess.mean), *model.preprocess.size)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(model.device)
