"""The scripts on drawn shapes: whole runs with hardly trained networks, and what must hold of them however good these are."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from interp.attribution.registry import method
from interp.cli.options import SaveOptions
from interp.comparisons.contenders import Limits
from interp.comparisons.networks import agreement, differences, grouped, joined, merged
from interp.comparisons.parts import OnDistractors, OnGround, OnObject, areas, parts
from interp.comparisons.scored import Judge, Scored
from interp.core.method import Heatmap
from interp.errors import InterpError
from interp.figures import CurvePanel, EmptyPanel, ImagePanel, IntervalPanel, MapPanel
from interp.metrics.localization import relevance_mass
from interp.metrics.registry import metric
from interp.report.compare import product as compare_product
from interp.report.comparison import Asked
from interp.report.networks import examined_alike
from interp.report.product import Product, silent
from interp.report.truth import examined, facts, narrowed, of_known, said, verdicts
from interp.runs import verify
from interp.synthetic import EASY, ShapeOptions, Split, Truth, draw, truth
from interp.synthetic.network import model_of, untrained

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SHAPES = ShapeOptions(difficulty=EASY)
FEW = {"training_images": 96, "plain_images": 96, "epochs": 1, "held_out": 60}


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
def model():
    """Knows nothing, and is right on about one picture in eight."""
    return model_of(untrained(SHAPES), SHAPES)


@pytest.fixture(scope="module")
def known(model) -> Truth:
    return truth(model, SHAPES, 60).correct.first(4)


@pytest.fixture(scope="module")
def found(model, known):
    asked = Asked((method("saliency"), method("gradcam")), ("stage2.1",), (metric("relevance-mass"), metric("mask-auc")))
    return of_known(model, known, 0.5, asked, Limits(), silent)


def test_ground_truth_is_that_of_held_out_pictures(product_of):
    product, metrics, arrays = product_of(
        "ground_truth", images=4, maps=4, methods=("saliency", "gradcam"), metrics=("pointing-game", "relevance-mass"), **FEW
    )
    names = sorted({key.split("/")[1] for key in arrays if key.startswith("pictures/")})
    assert len(names) == metrics["truth"]["n_images"] == 4
    for name in names:
        label, index = name.split("-")
        drawn = draw(replace(SHAPES, size=(48, 48), difficulty=ShapeOptions().difficulty), [int(index)], split=Split.HELD_OUT)
        assert drawn.names[int(drawn.labels[0])] == label == metrics["predictions"][name]["prediction"]
        assert np.array_equal(arrays[f"masks/{name}"], drawn.masks[0])
        assert np.array_equal(arrays[f"pictures/{name}"], drawn.tensor[0].numpy())
    masks = np.stack([arrays[f"masks/{name}"] for name in names]).astype(bool)
    maps = np.stack([arrays[f"maps/{name}/random"] for name in names])
    assert metrics["truth"]["area_share"] == pytest.approx(masks.mean())
    assert metrics["truth"]["random_mass"]["mean"] == pytest.approx(relevance_mass(maps, masks).mean())
    assert not any(key.startswith("weights/") for key in arrays)  # the manifest has their digest
    assert {"gradcam@stage1.1", "gradcam@stage2.1", "saliency", "random", "sobel"} <= set(metrics["metrics"])
    assert [figure.stem for figure in product.figures[:3]] == ["parts", "where", "methods"]
    assert f"Objects cover {masks.mean():.1%} of the area" in product.numbers[0].text


def test_the_parts_are_every_pixel_once_and_take_all_of_a_map(found, known):
    assert (sum(mask.astype(int) for mask in parts(known).values()) == 1).all()
    shares = areas(known)
    assert np.allclose(np.nansum([shares[kind] for kind in (OnObject, OnDistractors, OnGround)], axis=0), 1)
    values = {judge.title: rows for judge, rows in found.parts.values.items()}
    for contender in found.comparison.contenders:
        rows = [np.nan_to_num(values[kind.title][contender]) for kind in (OnObject, OnDistractors, OnGround)]
        maps = np.stack([h.resized((64, 64)).values for h in found.comparison.attributed.maps[contender]])
        assert np.allclose(sum(rows)[maps.max((1, 2)) > 0], 1)
        assert np.allclose(rows[0], np.nan_to_num(relevance_mass(maps, known.masks)))


def test_a_map_worse_than_random_is_named(found):
    made = found.comparison
    random, saliency = (next(c for c in made.contenders if c.title == title) for title in ("Random", "Saliency"))
    judge = next(j for j in made.scored.values if j.title == "Relevance mass accuracy")

    def with_saliency_at(level):
        rows = {c: np.full(4, level if c == saliency else 0.2 if c == random else 0.9) for c in made.contenders}
        return replace(found, comparison=replace(made, scored=Scored({judge: rows}, ())))

    (better,) = verdicts(with_saliency_at(0.3))
    assert (better.metric, better.random.mean, better.no_better) == ("Relevance mass accuracy", pytest.approx(0.2), ())
    (worse,) = verdicts(with_saliency_at(0.1))
    assert [name for name, _ in worse.no_better] == ["Saliency"]
    assert "last in 1 of 1 localization metrics: Relevance mass accuracy" in said(with_saliency_at(0.3))[1]
    assert (
        said(with_saliency_at(0.1))[2]
        == "In Relevance mass accuracy it scores 0.200 [0.200, 0.200]; no better: Saliency 0.100 [0.100, 0.100]."
    )
    assert facts(with_saliency_at(0.1))["random_last"]["Relevance mass accuracy"]["last"] is False
    other = Judge(metric("sparseness").make())
    with pytest.raises(InterpError, match=r"there is no localization metric, or no random control, to judge by"):
        verdicts(replace(found, comparison=replace(made, scored=Scored({other: made.scored.values[judge]}, ()))))


def test_a_random_map_that_is_biased_on_every_picture_does_not_hold_the_share_of_the_area(found, known):
    """By 15 % of areas that differ by more than that, so that the interval of the mean mass holds the mean area all the same."""
    area = areas(known)[OnObject]
    (judge,) = [judge for judge in found.parts.values if judge.title == OnObject.title]

    def with_random_at(masses):
        rows = {c: masses if c.title == "Random" else area for c in found.comparison.contenders}
        return replace(found, parts=Scored({judge: rows}, ()))

    biased, fair = with_random_at(1.15 * area), with_random_at(area + 0.001 * np.array([1, -1, 1, -1]))
    mass = facts(biased)["random_mass"]
    assert mass["low"] <= area.mean() <= mass["high"]
    assert mass["minus_area_share"]["mean"] == pytest.approx(0.15 * area.mean())
    assert not mass["holds_area_share"]
    assert said(biased)[0].endswith("the interval does not hold 0.")
    assert facts(fair)["random_mass"]["holds_area_share"]
    assert said(fair)[0].endswith("the interval holds 0.")


def test_a_figure_of_many_methods_is_divided(found, monkeypatch):
    made = found.comparison
    (whole,) = [figure for figure in compare_product(made).figures if figure.stem == "methods"]
    assert narrowed(whole, made) == [whole]
    monkeypatch.setattr("interp.report.truth.MOST_COLUMNS", 4)
    first, second = narrowed(whole, made)
    assert (first.stem, second.stem) == ("methods-1", "methods-2")
    assert first.grid.column_headers + second.grid.column_headers[1:] == whole.grid.column_headers
    assert first.grid.rows[1] + second.grid.rows[1][1:] == whole.grid.rows[1]
    assert second.grid.title == f"{whole.grid.title} (2 of 2)"
    monkeypatch.setattr("interp.report.truth.MOST_COLUMNS", 2)
    captions = [figure.grid.caption for figure in narrowed(whole, made)]
    assert ["controls" in caption for caption in captions] == [False, True, True]


def test_a_tied_background_is_drawn_and_told_in_the_pictures(model):
    tied = ShapeOptions(correlation=1.0, difficulty=EASY)
    asked = Asked((method("saliency"),), (), (metric("relevance-mass"),))
    other = examined(model, truth(model, tied, 40), 2, asked, Limits(), silent)
    drawn = draw(tied, other.known.indices, split=Split.HELD_OUT)
    assert np.array_equal(drawn.tensor.numpy(), other.known.images.numpy())
    assert [texture == tied.backgrounds[label] for texture, label in zip(drawn.backgrounds, drawn.labels, strict=True)] == [True, True]


def test_attention_stands_in_the_place_of_its_block(product_of):
    product, metrics, arrays = product_of(
        "attention_vs_gradcam",
        images=3,
        methods=("gradcam", "gradient-rollout"),
        layers=("blocks.0", "blocks.2"),
        metrics=("mask-auc",),
        **FEW,
    )
    attended = [f"blocks.{k}" for k in range(4)]
    assert metrics["layers"] == attended
    assert {key for key in metrics["methods"] if "@" in key} == {f"attention@{b}" for b in attended} | {
        "gradcam@blocks.0",
        "gradcam@blocks.2",
    }
    name = next(iter(metrics["predictions"]))
    assert arrays[f"maps/{name}/attention@blocks.3"].shape == (6, 6)
    assert arrays[f"maps/{name}/attention@blocks.3"].sum() <= 1 + 1e-5
    assert "parts/Mass on the object/attention@blocks.3" in arrays
    layers = next(figure.grid for figure in product.figures if figure.stem.startswith("layers-"))
    assert [header.split("\n")[0] for header in layers.row_headers] == attended
    assert layers.column_headers[1:] == ("Attention", "Grad-CAM")
    assert [isinstance(row[2], EmptyPanel) for row in layers.rows] == [False, True, False, True]
    (curves,) = [figure.grid for figure in product.figures if figure.stem == "depth"]
    panel = next(p for p in curves.panels() if isinstance(p, CurvePanel))
    assert panel.ticks == tuple(attended)
    assert np.isfinite(panel.series[0][1]).all()


def test_both_networks_see_the_same_pictures(product_of):
    product, metrics, arrays = product_of(
        "convnet_vs_transformer",
        **FEW | {"held_out": 240, "training_images": 480},
        images=3,
        convnet_epochs=1,
        methods=("saliency", "gradcam"),
        metrics=("relevance-mass",),
    )
    keys = {
        name: {key.split("/")[2] for key in arrays if key.startswith(f"{name}/maps/")} for name in ("ConvNet", "Transformer", "yardstick")
    }
    assert keys["ConvNet"] == keys["Transformer"] == keys["yardstick"]
    picture = next(iter(keys["ConvNet"]))
    assert np.array_equal(arrays[f"ConvNet/maps/{picture}/sobel"], arrays[f"Transformer/maps/{picture}/sobel"])
    assert not np.array_equal(arrays[f"ConvNet/maps/{picture}/saliency"], arrays[f"Transformer/maps/{picture}/saliency"])
    assert len({network["sha256"] for network in metrics["networks"].values()}) == 3
    maps = product.figures[0].grid
    assert maps.row_headers == ("picture", "Saliency", "Grad-CAM")
    assert [header.split("\n")[1] for header in maps.column_headers[:2]] == ["ConvNet", "Transformer"]
    assert [type(row[0]) for row in maps.rows] == [ImagePanel, MapPanel, MapPanel]
    panel = product.figures[3].grid.rows[0][0]
    assert isinstance(panel, IntervalPanel)
    assert panel.names[:3] == tuple(f"Saliency: {pair}" for pair in ("ConvNet and Transformer", "two of ConvNet", "other pictures"))
    assert panel.controls[:3] == (False, False, True)


def test_a_network_agrees_with_itself_and_differs_in_nothing(found):
    table = found.comparison.table(found.comparison.leading)
    maps = {c.title: found.comparison.attributed.maps[c] for c in found.comparison.leading if not c.control}
    same = agreement(maps, maps)
    assert np.allclose(same.values, 1)
    change = differences(table, table)
    assert [entry.method for entry in change.entries] == ["Saliency", "Grad-CAM"]
    assert (change.values == 0).all()
    both = merged({"a": table, "b": table})
    assert [entry.method for entry in both.entries[:4]] == ["Saliency (a)", "Saliency (b)", "Grad-CAM (a)", "Grad-CAM (b)"]
    assert sum(entry.control for entry in both.entries) == 4


def test_maps_of_other_pictures_are_those_of_the_next_one(found):
    ramp = [np.roll(np.arange(16.0), k).reshape(4, 4) for k in range(4)]
    unit = found.known.units[0]
    first, second = ({"A": [Heatmap(values, unit, "A") for values in maps]} for maps in (ramp, ramp[-1:] + ramp[:-1]))
    assert np.allclose(agreement(first, second, shift=1).values, 1)
    assert (agreement(first, second).values < 1).all()
    small = {"A": [Heatmap(np.kron(values, np.ones((2, 2))), unit, "A") for values in ramp]}
    assert (agreement(first, small).values > 0.9).all()
    table = joined({"same": agreement(first, first), "other": agreement(first, second)}, ["other"])
    panel = grouped(table, ["A"], "T").rows[0][0]
    assert panel.names == ("A: same", "A: other")
    assert panel.controls == (False, True)
    assert panel.reference == 0


def test_networks_are_judged_where_all_are_right(model):
    drawn = truth(model, SHAPES, 40)
    right = sorted(drawn.indices[: drawn.n_correct])
    # Another network, right on the first of these and on pictures that the first network gets wrong.
    order = [right[0], *(index for index in drawn.indices if index not in right), *right[1:]]
    rows = [drawn.indices.index(index) for index in order]
    other = replace(
        drawn,
        images=drawn.images[rows],
        masks=drawn.masks[rows],
        distracting=drawn.distracting[rows],
        labels=drawn.labels[rows],
        units=tuple(drawn.units[row] for row in rows),
        indices=tuple(order),
        n_correct=3,
    )
    asked = dict.fromkeys("ab", Asked((method("saliency"),), (), (metric("relevance-mass"),)))
    models = dict.fromkeys("ab", model)
    made = examined_alike(models, {"a": drawn, "b": other}, asked, 5, Limits(), silent)
    assert made["a"].known.indices == made["b"].known.indices == (right[0],)
    assert made["a"].known.images.equal(made["b"].known.images)
    assert [one.accuracy for one in made.values()] == [len(right) / 40, 3 / 40]
    apart = replace(other, indices=tuple(order[1:] + order[:1]), n_correct=2)
    with pytest.raises(InterpError, match=r"no picture is classified correctly by all networks: train them for longer"):
        examined_alike(models, {"a": drawn, "b": apart}, asked, 5, Limits(), silent)
