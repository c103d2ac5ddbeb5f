"""``Fixed``: an array that an option holds, known by its hash, so that options stay values and manifests stay short."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Fixed:
    """``values`` (float32, on the CPU) under a ``name``; two are equal where name, shape and SHA-256 are."""

    name: str
    shape: tuple[int, ...]
    sha256: str
    values: Float[Tensor, "*shape"] = field(compare=False, repr=False, metadata={"manifest": False})

    @classmethod
    def of(cls, values: Float[Tensor, "*shape"], name: str) -> Fixed:
        """A frozen copy of ``values``."""
        kept = values.detach().to("cpu", torch.float32, copy=True).contiguous()
        digest = hashlib.sha256(kept.numpy().tobytes()).hexdigest()
        return cls(name, tuple(kept.shape), digest, kept)

    def like(self, other: Tensor) -> Float[Tensor, "*shape"]:
        """The values on the device and in the precision of ``other``."""
        return self.values.to(other.device, other.dtype)

    def __str__(self) -> str:
        return self.name
