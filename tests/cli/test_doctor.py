"""``interp doctor``: what it tells, that it tells no names, and that a mission that is wrong here is found."""

from __future__ import annotations

import builtins
import getpass
import platform
import re
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

import interp
from interp.cli import run, selftests
from interp.cli.selftests import TESTS, self_tests
from interp.cli.surroundings import private, surroundings
from interp.core.support import in_words, support
from interp.zoo import embedded


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def model():
    return interp.load("embedded")


@pytest.fixture(autouse=True)
def one_model(model, monkeypatch):
    monkeypatch.setattr(selftests, "_network", lambda device: model)


def told(capsys) -> dict[str, str]:
    """The rows, by name."""
    lines = capsys.readouterr().out.splitlines()
    return {line[2:16].strip(): line[17:] for line in lines if line.startswith("  ")}


def test_all_is_told_and_tested(here, capsys):
    assert run(["doctor", "--text"]) == 0
    text = capsys.readouterr().out
    titles = ["interp", "packages", "devices", "folders", "weights on this machine", "self-tests on cpu"]
    assert [line for line in text.splitlines() if line and not line.startswith(" ")] == [*titles, "all self-tests pass"]
    rows = {line[2:16].strip(): line[17:] for line in text.splitlines() if line.startswith("  ")}
    assert rows["version"].startswith(f"{interp.__version__} (")
    assert rows["python"] == f"{platform.python_version()}, {platform.python_implementation()}"
    assert rows["torch"] == metadata.version("torch")
    assert re.search(rf"{torch.get_num_threads()} threads.*bfloat16 (fast|slow); float32 exact; repeats", rows["cpu"])
    assert rows["embedded"].startswith(f"version {embedded.VERSION}, ")
    for name in TESTS:
        assert rows[name].startswith("OK, "), name
    assert list(here.iterdir()) == []


def test_what_is_told_names_nobody(here, capsys, monkeypatch):
    home = here / "home" / "somebody"
    (home / "runs").mkdir(parents=True)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setattr(getpass, "getuser", lambda: "somebody")
    monkeypatch.setattr(platform, "node", lambda: "my-laptop")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(home / "hub"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "/scratch/somebody/on/my-laptop")
    sections = {section.title: dict(section.rows) for section in surroundings()}
    text = str(sections)
    assert "somebody" not in text
    assert "my-laptop" not in text
    assert sections["folders"]["torch hub"] == f"{Path('~/hub/checkpoints')}, not there yet"
    assert sections["devices"]["set"].endswith("CUDA_VISIBLE_DEVICES=/scratch/USER/on/HOST")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ann/x and /home/ann", "~/x and ~"),
        ("/home/anna/x", "/home/anna/x"),
        ("/data/ann/x", "/data/USER/x"),
        ("two\n lines", "two lines"),
        ("ann is a word", "ann is a word"),
    ],
)
def test_paths_lose_the_home_and_the_user(monkeypatch, text, shown):
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ann"))
    monkeypatch.setattr(getpass, "getuser", lambda: "ann")
    monkeypatch.setattr(platform, "node", lambda: "host")
    assert private(text) == shown


def test_weights_and_folders_that_are_here_are_found(here, monkeypatch):
    from torchvision.models import ResNet18_Weights

    hub, face = here / "hub", here / "face"
    (hub / "checkpoints").mkdir(parents=True)
    (hub / "checkpoints" / ResNet18_Weights.IMAGENET1K_V1.url.rpartition("/")[2]).write_bytes(b"x" * 3_000_000)
    (hub / "checkpoints" / "other.pth").write_bytes(b"")
    (face / "models--timm--convnext_tiny.fb_in22k" / "snapshots" / "abc").mkdir(parents=True)
    (face / "models--timm--convnext_tiny.fb_in22k" / "snapshots" / "abc" / "model.safetensors").write_bytes(b"")
    (face / "models--timm--resnet18.a1_in1k" / "refs").mkdir(parents=True)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(face))
    sections = {section.title: dict(section.rows) for section in surroundings()}
    weights = sections["weights on this machine"]
    assert weights["resnet18@IMAGENET1K_V1"] == "torch hub, 3 MiB"
    assert set(weights) == {"embedded", "resnet18@IMAGENET1K_V1", "timm/convnext_tiny.fb_in22k"}
    assert sections["folders"]["torch hub"].endswith("checkpoints, writable")


def test_what_cannot_be_told_says_why(monkeypatch):
    monkeypatch.setattr("interp.cli.surroundings._weights", lambda: 1 / 0)
    assert [section.rows for section in surroundings()][-1] == (("not told", "ZeroDivisionError: division by zero"),)


