"""First-layer filters beside the Gabor functions that fit them best, and R^2 beside what noise reaches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interp.comparisons.scaling import number
from interp.figures import CurvePanel, EmptyPanel, Grid, MapPanel, Panel, Scale
from interp.kernels.gabor import Gabor, GaborFits
from interp.kernels.noise import Null

MOST_SHOWN = 8


def filters(found: GaborFits, title: str) -> Grid:
    """The filters that fit best and those that fit worst, as they were fitted, with the function below each."""
    order = np.argsort(-found.r2, kind="stable").tolist()
    count = min(MOST_SHOWN, len(order))
    best = order[:count]
    worst = order[count:][-count:]
    least = max(found.quantile.values())
    rows = [_planes(found, best), _functions(found, best)]
    headers = [f"best {len(best)} of {len(order)}", f"fitted; noise: R\u00b2 {least:.2f}"]
    if worst:
        rows += [_filled(row, count) for row in (_planes(found, worst), _functions(found, worst))]
        headers += [f"worst {len(worst)}", f"fitted; noise: R\u00b2 {least:.2f}"]
    return Grid(tuple(map(tuple, rows)), tuple(headers), title=title, panel_size=1.3)


def _filled(panels: list[Panel], count: int) -> list[Panel]:
    return panels + [EmptyPanel()] * (count - len(panels))


def _planes(found: GaborFits, chosen: Sequence[int]) -> list[Panel]:
    like = found.gabor_like
    labels = [f"{k}, Gabor-like" if like[k] else str(k) for k in chosen]
    return [
        _panel(found, k, found.planes[k], label, f"{100 * found.shares[k]:.0f} % of its energy")
        for k, label in zip(chosen, labels, strict=True)
    ]


def _functions(found: GaborFits, chosen: Sequence[int]) -> list[Panel]:
    size = found.planes.shape[1:]
    p = found.p
    return [
        _panel(found, k, found.fits[k].drawn(*size), f"R\u00b2 {found.r2[k]:.2f}, p {number(float(p[k]))}", _said(found.fits[k], size))
        for k in chosen
    ]


def _said(one: Gabor, size: tuple[int, ...]) -> str:
    """Orientation and frequency; where less than a quarter of a wave lies in the kernel, what can still be said."""
    if one.blob(*size):
        return "a blob"
    least = 1 / (4 * max(size))
    return f"{one.orientation % 179.5:.0f}\u00b0, {f'{one.frequency:.2f}' if one.frequency >= least else f'< {least:.2f}'} /px"


def _panel(found: GaborFits, k: int, values: np.ndarray, label: str, sublabel: str) -> Panel:
    limit = float(np.abs(found.planes[k]).max()) or 1.0
    return MapPanel(values / limit, Scale.symmetric([[1.0]], label="weight / the filter's largest"), label=label, sublabel=sublabel)


def ranks(trained: GaborFits, untrained: np.ndarray, title: str) -> Grid:
    """R^2 in order, of the trained filters, of random weights and of both kinds of noise: each line from its best to its worst."""
    lines = {"trained": trained.r2, "random weights": untrained}
    lines |= {f"noise: {_NAMES[null]}": draws for null, draws in trained.noise.items()}
    # All lines have as many places, however many filters there are.
    places = np.linspace(0, 1, 101)
    series = tuple((name, np.quantile(values, 1 - places)) for name, values in lines.items())
    panel = CurvePanel(series, "filters, % (best first)", "R\u00b2", x_range=(0, 100), controls=(False, False, True, True))
    return Grid(((panel,),), title=title, panel_size=4.2)


_NAMES = {Null.INITIALIZATION: "re-drawn", Null.PERMUTATION: "permuted"}


def numbers(found: GaborFits) -> dict[str, object]:
    """For ``metrics.json``."""
    return {
        "filters": len(found.fits),
        "gabor_like": int(found.gabor_like.sum()),
        "blobs_among_them": sum(one.blob(*found.planes.shape[1:]) for one, like in zip(found.fits, found.gabor_like, strict=True) if like),
        "r2_median": float(np.median(found.r2)),
        "noise_95": {null.value: value for null, value in found.quantile.items()},
        "noise_median": {null.value: float(np.median(draws)) for null, draws in found.noise.items()},
    }
