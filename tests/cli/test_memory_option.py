"""``--memory``: recorded, the same results from smaller batches; and what is no size, or too little, in one line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from interp.cli import run
from interp.cli.options import ModelOptions
from interp.errors import InterpError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_maps_under_a_limit_are_those_without_and_the_limit_is_recorded(here, monkeypatch):
    from interp.attribution import onepass

    sizes: list[int] = []
    really = onepass._explained
    monkeypatch.setattr(onepass, "_explained", lambda model, images, *rest: sizes.append(len(images)) or really(model, images, *rest))
    small = ["--formats", "png", "--dpi", "30", "--layers", "stage2.block1"]
    assert run(["gradcam", "embedded", "cat", "coffee", "rocket", "--out", "free", *small]) == 0
    assert sizes == [3]
    sizes.clear()
    assert run(["gradcam", "embedded", "cat", "coffee", "rocket", "--out", "tight", "--memory", "1.5MB", *small]) == 0
    assert sizes == [1, 1, 1, 1]  # the first is measured
    free, tight = load_file("free/arrays.safetensors"), load_file("tight/arrays.safetensors")
    assert free.keys() == tight.keys()
    for name, values in free.items():
        np.testing.assert_allclose(tight[name], values, rtol=1e-4, atol=1e-5 * float(np.abs(values).max()))
    assert [json.loads((here / name / "manifest.json").read_text())["config"]["loading"]["memory"] for name in ("free", "tight")] == [
        None,
        "1.5MB",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--memory", "lots"], "--memory 'lots' is no size: write a number and its unit, such as 500MB or 4GB"),
        (["--memory", "4"], "--memory '4' is no size"),
        (["--memory", "10kB"], "--memory 10kB is too small: give at least 1MB"),
        (
            ["--memory", "1MB"],
            "one image takes about 2.5MB in 'embedded' here, more than the memory limit of 1MB: give --memory 2.5MB or more",
        ),
    ],
)
def test_what_is_no_memory_or_too_little_is_one_line(here, capsys, words, said):
    assert run(["gradcam", "embedded", "cat", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"interp: {said}")
    assert err.count("\n") == 1
    assert list(here.iterdir()) == []


def test_kernels_take_no_limit(here, capsys):
    assert run(["kernels", "embedded", "--memory", "500MB"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "interp: --memory 500MB: no image goes through the network for its kernels: leave it out\n")
    assert list(here.iterdir()) == []


def test_the_size_is_read_where_options_are_made():
    with pytest.raises(InterpError, match=r"--memory '4 apples' is no size"):
        ModelOptions(memory="4 apples")


@pytest.mark.parametrize(("name", "said"), [("tpu", "no device 'tpu'"), ("cuda:9", "device 'cuda:9' does not exist on this machine")])
def test_verify_refuses_a_device_before_it_makes_anything(here, capsys, monkeypatch, name, said):
    assert run(["kernels", "embedded", "--layers", "stem.conv", "--formats", "png", "--dpi", "30", "--out", "results/k"]) == 0
    capsys.readouterr()
    monkeypatch.setattr("interp.proof.proof.prove", lambda *_: pytest.fail("it was made again"))
    assert run(["verify", "--device", name]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
