"""Steps by filter: how sure it is that a filter is more than noise, and from when on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interp.figures import Grid, MatrixPanel, Scale
from interp.films.onset import LEAST_P, NEVER, Onset

_LEAST, _EACH = 4.0, 0.42  # inches: of the panel, and of a column


def when(onset: Onset, channel: int, names: Sequence[str]) -> str:
    """From when on a filter has structure, in words."""
    if not onset.tested[channel]:
        return "not asked"
    first = int(onset.first[channel])
    return "never" if first == NEVER else f"from {names[first]}"


def figure(layer: str, onset: Onset, names: Sequence[str], filters: Sequence[int], moments: Sequence[int], title: str) -> Grid:
    """-log10 p of ``filters`` (rows) at ``moments`` (columns); a dot where p is accepted here and at all later moments."""
    p = np.maximum(onset.p[np.ix_(moments, filters)].T.astype(np.float64), 1e-12)
    values = -np.log10(p)
    scale = Scale.positive([values, [-np.log10(LEAST_P)]], label="\u2212log10 p against noise")
    texts = tuple(
        tuple("\u25cf" if onset.first[channel] != NEVER and moment >= onset.first[channel] else "" for moment in moments)
        for channel in filters
    )
    labels = tuple(f"{layer}:{channel}, {when(onset, channel, names)}" for channel in filters)
    panel = MatrixPanel(np.maximum(values, 0), scale, labels, tuple(names[moment] for moment in moments), texts=texts)
    return Grid(((panel,),), title=title, panel_size=max(_LEAST, 1.8 + _EACH * len(moments)))
