"""What lucent changes around it, put back: hooks and gradients in the model, global random states, the device it picks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import nn


@contextmanager
def left_as_it_was(module: nn.Module, hook: type) -> Iterator[None]:
    """Eval mode inside; modes, gradients and hooks as before outside, on errors too. Lucent removes none of its hooks."""
    modes = [(m, m.training) for m in module.modules()]
    gradients = [(p, p.grad) for p in module.parameters()]
    hooks = [(m, set(m._forward_hooks)) for m in module.modules()]
    try:
        module.eval()
        for parameter, _ in gradients:
            parameter.grad = None
        yield
    finally:
        for m, kept in hooks:
            # Only lucent's: others may have been added from `on_step`.
            added = [k for k, h in m._forward_hooks.items() if k not in kept and isinstance(getattr(h, "__self__", None), hook)]
            for key in added:
                del m._forward_hooks[key]
        for m, training in modes:
            m.training = training
        for parameter, gradient in gradients:
            parameter.grad = gradient


@contextmanager
def draws_kept() -> Iterator[None]:
    """The global random states of torch and NumPy are as before outside. Lucent draws from both, on the CPU."""
    state = np.random.get_state()  # noqa: NPY002 - lucent's
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002 - lucent's


def seed_globally(seed: int) -> None:
    """Seed the global generators of torch (CPU) and NumPy: for use inside `draws_kept`."""
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - lucent's


@contextmanager
def on_device(device: torch.device) -> Iterator[None]:
    """Lucent's tensors on ``device`` inside; it takes the first GPU wherever there is one, whatever the model is on."""
    places: list[Any] = [import_module("lucent.optvis.transform"), import_module("lucent.optvis.param.spatial")]
    before = [(place, place.device) for place in places]
    try:
        for place, _ in before:
            place.device = device
        yield
    finally:
        for place, chosen in before:
            place.device = chosen
