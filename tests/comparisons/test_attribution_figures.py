"""Comparisons of methods as data: which maps, on which scales, in which order, under which words."""

import numpy as np
import pytest

from interp.comparisons.agreement import agreement_figure
from interp.comparisons.attribution_grids import layers_by_methods, methods_by_images, warning
from interp.comparisons.depth_curves import Line, depth_curves, randomization_curves
from interp.comparisons.metric_table import Entry, Measure, MetricTable, Summary
from interp.comparisons.ranking import ranking
from interp.comparisons.scaling import ScaleBy
from interp.comparisons.subjects import Subject
from interp.core.method import Degeneration, Fault, Heatmap
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.figures import CurvePanel, EmptyPanel, Grid, ImagePanel, KeyPanel, Kind, MapPanel
from interp.metrics.evidence import Better

VIEW = np.random.default_rng(0).random((12, 12, 3), dtype=np.float32)
UNIT = Unit("fc", 3)
CAT, DOG = (Subject(name, VIEW, UNIT, "tabby", UNIT, "tabby", 0.625) for name in ("cat", "dog"))
ZERO = Degeneration(Fault.ZERO, "zero map", "Nothing.")


def heatmap(*values: float, faults: tuple[Degeneration, ...] = ()) -> Heatmap:
    return Heatmap(np.array([values], dtype=np.float32), UNIT, "m", "", (), faults)


FOUND = {
    "Random map": [heatmap(0.5, 0.25), heatmap(1.0, 0.0)],
    "Signed": [heatmap(4.0, 2.0), heatmap(-8.0, 2.0)],
    "Positive": [heatmap(2.0, 0.0), heatmap(0.0, 0.0, faults=(ZERO, Degeneration(Fault.SATURATED, "saturated", "")))],
}


def grid(**more: object) -> Grid:
    return methods_by_images([CAT, DOG], FOUND, ("Random map",), **more)


def clip(*values: float) -> float:
    return float(np.percentile(np.abs(values), 99))


def test_photographs_are_rows_methods_columns_and_controls_last():
    found = grid()
    assert found.column_headers == ("photograph", "Signed", "Positive", "Random map\n(control)")
    assert found.row_headers == ("cat", "dog")
    assert all(isinstance(row[0], ImagePanel) for row in found.rows)
    assert found.rows[0][0].sublabel == "tabby 62%\nfor tabby"
    assert "controls, which know nothing of the model" in found.caption


def test_a_column_has_one_kind_and_each_panel_its_own_clip():
    rows = grid().rows
    assert [[panel.scale.kind for panel in row[1:]] for row in rows] == [[Kind.DIVERGING, Kind.POSITIVE, Kind.POSITIVE]] * 2
    assert [(panel.scale.low, panel.scale.high) for panel in rows[0][1:]] == [(-1, 1), (0, 1), (0, 1)]
    np.testing.assert_allclose(rows[1][1].values, np.array([[-8.0, 2.0]]) / clip(8, 2))
    assert [panel.sublabel for panel in rows[1][1:]] == ["max |\u00b7| 8", "max |\u00b7| 0", "max |\u00b7| 1"]
    assert "divided by the 99th percentile of its magnitudes; colours run from \u22121 to 1 or 0 to 1" in grid().caption


def test_raw_scales_reach_the_largest_clip_of_a_row_or_of_the_figure():
    highs = [[panel.scale.high for panel in row[1:]] for row in grid(scale=ScaleBy.LAYER).rows]
    np.testing.assert_allclose(highs, [[clip(4, 2)] * 3, [clip(8, 2)] * 3])
    shared = grid(scale=ScaleBy.SHARED).rows
    assert {panel.scale.high for row in shared for panel in row[1:]} == {clip(8, 2)}
    assert np.array_equal(shared[1][1].values, FOUND["Signed"][1].values.astype(np.float64)), "raw values"


def test_degenerate_maps_are_marked_on_the_panel():
    panel = grid().rows[1][2]
    assert panel.note == "zero map"
    assert panel.warning == "! zero map (+1)"
    assert grid().rows[0][2].warning == ""
    assert warning((ZERO,)) == "! zero map"
    assert "maps that may be no evidence" in grid().caption


def test_infinite_values_are_hatched_not_drawn():
    (row,) = methods_by_images([CAT], {"m": [heatmap(np.inf, 1.0)]}).rows
    assert np.isnan(row[1].values[0, 0])
    assert row[1].sublabel == "max |\u00b7| 1"
    (none,) = methods_by_images([CAT], {"m": [heatmap(np.nan, np.inf)]}).rows
    assert (none[1].note, none[1].sublabel) == ("all NaN", "no finite value")


