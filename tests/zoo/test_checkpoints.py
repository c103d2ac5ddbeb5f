"""Checkpoints of Lightning, timm and torchvision trainings: which weights are taken, and that nothing in them is run."""

from __future__ import annotations

import argparse
import datetime
import enum
import functools
import subprocess
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from interp.errors import BadFile, InterpError, UnknownName
from interp.zoo import weights
from interp.zoo.loading import load

State = dict[str, Tensor]


def net(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5))


def state(seed: int, prefix: str = "") -> State:
    return OrderedDict((prefix + k, v) for k, v in net(seed).state_dict().items())


def fits(found: State, seed: int) -> bool:
    target = net(99)
    weights.apply(target, found, Path("w"))
    return all(torch.equal(a, b) for a, b in zip(target.state_dict().values(), net(seed).state_dict().values(), strict=True))


class Mode(enum.Enum):
    MIN = "min"


@dataclass
class Options:
    rate: float
    mode: Mode


class AttributeDict(dict[str, Any]):
    """As Lightning keeps hyperparameters: a mapping of its own class."""


OBJECTS: dict[str, object] = {
    "namespace": argparse.Namespace(lr=0.1),
    "path": PurePosixPath("/data"),
    "dataclass": Options(0.1, Mode.MIN),
    "attribute dict": AttributeDict(lr=0.1, layers=[1, 2]),
    "partial": functools.partial(nn.Conv2d, 3),
    "set": {1, 2},
    "time": datetime.timedelta(seconds=3),
    "module": nn.CrossEntropyLoss(),
}


@pytest.mark.parametrize("what", OBJECTS)
def test_lightning_checkpoints_with_objects_are_read_without_them(tmp_path: Path, what: str) -> None:
    path = tmp_path / "last.ckpt"
    content = {
        "epoch": 3,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": state(1, "net."),
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}],
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.ones(()), "dirpath": PurePosixPath("/data")}},
        "hyper_parameters": {"model": OBJECTS[what]},
        "hparams_name": "kwargs",
    }
    torch.save(content, path)
    assert fits(weights.read(path), 1)
    assert not [known for known in torch.serialization.get_safe_globals() if "StandIn" in str(known)], "nothing stays allowed"


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("function", [subprocess.check_output, eval, exec, __import__])
def test_functions_that_run_things_are_refused_wherever_they_stand(tmp_path: Path, function: Callable[..., object]) -> None:
    proof = tmp_path / "proof"
    path = tmp_path / "last.ckpt"
    given = ["mkdir", str(proof)] if function is subprocess.check_output else f"__import__('os').mkdir('{proof}')"
    torch.save({"state_dict": state(1), "hyper_parameters": {"x": Trap(function, given)}}, path)
    with pytest.raises(BadFile, match=r"holds Python objects \(.+\), not only weights; they were not loaded and nothing was run") as caught:
        weights.read(path)
    assert "\n" not in str(caught.value)
    assert not proof.exists()


def test_a_function_of_the_users_own_is_not_called(tmp_path: Path) -> None:
    calls: list[str] = []
    monkeyed = type("Recorder", (), {"__reduce__": lambda self: (record, ("called",))})
    globals()["calls"] = calls
    torch.save({"state_dict": state(1), "hyper_parameters": {"x": monkeyed()}}, tmp_path / "w.ckpt")
    assert fits(weights.read(tmp_path / "w.ckpt"), 1)
    assert calls == []


def record(text: str) -> str:
    globals()["calls"].append(text)
    return text


def test_weights_in_an_object_are_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": AttributeDict(model=net()), "epoch": 1}, tmp_path / "w.ckpt")
    with pytest.raises(BadFile, match=r"holds Python objects \(.*AttributeDict\).*save `model\.state_dict\(\)` instead"):
        weights.read(tmp_path / "w.ckpt")


TRAINED = {
    "timm": ("state_dict", "state_dict_ema", {"epoch": 3, "arch": "resnet18", "args": argparse.Namespace(lr=1), "version": 2}),
    "torchvision": ("model", "model_ema", {"epoch": 3, "optimizer": {"state": {}}, "args": argparse.Namespace(lr=1)}),
}


