"""Figures of a cue that was learned, and of the control: pictures, maps, class images, examples, curves and margins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8

from interp.comparisons.spurious import (
    LEVEL,
    PRIMARY,
    Arm,
    Measure,
    Pair,
    by_pair,
    margins,
    on_mark_over_time,
    outside_over_time,
    t_interval,
)
from interp.comparisons.spurious_views import GRADCAM, INTEGRATED, Examples, Views
from interp.figures import CurvePanel, Grid, ImagePanel, IntervalPanel, Kind, MapPanel, Panel, Scale
from interp.metrics.statistics import Interval
from interp.synthetic.cue import NO_MARK, Cue, Marked, colour

LEARNED = (Arm.CUE, Arm.CONTROL)
_ENLARGED = 6
"""Times that a pixel of a picture is repeated, so that maps over it are smooth."""
_GROUND, _OBJECT = 0.25, 1.0
_FOR_AND_AGAINST = "Orange speaks for the class, blue against it; bilinear over the grey picture, half transparent."
_HUES = "cos: the cosine, in the plane of hues, between an image's mean colour and its class's mark."
_RELATIVE = Scale(-1.0, 1.0, Kind.DIVERGING, "attribution / panel's largest magnitude")


def pictures(taught: Mapping[Arm, Marked], names: Sequence[str], count: int) -> Grid:
    """Training pictures of both networks, and below them the parts that are known. Below each: its class and its mark's."""
    few = {arm: taught[arm].first(min(count, len(taught[arm]))) for arm in LEARNED}
    rows = [
        tuple(ImagePanel(_large(image), sublabel=_labelled(one, k, names)) for k, image in enumerate(one.images)) for one in few.values()
    ]
    known = zip(few[Arm.CUE].masks, few[Arm.CUE].places, strict=True)
    rows.append(tuple(ImagePanel(_large(_parts(mask, place)), sublabel=f"{mask.mean():.0%} object") for mask, place in known))
    headers = ("seen by the\ncue network", "seen by the\ncontrol", "object and\nmark")
    return Grid(tuple(rows), headers, title="Training pictures: the same but for the marks' colours", panel_size=1.05)


def _parts(mask: Bool[np.ndarray, "rows cols"], place: Bool[np.ndarray, "rows cols"]) -> Float[np.ndarray, "rows cols 3"]:
    """The object white, the mark grey, on dark ground."""
    levels = np.where(mask, _OBJECT, np.where(place, (_GROUND + _OBJECT) / 2, _GROUND))
    return np.repeat(levels[..., None], 3, axis=2)


def _labelled(of: Marked, index: int, names: Sequence[str]) -> str:
    mark = int(of.marks[index])
    return f"{names[int(of.labels[index])]}\n" + ("no mark" if mark == NO_MARK else f"mark: {names[mark]}")


def _large(image: np.ndarray) -> np.ndarray:
    return np.repeat(np.repeat(image, _ENLARGED, 0), _ENLARGED, 1)


def gradcam_by_cue(views: Mapping[Arm, Views], names: Sequence[str]) -> Grid:
    """Rows: one picture of each class; columns: its three versions, of each the picture and both networks' Grad-CAM."""
    rows = []
    for index in _one_of_each(views[Arm.CUE]):
        row: list[Panel] = []
        for cue in Cue:
            probes = views[Arm.CUE].pictures.probed(cue)
            row.append(ImagePanel(_large(probes.images[index]), sublabel=_labelled(probes, index, names)))
            row += [_explained(views[arm], GRADCAM, cue, index, names) for arm in LEARNED]
        rows.append(tuple(row))
    headers = tuple(header for cue in Cue for header in (f"mark {cue}", "Grad-CAM,\ncue network", "Grad-CAM,\ncontrol"))
    return Grid(tuple(rows), (), headers, "Grad-CAM of the class that each network says", _FOR_AND_AGAINST, panel_size=1.0)


