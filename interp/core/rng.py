"""Randomness as an argument: generators derived from a seed and names by a stable hash."""

from __future__ import annotations

import hashlib

import torch


def generator(seed: int, *names: object) -> torch.Generator:
    """A CPU generator that depends on ``seed`` and ``names`` alone, on every machine and in every process.

    Draws are made on the CPU and moved, so that a device does not change them.
    """
    key = "\x1f".join([str(seed), *map(str, names)]).encode()
    value = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") >> 1
    return torch.Generator(device="cpu").manual_seed(value)
