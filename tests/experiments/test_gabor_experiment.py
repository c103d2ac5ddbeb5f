"""The script on Gabor-like first-layer filters: its numbers are those of the fits, and its run verifies."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from interp.cli.options import SaveOptions
from interp.comparisons.gabor import filters, ranks
from interp.errors import Unsupported
from interp.figures import CurvePanel, MapPanel
from interp.kernels import gabor, of
from interp.kernels.noise import Null
from interp.runs import verify
from interp.zoo import load

SCRIPT = Path(__file__).parents[2] / "experiments" / "gabor_first_layer.py"


@pytest.fixture
def main(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("gabor_first_layer", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gabor_first_layer", script)
    spec.loader.exec_module(script)
    monkeypatch.setattr(gabor, "DRAWS", 19)
    return lambda **options: script.main(script.Config(saving=SaveOptions(out=tmp_path / "run", formats=("png",)), **options))


def test_trained_filters_stand_beside_noise_and_random_weights(main, tmp_path):
    main()
    out = tmp_path / "run"
    assert verify(out).ok
    arrays, told = load_file(out / "arrays.safetensors"), json.loads((out / "metrics.json").read_text())["gabor"]
    assert arrays["r2/trained"].shape == arrays["r2/random"].shape == (32,)
    assert arrays["r2/noise-permutation"].shape == (19,)
    plane = arrays["planes"][4]
    assert gabor.fit(plane).r2 == arrays["r2/trained"][4]
    assert told["noise_95"]["initialization"] == pytest.approx(np.quantile(arrays["r2/noise-initialization"], 0.95))
    assert told["r2_median"] > 0.9 > 0.45 > told["r2_median_random"]


def test_figures_show_the_best_and_the_worst(monkeypatch):
    monkeypatch.setattr(gabor, "DRAWS", 9)
    found = gabor.of(of(load("embedded"), "stem.conv"))
    order = np.argsort(-found.r2, kind="stable")
    grid = filters(found, "title")
    assert [len(row) for row in grid.rows] == [8] * 4
    first, fitted = grid.rows[0][0], grid.rows[1][0]
    assert isinstance(first, MapPanel)
    assert first.label.split(",")[0] == str(order[0])
    np.testing.assert_allclose(first.values, found.planes[order[0]] / np.abs(found.planes[order[0]]).max())
    assert fitted.label.startswith(f"R² {found.r2[order[0]]:.2f}")
    (panel,) = ranks(found, np.array([0.1, 0.3]), "title").rows[0]
    assert isinstance(panel, CurvePanel)
    assert panel.controls == (False, False, True, True)
    lines = dict(panel.series)
    assert (lines["trained"][0], lines["random weights"][-1]) == (found.r2.max(), 0.1)
    assert lines["noise: permuted"][50] == np.median(found.noise[Null.PERMUTATION])


def test_small_kernels_are_refused_and_nothing_is_written(main, tmp_path):
    with pytest.raises(Unsupported, match=r"kernels of 'stage1.block1.conv' are 3x3"):
        main(layer="stage1.block1.conv")
    assert not (tmp_path / "run").exists()