def test_a_method_without_a_map_for_each_photograph_is_refused():
    with pytest.raises(InterpError, match="'m' has 1 maps for 2 photographs; give one each"):
        methods_by_images([CAT, DOG], {"m": [heatmap(1.0, 2.0)]})


def test_layers_are_rows_and_what_is_missing_stays_free():
    refused = EmptyPanel("a ReLU is used twice")
    maps = {"": {"Saliency": heatmap(1.0, 2.0)}, "deep": {"Grad-CAM": heatmap(-1.0, 2.0), "DeepLIFT": refused}}
    found = layers_by_methods(CAT, maps, labels={"deep": "deep, 7 x 7"})
    assert found.row_headers == ("input", "deep, 7 x 7")
    assert found.column_headers == ("cat", "Saliency", "Grad-CAM", "DeepLIFT")
    kinds = [[type(panel) for panel in row] for row in found.rows]
    assert kinds == [[ImagePanel, MapPanel, EmptyPanel, EmptyPanel], [EmptyPanel, EmptyPanel, MapPanel, EmptyPanel]]
    assert found.rows[1][3] == refused


MEASURES = (Measure("Insertion", Better.HIGHER), Measure("Deletion", Better.LOWER))


def table(means: dict[Entry, tuple[float, float]]) -> MetricTable:
    cells = tuple(tuple(Summary(m, m - 0.1, m + 0.1, 3) for m in row) for row in means.values())
    return MetricTable(tuple(means), MEASURES, ("a", "b", "c"), np.zeros((len(means), 2, 3)), cells)


def test_a_ranking_is_sorted_towards_the_better_side_with_controls_where_they_fall():
    nan = float("nan")
    found = ranking(table({Entry("A"): (0.1, 0.1), Entry("C", control=True): (0.5, 0.5), Entry("B", "conv"): (0.9, nan)}))
    first, second = found.panels()
    assert (first.names, first.controls) == (("B, conv", "C", "A"), (False, True, False))
    assert second.names == ("A", "C", "B, conv"), "what is not defined comes last"
    assert first.x_label == "Insertion\nhigher is better"
    np.testing.assert_allclose([first.low[0], first.high[0]], [0.8, 1.0])


def test_depth_has_a_line_per_method_over_the_layers_and_a_level_per_control():
    means = {Entry("CAM", "one"): (0.1, 0.2), Entry("CAM", "three"): (0.3, 0.4), Entry("Input only"): (0.9, 0.9)}
    found = depth_curves(table(means | {Entry("Random", control=True): (0.5, 0.6)}), ("one", "two", "three"))
    insertion, deletion, key = found.panels()
    assert isinstance(insertion, CurvePanel)
    assert insertion.ticks == ("one", "two", "three")
    np.testing.assert_array_equal([ys for _, ys in insertion.series], [[0.1, np.nan, 0.3], [0.5, 0.5, 0.5]])
    np.testing.assert_array_equal(deletion.series[0][1], [0.2, np.nan, 0.4])
    assert insertion.controls == (False, True)
    assert insertion.bands[1] is None
    np.testing.assert_allclose(insertion.bands[0][0], [0.0, np.nan, 0.2])
    assert key == KeyPanel(("CAM", "Random"), (False, True))
    with pytest.raises(InterpError, match="no method was looked at on two of one"):
        depth_curves(table(means), ("one",))


def test_randomization_has_a_panel_per_similarity_and_names_its_stages():
    line = Line(np.array([1.0, 0.5]), np.array([0.9, 0.4]), np.array([1.0, 0.6]))
    found = randomization_curves({"Spearman": {"A": line}, "SSIM": {"A": line, "B": line}}, ("trained", "fc"))
    spearman, ssim, key, _ = (*found.panels(), None)
    assert (spearman.y_label, spearman.ticks) == ("Spearman", ("trained", "fc"))
    assert np.isnan(spearman.series[1][1]).all(), "a method keeps its colour in every panel"
    assert np.array_equal(ssim.series[1][1], [1.0, 0.5])
    assert key.names == ("A", "B")


@pytest.mark.parametrize(("count", "shape"), [(4, (1, 3)), (16, (3, 1))])
def test_agreement_stands_side_by_side_while_there_is_room(count, shape):
    values = np.eye(count)
    found = agreement_figure(dict.fromkeys(("Spearman", "SSIM", "top-k"), values), [f"m{k}" for k in range(count)])
    assert (len(found.rows), found.columns) == shape
    assert (found.column_headers or found.row_headers) == ("Spearman", "SSIM", "top-k")
    assert {panel.scale.low for panel in found.panels()} == {-1.0}
