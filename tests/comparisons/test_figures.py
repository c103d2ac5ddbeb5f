"""Figures as data: which values are drawn, on which scale, under which words; no pixel needed."""

import numpy as np
import pytest

from interp.activations import Activations, Rank
from interp.comparisons import activations, features, gradcam, kernels
from interp.comparisons.scaling import ScaleBy, number, scale_for, span
from interp.comparisons.subjects import Subject
from interp.core.method import Heatmap
from interp.core.unit import Unit
from interp.featurevis import Feature
from interp.figures import EmptyPanel, ImagePanel, Kind, MapPanel, TilePanel
from interp.kernels import Kernels, Order

RNG = np.random.default_rng(0)
VIEW = RNG.random((12, 12, 3), dtype=np.float32)
CAT = Subject("cat", VIEW, Unit("fc", 3), "tabby", Unit("fc", 3), "tabby", 0.625)


def values(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def test_signed_values_get_a_scale_around_zero_and_positive_ones_start_there():
    assert (scale_for([np.array([-3.0, 1.0])], "a").low, scale_for([np.array([-3.0, 1.0])], "a").high) == (-3, 3)
    assert (scale_for([np.array([0.5, 2.0])], "a").low, scale_for([np.array([0.5, 2.0])], "a").high) == (0, 2)


def test_numbers_are_short_and_have_a_true_minus():
    assert number(-0.00012345) == "\u22120.000123"
    assert span(np.array([-1.0, 2.5])) == "\u22121 to 2.5"


def test_overlays_are_divided_by_their_own_largest_magnitude_and_say_it():
    heatmap = Heatmap(np.array([[2.0, -4.0]], dtype=np.float32), Unit("fc", 3), "Grad-CAM", "conv")
    panel = gradcam.overlay(heatmap, CAT)
    assert panel.values.tolist() == [[0.5, -1.0]]
    assert (panel.scale.low, panel.scale.high, panel.sublabel) == (-1, 1, "max |\u00b7| 4")


def test_a_zero_map_is_said_to_be_one():
    panel = gradcam.overlay(Heatmap(np.zeros((2, 2), dtype=np.float32), Unit("fc", 3), "Grad-CAM", "conv"), CAT)
    assert panel.note == "zero map"


@pytest.mark.parametrize("by", [ScaleBy.LAYER, ScaleBy.SHARED])
def test_raw_units_share_a_scale_over_a_column_or_the_figure(by):
    maps = [{"a": np.float32([[1, -2]]), "b": np.float32([[10, 0]])}, {"a": np.float32([[5, 0]]), "b": np.float32([[0, -20]])}]
    found = [{k: Heatmap(v, Unit("fc", 3), "Grad-CAM", k) for k, v in m.items()} for m in maps]
    grid = gradcam.figure([CAT, CAT], found, {"a": "a", "b": "b"}, by)
    highs = [[panel.scale.high for panel in row[1:]] for row in grid.rows]
    assert highs == ([[5, 20], [5, 20]] if by is ScaleBy.LAYER else [[20, 20], [20, 20]])
    assert np.array_equal(grid.rows[1][2].values, maps[1]["b"])
    assert grid.rows[0][0].label == "tabby 62%"


def test_activations_are_the_strongest_channels_of_that_photograph():
    maps = np.zeros((2, 5, 3, 3), dtype=np.float32)
    maps[0, :, 1, 1] = [1, 5, 2, 4, 3]
    maps[1, :, 0, 0] = [9, 0, 0, 0, 0]
    found = {"conv": Activations("conv", "conv", "Conv2d", maps)}
    grid = activations.figure(CAT, 0, found, count=3, rank=Rank.MAX)
    assert [row[0].label for row in grid.rows[1:]] == ["conv:1", "conv:3", "conv:4"]
    assert np.array_equal(grid.rows[0][0].values, maps[0].mean(0))
    assert grid.rows[0][0].sublabel == "88.9% zeros"
    named = activations.figure(CAT, 1, found, channels={"conv": [2, 0]})
    assert [row[0].label for row in named.rows[1:]] == ["conv:2", "conv:0"]


def test_first_layers_are_colour_tiles_and_deep_ones_outputs_by_inputs():
    first = kernels.panel(Kernels("conv", "Conv2d", values(6, 3, 5, 5)), most=4)
    assert isinstance(first, TilePanel)
    assert first.tiles.shape == (4, 5, 5, 3)
    deep = Kernels("deep", "Conv2d", values(4, 5, 3, 3))
    panel = kernels.panel(deep)
    assert isinstance(panel, TilePanel)
    assert panel.columns == 5
    assert np.array_equal(panel.tiles[5 * 2 + 3], deep.weights[2, 3].astype(np.float64))
    assert panel.scale is not None
    assert panel.scale.kind is Kind.DIVERGING


def test_filters_by_norm_come_largest_first():
    weights = np.stack([np.full((1, 3, 3), k, dtype=np.float32) for k in (1, 3, 2)])
    panel = kernels.panel(Kernels("dw", "Conv2d", weights, 3), Order.NORM)
    assert [float(tile[0, 0]) for tile in panel.tiles] == [3, 2, 1]


def test_linear_layers_are_a_matrix():
    weights = values(7, 4, 1, 1)
    panel = kernels.panel(Kernels("fc", "Linear", weights))
    assert isinstance(panel, MapPanel)
    assert np.array_equal(panel.values, weights[:, :, 0, 0].astype(np.float64))


def test_silent_units_are_said_not_drawn():
    def feature(dead: bool) -> Feature:
        return Feature(Unit("conv", 1), VIEW, np.zeros(2, dtype=np.float32), 0.0, dead)

    assert isinstance(features.panel(feature(False)), ImagePanel)
    silent = features.panel(feature(True))
    assert isinstance(silent, EmptyPanel)
    assert "conv:1 stayed silent" in silent.reason


def shown(unit: str, **options: object) -> features.Shown:
    return features.Shown(Feature(Unit.parse(unit), VIEW, np.zeros(2, dtype=np.float32), 2.5, False), **options)


def test_below_an_image_stands_its_ratio_to_photographs_or_its_score():
    assert features.shown_panel(shown("conv:1")).sublabel == "score 2.5"
    assert features.shown_panel(shown("conv:1", ratio=2.34)).sublabel == "2.34x photographs"
    assert features.shown_panel(shown("conv:1", ratio=-0.5)).sublabel == "score 2.5", "a share of a negative score says nothing"


def test_a_failed_check_is_marked_with_the_first_and_how_many_more():
    one = features.shown_panel(shown("conv:1", ratio=0.5, flags=("below photographs",)))
    assert one.sublabel == "0.5x photographs\n! below photographs"
    assert features.shown_panel(shown("conv:1", flags=("below photographs", "grey", "fragile"))).sublabel.endswith(
        "! below photographs (+2)"
    )


def test_few_units_of_several_layers_stand_in_columns():
    found = {"a": [shown("a:1"), shown("a:2")], "b": [shown("b:7")]}
    (grid,) = features.sheets(found, "Images")
    assert (grid.column_headers, grid.row_headers, grid.title) == (("a", "b"), ("unit 1", "unit 2"), "Images")
    assert [[getattr(panel, "label", None) for panel in row] for row in grid.rows] == [["a:1", "b:7"], ["a:2", None]]


def test_many_layers_are_turned_over_eight_columns_at_a_time():
    pages = features.sheets({f"layer{k}": [shown(f"layer{k}:0")] for k in range(11)}, "Images")
    assert [page.column_headers for page in pages] == [tuple(f"layer{k}" for k in range(8)), ("layer8", "layer9", "layer10")]
    assert [page.title for page in pages] == ["Images, 1 of 2", "Images, 2 of 2"]


def test_many_units_stand_in_rows_of_eight_and_pages_of_sixty_four():
    pages = features.sheets({"conv": [shown(f"conv:{k}") for k in range(150)]}, "Images")
    assert [(len(page.rows), page.columns) for page in pages] == [(8, 8), (8, 8), (3, 8)]
    labels = [panel.label for page in pages for panel in page.panels() if isinstance(panel, ImagePanel)]
    assert labels == [f"conv:{k}" for k in range(150)]
    assert sum(isinstance(panel, EmptyPanel) for panel in pages[2].panels()) == 2
    assert pages[0].column_headers == ()


def test_a_layer_with_many_units_beside_one_with_few_gets_no_column():
    (grid,) = features.sheets({"a": [shown("a:0")], "b": [shown(f"b:{k}") for k in range(9)]}, "Images")
    assert [panel.label for panel in grid.rows[0]] == ["a:0", *(f"b:{k}" for k in range(4))], "ten images: two rows of five"


def test_a_silent_unit_in_a_sheet_is_words():
    silent = features.Shown(Feature(Unit("conv", 1), VIEW, np.zeros(2, dtype=np.float32), 0.0, True), flags=("dead",))
    assert isinstance(features.shown_panel(silent), EmptyPanel)
