"""The fuzzing of ``benchmarks/fuzz.py`` is tested here too: its modules can be imported."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
