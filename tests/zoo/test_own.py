"""The user's own file: what it may say, what goes wrong in it, and what stays behind (nothing)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from interp.errors import BadFile, InterpError, UnknownName
from interp.images import Preprocess
from interp.zoo.loading import load

NET = """
import torch
from torch import nn
classes = ["ant", "bee"]
preprocess = {"size": [8, 8], "resize": 8, "mean": [0.5], "std": [0.25]}

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

def factory():
    return Net()

ready = Net()
number = 3
def needs(x): return x
def nothing(): pass
def broken():
    return nn.Conv2d(1, 2, 3) + undefined
def leaves():
    raise SystemExit(3)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET)
    return tmp_path / "net.py"


@pytest.mark.parametrize("factory", ["factory", "Net", "ready"])
def test_functions_classes_and_modules(path: Path, factory: str) -> None:
    model = load(f"{path}:{factory}")
    assert model.spec.classes == ("ant", "bee")
    assert model.preprocess == Preprocess((8, 8), 8, (0.5,), (0.25,))
    x = torch.rand(1, 1, 8, 8)
    weight, bias = model.module[0].weight, model.module[0].bias  # type: ignore[index]
    expected = torch.nn.functional.conv2d((x - 0.5) / 0.25, weight, bias).mean((2, 3))
    assert torch.allclose(model(x), expected, atol=1e-6)


def test_the_seed_fixes_the_initialization_and_touches_no_global_generator(path: Path) -> None:
    state = torch.get_rng_state()
    hashes = [load(f"{path}:factory", random_weights=True, seed=s).spec.sha256 for s in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert torch.equal(torch.get_rng_state(), state)


def test_neighbours_can_be_imported_and_nothing_stays(path: Path, tmp_path: Path) -> None:
    (tmp_path / "interp_test_neighbour.py").write_text("from torch import nn\ndef make(): return nn.Flatten()\n")
    path.write_text(NET + "import interp_test_neighbour\ninterp_test_neighbour.make()\n")
    modules, paths = set(sys.modules), list(sys.path)
    load(f"{path}:factory")
    assert sys.path == paths
    assert not {n for n in set(sys.modules) - modules if "interp_test" in n or n.startswith("_interp")}


def test_weights_of_a_file(path: Path, tmp_path: Path) -> None:
    model = load(f"{path}:factory", seed=5, random_weights=True)
    torch.save(model.module.state_dict(), tmp_path / "w.pt")
    assert load(f"{path}:factory", weights=tmp_path / "w.pt").spec.sha256 == model.spec.sha256


@pytest.mark.parametrize(
    ("factory", "kind", "message"),
    [
        ("factroy", UnknownName, r"no 'factroy' in '.*net\.py': did you mean 'factory'"),
        ("zzz", UnknownName, "it has 'Net', 'factory', "),
        ("number", InterpError, r"'number' in '.*net\.py' is an int: name a function"),
        ("needs", InterpError, r"cannot be called without arguments \(missing a required argument: 'x'\)"),
        ("nothing", InterpError, r"net\.py:nothing' returned None, not a torch\.nn\.Module"),
        ("broken", InterpError, r"^'.*net\.py', line 19: NameError: name 'undefined' is not defined$"),
        ("leaves", InterpError, r"^'.*net\.py', line 21: SystemExit: 3$"),
    ],
)
def test_factories_that_cannot_be_used(path: Path, factory: str, kind: type[InterpError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        load(f"{path}:{factory}")
    assert "\n" not in str(caught.value)
    assert not [n for n in sys.modules if n.startswith("_interp_own")]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("def f(:\n", r"net\.py', line \d+: SyntaxError: "),
        ("import no_such_package_here\n", r"net\.py', line 22: ModuleNotFoundError: No module named 'no_such_package_here'"),
        ("classes = ['a', 'b', 'c']\n", r"3 class names were given for '.*', which has 2 outputs"),
        ("classes = 2\n", r"'classes' in '.*net\.py' is no list of names"),
        ("preprocess = {'sise': 3}\n", "'preprocess' in .* does not fit interp.Preprocess: .*sise"),
        ("preprocess = {'mean': (0.5,)}\n", "'preprocess' in .* a mean of 1 and a std of 3 channels"),
        ("def preprocess(x): return x\n", "'preprocess' in .* is a function: write the fields"),
        (
            "preprocess = None\n",
            r"net\.py': RuntimeError: .*on images of 3x224x224 .*its first convolution takes 1 channel, and it is given 3: give --mean",
        ),
    ],
)
def test_files_that_cannot_be_used(path: Path, extra: str, message: str) -> None:
    path.write_text(NET + extra)
    with pytest.raises(InterpError, match=message) as caught:
        load(f"{path}:factory")
    assert "\n" not in str(caught.value)


def test_errors_of_the_forward_are_placed(path: Path) -> None:
    path.write_text("from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return x.nonsense\n")
    with pytest.raises(InterpError, match=r"net\.py', line 4: AttributeError: .*nonsense.*on images of 3x224x224"):
        load(f"{path}:Net")


def test_missing_files(path: Path) -> None:
    with pytest.raises(BadFile, match=r"no file '.*nte\.py' to take 'f' from: did you mean 'net\.py'"):
        load(f"{path.with_name('nte.py')}:f")
