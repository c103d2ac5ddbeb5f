"""Measuring what a batch takes leaves nothing behind: not the working copy, whose weights once stayed for each call."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest

from interp.errors import InterpError
from interp.featurevis.batching import most_images
from interp.featurevis.config import AscentConfig, Precision
from interp.featurevis.engine import engine

CONFIG = AscentConfig(precision=Precision.FLOAT32)


def test_the_working_copy_is_freed_after_it_was_measured(trap_model):
    made = engine(trap_model, Precision.FLOAT32)
    weights = [weakref.ref(p.untyped_storage()) for p in made.model.module.parameters()]
    # Through a ReLU, which keeps its own output for the backward.
    assert most_images(made, ["pair"], CONFIG, (12, 12)) >= 1
    del made
    gc.collect()
    assert [w for w in weights if w() is not None] == []


def test_the_limit_of_the_model_counts_where_the_config_has_none(trap_model):
    made = engine(trap_model, Precision.FLOAT32)
    sources, size = ["conv2"], (12, 12)
    few = next(n for n in range(1000, 10**6, 1000) if most_of(made, n, sources, size) == 2)
    assert most_of(made, 10**9, sources, size) == 8
    assert most_images(limited(made, few), sources, replace(CONFIG, memory=1.0), size) == 8
    with pytest.raises(InterpError, match=r"one image takes about .* more than the memory limit of .*: give --memory .* or more$"):
        most_images(limited(made, 1000), sources, CONFIG, size)


def limited(made, memory):
    return replace(made, model=replace(made.model, memory=memory))


def most_of(made, memory, sources, size):
    try:
        return most_images(limited(made, memory), sources, CONFIG, size)
    except InterpError:
        return 0
