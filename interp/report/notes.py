"""What a reader has to know of a network's input and output, where the user chose it: among the facts, and below the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from interp.core.again import TELLING
from interp.core.model import Model
from interp.figures import ImagePanel, MapPanel
from interp.images import Photo
from interp.report.features import FEATURES
from interp.report.product import Figure, Product
from interp.runs.entries import Role


def with_notes(product: Product, model: Model, photos: Sequence[Photo]) -> Product:
    """``product`` with what was chosen of the model's input and output, and which bands its pictures are shown by.

    The choices are facts, and in the metrics under ``chosen_of_network``, so that a repeated run is compared with them too; the
    bands stand below every figure in which a picture is seen, and what changes how figures are read (`telling`) below all. Without any it
    is the product as it was.
    """
    bands, told = model.preprocess.says(photos), telling(model)
    if bands or told:
        seen = [_pictured(figure) for figure in product.figures]
        figures = [
            replace(figure, caption=" ".join([figure.caption, *([bands] if bands and pictured else []), *told]))
            for figure, pictured in zip(product.figures, seen, strict=True)
        ]
        lead = " ".join([product.lead, *([bands] if bands and any(seen) else []), *told])
        product = replace(product, lead=lead, figures=figures)
    if model.spec.notes:
        metrics = {**product.metrics, "chosen_of_network": dict(model.spec.notes)}
        product = replace(product, facts=(*product.facts, *model.spec.notes), metrics=metrics)
    return product


def telling(model: Model) -> list[str]:
    """Sentences on what no figure may be read without: draws of the network's own, and that it returns probabilities."""
    return [f"{text[0].upper()}{text[1:]}." for name, text in model.spec.notes if name in TELLING]


def terminal(model: Model) -> list[str]:
    """What else was chosen, in a line each: the notes that no figure needs, and which weights of a file, where it holds several."""
    chosen = [("Weights", model.spec.weights)] if model.spec.weights.endswith(")") and _weights_file(model) else []
    return [f"{name.lower()}: {text}" for name, text in (*chosen, *model.spec.notes) if name not in TELLING]


def _weights_file(model: Model) -> bool:
    return any(entry.role is Role.WEIGHTS for entry in model.spec.files)


def _pictured(figure: Figure) -> bool:
    """Whether a photograph is seen in it; what is optimized for a unit is none."""
    panels = figure.grid.panels() if figure.section != FEATURES else ()
    return any(isinstance(panel, ImagePanel) or (isinstance(panel, MapPanel) and panel.underlay is not None) for panel in panels)