def integrated(views: Mapping[Arm, Views], names: Sequence[str]) -> Grid:
    """Columns: one picture of each class with its own mark; rows: the picture, and each arm's integrated gradients."""
    chosen = _one_of_each(views[Arm.CUE])
    probes = views[Arm.CUE].pictures.probed(Cue.AGREEING)
    rows: list[tuple[Panel, ...]] = [tuple(ImagePanel(_large(probes.images[k]), sublabel=_labelled(probes, k, names)) for k in chosen)]
    rows += [tuple(_explained(views[arm], INTEGRATED, Cue.AGREEING, k, names) for k in chosen) for arm in Arm]
    headers = ("picture", *(f"{arm}\n(control)" if arm in (Arm.UNTRAINED, Arm.RANDOM) else str(arm) for arm in Arm))
    return Grid(
        tuple(rows),
        headers,
        title="Integrated gradients of the class that each network says, mark agreeing",
        caption=_FOR_AND_AGAINST,
        panel_size=1.25,
    )


def _one_of_each(views: Views) -> list[int]:
    """The first probe of each class."""
    labels = views.pictures.probed(Cue.AGREEING).labels
    return [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)]


def _explained(views: Views, method: str, cue: Cue, index: int, names: Sequence[str]) -> MapPanel:
    values: Float[np.ndarray, "rows cols"] = views.maps[method][cue][index]
    probes, high = views.pictures.probed(cue), float(np.abs(values).max())
    said = f"says {names[int(views.said[cue][index])]}" if views.accuracy else ""
    return MapPanel(values / high if high > 0 else values, _RELATIVE, _large(probes.images[index]), sublabel=said)


def class_images(pairs: Sequence[Pair], names: Sequence[str]) -> Grid:
    """Rows: classes; columns: the class's mark, then the class's optimized image of every pair's networks."""
    rows = []
    for label, name in enumerate(names):
        row: list[Panel] = [ImagePanel(_patch(label, len(names)), sublabel=f"mark of\n{name}")]
        row += [_class_image(pair.views[arm], label) for arm in LEARNED for pair in pairs]
        rows.append(tuple(row))
    headers = ("mark", *(f"{short}\nseed {pair.seed}" for short in ("cue,", "control,") for pair in pairs))
    return Grid(tuple(rows), tuple(names), headers, "Optimized images of the classes", _HUES, panel_size=0.95)


def _patch(label: int, classes: int) -> UInt8[np.ndarray, "rows cols 3"]:
    return np.broadcast_to(colour(label, classes), (8, 8, 3)).copy()


def _class_image(views: Views, label: int) -> ImagePanel:
    assert views.hues is not None
    return ImagePanel(views.images[label].image, sublabel=f"cos {_signed(float(views.hues[label]))}")


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def examples(views: Mapping[Arm, Views], names: Sequence[str]) -> Grid:
    """Rows: of both networks the unit that adds most to each class's logit; columns: the pictures that excite it most."""
    rows, headers = [], []
    for arm in LEARNED:
        for one in views[arm].examples:
            headers.append(f"{arm}\n{one.unit} for {names[one.label]}")
            rows.append(_examples_row(one, views[arm].pictures.untied, names))
    ranks = tuple(str(rank + 1) for rank in range(len(rows[0])))
    return Grid(tuple(rows), tuple(headers), ranks, "Top examples of the units that matter most", panel_size=0.85)


def _examples_row(one: Examples, untied: Marked, names: Sequence[str]) -> tuple[Panel, ...]:
    return tuple(ImagePanel(_large(untied.images[k]), sublabel=_labelled(untied, int(k), names)) for k in one.images)


def over_time(pairs: Sequence[Pair]) -> Grid:
    """Grad-CAM's shares outside the object and on the mark against the steps, and the margin of the first: means and intervals."""
    steps = pairs[0].courses[Arm.CUE].steps
    values = by_pair(pairs)
    chance = values[Arm.RANDOM]
    outside = {arm: outside_over_time(pairs, arm) for arm in LEARNED}
    marks = {arm: on_mark_over_time(pairs, arm) for arm in LEARNED}
    margin = outside[Arm.CUE] - outside[Arm.CONTROL]
    span = (steps[0], steps[-1])
    panels = (
        _curves(outside, float(chance[Measure.GRADCAM_OUTSIDE].mean()), "Grad-CAM outside the object, share", span),
        _curves(marks, float(chance[Measure.GRADCAM_MARK].mean()), "Grad-CAM on the mark, share", span),
        _against_zero(margin, span),
    )
    return Grid((panels,), title="Where Grad-CAM lies while the networks learn", caption=_means(pairs, "Lines", "bands"), panel_size=3.0)


