"""What a method draws depends on its seed and on the image, not on the company the image is in, nor on draws elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from interp.core.rng import generator


@contextmanager
def isolated(seed: int, *names: object) -> Iterator[None]:
    """Inside, torch's global CPU generator starts from ``seed`` and ``names``; outside it goes on as if nothing had been drawn.

    For libraries that draw from it. ``torch.manual_seed`` would seed the accelerators' generators as well, which nobody restores.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(generator(seed, *names).initial_seed())
        yield
