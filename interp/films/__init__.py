"""A training looked at as a whole: the same filters, units and photograph followed from the first step to the last.

`Timeline` holds what is followed, whether it was recorded (`recorded.of`) or read from a row of checkpoints (`checkpoints.of`). The other
modules ask one question of it each: do units keep their places (`matching`), which filters moved and where to (`moved`), when is there
structure for the first time (`onset`); or make one kind of picture of it (`multiples`, `probing`, `climbs`, `curves`,
`frames`).
"""

from __future__ import annotations

from interp.films.timeline import Curve, Probe, Timeline, UnitImages

__all__ = ["Curve", "Probe", "Timeline", "UnitImages"]
