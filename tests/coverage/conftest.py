"""The scripts of the matrix are no package: they are found in benchmarks/."""

from __future__ import annotations

import sys
from pathlib import Path

# Behind everything else, since `coverage` is also the name of a package.
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
