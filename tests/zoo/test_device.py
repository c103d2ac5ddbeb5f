"""Device names, checked against what there is."""

from __future__ import annotations

import pytest
import torch

from interp.errors import UnknownName
from interp.zoo import device as devices


@pytest.fixture(params=[["cpu"], ["cuda:0", "cuda:1", "cpu"], ["mps", "cpu"]], ids=lambda names: names[0])
def existing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(devices, "available", lambda: request.param)
    return list(request.param)


def test_what_exists_is_found(existing: list[str]) -> None:
    for name in existing:
        assert devices.device(name.upper()) == torch.device(name)
    assert devices.device("auto") == torch.device(existing[0])


@pytest.mark.parametrize("name", ["cuda:7", "cpu:1", "mps:2"])
def test_what_does_not_exist_is_refused_with_what_does(existing: list[str], name: str) -> None:
    with pytest.raises(UnknownName, match=f"device '{name}' does not exist on this machine: there (is only|are) '{existing[0]}'"):
        devices.device(name)


@pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:x", "meta"])
def test_what_is_no_device_is_refused(existing: list[str], name: str) -> None:
    with pytest.raises(UnknownName, match=f"no device '{name}': .*'auto' takes the fastest"):
        devices.device(name)


def test_the_cpu_is_always_there() -> None:
    assert devices.available()[-1] == "cpu"
