"""Random numbers that a network draws itself in an evaluation forward: dropout that stays on, added noise.

They come from the global generators. A forward of such a network starts them from a seed, so that it repeats, and leaves them as
they were, so that nobody else's draws change.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from interp.core.rng import generator


class Draws:
    """What happened inside `drawing`: whether a generator of torch or NumPy ``moved``; known once it has ended."""

    moved = False


@contextmanager
def drawing(seed: int, device: torch.device) -> Iterator[Draws]:
    """Inside, the global generators of torch (CPU and ``device``), NumPy and Python start from ``seed``; outside they go on as before.

    For one thread at a time: the generators belong to the process.
    """
    draws = Draws()
    number = generator(seed, "draws of the network itself").initial_seed()
    with started(device, number, number):
        begun = _states(device)
        yield draws
        draws.moved = _states(device) != begun


@contextmanager
def started(device: torch.device, number: int, numpy: int) -> Iterator[None]:
    """Inside, the global generators of torch (CPU and ``device``) and Python start from ``number``, that of NumPy from ``numpy``.

    Outside they go on as if nothing had been drawn. ``torch.manual_seed`` would seed all accelerators' generators, which nobody restores.
    """
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the ones that a network draws from
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        accelerator = _state(device)
        try:
            torch.default_generator.manual_seed(number)
            _seed(device, number)
            random.seed(number)
            np.random.seed(numpy % 2**32)  # noqa: NPY002
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002
            if accelerator is not None and device.type == "mps":
                torch.mps.set_rng_state(accelerator)


def _seed(device: torch.device, number: int) -> None:
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)


def _state(device: torch.device) -> torch.Tensor | None:
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device.type == "mps" else None


def _states(device: torch.device) -> list[bytes]:
    """Of torch and NumPy. Python's own is left out: libraries that check types draw from it at every call."""
    _, *legacy = np.random.get_state(legacy=True)  # noqa: NPY002
    tensors = [torch.default_generator.get_state(), _state(device)]
    numpy = [part.tobytes() if isinstance(part, np.ndarray) else str(part).encode() for part in legacy]
    return [*(tensor.cpu().numpy().tobytes() for tensor in tensors if tensor is not None), *numpy]