def test_an_absent_extra_is_told_with_its_remedy(monkeypatch):
    really = metadata.version

    def version(name: str) -> str:
        if name in ("timm", "captum"):
            raise metadata.PackageNotFoundError(name)
        return really(name)

    monkeypatch.setattr(metadata, "version", version)
    packages = {section.title: dict(section.rows) for section in surroundings()}["packages"]
    assert packages["timm"] == "absent: `pip install 'interp[timm]'` brings it"
    assert packages["captum"] == "ABSENT, but needed"


def test_a_torch_that_cannot_be_loaded_is_told(capsys, monkeypatch):
    really = builtins.__import__

    def without(name, *rest, **more):
        if name == "interp.zoo.device":
            raise ImportError("libtorch.so: cannot open")
        return really(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert run(["doctor", "--text"]) == 1
    rows = told(capsys)
    assert rows["not told"] == rows["not told"].strip() == "ImportError: libtorch.so: cannot open"
    assert rows["verify"].startswith("FAILS")


def changed_kernels(monkeypatch, model):
    kernels = interp.kernels.of(model, "stem.conv")
    other = replace(kernels, weights=kernels.weights * 1.001)
    monkeypatch.setattr("interp.kernels.of", lambda *_: other)


def changed_activations(monkeypatch, model):
    really = interp.activations.of

    def shifted(*given):
        # Those of the first layer are what the kernels are tested by.
        return {
            n: found if n == "stem.conv" else replace(found, maps=np.roll(found.maps, 1, axis=2)) for n, found in really(*given).items()
        }

    monkeypatch.setattr("interp.activations.of", shifted)


def changed_ascent(monkeypatch, model):
    from interp import featurevis

    really = featurevis.visualize
    monkeypatch.setattr(
        "interp.featurevis.visualize", lambda *given, **more: [replace(f, final=f.final * 2) for f in really(*given, **more)]
    )


def changed_gradcam(monkeypatch, model):
    really = interp.gradcam.of

    def positive(*given):
        return [{name: replace(h, values=np.maximum(h.values, 0)) for name, h in maps.items()} for maps in really(*given)]

    monkeypatch.setattr("interp.attribution.gradcam.of", positive)


def changed_runs(monkeypatch, model):
    from interp.proof import proof
    from interp.proof.verdict import Verdict

    really = proof.against
    monkeypatch.setattr(proof, "against", lambda *runs: replace(really(*runs), verdict=Verdict.WITHIN, reason="by a hair"))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("kernels", changed_kernels, "the two sides are"),
        ("activations", changed_activations, "the two sides are"),
        ("visualize", changed_ascent, "the two sides are"),
        ("gradcam", changed_gradcam, "the two sides are"),
        ("verify", changed_runs, "made twice is within tolerance: by a hair"),
    ],
)
def test_a_mission_that_is_wrong_here_is_found_and_no_other(model, monkeypatch, name, change, said):
    change(monkeypatch, model)
    outcomes = {outcome.name: outcome for outcome in self_tests("cpu")}
    assert [other for other, outcome in outcomes.items() if not outcome.passed] == [name]
    assert said in outcomes[name].reason


def test_an_error_in_a_test_is_its_reason_and_the_exit_code_is_1(here, capsys, monkeypatch):
    def broken(*_: object) -> None:
        raise OSError(28, "No space left\n on device")

    monkeypatch.setitem(TESTS, "gradcam", ("an equation", broken))
    assert run(["doctor", "--text"]) == 1
    rows = told(capsys)
    assert rows["gradcam"].startswith("FAILS (an equation): OSError: [Errno 28] No space left on device")
    assert rows["verify"].startswith("OK, ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "tpu"], "no device 'tpu'"),
        (["--device", "cuda:9"], "device 'cuda:9' does not exist on this machine"),
        (["--devise", "cpu"], "--devise"),
    ],
)
def test_a_device_that_is_not_here_is_one_line(capsys, words, said):
    assert run(["doctor", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_nothing_is_left_of_the_tests(model):
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.module.modules())
    assert all(outcome.passed for outcome in self_tests("cpu"))
    assert sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.module.modules()) == hooks == 0
    assert not model.module.training


def test_bytes_in_words():
    assert [in_words(n) for n in (0, 300 << 20, 3 << 29)] == ["0 MiB", "300 MiB", "1.5 GiB"]


def test_a_gpu_says_what_it_can(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (60 << 30, 80 << 30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Big GPU")
    for generation, said in ((9, "TF32 there, off while runs are made"), (7, "float32 exact, no TF32")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, generation=generation: (generation, 0))
        monkeypatch.setattr("interp.core.support.has_fast_bf16", lambda device, generation=generation: generation >= 8)
        text = str(support(torch.device("cuda:1")))
        assert text.startswith(f"Big GPU, compute {generation}.0, CUDA ")
        assert "80.0 GiB, 60.0 GiB free" in text
        assert said in text
        assert ("bfloat16 fast" in text) == (generation >= 8)
