"""What a method draws depends on its seed and on the image, not on the company the image is in, nor on draws elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.rng import generator


def content(image: Float[Tensor, "c h w"]) -> str:
    """A digest of an image's values and shape: the name under which its draws are made."""
    values = image.detach().to("cpu", torch.float32).contiguous()
    return hashlib.sha256(f"{tuple(values.shape)}".encode() + values.numpy().tobytes()).hexdigest()


@contextmanager
def isolated(seed: int, *names: object) -> Iterator[None]:
    """Inside, torch's global CPU generator starts from ``seed`` and ``names``; outside it goes on as if nothing had been drawn.

    For libraries that draw from it. ``torch.manual_seed`` would seed the accelerators' generators as well, which nobody restores.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(generator(seed, *names).initial_seed())
        yield
