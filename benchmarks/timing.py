"""Medians of interleaved rounds, shared by the benchmarks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def timed(
    functions: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time, warm: bool = True
) -> dict[str, float]:
    """Median CPU seconds of each; the rounds are interleaved, so that a slow moment of the machine meets all alike.

    ``clock``: ``time.perf_counter`` for wall time. ``warm``: each runs once before, unmeasured.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values() if warm else ():
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            start = clock()
            function()
            seconds[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}
