"""A product with the maps of fewer pictures: for runs that are kept for reference and must stay small."""

from __future__ import annotations

from dataclasses import replace

from interp.errors import InterpError
from interp.report.product import Product

PER_PICTURE = frozenset({"maps", "masks", "pictures"})
"""What the names of arrays of single pictures begin with, or after a network's name: ``masks/PICTURE``, ``maps/PICTURE/METHOD``."""


def excerpt(product: Product, pictures: int, *, weights: bool = True) -> Product:
    """``product`` with the maps, masks and pixels of its first ``pictures`` pictures only, and without ``weights`` unless asked for.

    What metrics say of every picture stays, as do the figures. Raises InterpError for a negative number.
    """
    if pictures < 0:
        raise InterpError(f"`maps` is {pictures}: give 0 or more pictures whose maps are kept")
    owners = {name: _picture(name) for name in product.arrays}
    first = list(dict.fromkeys(owner for owner in owners.values() if owner))[:pictures]
    kept = {
        name: array
        for name, array in product.arrays.items()
        if (owners[name] in first if owners[name] else weights or "weights" not in name.split("/")[:2])
    }
    return replace(product, arrays=kept)


def _picture(name: str) -> str:
    """Whose array it is: ``maps/cat/saliency`` and ``ConvNet/maps/cat/saliency`` are the cat's, as is ``masks/cat``; "" if no picture's."""
    parts = name.split("/")
    kinds = [part for part in parts[:2] if part in PER_PICTURE]
    return "" if not kinds else parts[-2] if kinds[0] == "maps" else parts[-1]
