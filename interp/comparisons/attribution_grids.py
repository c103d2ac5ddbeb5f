"""Attribution maps side by side: methods by photographs, and methods by layers, over the photographs in grey.

Methods have units of their own, so that a panel by default is divided by its own clip, the 99th percentile of its
magnitudes, and its raw maximum stands below it. A method whose maps are nowhere negative in a figure is on the positive
map, every other one on the symmetric one: a column has one kind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.comparisons.scaling import ScaleBy, number
from interp.comparisons.subjects import Subject
from interp.core.method import Degeneration, Heatmap
from interp.errors import InterpError
from interp.figures import EmptyPanel, Grid, ImagePanel, Kind, MapPanel, Panel, Scale

PERCENTILE = 99.0
INPUT = "input"
"""The row of methods that explain the input itself, among those that explain a layer."""

Shown = Heatmap | EmptyPanel
"""A map, or a place left free with the reason."""
Map = Float[np.ndarray, "rows cols"]

_OWN = "attribution / panel's 99th percentile"
_RELATIVE = {kind: Scale(-1.0 if kind is Kind.DIVERGING else 0.0, 1.0, kind, _OWN) for kind in Kind}
_CAPTIONS = {
    ScaleBy.CHANNEL: "Each map is divided by the 99th percentile of its magnitudes; colours run from {range} and saturate beyond.",
    ScaleBy.LAYER: "The maps of a row share one scale in raw units, which is clipped at the largest 99th percentile of magnitude among "
    "them; colours saturate beyond. Methods have units of their own.",
    ScaleBy.SHARED: "All maps share one scale in raw units, which is clipped at the largest 99th percentile of magnitude among them "
    "({high}); colours saturate beyond. Methods have units of their own.",
}


def methods_by_images(
    subjects: Sequence[Subject],
    found: Mapping[str, Sequence[Shown]],
    controls: Collection[str] = (),
    scale: ScaleBy = ScaleBy.CHANNEL,
    title: str = "Attribution methods",
) -> Grid:
    """Rows: photographs; columns: the photograph, the methods by their titles, then those that are ``controls``.

    ``found`` has one map per photograph for each method. With ``ScaleBy.LAYER`` a row shares a scale in raw units, with
    ``SHARED`` the figure. Raises InterpError for a method without one map per photograph.
    """
    names = _controls_last(found, controls)
    for name in names:
        if len(found[name]) != len(subjects):
            raise InterpError(f"'{name}' has {len(found[name])} maps for {len(subjects)} photographs; give one each")
    cells = [[found[name][row] for name in names] for row in range(len(subjects))]
    rows = tuple((_photograph(one), *panels) for one, panels in zip(subjects, _panels(cells, subjects, scale), strict=True))
    headers = ("photograph", *_headers(names, controls))
    caption = _caption(cells, scale, bool(set(names) & set(controls)))
    return Grid(rows, tuple(s.name for s in subjects), headers, title, caption, _size(len(headers)))


def layers_by_methods(
    subject: Subject,
    found: Mapping[str, Mapping[str, Shown]],
    controls: Collection[str] = (),
    scale: ScaleBy = ScaleBy.CHANNEL,
    labels: Mapping[str, str] | None = None,
    title: str = "Attribution across layers",
) -> Grid:
    """Rows: layers, as given (shallow to deep); columns: the methods of any of them, then those that are ``controls``.

    ``found`` has the maps of one photograph by layer and method; the layer "" is the input. Where a method has no map at a
    layer the place stays free. ``labels`` are row headers other than the layers' names.
    """
    names = _controls_last(dict.fromkeys(name for maps in found.values() for name in maps), controls)
    cells: list[list[Shown]] = [[maps.get(name, EmptyPanel()) for name in names] for maps in found.values()]
    beside: list[Panel] = [_photograph(subject), *(EmptyPanel() for _ in cells[1:])]
    rows = tuple((first, *panels) for first, panels in zip(beside, _panels(cells, [subject] * len(cells), scale), strict=True))
    headers = (subject.name, *_headers(names, controls))
    layers = tuple((labels or {}).get(layer, layer or INPUT) for layer in found)
    return Grid(rows, layers, headers, title, _caption(cells, scale, bool(set(names) & set(controls))), _size(len(headers)))


def warning(degenerations: Sequence[Degeneration]) -> str:
    """The first label, and how many more there are."""
    if not degenerations:
        return ""
    more = f" (+{len(degenerations) - 1})" if len(degenerations) > 1 else ""
    return f"! {degenerations[0].label}{more}"


def _photograph(subject: Subject) -> ImagePanel:
    """What the model says, and which unit is explained, in the line of the maps' numbers."""
    return ImagePanel(subject.view, sublabel=f"{subject.label}\nfor {subject.target}")


