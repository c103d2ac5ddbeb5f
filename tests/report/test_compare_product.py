"""The products of compare and attribute, end to end on a small network: arrays, numbers, files and figures say the same."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from interp.attribution import METHODS, GradCAM, RandomMap, Saliency
from interp.attribution.registry import method
from interp.comparisons.contenders import Limits
from interp.comparisons.subjects import subjects
from interp.core.choices import Choice
from interp.core.method import Family, Heatmap, Place
from interp.core.unit import Unit
from interp.errors import InterpError, UnknownName, Unsupported
from interp.figures import CurvePanel, EmptyPanel, ImagePanel, IntervalPanel, KeyPanel, MapPanel, MatrixPanel
from interp.images import Photo
from interp.metrics.evidence import Evidence
from interp.metrics.registry import metric
from interp.metrics.statistics import bootstrap_interval
from interp.report import attribute as single
from interp.report.compare import compare
from interp.report.comparison import Asked
from interp.report.product import Numbers, Product, silent, write
from interp.report.standard import contending
from interp.runs import Machine, Program, Run, verify
from interp.site import Table
from interp.zoo import load

METRICS = ("sparseness", "deletion:n_steps=4", "relevance-mass")
CONTROLS = ["Random", "|Input|", "Sobel edges", "Centre Gaussian"]
KEYS = [
    "saliency",
    "gradcam@conv1",
    "gradcam@conv2",
    "layercam@conv1",
    "layercam@conv2",
    "random",
    "input-magnitude",
    "sobel",
    "centre-gaussian",
]
LIMITS = Limits(seed=4, batch_size=3)


@pytest.fixture(scope="module")
def photos() -> list[Photo]:
    rng = np.random.default_rng(0)
    return [Photo(name, rng.integers(0, 255, (14, 16, 3), dtype=np.uint8), name * 64) for name in "abc"]


def masks(photos: list[Photo]) -> tuple[np.ndarray, ...]:
    """The left half of each; nothing in the last."""
    found = [np.zeros(photo.size, dtype=bool) for photo in photos]
    for mask in found[:-1]:
        mask[:, :8] = True
    return tuple(found)


def asked(*methods: str, metrics: tuple[str, ...] = ("sparseness",), **more: object) -> Asked:
    return Asked(tuple(map(method, methods)), metrics=tuple(map(metric, metrics)), **more)


@pytest.fixture(scope="module")
def kept() -> list[Product]:
    return []


@pytest.fixture
def made(trap_model, photos, kept) -> Product:
    """One for all tests: the network has the same weights in each."""
    if kept:
        return kept[0]
    wanted = asked("saliency", "gradcam", "layercam", metrics=METRICS, layers=("conv*",), masks=masks(photos))
    kept.append(compare(trap_model, photos, wanted, LIMITS, silent))
    return kept[0]


def test_arrays_are_the_maps_the_values_and_the_masks(trap_model, photos, made):
    images, people = subjects(trap_model, photos)
    units = [person.unit for person in people]
    assert {name.split("/", 2)[2] for name in made.arrays if name.startswith("maps/")} == set(KEYS)
    for key, asked_again in {"saliency": Saliency(), "gradcam@conv2": GradCAM("conv2"), "random": RandomMap(4)}.items():
        heatmaps = asked_again(trap_model, images, units)
        for name, heatmap in zip("abc", heatmaps, strict=True):
            np.testing.assert_allclose(made.arrays[f"maps/{name}/{key}"], heatmap.values, rtol=1e-4, atol=1e-7)
        cropped = np.stack([made.arrays[f"masks/{name}"] for name in "abc"])
        evidence = Evidence(trap_model, images, tuple(units), tuple(heatmaps), asked_again, cropped)
        for text in METRICS:
            taken = metric(text).make(seed=4, batch_size=3)
            title = "Deletion AUC (n steps 4)" if "deletion" in text else taken.title
            np.testing.assert_allclose(made.arrays[f"metrics/{title}/{key}"], taken(evidence), rtol=1e-4, atol=1e-6)
    # 14 x 16 px come to 12 x 14, of which the middle 12 columns are seen: the left half ends in the middle.
    assert np.array_equal(made.arrays["masks/a"], np.tile(np.arange(12) < 6, (12, 1)))
    assert not made.arrays["masks/c"].any()
    assert np.isnan(made.arrays["metrics/Relevance mass accuracy/saliency"]).tolist() == [False, False, True]


def test_metrics_say_means_intervals_and_ranks_of_the_arrays(made):
    found = made.metrics["metrics"]
    assert list(found) == KEYS
    for key in KEYS:
        values = made.arrays[f"metrics/Relevance mass accuracy/{key}"]
        interval = bootstrap_interval(values, seed=4)
        cell = found[key]["Relevance mass accuracy"]
        assert (cell["mean"], cell["low"], cell["high"], cell["n"]) == (interval.mean, interval.low, interval.high, 2)
        assert found[key]["Sparseness (Gini)"]["rank"] is None, "it describes"
        assert found[key]["Deletion AUC (n steps 4)"]["rank"] >= 1
    assert made.metrics["layers"] == ["conv1", "conv2"]
    assert made.metrics["refused"] == made.metrics["left_out"] == {}
    assert made.metrics["methods"]["gradcam@conv1"]["source"] == GradCAM.source
    assert made.metrics["methods"]["gradcam@conv1"]["layer"] == "conv1"


def test_differences_to_the_random_map_are_taken_image_by_image(made):
    found = made.metrics["above_random"]
    assert list(found) == [key for key in KEYS if key != "random"]
    for key, cells in found.items():
        assert set(cells) == {"Relevance mass accuracy", "Deletion AUC (n steps 4)"}, "sparseness only describes"
        for title, cell in cells.items():
            values, random = (made.arrays[f"metrics/{title}/{one}"] for one in (key, "random"))
            interval = bootstrap_interval(values - random, seed=4)
            assert (cell["mean"], cell["low"], cell["high"]) == (interval.mean, interval.low, interval.high)


def test_files_hold_the_whole_table_with_the_controls(made):
    (numbers,) = made.numbers
    assert set(numbers.files) == {"metrics.md", "metrics.csv", "metrics.parquet"}
    lines = numbers.files["metrics.md"].decode().splitlines()
    assert len(lines) == 2 + len(KEYS) + 2
    assert all(any(line.startswith(f"| {name.replace('|', chr(92) + '|')} (control)") for line in lines) for name in CONTROLS)
    rows = list(csv.DictReader(io.StringIO(numbers.files["metrics.csv"].decode())))
    assert len(rows) == len(KEYS) * len(METRICS)
    for row in rows:
        key = next(k for k, said in made.metrics["methods"].items() if (said["method"], said["layer"]) == (row["method"], row["layer"]))
        assert float(row["mean"]) == made.metrics["metrics"][key][row["metric"]]["mean"]
        assert row["control"] == str(row["method"] in CONTROLS).lower()


def test_parquet_gives_the_arrays_back(made):
    table = pq.read_table(io.BytesIO(made.numbers[0].files["metrics.parquet"])).to_pylist()
    single_values = [row for row in table if row["statistic"] == "value"]
    assert len(single_values) == len(KEYS) * len(METRICS) * 3
    keys = {(said["method"], said["layer"]): key for key, said in made.metrics["methods"].items()}
    for row in single_values:
        value = made.arrays[f"metrics/{row['metric']}/{keys[row['method'], row['layer']]}"]["abc".index(row["image"])]
        assert (row["value"] is None) == bool(np.isnan(value))
        assert row["value"] is None or row["value"] == value
    assert {row["method"] for row in single_values if row["control"]} == set(CONTROLS)


def test_the_page_shows_the_deepest_layer_beside_the_controls_and_what_is_wrong_with_masks(made):
    (numbers,) = made.numbers
    assert [row[:2] for row in numbers.table.rows] == [
        ("Saliency", ""),
        ("Grad-CAM", "conv2"),
        ("LayerCAM", "conv2"),
        *((f"{name} (control)", "") for name in CONTROLS),
    ]
    assert numbers.table.quiet == {3, 4, 5, 6}
    assert "the mask of 'c' marks nothing: localization is not defined for it" in numbers.text
    assert [link.href for link in numbers.table.links] == list(numbers.files)


def test_figures_are_specs_with_the_expected_panels(made):
    figures = {figure.stem: figure for figure in made.figures}
    assert list(figures) == ["methods", "layers-a", "ranking", "agreement", "depth"]
    assert [figure.section for figure in made.figures] == ["Maps"] * 2 + ["Metrics"] * 2 + ["Depth"]
    columns = ("photograph", "Saliency", "Grad-CAM", "LayerCAM", *(f"{name}\n(control)" for name in CONTROLS))
    assert figures["methods"].grid.column_headers == columns
    assert figures["methods"].grid.row_headers == ("a", "b", "c")
    assert kinds(figures["methods"].grid) == [[ImagePanel] + [MapPanel] * 7] * 3
    assert figures["layers-a"].grid.column_headers == ("a", "Grad-CAM", "LayerCAM")
    assert figures["layers-a"].grid.row_headers == ("conv1\n6 ch, 12 x 12", "conv2\n5 ch, 5 x 5")
    assert kinds(figures["layers-a"].grid) == [[ImagePanel, MapPanel, MapPanel], [EmptyPanel, MapPanel, MapPanel]]
    ranked = [panel for row in figures["ranking"].grid.rows for panel in row if isinstance(panel, IntervalPanel)]
    assert len(ranked) == len(METRICS)
    assert all(sum(panel.controls) == 4 and "Random" in panel.names for panel in ranked)
    assert all(sum(matrix.controls) == 4 for matrix in figures["agreement"].grid.rows[0])
    assert kinds(figures["agreement"].grid) == [[MatrixPanel] * 3]
    curves = [panel for row in figures["depth"].grid.rows for panel in row]
    assert [type(panel) for panel in curves] == [CurvePanel] * 3 + [KeyPanel]
    assert curves[0].ticks == ("conv1", "conv2")
    assert curves[3].names == ("Grad-CAM", "LayerCAM", *CONTROLS)


def kinds(grid) -> list[list[type]]:
    return [[type(panel) for panel in row] for row in grid.rows]


def test_agreement_is_one_with_itself_and_symmetric(made):
    for panel in next(f for f in made.figures if f.stem == "agreement").grid.rows[0]:
        np.testing.assert_allclose(np.diag(panel.values), 1, atol=1e-6)
        np.testing.assert_array_equal(panel.values, panel.values.T)


def test_one_layer_has_neither_layers_nor_depth(trap_model, photos):
    found = compare(trap_model, photos[:1], asked("saliency", "gradcam:layer=conv1"), LIMITS, silent)
    assert [f.stem for f in found.figures] == ["methods", "ranking", "agreement"]
    cell = found.metrics["metrics"]["random"]["Sparseness (Gini)"]
    assert (cell["n"], cell["low"], cell["high"]) == (1, None, None), "one image tells no spread"
    ranked = compare(trap_model, photos[:1], asked("saliency", "gradcam:layer=conv1", metrics=("deletion:n_steps=4",)), LIMITS, silent)
    assert [cells[title]["rank"] for cells in ranked.metrics["metrics"].values() for title in cells] == [None] * 6
    assert not ranked.numbers[0].table.strong, "one image ranks nobody"


def test_masks_add_the_metrics_of_localization_to_the_standard_ones(trap_model, photos, monkeypatch):
    monkeypatch.setattr("interp.report.comparison.DEFAULT", ("sparseness",))
    found = compare(trap_model, photos, Asked((method("saliency"),), masks=masks(photos)), LIMITS, silent)
    named = {"Pointing game", "Relevance mass accuracy", "Relevance rank accuracy", "Sparseness (Gini)"}
    assert set(found.metrics["metrics"]["random"]) == named
    found = compare(trap_model, photos, Asked((method("saliency"),)), LIMITS, silent)
    assert set(found.metrics["metrics"]["random"]) == {"Sparseness (Gini)"}


@pytest.mark.parametrize("words", [("random",), ("random:seed=7", "saliency"), ("sobel", "saliency", "centre-gaussian")])
def test_controls_that_are_named_compete_once(trap_model, photos, words):
    found = compare(trap_model, photos, asked(*words), LIMITS, silent)
    titles = [row[0] for row in found.numbers[0].table.rows]
    assert sorted(titles) == sorted([f"{name} (control)" for name in CONTROLS] + ["Saliency"] * ("saliency" in words))
    assert "depth" not in [figure.stem for figure in found.figures]
    images, people = subjects(trap_model, photos[:1])
    seed = 7 if "random:seed=7" in words else 4
    assert np.array_equal(found.arrays["maps/a/random"], RandomMap(seed)(trap_model, images, [people[0].unit])[0].values)


def test_what_is_named_twice_competes_once(trap_model, photos):
    twice = asked(
        "gradcam", "gradcam:layer=conv2", "gradcam", "saliency", "saliency", metrics=("sparseness", "sparseness"), layers=("conv2",)
    )
    found = compare(trap_model, photos, twice, LIMITS, silent)
    assert [row[0] for row in found.numbers[0].table.rows][:2] == ["Grad-CAM", "Saliency"]
    assert list(found.metrics["metrics"]["saliency"]) == ["Sparseness (Gini)"]
    with pytest.raises(InterpError, match=r"2 methods are called 'RISE': they differ in seed or batch size only, so give one of them"):
        compare(trap_model, photos, asked("rise:seed=1", "rise:seed=2"), LIMITS, silent)
    with pytest.raises(InterpError, match=r"2 metrics are called 'Deletion AUC'"):
        compare(trap_model, photos, asked("saliency", metrics=("deletion:seed=1", "deletion")), LIMITS, silent)


@dataclass(frozen=True)
class Fussy:
    """Refuses this network."""

    name: ClassVar[str] = "fussy"
    title: ClassVar[str] = "Fussy"
    place: ClassVar[Place] = Place.LAYER
    family: ClassVar[Family] = Family.GRADIENT
    source: ClassVar[str] = "a test"

    layer: str

    def __call__(self, model, images, units) -> list[Heatmap]:
        raise Unsupported(f"no Fussy at '{self.layer}'")


def test_who_cannot_run_is_listed_on_the_page_unless_named(trap_model, photos, monkeypatch):
    monkeypatch.setattr("interp.report.standard.methods", lambda _: [Choice(Saliency), Choice(Fussy)])
    found = compare(trap_model, photos, asked(layers=("conv1", "conv2")), LIMITS, silent)
    assert found.metrics["refused"] == {"fussy@conv1": "no Fussy at 'conv1'", "fussy@conv2": "no Fussy at 'conv2'"}
    assert "Fussy at conv1 was left out: no Fussy at 'conv1'." in found.numbers[0].text
    assert [figure.stem for figure in found.figures] == ["methods", "ranking", "agreement"], "no layer has a map"
    with pytest.raises(Unsupported, match=r"no Fussy at 'conv1'"):
        compare(trap_model, photos, Asked((Choice(Fussy),), ("conv1",)), LIMITS, silent)


@pytest.mark.parametrize("name", [name for name, kind in METHODS.items() if kind.family is Family.ATTENTION])
def test_attention_that_is_named_is_refused_where_there_is_none(trap_model, photos, name):
    with pytest.raises(Unsupported, match=r"'TrapNet' has no attention layers: choose a CAM such as 'gradcam'"):
        compare(trap_model, photos, asked(name), LIMITS, silent)


def test_standard_metrics_that_do_not_fit_are_left_out_and_said(trap_model, photos, monkeypatch):
    monkeypatch.setattr("interp.report.comparison.DEFAULT", ("sparseness", "grid-pointing"))
    found = compare(trap_model, photos, Asked((method("saliency"),)), LIMITS, silent)
    why = "the metric 'grid-pointing' needs at least 4 images, not 3: give more"
    assert found.metrics["left_out"] == {"grid-pointing": why}
    assert f"Grid pointing game was left out: {why}." in found.numbers[0].text


def test_metrics_that_do_not_fit_are_told_before_any_map(trap_model, photos):
    with pytest.raises(InterpError, match=r"the metric 'pointing-game' needs to know where the objects are"):
        compare(trap_model, photos, asked("saliency", metrics=("pointing-game",)), LIMITS, fail)
    with pytest.raises(InterpError, match=r"the metric 'grid-pointing' needs at least 4 images, not 3"):
        compare(trap_model, photos, asked("saliency", metrics=("grid-pointing",)), LIMITS, fail)


def fail(*_: object) -> None:
    raise AssertionError("work has begun")


def test_a_network_without_finite_scores_is_told(trap_model, photos):
    with torch.no_grad():
        trap_model.module.fc.weight[:] = torch.nan
    for make in (lambda: compare(trap_model, photos, asked("gradcam"), LIMITS, silent), lambda: attributed(trap_model, photos, "gradcam")):
        with pytest.raises(InterpError, match=r"^'TrapNet' gives nan for picture 'a', no finite number"):
            make()


def test_standard_methods_and_layers_suit_the_network():
    model = load("embedded", random_weights=True)
    found, layers = contending(model, (), (), [Unit("fc", 3)], Limits())
    assert len({c.title for c in found}) >= 10
    assert len(layers) == 5
    assert not any(c.named for c in found)
    assert not any(c.method.family is Family.ATTENTION for c in found)
    assert {c.layer for c in found if c.title == "Grad-CAM"} == set(layers)
    alone, _ = contending(model, [method("conductance")], (), [Unit("fc", 3)], Limits())
    assert [c.layer for c in alone] == layers[-1:], "what takes a pass for each layer is shown at the deepest"
    early, _ = contending(model, [method("gradcam")], (), [Unit("stage2.block1", 0), Unit("fc", 3)], Limits())
    order = [layer.name for layer in model.layers]
    assert all(order.index(c.layer) < order.index("stage2.block1") for c in early), "layers at which every unit can be explained"
    with pytest.raises(InterpError, match=r"the method 'gradcam' works at a layer that fires before 'stem.conv': name one with --layers"):
        contending(model, [method("gradcam")], (), [Unit("stem.conv", 0)], Limits())
    with pytest.raises(UnknownName, match=r"no layer 'stage9'"):
        contending(model, [method("gradcam")], ("stage9",), [Unit("fc", 3)], Limits())


# Single maps


def attributed(
    model, photos, *methods: str, layers: tuple[str, ...] = (), files: tuple[str, ...] = (), target: Unit | None = None
) -> Product:
    return single.attribute(model, photos, single.Asked(tuple(map(method, methods)), layers, target, files=files), LIMITS, silent)


def test_single_maps_as_arrays_figures_and_files(trap_model, photos):
    found = attributed(
        trap_model, photos[:1], "gradcam", "occlusion:window=4", layers=("conv1", "conv2"), files=("npy", "png"), target=Unit("fc", 1)
    )
    keys = ["gradcam@conv1", "gradcam@conv2", "occlusion-window-4"]
    assert list(found.arrays) == [f"maps/a/{key}" for key in keys]
    assert set(found.files) == {f"{name}.{kind}" for name in found.arrays for kind in ("npy", "png")}
    for name, values in found.arrays.items():
        assert np.array_equal(np.load(io.BytesIO(found.files[f"{name}.npy"])), values)
        with Image.open(io.BytesIO(found.files[f"{name}.png"])) as picture:
            assert min(picture.size) > 200
            assert len(picture.getcolors(picture.width * picture.height)) > 50
    (figure,) = found.figures
    assert figure.grid.column_headers == ("photograph", "Grad-CAM at conv1", "Grad-CAM at conv2", "Occlusion (window 4)")
    said = found.metrics["maps"]["a/gradcam@conv2"]
    assert (said["unit"], said["layer"], said["method"], said["doubts"]) == ("fc:1", "conv2", "Grad-CAM", [])


def test_the_deepest_layer_unless_layers_are_named_one_way_or_the_other(trap_model, photos):
    deepest = attributed(trap_model, photos[:1], "gradcam")
    (name,) = deepest.arrays
    named = attributed(trap_model, photos[:1], "gradcam:layer=conv1", "gradcam:layer=conv2", "saliency")
    assert list(named.arrays) == ["maps/a/gradcam@conv1", "maps/a/gradcam@conv2", "maps/a/saliency"]
    both = attributed(trap_model, photos[:1], "gradcam", "gradcam:layer=conv1")
    assert set(both.arrays) == {name, "maps/a/gradcam@conv1"}


def test_numbers_of_a_map_that_are_not_finite_are_none_in_the_metrics(trap_model, photos, monkeypatch):
    def broken(self, model, images, units) -> list[Heatmap]:
        maps = [np.full((12, 12), np.nan, dtype=np.float32) for _ in units]
        return [Heatmap(v, u, self.title, measures=(("gap", float("nan")), ("one", 1.0))) for v, u in zip(maps, units, strict=True)]

    monkeypatch.setattr(Saliency, "__call__", broken)
    alone = attributed(trap_model, photos[:1], "saliency", files=("png",))
    assert alone.metrics["maps"]["a/saliency"]["measures"] == {"gap": None, "one": 1.0}
    found = compare(trap_model, photos, asked("saliency"), LIMITS, silent)
    assert found.metrics["methods"]["saliency"]["measures"]["a"] == {"gap": None, "one": 1.0}
    assert found.metrics["metrics"]["saliency"]["Sparseness (Gini)"]["mean"] is None
    assert ("Saliency", "not defined") in found.numbers[0].table.rows


def test_a_table_without_a_figure_has_a_section_too(made, tmp_path):
    table = Table(("metric",), (("0.125",),), "A caption.")
    bare = replace(made, figures=(), numbers=(Numbers("Alone", table, {"alone.csv": b"0.125"}, "Words before it."),))
    program, machine = Program("command", "test"), Machine("Linux x86_64", "a processor")
    with Run.create(tmp_path / "run", experiment="test", program=program, config=LIMITS, seed=0, machine=machine) as run:
        write(bare, run)
    shown = (tmp_path / "run" / "index.html").read_text()
    assert all(words in shown for words in ("Alone", "Words before it.", "0.125", "A caption."))
    assert (tmp_path / "run" / "alone.csv").read_bytes() == b"0.125"
    assert verify(tmp_path / "run").ok
