"""Weights files: read without running them, fitted or refused in one line, hashed."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from interp.errors import BadFile
from interp.zoo import weights


def net(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5))


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


WRAPS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "plain": dict,
    "state_dict": lambda s: {"state_dict": s, "epoch": 3},
    "model_state_dict": lambda s: {"model_state_dict": s, "optimizer": {"lr": 0.1}},
    "model": lambda s: {"model": s},
    "nested": lambda s: {"model": {"state_dict": s}},
    "module.": lambda s: {f"module.{k}": v for k, v in s.items()},
    "lightning": lambda s: {"state_dict": {f"model.{k}": v for k, v in s.items()}},
    "compiled and parallel": lambda s: {f"module._orig_mod.{k}": v for k, v in s.items()},
    "averaged": lambda s: {"n_averaged": torch.tensor(7), **{f"module.{k}": v for k, v in s.items()}},
    "no counters": lambda s: {k: v for k, v in s.items() if "num_batches" not in k},
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
def test_wrappers_and_prefixes(tmp_path: Path, wrap: Callable[[dict[str, Tensor]], Any], suffix: str) -> None:
    path, source, target = tmp_path / f"w{suffix}", net(1), net(2)
    torch.save(wrap(source.state_dict()), path)
    weights.apply(target, weights.read(path), path)
    assert same(source.state_dict(), target.state_dict())


def test_a_network_whose_own_names_begin_with_a_prefix(tmp_path: Path) -> None:
    source, target = nn.ModuleDict({"model": net(1)}), nn.ModuleDict({"model": net(2)})
    weights.apply(target, source.state_dict(), tmp_path)
    assert same(source.state_dict(), target.state_dict())


def test_half_precision_is_cast(tmp_path: Path) -> None:
    path, source, target = tmp_path / "w.safetensors", net(1), net(2)
    half = {k: v.half() if v.is_floating_point() else v for k, v in source.state_dict().items()}
    save_file(half, path)
    weights.apply(target, weights.read(path), path)
    assert all(p.dtype == torch.float32 for p in target.parameters())
    assert same(target.state_dict(), {k: v.to(source.state_dict()[k].dtype) for k, v in half.items()})


def test_a_mismatch_says_what_in_one_line_and_changes_nothing() -> None:
    module = net()
    before = copy.deepcopy(module.state_dict())
    state: dict[str, Tensor] = {**before, "extra.weight": torch.ones(2), "3.bias": torch.ones(7)}
    del state["0.weight"]
    with pytest.raises(BadFile) as caught:
        weights.apply(module, state, Path("w.pt"))
    assert str(caught.value) == (
        "the weights file 'w.pt' is not of this network (Sequential): 1 missing (0.weight); 1 unexpected (extra.weight); "
        "1 of another shape (3.bias is 7 in the file and 5 in the network)"
    )
    assert same(before, dict(module.state_dict()))


def test_many_mismatches_are_cut_short() -> None:
    with pytest.raises(BadFile, match=r"8 missing \(0\.weight, 0\.bias, 1\.weight, \.\.\.\); 1 unexpected \(a\)$"):
        weights.apply(net(), {"a": torch.ones(1)}, Path("w.pt"))


def test_whole_numbers_are_no_weights() -> None:
    with pytest.raises(BadFile, match=r"1 of another kind \(3\.bias is torch\.int64\)"):
        weights.apply(net(), {**net().state_dict(), "3.bias": torch.ones(5, dtype=torch.int64)}, Path("w.pt"))


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("save", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o)), lambda o, p: p.write_bytes(pickle.dumps(o, 2))])
@pytest.mark.parametrize("suffix", [".pt", ".ckpt"])
def test_pickled_code_is_refused_and_not_run(tmp_path: Path, save: Callable[[Any, Path], None], suffix: str) -> None:
    path, proof = tmp_path / f"w{suffix}", tmp_path / "proof"
    save({"weight": torch.ones(1), "trap": Trap(proof)} if save is torch.save else {"trap": Trap(proof)}, path)
    message = r"holds Python objects \((posix\.mkdir|a plain pickle)\), not only weights; they were not loaded and nothing was run"
    with pytest.raises(BadFile, match=message) as caught:
        weights.read(path)
    assert "\n" not in str(caught.value)
    assert not proof.exists()


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    torch.save(net(), tmp_path / "w.pt")
    with pytest.raises(BadFile, match=r"holds Python objects \(torch\.nn\.modules\.container\.Sequential\).*save `model\.state_dict\(\)`"):
        weights.read(tmp_path / "w.pt")


def damaged(path: Path, kind: str) -> None:
    if path.suffix == ".safetensors":
        save_file(dict(net().state_dict()), path)
    else:
        torch.save(net().state_dict(), path)
    data = path.read_bytes()
    path.write_bytes(
        {
            "half": data[: len(data) // 2],
            "short": data[:5],
            "text": b"hello, this is a text\n" * 9,
            "empty": b"",
            "header": (2**62).to_bytes(8, "little") + data[8:],
        }[kind]
    )


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
@pytest.mark.parametrize("kind", ["half", "short", "text", "empty", "header"])
def test_damaged_files(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"w{suffix}"
    damaged(path, kind)
    with pytest.raises(BadFile, match=r"is empty|is no complete (safetensors file|weights file saved by torch)") as caught:
        weights.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3, "arch": "x"}, r"holds no weights: its keys are 'epoch', 'arch'; none is a tensor or one of state_dict"),
        ({}, "holds no weights: its keys are none"),
        ([1, 2], "holds a list, not weights by name"),
        (torch.ones(2), "holds a Tensor, not weights by name"),
    ],
)
def test_files_of_something_else(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(BadFile, match=message):
        weights.read(tmp_path / "w.pt")


def test_paths_that_are_no_weights_file(tmp_path: Path) -> None:
    (tmp_path / "best.pt").touch()
    (tmp_path / "w.onnx").write_text("x")
    with pytest.raises(BadFile, match=r"cannot read the weights file '.*bset\.pt': no such file or directory; did you mean 'best\.pt'"):
        weights.read(tmp_path / "bset.pt")
    with pytest.raises(BadFile, match="is a folder, not a weights file"):
        weights.read(tmp_path)
    with pytest.raises(BadFile, match=r"is no weights file by its name: give \.safetensors, or \.pt"):
        weights.read(tmp_path / "w.onnx")


def test_other_classes() -> None:
    state = net().state_dict()
    assert weights.other_classes(net(), state) is None
    assert weights.other_classes(net(), {**state, "3.weight": torch.ones(9, 16), "3.bias": torch.ones(9)}) == 9
    assert weights.other_classes(net(), {**state, "3.weight": torch.ones(9, 17), "3.bias": torch.ones(9)}) is None
    assert weights.other_classes(net(), {**state, "3.weight": torch.ones(9, 16), "3.bias": torch.ones(8)}) is None


def test_file_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert weights.sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_state_hash_sees_every_value_name_type_and_shape() -> None:
    base = nn.Linear(2, 3)
    changed = [copy.deepcopy(base) for _ in range(2)]
    with torch.no_grad():
        changed[0].weight[1, 1] += 1e-6
    changed[1].half()
    flat = nn.ParameterDict({"weight": base.weight.flatten(), "bias": base.bias})
    renamed = nn.ParameterDict({"weigth": base.weight, "bias": base.bias})
    hashes = {weights.state_sha256(m) for m in (base, *changed, flat, renamed)}
    assert len(hashes) == 5
    turned = nn.ParameterDict({"bias": base.bias, "weight": base.weight.T.contiguous().T})
    assert weights.state_sha256(turned) == weights.state_sha256(base), "neither order nor memory format counts"
    assert weights.state_sha256(nn.BatchNorm1d(2).bfloat16()) == weights.state_sha256(nn.BatchNorm1d(2).bfloat16())
