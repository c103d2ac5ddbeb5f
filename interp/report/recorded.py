"""What a comparison leaves behind besides figures: tables, arrays, and the numbers of ``metrics.json``."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from interp.attribution.controls import RandomMap
from interp.comparisons.contenders import Contender
from interp.comparisons.metric_table import Summary
from interp.metrics.evidence import Better
from interp.metrics.statistics import Interval, paired_difference
from interp.report.comparison import Comparison
from interp.report.compose import measures, predictions
from interp.report.product import Numbers
from interp.site import Link


def numbers(made: Comparison, section: str) -> Numbers:
    """The main table on the page, and both tables as files."""
    main, whole = made.table(made.leading), made.table(made.contenders)
    files = {"metrics.md": whole.markdown().encode(), "metrics.csv": whole.csv().encode(), "metrics.parquet": whole.parquet()}
    links = (Link("Markdown", "metrics.md"), Link("CSV", "metrics.csv"), Link("Parquet, with each image", "metrics.parquet"))
    left = [f"{judge.title} was left out: {why}." for judge, why in made.scored.left_out]
    left += [f"{contender.label} was left out: {why}." for contender, why in made.attributed.refused]
    if not made.layers and not any(contender.named for contender in made.contenders):
        left.append("Methods that work at a layer were left out: no layer before the explained unit has places.")
    left += made.masks.notes if made.masks else ()
    text = "\n\n".join(["All methods at all layers, and the value of each image, stand in the files.", *left])
    return Numbers(section, main.page_table("", links), files, text)


def arrays(made: Comparison) -> dict[str, np.ndarray]:
    """Every map, every value per image, the masks."""
    names = [s.name for s in made.people]
    maps = {f"maps/{n}/{c.key}": h.values for c, found in made.attributed.maps.items() for n, h in zip(names, found, strict=True)}
    values = {f"metrics/{j.title}/{c.key}": v for j, found in made.scored.values.items() for c, v in found.items()}
    masks = {f"masks/{n}": m for n, m in zip(names, made.masks.values, strict=True)} if made.masks else {}
    return maps | values | masks


def facts(made: Comparison) -> dict[str, object]:
    """Predictions, what maps say of themselves, means with intervals and ranks, differences to the random map."""
    found: dict[str, object] = {"predictions": predictions(made.people), "layers": list(made.layers)}
    found["methods"] = {c.key: _said(made, c) for c in made.contenders}
    found["left_out"] = {judge.metric.name: why for judge, why in made.scored.left_out}
    found["refused"] = {c.key: why for c, why in made.attributed.refused}
    if made.scored.values:
        whole = made.table(made.contenders)
        cells = zip(made.contenders, whole.summaries, strict=True)
        found["metrics"] = {c.key: {m.title: _cell(s) for m, s in zip(whole.measures, row, strict=True)} for c, row in cells}
        found["above_random"] = _above_random(made)
    return found


def _above_random(made: Comparison) -> dict[str, object]:
    """Mean difference to the random map, image by image, with its interval: what images have in common cancels."""
    random = next(c for c in made.contenders if isinstance(c.method, RandomMap))
    return {
        c.key: {
            j.title: _cell(paired_difference(values[c], values[random], seed=made.seed))
            for j, values in made.scored.values.items()
            if j.metric.better is not Better.NEITHER
        }
        for c in made.contenders
        if c is not random
    }


def _cell(summary: Summary | Interval) -> dict[str, object]:
    """Numbers for JSON, which has no NaN."""
    named = {field.name: getattr(summary, field.name) for field in fields(summary)}
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in named.items()}


def _said(made: Comparison, contender: Contender) -> dict[str, object]:
    """What the maps say of themselves: measures such as the completeness gap, and reasons not to believe them."""
    maps = dict(zip((s.name for s in made.people), made.attributed.maps[contender], strict=True))
    doubts = {name: [d.sentence for d in h.degenerations] for name, h in maps.items() if h.degenerations}
    said = {name: measures(h) for name, h in maps.items() if h.measures}
    return {"method": contender.title, "layer": contender.layer, "source": contender.method.source, "doubts": doubts, "measures": said}
