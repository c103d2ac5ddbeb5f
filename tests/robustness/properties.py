"""How long a property is tried: briefly, or with ``INTERP_LONG=300`` in the environment on so many examples."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

_LONG = os.environ.get("INTERP_LONG")


def tried(examples: int) -> Callable[[Any], Any]:
    """A decorator: so many ``examples``, the same at each run; with ``INTERP_LONG`` as many as that says, other ones each time."""
    count = examples if _LONG is None else int(_LONG)
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=count, deadline=None, suppress_health_check=quiet, derandomize=_LONG is None, database=None)
