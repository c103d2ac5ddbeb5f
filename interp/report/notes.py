"""What a reader has to know of a network's input and output, where the user chose it: among the facts, and below the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from interp.core.model import Model
from interp.images import Photo
from interp.report.product import Product


def with_notes(product: Product, model: Model, photos: Sequence[Photo]) -> Product:
    """``product`` with what was chosen of the model's input and output, and which bands its pictures are shown by.

    The choices are facts, and in the metrics under ``chosen_of_network``, so that a repeated run is compared with them too; the
    bands stand below every figure. Without any it is the product as it was.
    """
    shown = model.preprocess.says(photos)
    if shown:
        figures = [replace(figure, caption=f"{figure.caption} {shown}") for figure in product.figures]
        product = replace(product, lead=f"{product.lead} {shown}", figures=figures)
    if model.spec.notes:
        metrics = {**product.metrics, "chosen_of_network": dict(model.spec.notes)}
        product = replace(product, facts=(*product.facts, *model.spec.notes), metrics=metrics)
    return product
