"""Whatever the recorder does, the training around it goes on as if it had not: draws, gradients, modes, precision."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from interp.core.own_draws import drawing


@contextmanager
def apart(device: torch.device, seed: int | None = None) -> Iterator[None]:
    """Inside, the caller's autocast, no_grad and inference_mode do not hold; outside, all random generators are as they were.

    The network itself is put back by the missions, each of which runs within `interp.core.capture.quiet`. ``seed``: of draws from the
    global generators inside; None for one that differs each time, for libraries that name their files by chance.
    """
    with ExitStack() as stack:
        stack.enter_context(drawing(secrets.randbits(32) if seed is None else seed, device))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in dict.fromkeys((device.type, "cpu")):
            stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def settled(device: torch.device) -> None:
    """Wait for what the training has left to do on an accelerator, so that it is not counted as the recorder's time."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
