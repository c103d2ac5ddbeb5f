"""Randomness as an argument."""

from __future__ import annotations

import torch

from interp.core import rng


def test_known_values() -> None:
    """The same on every machine: a changed value would silently change every figure."""
    drawn = torch.randint(0, 10**6, (3,), generator=rng.generator(0, "conv1", 3)).tolist()
    assert drawn == KNOWN


KNOWN = [940671, 598477, 312358]


def test_independent_of_the_global_generator() -> None:
    first = torch.rand(4, generator=rng.generator(1, "a"))
    torch.manual_seed(123)
    torch.rand(7)
    before = torch.get_rng_state()
    assert torch.equal(torch.rand(4, generator=rng.generator(1, "a")), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_seed_and_every_name_count() -> None:
    keys = [(0,), (1,), (0, "a"), (0, "b"), (0, "a", "b"), (0, "ab"), (0, "a", 1), (0, "a", 11)]
    drawn = {tuple(torch.rand(2, generator=rng.generator(*k)).tolist()) for k in keys}
    assert len(drawn) == len(keys)
