"""Before and after an edit: photographs with their top classes and Grad-CAM, and accuracy beside that of random units edited alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.comparisons.scaling import number
from interp.comparisons.subjects import Subject
from interp.figures import EmptyPanel, Grid, ImagePanel, IntervalPanel, MapPanel, Panel, Scale

TOP = 3
MOST_CLASSES = 8
Map = Float[np.ndarray, "rows cols"]


@dataclass(frozen=True, eq=False)
class Pair:
    """One photograph: ``answers`` of all classes and Grad-CAM ``maps``, each (before, after); no maps where a network has no places."""

    subject: Subject
    answers: tuple[Float[np.ndarray, " classes"], Float[np.ndarray, " classes"]]
    maps: tuple[Map, Map] | None


@dataclass(frozen=True)
class Share:
    """Of ``total`` pictures of a group a share has the right class: (value, low, high) before and after.

    ``random``: after the same edit of random units, the mean, the smallest and the largest of the draws; None without any.
    """

    name: str
    total: int
    before: tuple[float, float, float]
    after: tuple[float, float, float]
    random: tuple[float, float, float] | None = None


def photographs(pairs: Sequence[Pair], classes: Sequence[str], layer: str, quantity: str, title: str) -> Grid:
    """Rows: photographs. Columns: what is seen; the top classes after (full) and before (hollow); Grad-CAM before, after, difference."""
    both = [pair.maps for pair in pairs if pair.maps is not None]
    scales = _scales(both, layer) if both else None
    rows: list[tuple[Panel, ...]] = []
    for pair in pairs:
        panels: list[Panel] = [_photograph(pair, classes, quantity), _bars(pair, classes, quantity)]
        if scales is not None:
            panels += _maps(pair, *scales)
        rows.append(tuple(panels))
    cams = ("Grad-CAM before", "Grad-CAM after", "after \u2212 before\n(own colours)") if scales is not None else ()
    headers = ("photograph", "top classes after\n(hollow: before)", *cams)
    return Grid(tuple(rows), tuple(pair.subject.name for pair in pairs), headers, title, panel_size=1.9)


def tops(pair: Pair) -> list[int]:
    """The top classes before, then those after that are not among them; ties by number."""
    found: dict[int, None] = {}
    for answer in pair.answers:
        found.update(dict.fromkeys(int(k) for k in np.argsort(-answer, kind="stable")[:TOP]))
    return list(found)


def _said(answer: Float[np.ndarray, " classes"], classes: Sequence[str], quantity: str) -> str:
    best = int(answer.argmax())
    value = f"{answer[best]:.0%}" if quantity == "probability" else number(float(answer[best]))
    return f"{classes[best]} {value}"


def _photograph(pair: Pair, classes: Sequence[str], quantity: str) -> ImagePanel:
    before, after = (_said(answer, classes, quantity) for answer in pair.answers)
    return ImagePanel(pair.subject.view, label=f"before: {before}", sublabel=f"after: {after}")


def _bars(pair: Pair, classes: Sequence[str], quantity: str) -> IntervalPanel:
    """Two bars from zero for each class, after and before; probabilities on an axis from 0 to 1, the same in all rows."""
    chosen = tops(pair)
    values = np.array([float(answer[k]) for k in chosen for answer in reversed(pair.answers)])
    names = tuple(text for k in chosen for text in (classes[k], "before"))
    controls = (False, True) * len(chosen)
    reference = 1.0 if quantity == "probability" else 0.0
    return IntervalPanel(names, values, np.minimum(values, 0), np.maximum(values, 0), controls, x_label=quantity, reference=reference)


def _scales(maps: Sequence[tuple[Map, Map]], layer: str) -> tuple[Scale, Scale]:
    """One for all maps, and one for all differences, which would be invisible in the colours of the maps where little changes."""
    shown = Scale.symmetric([values for pair in maps for values in pair], label=f"Grad-CAM at {layer}")
    return shown, Scale.symmetric([after - before for before, after in maps], label="after \u2212 before")


def _maps(pair: Pair, shown: Scale, changed: Scale) -> list[Panel]:
    if pair.maps is None:
        return [EmptyPanel("no map")] * 3
    before, after = pair.maps
    said = f"for {pair.subject.target}"
    return [
        MapPanel(values, scale, pair.subject.view, label=label, sublabel=f"max |\u00b7| {number(float(np.abs(values).max()))}")
        for values, scale, label in ((before, shown, said), (after, shown, said), (after - before, changed, ""))
    ]


def accuracies(
    every: Share, groups: Sequence[Share], controls: Sequence[tuple[str, float]], what: str, total_groups: int, title: str
) -> Grid:
    """Left: all pictures, before and after, and after the same edit of random units (hollow), each draw. Right: the same by class."""
    names, rows, marks = _rows(every, ("before", "after the edit", f"random units, mean of {len(controls)}"))
    for name, value in sorted(controls, key=lambda one: one[1]):
        names.append(name)
        rows.append((value, float("nan"), float("nan")))
        marks.append(True)
    left = _panel(names, rows, marks, what, f"all {every.total} pictures", every.before[0])
    if not groups:
        return Grid(((left,),), title=title, panel_size=4.2)
    names, rows, marks = [], [], []
    for group in groups:
        own = _rows(group, (f"{group.name} ({group.total})", "after", "random units"))
        names, rows, marks = names + own[0], rows + own[1], marks + own[2]
    shown = f"the {len(groups)} largest changes of " if len(groups) < total_groups else ""
    right = _panel(names, rows, marks, what, f"by class (pictures), {shown}{total_groups}", None)
    return Grid(((left, right),), title=title, panel_size=4.2)


Row = tuple[float, float, float]


def _rows(share: Share, names: tuple[str, str, str]) -> tuple[list[str], list[Row], list[bool]]:
    if share.random is None:
        return list(names[:2]), [share.before, share.after], [False, False]
    return list(names), [share.before, share.after, share.random], [False, False, True]


def _panel(
    names: Sequence[str], rows: Sequence[Row], marks: Sequence[bool], what: str, label: str, reference: float | None
) -> IntervalPanel:
    values, low, high = np.array(rows).T
    return IntervalPanel(tuple(names), values, low, high, tuple(marks), x_label=what, label=label, reference=reference)


def largest(groups: Sequence[Share]) -> list[Share]:
    """The classes whose share changes most, largest first; of equal ones that with more pictures, then by name."""
    ordered = sorted(groups, key=lambda g: (-abs(g.after[0] - g.before[0]), -g.total, g.name))
    return ordered[:MOST_CLASSES]
