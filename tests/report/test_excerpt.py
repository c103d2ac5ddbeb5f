"""What stays of a product that is kept small: every value, every figure, the maps of the first pictures."""

import numpy as np
import pytest

from interp.errors import InterpError
from interp.report.excerpt import excerpt
from interp.report.product import Product

ONE = np.zeros(1)
WHOLE = {
    "maps/cat/saliency": ONE,
    "maps/dog/saliency": ONE,
    "maps/cat/gradcam@stage1": ONE,
    "A/maps/cat/saliency": ONE,
    "A/maps/dog/saliency": ONE,
    "maps/trained/dog/saliency": ONE,
    "masks/cat": ONE,
    "masks/dog": ONE,
    "pictures/dog": ONE,
    "metrics/Deletion/saliency": ONE,
    "weights/fc.bias": ONE,
    "A/weights/fc.bias": ONE,
}


def kept(pictures: int, **options: bool) -> set[str]:
    return set(excerpt(Product("T", "", [], WHOLE), pictures, **options).arrays)


def test_only_arrays_of_later_pictures_go():
    assert set(WHOLE) - kept(1) == {name for name in WHOLE if "dog" in name}
    assert kept(2) == kept(9) == set(WHOLE)
    assert kept(0) == {"metrics/Deletion/saliency", "weights/fc.bias", "A/weights/fc.bias"}


def test_weights_go_only_where_they_are_not_asked_for():
    assert set(WHOLE) - kept(2, weights=False) == {"weights/fc.bias", "A/weights/fc.bias"}


def test_all_else_stays():
    whole = Product("T", "lead", [], WHOLE, {"a": 1}, facts=[("b", "c")])
    small = excerpt(whole, 1)
    assert (small.title, small.lead, small.metrics, small.facts) == (whole.title, whole.lead, whole.metrics, whole.facts)


def test_a_negative_number_is_refused():
    with pytest.raises(InterpError, match=r"`maps` is -1: give 0 or more pictures whose maps are kept"):
        kept(-1)