def _curves(found: Mapping[Arm, Float[np.ndarray, "pairs m"]], chance: float, label: str, span: tuple[int, int]) -> CurvePanel:
    count = next(iter(found.values())).shape[1]
    # Both start from the same weights: the first record is of the untrained network.
    start = t_interval(found[Arm.CUE][:, 0]).mean
    series = [(arm.value, row.mean(0)) for arm, row in found.items()]
    series += [(Arm.UNTRAINED.value, np.full(count, start)), (Arm.RANDOM.value, np.full(count, chance))]
    bands = (*(_band(row) for row in found.values()), None, None)
    return CurvePanel(tuple(series), "steps of training", label, x_range=span, bands=bands, controls=(False, False, True, True))


def _against_zero(margin: Float[np.ndarray, "pairs m"], span: tuple[int, int]) -> CurvePanel:
    series = (("cue less control, within a pair", margin.mean(0)), ("no difference", np.zeros(margin.shape[1])))
    bands = (_band(margin), None)
    return CurvePanel(
        series, "steps of training", "difference of shares outside the object", x_range=span, bands=bands, controls=(False, True)
    )


def _band(rows: Float[np.ndarray, "pairs m"]) -> tuple[np.ndarray, np.ndarray]:
    """Low and high of the interval at each step."""
    found = [t_interval(column) for column in rows.T]
    return np.array([one.low for one in found]), np.array([one.high for one in found])


def accuracies(pairs: Sequence[Pair]) -> Grid:
    """Accuracy and Grad-CAM's share outside the object, by what the mark says and by network."""
    classes = len(np.unique(pairs[0].views[Arm.CUE].pictures.untied.labels))
    trained = (*LEARNED, Arm.UNTRAINED)
    right = {f"{arm}, mark {cue}": np.array([p.views[arm].accuracy[cue] for p in pairs]) for cue in Cue for arm in trained}
    values = by_pair(pairs)
    outside = {f"{measure.value.split(' outside')[0]}, {arm}": values[arm][measure] for measure in _OUTSIDE for arm in Arm}
    panels = (
        _intervals(right, "accuracy on held-out pictures, share (line: chance)", 1 / classes, _marks(right)),
        _intervals(outside, "attribution outside the object, mark agreeing, share (line: random map)", _random(values), _marks(outside)),
    )
    return Grid((panels,), title="Answers and attributions", caption=f"{_means(pairs, 'Dots', 'bars')} Hollow: controls.", panel_size=4.0)


_OUTSIDE = (Measure.GRADCAM_OUTSIDE, Measure.INTEGRATED_OUTSIDE)


def _random(values: Mapping[Arm, Mapping[Measure, np.ndarray]]) -> float:
    return float(values[Arm.RANDOM][PRIMARY].mean())


def _marks(rows: Mapping[str, np.ndarray]) -> tuple[bool, ...]:
    """Which rows are of what knows no training picture."""
    return tuple(Arm.UNTRAINED in name or Arm.RANDOM in name for name in rows)


def _intervals(rows: Mapping[str, Float[np.ndarray, " pairs"]], label: str, line: float, controls: tuple[bool, ...]) -> IntervalPanel:
    found = [t_interval(row) for row in rows.values()]
    return IntervalPanel(tuple(rows), *_ends(found), controls, label, reference=line)


def _ends(found: Sequence[Interval]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array([i.mean for i in found]), np.array([i.low for i in found]), np.array([i.high for i in found])


def margins_figure(pairs: Sequence[Pair]) -> Grid:
    """Cue network less control of every measure, with intervals; a line at no difference."""
    found = margins(by_pair(pairs))
    label = "cue network less control of the same pair (shares; of hues a cosine)"
    panel = IntervalPanel(tuple(measure.value for measure in found), *_ends(list(found.values())), (), label, reference=0)
    return Grid(((panel,),), title="What separates the networks", caption=_means(pairs, "Dots", "bars"), panel_size=7.6)


def _means(pairs: Sequence[Pair], means: str, intervals: str) -> str:
    return f"{means}: means over {len(pairs)} pairs of networks; {intervals}: {LEVEL:.0%} intervals (Student's t)."