def _panels(cells: Sequence[Sequence[Shown]], subjects: Sequence[Subject], scale: ScaleBy) -> list[list[Panel]]:
    kinds = [_kind([row[column] for row in cells]) for column in range(len(cells[0]))]
    whole = _reach([shown for row in cells for shown in row])
    rows: list[list[Panel]] = []
    for row, subject in zip(cells, subjects, strict=True):
        high = {ScaleBy.CHANNEL: None, ScaleBy.LAYER: _reach(row), ScaleBy.SHARED: whole}[scale]
        rows.append([_panel(shown, subject, _Colours(kind, high)) for shown, kind in zip(row, kinds, strict=True)])
    return rows


@dataclass(frozen=True)
class _Colours:
    """How a panel is coloured: signed or not, up to ``high`` in raw units, or relative to the panel itself."""

    kind: Kind
    high: float | None

    @property
    def scale(self) -> Scale:
        if self.high is None:
            return _RELATIVE[self.kind]
        return Scale(
            -self.high if self.kind is Kind.DIVERGING else 0.0, self.high, self.kind, "attribution, raw, clipped at the 99th percentile"
        )


def _panel(shown: Shown, subject: Subject, colours: _Colours) -> Panel:
    if isinstance(shown, EmptyPanel):
        return shown
    values = _finite(shown)
    own = _reach([shown]) if colours.high is None else 1.0
    return MapPanel(values / own, colours.scale, subject.view, sublabel=_largest(values), warning=warning(shown.degenerations))


def _finite(heatmap: Heatmap) -> Map:
    """Float64, with NaN for infinities, which no colour can show."""
    values = np.asarray(heatmap.values, dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _kind(column: Sequence[Shown]) -> Kind:
    """Positive where no value of a column is negative."""
    maps = [_finite(shown) for shown in column if isinstance(shown, Heatmap)]
    return Kind.DIVERGING if any((values < 0).any() for values in maps) else Kind.POSITIVE


def _reach(shown: Sequence[Shown]) -> float:
    """The largest 99th percentile of magnitude among the maps: pooled, the maps with most pixels would decide."""
    maps = [_finite(one) for one in shown if isinstance(one, Heatmap)]
    return max((Scale.symmetric([values], PERCENTILE).high for values in maps if np.nan_to_num(values).any()), default=1.0)


def _largest(values: Map) -> str:
    return "no finite value" if np.isnan(values).all() else f"max |\u00b7| {number(float(np.nanmax(np.abs(values))))}"


def _caption(cells: Sequence[Sequence[Shown]], scale: ScaleBy, controls: bool) -> str:
    kinds = {_kind([row[column] for row in cells]) for column in range(len(cells[0]))}
    span = " or ".join(words for kind, words in ((Kind.DIVERGING, "\u22121 to 1"), (Kind.POSITIVE, "0 to 1")) if kind in kinds)
    high = number(_reach([shown for row in cells for shown in row]))
    parts = [_CAPTIONS[scale].format(range=span, high=high)]
    if kinds == set(Kind):
        parts.append("Methods that are negative nowhere in this figure are on the scale from zero up.")
    parts.append("Bilinear over the grey photograph, half transparent. Below each map: its raw maximum of magnitude.")
    if any(isinstance(shown, Heatmap) and shown.degenerations for row in cells for shown in row):
        parts.append("Framed and marked with \u201c!\u201d: maps that may be no evidence, and why.")
    if controls:
        parts.append("Last columns: controls, which know nothing of the model.")
    return " ".join(parts)


def _controls_last(names: Collection[str], controls: Collection[str]) -> list[str]:
    return sorted(names, key=lambda name: name in controls)


def _headers(names: Sequence[str], controls: Collection[str]) -> tuple[str, ...]:
    return tuple(f"{name}\n(control)" if name in controls else name for name in names)


def _size(columns: int) -> float:
    """Inches of a panel: smaller where there are many, so that a figure stays on a screen."""
    return 1.35 if columns <= 8 else 1.1
