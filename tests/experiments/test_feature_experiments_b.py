"""The scripts on ways between units, dreams and inversions, and accentuation: whole runs, and one true claim of each."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from interp.cli.options import SaveOptions
from interp.comparisons.accentuation import Accented
from interp.comparisons.accentuation import figure as accentuation_figure
from interp.comparisons.canvas import canvas
from interp.comparisons.controls import noise_like, scrambled
from interp.comparisons.dreams import DREAM, INVERSION, Answer
from interp.comparisons.dreams import figure as dreams_figure
from interp.comparisons.interpolation import Way
from interp.comparisons.interpolation import figure as interpolation_figure
from interp.core.depth import spread
from interp.core.rng import generator
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import Fourier
from interp.featurevis.quality import radial
from interp.figures import CurvePanel, ImagePanel, MapPanel
from interp.images import array, sample
from interp.report.product import Product
from interp.runs import verify
from interp.zoo import load

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def product_of(monkeypatch, tmp_path):
    """Run a script in this process: its Product (as given to the writer), metrics and arrays; the run verifies."""

    def run(name, **options) -> tuple[Product, dict, dict]:
        spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
        script = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, script)
        spec.loader.exec_module(script)
        made, publish = [], script.publish

        def keeping(experiment, config, loaded, make, **rest):
            def kept(*given):
                made.append(make(*given))
                return made[-1]

            return publish(experiment, config, loaded, kept, **rest)

        monkeypatch.setattr(script, "publish", keeping)
        out = tmp_path / name
        script.main(script.Config(saving=SaveOptions(out=out), **options))
        assert verify(out).ok
        return made[0], json.loads((out / "metrics.json").read_text()), load_file(out / "arrays.safetensors")

    return run


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return rng.random((3, 16, 16, 3), dtype=np.float32)


def test_along_the_way_the_first_unit_falls_silent_and_the_second_speaks_up(product_of):
    product, metrics, arrays = product_of("interpolation", layers=("stage2.block2",), count=3, steps=12, size=48)
    (found,) = metrics["interpolation"].values()
    assert [Unit.parse(unit).layer for unit in found["units"]] == ["stage2.block2"] * 2
    for name in ("separate", "shared, aligned"):
        first, second = found[name]["first"], found[name]["second"]
        assert first[0] > first[-1]
        assert second[-1] > second[0]
        images = arrays[f"stage2.block2/{name}/images"] / 255
        assert images.shape == (3, 48, 48, 3)
        assert found[name]["jump"] == pytest.approx(np.abs(np.diff(images, axis=0)).mean(), abs=0.005)
        assert np.array_equal(arrays[f"stage2.block2/{name}/activations"], np.array([first, second], np.float32))
    assert found["shared, aligned"]["jump"] < found["separate"]["jump"]
    (drawn,) = product.figures
    assert drawn.grid.row_headers == ("separate", "shared, aligned")
    assert drawn.grid.column_headers == ("0%", "50%", "100%", "answers")


def test_the_units_on_the_way_are_those_that_tell_the_photographs_apart(product_of):
    _, metrics, _ = product_of("interpolation", layers=("stem",), count=2, steps=1, size=32)
    model = load("embedded")
    outputs, _ = model.capture(["stem"], model.preprocess([sample("cat"), sample("coffee")]), truncate=True)
    cat, coffee = outputs["stem"].mean((2, 3))
    expected = [f"stem:{int((cat - coffee).argmax())}", f"stem:{int((coffee - cat).argmax())}"]
    assert metrics["interpolation"]["stem"]["units"] == expected


def test_a_way_needs_two_photographs(tmp_path, product_of):
    for name in "abc":
        (tmp_path / "many").mkdir(exist_ok=True)
        from PIL import Image

        Image.new("RGB", (64, 64)).save(tmp_path / "many" / f"{name}.png")
    with pytest.raises(InterpError, match="`images` are 4 photographs: give two"):
        product_of("interpolation", images=("cat", str(tmp_path / "many")))
    assert not (tmp_path / "interpolation").exists()


def test_the_ways_figure_holds_both_answers(pictures):
    way = Way(pictures, np.array([3.0, 2.0, 0.0], np.float32), np.array([0.0, 1.0, 4.0], np.float32))
    grid = interpolation_figure({"one": way}, (Unit("stem", 5), Unit("stem", 7)), "T")
    (row,) = grid.rows
    assert [(p.label, p.sublabel) for p in row[:3]] == [("5: 3", "7: 0"), ("5: 2", "7: 1"), ("5: 0", "7: 4")]
    assert isinstance(row[3], CurvePanel)
    assert [(name, ys.tolist()) for name, ys in row[3].series] == [("channel 5", [3, 2, 0]), ("channel 7", [0, 1, 4])]
    assert row[3].x_range == (0, 1)
    assert way.jump == pytest.approx((np.abs(pictures[1] - pictures[0]).mean() + np.abs(pictures[2] - pictures[1]).mean()) / 2, rel=1e-5)


def test_dreams_grow_and_inversions_come_nearer_than_noise(product_of):
    product, metrics, arrays = product_of("dreams_and_inversions", images=("cat",), depth=3, steps=24, dream_steps=8, size=48)
    layers = [layer.name for layer in spread(load("embedded"), 3)]
    found = metrics["dreams"]
    assert set(found) == {f"cat/{way}/{layer}" for way in ("DeepDream", "inversion", "caricature") for layer in layers}
    for layer in layers:
        assert found[f"cat/DeepDream/{layer}"]["value"] > 1
        inversion, caricature = found[f"cat/inversion/{layer}"], found[f"cat/caricature/{layer}"]
        assert inversion["value"] < inversion["random"]
        assert caricature["value"] > caricature["random"]
    (drawn,) = product.figures
    assert drawn.grid.row_headers == ("DeepDream", "inversion", "caricature")
    assert drawn.grid.column_headers == ("photograph", *layers)
    photo = arrays["cat/photograph"]
    assert all(np.array_equal(row[0].pixels * 255, photo) for row in drawn.grid.rows)
    assert np.array_equal(drawn.grid.rows[1][2].pixels, arrays[f"cat/inversion/{layers[1]}"] / np.float32(255))
    near, far = (np.abs(arrays[f"cat/{way}/{layers[-1]}"] / 255 - photo / 255).mean() for way in ("DeepDream", "inversion"))
    assert near < far, "the dream starts from the photograph, the inversion from noise"


def test_what_is_measured_of_a_way_is_relative_to_the_photograph(pictures):
    scores = np.array([2.0, 6.0, 1.0], np.float32)
    assert DREAM.measured(scores).tolist() == [1, 3, 0.5]
    assert INVERSION.measured(np.array([0.0, -0.25, -4.0], np.float32)).tolist() == [0, 0.5, 2]
    grid = dreams_figure(pictures[0], {INVERSION: {"stem": Answer(pictures[1], 0.25, 1.5)}}, "T", "ant 9%")
    panels = [(p.label, p.sublabel) for p in grid.rows[0]]
    assert panels == [("ant 9%", "target"), ("distance 0.25", "random 1.5")]


def test_accentuation_raises_the_class_and_the_distance_holds_the_image_near(product_of):
    product, metrics, arrays = product_of("accentuate", distances=(0.0, 40.0), steps=12, size=48)
    found = metrics["accentuated"]
    names = [name.removesuffix("/photograph") for name in found if name.endswith("/photograph")]
    assert len(names) == 2
    for name in names:
        before, free, held = (found[f"{name}/{key}"] for key in ("photograph", "0", "40"))
        assert free["logit"] > before["logit"]
        assert free["logit"] > free["random_logit"]
        assert held["logit"] > before["logit"]
        assert before["distance"] < 1e-3 < held["distance"] < free["distance"]
        assert arrays[f"{name}/0/logits"].shape == (12,)
    (drawn,) = product.figures
    assert drawn.grid.column_headers == ("photograph", "weight 0", "weight 40")
    kinds = [[type(panel) for panel in row] for row in drawn.grid.rows]
    assert kinds == [[ImagePanel] * 3, [CurvePanel, MapPanel, MapPanel]] * 2
    assert [header for header in drawn.grid.row_headers if header != "difference"] == [
        f"more {n}" for n in sorted(names, key=_order(drawn))
    ]


def _order(drawn):
    return lambda name: drawn.grid.row_headers.index(f"more {name}")


def test_a_class_may_be_named(product_of):
    _, metrics, _ = product_of("accentuate", target="goldfish", distances=(1.0,), steps=2, size=32)
    model = load("embedded")
    assert f"goldfish ({model.class_unit('goldfish').channel})/1" in metrics["accentuated"]


def test_the_difference_is_that_of_brightness_on_one_scale(pictures):
    one = Accented(pictures[1], 2.0, 0.5, 0.25, -1.0, np.array([0.0, 1.0], np.float32))
    before = Accented(pictures[0], 1.0, 0.25, 0.0, None, np.zeros(0, np.float32))
    grid = accentuation_figure(pictures[0], {"ant": before}, {"ant": [one]}, [3.0], "T")
    assert (grid.rows[0][0].label, grid.rows[0][0].sublabel) == ("logit 1.0, 25.0%", "distance 0.00")
    assert grid.rows[0][1].sublabel == "distance 0.25\nrandom: logit \u22121.0"
    change = pictures[1].mean(2) - pictures[0].mean(2)
    assert np.allclose(grid.rows[1][1].values, change)
    assert grid.rows[1][1].scale.high == pytest.approx(np.abs(change).max())


def test_random_changes_have_the_spectrum_of_the_change_and_stay_pictures():
    rng = np.random.default_rng(1)
    photo = np.full((32, 32, 3), 0.5, np.float32)
    image = photo + (0.05 * rng.standard_normal((32, 32, 3))).astype(np.float32)
    random = scrambled(photo, image, generator(0, "x"), 4)
    assert random.shape == (4, 32, 32, 3)
    assert np.array_equal(random, np.rint(random * 255).astype(np.float32) / 255)
    for one in random:
        amplitude, wanted = (np.abs(np.fft.rfft2(i - photo, axes=(0, 1))) for i in (one, image))
        assert np.corrcoef(amplitude.ravel(), wanted.ravel())[0, 1] > 0.99
        assert abs(np.corrcoef((one - photo).ravel(), (image - photo).ravel())[0, 1]) < 0.2
    noise = noise_like(np.clip(image, 0, 1), generator(0, "y"), 2)
    assert np.allclose(noise.mean((1, 2)), image.mean((0, 1)), atol=0.005)
    assert np.abs(radial(noise[0]).log_amplitude - radial(image).log_amplitude).mean() < 0.05
    assert np.array_equal(noise, noise_like(np.clip(image, 0, 1), generator(0, "y"), 2))


def test_a_canvas_is_what_the_model_sees_at_the_size_asked():
    model = load("embedded")
    started, given = canvas(model, sample("cat"), Fourier(decay=1.5), (96, 96))
    assert np.abs(array(given)[0] - model.preprocess.view(sample("cat"), 96)).max() <= 0.5 / 255 + 1e-6
    (tensor,) = started.start((96, 96), [generator(0, "z")], "cpu")
    assert float((started.image([tensor], (96, 96)) - given).detach().abs().max()) < 0.01
