"""The script on a first layer while it learns, and what is measured there: windows, filters, a scale in common."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from interp.cli.options import ModelOptions, SaveOptions
from interp.comparisons.learning import LEARNED_FROM, Course, Lessons, filters, windows
from interp.errors import InterpError
from interp.figures import TilePanel
from interp.images import Photo
from interp.kernels import Kernels, of
from interp.kernels.correlation import neighbour_correlation
from interp.runs import verify
from interp.zoo import load

SCRIPT = Path(__file__).parents[2] / "experiments" / "learning_first_layer.py"


def halves(name: str, left: int, right: int) -> Photo:
    """One grey where networks learn from, another where they are tested."""
    pixels = np.full((80, 160, 3), left, np.uint8)
    pixels[:, round(LEARNED_FROM * 160) :] = right
    return Photo(name, pixels, "")


@pytest.fixture
def run(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("learning_first_layer", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "learning_first_layer", script)
    spec.loader.exec_module(script)

    def made(name, **options):
        out = tmp_path / name
        script.main(script.Config(saving=SaveOptions(out=out, formats=("png",)), **options))
        assert verify(out).ok
        return json.loads((out / "metrics.json").read_text())["learning"], load_file(out / "arrays.safetensors")

    return made


def test_both_ways_start_from_the_same_weights_and_part(run):
    metrics, arrays = run("one", images=("cat", "coffee"), steps=4, batch=8, tested=8, moments=3)
    assert metrics["in their order"]["steps"] == metrics["scrambled"]["steps"] == [0, 2, 4]
    untrained = of(load("embedded", random_weights=True, seed=0), "stem.conv").weights
    for way in ("in their order", "scrambled"):
        assert np.array_equal(arrays[f"filters/{way}/0"], untrained)
        assert not np.array_equal(arrays[f"filters/{way}/4"], untrained)
        smooth = [float(np.median(neighbour_correlation(arrays[f"filters/{way}/{step}"]))) for step in (0, 2, 4)]
        assert metrics[way]["moran_i"] == pytest.approx(smooth)
    assert not np.array_equal(arrays["filters/in their order/4"], arrays["filters/scrambled/4"])
    ready = of(load("embedded"), "stem.conv").weights
    assert metrics["as it is"]["moran_i"] == pytest.approx(float(np.median(neighbour_correlation(ready))))


def test_the_same_seed_learns_the_same_and_another_does_not(run):
    short = {"images": ("cat", "coffee"), "steps": 1, "batch": 4, "tested": 4, "moments": 2}
    first, again, other = (run(f"{k}", loading=ModelOptions(seed=seed), **short)[1] for k, seed in enumerate((1, 1, 2)))
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert not np.array_equal(first["filters/in their order/1"], other["filters/in their order/1"])


def test_no_window_of_the_test_shows_what_is_learned_from():
    photos = [halves("a", 40, 50), halves("b", 200, 210)]
    for held_out, greys in ((False, (40, 200)), (True, (50, 210))):
        images, labels = windows(photos, 6, 16, torch.Generator().manual_seed(0), held_out=held_out)
        assert labels.tolist() == [0, 1, 0, 1, 0, 1]
        for image, label in zip(images, labels, strict=True):
            assert torch.allclose(image, torch.tensor(greys[label] / 255), atol=1e-5)


def test_each_photograph_has_a_window():
    with pytest.raises(InterpError, match=r"1 windows of 2 photographs: give at least one of each"):
        windows([halves("a", 0, 0), halves("b", 0, 0)], 1, 16, torch.Generator(), held_out=False)


@pytest.mark.parametrize(("name", "value"), [("steps", 0), ("batch", 1), ("side", 8), ("tested", 0), ("moments", 1)])
def test_numbers_out_of_range_are_named(name, value):
    with pytest.raises(InterpError, match=rf"`{name}` is {value}: give at least"):
        Lessons(**{name: value})


def test_neighbours_of_a_ramp_are_alike_and_those_of_a_checkerboard_opposite():
    ramp = np.tile(np.arange(7.0), (1, 3, 7, 1))
    rows, cols = np.indices((7, 7))
    checker = np.broadcast_to((-1.0) ** (rows + cols), (1, 3, 7, 7))
    noise = np.random.default_rng(0).standard_normal((200, 3, 7, 7))
    assert neighbour_correlation(ramp)[0] > 0.7
    assert neighbour_correlation(checker)[0] == pytest.approx(-1, abs=0.05)
    assert abs(neighbour_correlation(noise).mean()) < 0.03
    assert neighbour_correlation(np.ones((1, 3, 7, 7))) == [0]
    assert neighbour_correlation(5 * ramp + 3) == pytest.approx(neighbour_correlation(ramp))


def test_before_and_after_share_a_scale():
    weak, strong = (Kernels("stem", "Conv2d", np.full((2, 3, 3, 3), value, np.float32)) for value in (0.1, 0.4))
    course = Course()
    course.look(0, weak, 0.5)
    course.look(8, strong, 0.5)
    grid = filters({"in their order": course}, weak, "T")
    (before, after, ready), (_, added, _) = grid.rows
    assert all(isinstance(panel, TilePanel) for panel in (before, after, ready, added))
    assert np.allclose(before.tiles, 0.5 + 0.5 * 0.1 / 0.4)
    assert np.allclose(after.tiles, 1)
    assert np.allclose(ready.tiles, 1), "the network as it is has a scale of its own"
    assert before.sublabel.endswith("\u00b10.4")
    assert added.sublabel.endswith("\u00b10.3")
    assert np.allclose(course.added.weights, 0.3)
    assert (before.label, added.label) == ("Moran's I 0", "Moran's I 0")
