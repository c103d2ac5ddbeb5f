"""Randomness as an argument: generators derived from a seed and names by a stable hash."""

from __future__ import annotations

import hashlib

import torch
from jaxtyping import Float
from torch import Tensor


def generator(seed: int, *names: object) -> torch.Generator:
    """A CPU generator that depends on ``seed`` and ``names`` alone, on every machine and in every process.

    Draws are made on the CPU and moved, so that a device does not change them.
    """
    key = "\x1f".join([str(seed), *map(str, names)]).encode()
    value = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") >> 1
    return torch.Generator(device="cpu").manual_seed(value)


def content(image: Float[Tensor, "c h w"]) -> str:
    """A digest of an image's values and shape: the name under which draws for it are made, so that they do not depend on its company."""
    values = image.detach().to("cpu", torch.float32).contiguous()
    return hashlib.sha256(f"{tuple(values.shape)}".encode() + values.numpy().tobytes()).hexdigest()
