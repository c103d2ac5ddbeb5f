"""The experiments of feature visualization, run whole with few steps: verified runs, figures as promised, a true claim each."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from interp import runs
from interp.cli.options import ModelOptions, SaveOptions
from interp.comparisons.ablation import spectra
from interp.comparisons.faces import gram_cosines, likeness_panel, mean_of_pairs, pairwise
from interp.comparisons.feature_grids import judged
from interp.comparisons.race import along, ascent, best_rate
from interp.comparisons.race import schedules as courses_of
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import Channel, Diversity, Feature
from interp.featurevis.quality import Natural, radial, score_of
from interp.figures import CurvePanel, EmptyPanel, Grid, ImagePanel, MapPanel
from interp.report import product
from interp.zoo import load

SCRIPTS = Path(__file__).parents[2] / "experiments"


@dataclass(frozen=True)
class Finished:
    """A run as it lies on the disk, and the product it was written from."""

    folder: Path
    product: Any
    metrics: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def grids(self) -> dict[str, Grid]:
        return {figure.stem: figure.grid for figure in self.product.figures}


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"experiments_{name}", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Finished]:
    """Runs a script in this process, each configuration once."""
    done: dict[str, Finished] = {}

    def run(name: str, **options: Any) -> Finished:
        key = f"{name} {options}"
        if key not in done:
            folder, products = tmp_path_factory.mktemp(name) / "run", []
            write = product.write

            def spy(made: Any, *rest: Any) -> None:
                products.append(made)
                write(made, *rest)

            module = script(name)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(product, "write", spy)
                module.main(module.Config(images=("cat", "coffee"), size=32, saving=SaveOptions(out=folder), **options))
            metrics = json.loads((folder / "metrics.json").read_text())
            done[key] = Finished(folder, products[0], metrics, load_file(folder / "arrays.safetensors"))
        return done[key]

    return run


@pytest.fixture
def ablation(finished):
    return finished("regularization_ablation", depth=2, steps=24, tv=2.0)


@pytest.fixture
def faces(finished):
    return finished("diversity", depth=1, steps=16, pictures=3, strengths=(4.0,))


@pytest.fixture
def ascents(finished):
    return finished("optimizers_and_schedules", depth=1, steps=4, moments=3)


@pytest.fixture
def engines(finished):
    return finished("engines", depth=2, steps=4)


def test_each_script_writes_a_run_that_verifies_and_opens_with_its_question(ablation, faces, ascents, engines):
    for run in (ablation, faces, ascents, engines):
        assert runs.verify(run.folder).ok
        assert (run.folder / "index.html").is_file()
        assert run.folder.name == "run"
        assert not [key for key in json.dumps(run.metrics).split('"') if "seconds" in key or "timing" in key]
    for name in ("regularization_ablation", "diversity", "optimizers_and_schedules", "engines"):
        module = script(name)
        assert module.__doc__ is not None
        assert module.__doc__.split("\n\n")[0].endswith("?")


def test_ablation_shows_every_unit_under_every_recipe_with_its_score_and_ratio(ablation):
    table, grid = ablation.metrics["table"], ablation.grids["ablation"]
    assert grid.column_headers == ("none", "jitter", "total variation", "frequency", "all together")
    assert list(table) == sorted(grid.row_headers)
    for unit, row in zip(grid.row_headers, grid.rows, strict=True):
        for column, panel in zip(grid.column_headers, row, strict=True):
            cell = table[unit][column]
            assert np.array_equal(np.rint(panel.pixels * 255), ablation.arrays[f"features/{unit}, {column}/image"])
            ratio = cell["score"] / cell["natural"]["maximum"]
            assert panel.sublabel.split("\n") == [f"score {cell['score']:.3g}", f"{ratio:.3g}x photographs"]


def test_each_remedy_does_what_it_is_for(ablation):
    for unit, cells in ablation.metrics["table"].items():
        image = {column: ablation.arrays[f"features/{unit}, {column}/image"].astype(float) / 255 for column in cells}
        varied = {c: sum(np.abs(np.diff(i, axis=axis)).mean() for axis in (0, 1)) for c, i in image.items()}
        assert {c: cell["total_variation"] for c, cell in cells.items()} == pytest.approx(varied, rel=1e-4)
        assert varied["total variation"] < 0.95 * varied["none"]
        assert cells["frequency"]["spectrum"]["slope"] < cells["none"]["spectrum"]["slope"]


def test_spectra_have_a_line_per_recipe_and_that_of_photographs(ablation):
    (panels,) = ablation.grids["spectra"].rows
    assert [panel.label for panel in panels] == list(ablation.grids["ablation"].row_headers)
    for panel in panels:
        assert [name for name, _ in panel.series] == [*ablation.grids["ablation"].column_headers, "photographs"]


def test_a_power_law_is_a_straight_line_on_the_axes_named():
    noise = np.random.default_rng(0).standard_normal((64, 64, 3))
    spectrum = radial(noise)
    power = replace(spectrum, log_amplitude=-1.5 * spectrum.log_frequency)
    ((panel,),) = spectra({"a": {"law": power}}, "").rows
    ((_, ys),) = panel.series
    low, high = np.log10(panel.x_range)
    assert np.allclose(ys, -1.5 * np.linspace(low, high, len(ys)))
    assert panel.x_range == pytest.approx(np.exp(spectrum.log_frequency[[0, -1]]))


def test_faces_stand_in_rows_with_their_own_scores_and_likeness(faces):
    (grid,) = faces.grids.values()
    assert grid.column_headers == ("image 1", "image 2", "image 3", "SSIM", "Gram cosine")
    assert grid.row_headers == ("3 seeds", "diversity, weight 4")
    ((unit, rows),) = faces.metrics["faces"].items()
    for header, row in zip(grid.row_headers, grid.rows, strict=True):
        assert [p.sublabel.split("\n")[0] for p in row[:3]] == [f"score {score:.3g}" for score in rows[header]["scores"]]
        assert row[3].scale == row[4].scale
        for panel, name in zip(row[3:], ("mean_ssim", "mean_gram_cosine"), strict=True):
            assert np.allclose(np.diag(panel.values), 1)
            assert rows[header][name] == pytest.approx(panel.values[np.triu_indices(3, 1)].mean())
    assert f"features/{unit}, 3 seeds, 3/image" in faces.arrays


def test_diversity_makes_images_less_alike_at_a_price(faces):
    ((_, rows),) = faces.metrics["faces"].items()
    assert rows["diversity, weight 4"]["mean_gram_cosine"] < rows["3 seeds"]["mean_gram_cosine"] - 0.05
    assert rows["diversity, weight 4"]["mean_score"] < rows["3 seeds"]["mean_score"]


def test_the_gram_cosine_is_that_of_the_objective():
    model = load("embedded", random_weights=True, seed=1)
    pictures = np.random.default_rng(1).random((3, 32, 32, 3)).astype(np.float32)
    pictures[2] = pictures[0]
    found = gram_cosines(model, "stage1.block1", pictures)
    assert found[0, 2] == pytest.approx(1)
    terms = score_of(model, Diversity("stage1.block1", 3), pictures)
    assert -terms == pytest.approx((found.sum(1) - 1) / 2, abs=1e-5)


def test_curves_and_images_have_the_ways_of_the_script(ascents):
    module = script("optimizers_and_schedules")
    curves, optimizers, schedules = (ascents.grids[name] for name in ("curves", "optimizers", "schedules"))
    widths = ascents.metrics["optimizers"]
    chosen = tuple(f"{name} at {widths[name]['width']:g}" for name in module.OPTIMIZERS)
    assert optimizers.column_headers == chosen
    assert schedules.column_headers == tuple(courses_of(0.05))
    assert curves.row_headers == optimizers.row_headers == schedules.row_headers
    ((left, right),) = curves.rows
    assert [name for name, _ in left.series] == ["largest on photographs", *chosen]
    assert [name for name, _ in right.series] == ["largest on photographs", *schedules.column_headers]
    (unit,) = curves.row_headers
    for name, ys in (*left.series[1:], *right.series[1:]):
        points = ascents.metrics["curves"][unit][name]
        assert points["steps"][0] == 0
        assert points["steps"][-1] == left.x_range[1] == 4
        assert ys[points["steps"]] == pytest.approx(points["scores"])
    assert len({points["scores"][0] for points in ascents.metrics["curves"][unit].values()}) == 1, "one start for all"


def test_the_width_shown_is_the_best_of_those_that_do_not_saturate(ascents):
    for numbers in ascents.metrics["optimizers"].values():
        sound = {width: n for width, n in numbers["widths"].items() if n["most_saturation"] <= 0.25} or numbers["widths"]
        assert float(max(sound, key=lambda width: sound[width]["mean_share"])) == numbers["width"]
        assert all(n["mean_share"] <= 1 + 1e-6 for n in numbers["widths"].values())


def test_saturated_widths_are_passed_over_unless_all_are():
    def one(value: float, score: float) -> list[Feature]:
        return [Feature("u", np.full((8, 8, 3), value, np.float32), np.zeros(2, np.float32), score, False)]

    assert best_rate({0.1: one(0.5, 1.0), 0.2: one(0.5, 2.0), 0.4: one(1.0, 3.0)}, [4.0])[0] == 0.2
    assert best_rate({0.1: one(0.0, 1.0), 0.4: one(1.0, 3.0)}, [4.0])[0] == 0.4


def test_each_frame_of_a_film_is_scored_at_its_moment():
    model, objective = load("embedded", random_weights=True, seed=1), Channel(Unit("stem.conv", 3))
    film = np.random.default_rng(2).integers(0, 256, (5, 32, 32, 3), np.uint8)
    feature = Feature("u", np.zeros((32, 32, 3), np.float32), np.zeros(2, np.float32), 0.0, False, film=film)
    points = along(model, objective, feature, 9, 5)
    assert list(points) == [0, 1, 2, 5, 9]
    assert list(points.values()) == pytest.approx([float(score_of(model, objective, f[None] / np.float32(255))[0]) for f in film], abs=1e-5)


def test_a_course_needs_a_film_of_two_moments():
    module = script("optimizers_and_schedules")
    with pytest.raises(InterpError, match="`moments` is 1: a curve has at least 2, its start and its end"):
        module.main(module.Config(moments=1))
    feature = Feature("u", np.zeros((8, 8, 3), np.float32), np.zeros(2, np.float32), 0.0, False)
    with pytest.raises(InterpError, match="'u' was optimized without a film: give `films`"):
        along(load("embedded", random_weights=True, seed=1), Channel(Unit("stem", 3)), feature, 8, 4)


def test_both_engines_show_the_same_units_by_one_measurement(engines):
    (grid,) = engines.grids.values()
    assert grid.row_headers == ("lucent", "interp")
    for name, row in zip(grid.row_headers, grid.rows, strict=True):
        found = engines.metrics["engines"][name]
        assert set(found["images"]) == set(grid.column_headers) == set(found["flags"])
        for unit, panel in zip(grid.column_headers, row, strict=True):
            assert panel.sublabel.startswith(f"score {found['images'][unit]['score']:.3g}\n")
            assert panel.pixels.shape == (32, 32, 3)
        assert found["median_score"] == pytest.approx(np.median([q["score"] for q in found["images"].values()]))
    first, second = (engines.metrics["engines"][name]["images"] for name in grid.row_headers)
    assert all(first[unit]["natural"]["maximum"] == second[unit]["natural"]["maximum"] for unit in first)


def test_times_are_told_and_not_kept(finished, capsys):
    run = finished("engines", depth=1, steps=1)
    told = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in told[:2]] == ["lucent", "interp"]
    assert all(line.endswith("1 steps each") for line in told[:2])
    again = finished("engines", depth=1, steps=1, loading=ModelOptions())
    assert run.metrics == again.metrics, "what is written is the same again"
    assert all(np.array_equal(run.arrays[name], again.arrays[name]) for name in run.arrays)


def test_silent_units_are_words_and_signs_are_kept():
    feature = Feature("u", np.full((8, 8, 3), 0.5, np.float32), np.zeros(2, np.float32), 0.0, False)
    assert isinstance(judged(replace(feature, dead=True), 0.0, None), EmptyPanel)
    shown = judged(feature, -2.0, Natural(0.5, "cat", None))
    assert isinstance(shown, ImagePanel)
    assert shown.sublabel == "score \N{MINUS SIGN}2\n\N{MINUS SIGN}4x photographs"
    assert judged(feature, 1.0, Natural(-1.0, "cat", None)).sublabel == "score 1", "no ratio where photographs stay below 0"


def test_likeness_is_symmetric_and_its_mean_leaves_the_diagonal_out():
    values = pairwise([1.0, 2.0, 4.0], lambda a, b: 1 - abs(a - b) / 4)
    assert np.array_equal(values, values.T)
    assert mean_of_pairs(values) == pytest.approx((0.75 + 0.25 + 0.5) / 3)
    panel = likeness_panel(values)
    assert isinstance(panel, MapPanel)
    assert panel.sublabel == "mean of pairs 0.5"


def test_a_course_is_straight_between_its_moments():
    panel = ascent({"a": {0: 0.0, 1: 2.0, 4: 5.0}}, Natural(3.0, "cat", None))
    assert isinstance(panel, CurvePanel)
    assert panel.series[0][1].tolist() == [3.0] * 5
    assert panel.series[1][1].tolist() == [0.0, 2.0, 3.0, 4.0, 5.0]
