"""Randomness of the drawn pictures: one stream for each part of each picture, so that parts can be changed one at a time."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, *names: object) -> np.random.Generator:
    """A numpy generator that depends on ``seed`` and ``names`` alone, on every machine and in every process."""
    key = "\x1f".join([str(seed), *map(str, names)]).encode()
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(key).digest()[:16], "big")))


def between(rng: np.random.Generator, low: float | int, high: float | int) -> float:
    """A uniform number, as a Python float."""
    return low + (high - low) * float(rng.random())
