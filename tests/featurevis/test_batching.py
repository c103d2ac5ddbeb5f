"""How many images share a forward follows the kind of device, and nothing that changes from one moment to the next."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from interp.core.model import Model
from interp.featurevis import batching
from interp.featurevis.batching import CPU_MEMORY, CPU_MOST, GPU_SHARE, most_images
from interp.featurevis.config import AscentConfig, Precision
from interp.featurevis.engine import engine

GIB = 1 << 30


@pytest.mark.parametrize("free", [0, GIB, 80 * GIB])
@pytest.mark.parametrize(("total", "budget"), [(16 * GIB, 16 * GPU_SHARE), (80 * GIB, 80 * GPU_SHARE)])
def test_what_others_leave_free_does_not_count(monkeypatch: pytest.MonkeyPatch, free: int, total: int, budget: float) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (free, total))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device=None: SimpleNamespace(total_memory=total))
    assert batching._memory(torch.device("cuda")) == budget
    assert batching._memory(torch.device("cpu")) == CPU_MEMORY == 2.0


def test_on_a_cpu_nothing_of_the_machine_is_asked(cnn: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    config = AscentConfig()
    made = engine(cnn, Precision.FLOAT32)
    assert most_images(made, ["conv2"], config, (32, 32)) == CPU_MOST == 8
    one = batching._bytes(made, ["conv2"], (32, 32))
    monkeypatch.setattr(batching, "CPU_MEMORY", 3.5 * one / GIB)
    assert most_images(made, ["conv2"], config, (32, 32)) == 3