@pytest.mark.parametrize("training", TRAINED)
def test_averaged_weights_beside_the_weights(tmp_path: Path, training: str) -> None:
    key, averaged, beside = TRAINED[training]
    path = tmp_path / "checkpoint.pth.tar"
    ema = {"n_averaged": torch.tensor(7), **state(2, "module.")} if training == "torchvision" else state(2)
    torch.save({key: state(1), averaged: ema, **beside}, path)
    plain = weights.checkpoint(path)
    assert fits(plain.tensors, 1)
    assert (plain.key, plain.others, plain.said) == (key, (averaged,), f"{key}, not {averaged}")
    other = weights.checkpoint(path, averaged)
    assert fits(other.tensors, 2)
    assert (other.key, other.said) == (averaged, "")


def test_any_key_and_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "dino.pth"
    torch.save({"student": state(1), "teacher": {"state_dict": state(2, "backbone.")}, "ema": {"decay": 0.9, "shadow": state(3)}}, path)
    assert fits(weights.checkpoint(path, "student").tensors, 1)
    teacher = weights.checkpoint(path, "teacher")
    assert (teacher.key, fits(teacher.tensors, 2)) == ("teacher.state_dict", True)
    assert fits(weights.checkpoint(path, "ema.shadow").tensors, 3)
    with pytest.raises(BadFile, match=r"'student', 'teacher', 'ema'; take student or teacher or ema.shadow with --weights-key"):
        weights.checkpoint(path)
    with pytest.raises(UnknownName, match=r"no 'techer' in '.*dino\.pth': did you mean 'teacher'"):
        weights.checkpoint(path, "techer")


def test_keys_where_there_is_nothing_to_choose(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(state(1), tmp_path / "w.safetensors")
    with pytest.raises(UnknownName, match="a safetensors file holds one set of weights, so leave --weights-key out"):
        weights.checkpoint(tmp_path / "w.safetensors", "model")
    with pytest.raises(InterpError, match="`--weights-key x` chooses among the weights of a file: name one"):
        load("squeezenet1_1", weights_key="x")


def test_the_model_says_which_weights_it_has(tmp_path: Path) -> None:
    from torchvision import models

    small = [models.squeezenet1_1(num_classes=2).state_dict() for _ in range(2)]
    torch.save({"state_dict": small[0], "state_dict_ema": small[1]}, tmp_path / "w.pt")
    first, second = (load("squeezenet1_1", weights=tmp_path / "w.pt", weights_key=key) for key in (None, "state_dict_ema"))
    assert (first.spec.weights, second.spec.weights) == ("w.pt (state_dict, not state_dict_ema)", "w.pt (state_dict_ema)")
    assert first.spec.sha256 != second.spec.sha256


def test_quantized_weights_are_refused(tmp_path: Path) -> None:
    torch.save(
        {"fc.scale": torch.tensor(0.1), "fc._packed_params.dtype": torch.qint8, "fc._packed_params._packed_params": ()}, tmp_path / "a.pt"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"w": torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.qint8)}, tmp_path / "b.pt")
    for name in ("a.pt", "b.pt"):
        with pytest.raises(BadFile, match=r"holds quantized weights, which have no gradients"):
            weights.read(tmp_path / name)


def test_a_distributed_checkpoint_says_how_to_make_one_file_of_it(tmp_path: Path) -> None:
    (tmp_path / ".metadata").touch()
    with pytest.raises(BadFile, match=r"is a folder, not a weights file, but a distributed checkpoint: .*dcp_to_torch_save"):
        weights.read(tmp_path)


def test_a_mapping_whose_methods_are_replaced(tmp_path: Path) -> None:
    class Mapped:
        def __reduce__(self) -> Any:
            return OrderedDict, ([("a", torch.ones(1))],), {"items": 3}

    torch.save(Mapped(), tmp_path / "w.pt")
    with pytest.raises(BadFile, match=r"is no complete weights file saved by torch: what it holds is no mapping of weights"):
        weights.read(tmp_path / "w.pt")
