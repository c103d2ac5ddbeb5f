"""How far a repeated run may be from the recorded one, by what kind of thing is compared.

On one machine (see `interp.runs.machine`) arithmetic repeats, so every array is compared bit for bit. Elsewhere sums are
added in another order; what that does depends on how an array came about, which only its maker knows. So each product
declares it, by patterns over names, and the manifest records it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from fnmatch import fnmatchcase


class Tolerance(Enum):
    """What must hold of a repeated array, metric or figure where the machine differs."""

    EXACT = "exact"
    """Equal everywhere: weights, statistics of weights, chosen indices, texts."""
    COMPUTED = "computed"
    """Activations and attributions: within 1e-4 of the largest magnitude; of 8-bit pictures one level."""
    DERIVED = "derived"
    """Numbers that hang on ranks or thresholds of computed ones (areas under curves, intervals, p-values): within 2 %."""
    OPTIMIZED = "optimized"
    """Images of gradient ascent: their pixels part ways after some steps, so their scores are compared, within 3 %."""


DEFAULT = Tolerance.COMPUTED


def tolerance_of(name: str, declared: Mapping[str, Tolerance]) -> Tolerance:
    """The tolerance declared for ``name``: that of the longest pattern (as of `fnmatch`, ``*`` spans ``/``) that matches it.

    Arrays go by their names, metrics as ``metrics/KEY/...``, figures as ``figures/STEM``. `DEFAULT` where none matches.
    """
    matching = [pattern for pattern in declared if fnmatchcase(name, pattern)]
    return declared[max(matching, key=lambda pattern: (len(pattern), pattern))] if matching else DEFAULT
