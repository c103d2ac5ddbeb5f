"""Lucent beside interp: its objectives run in our engine, and its engine runs under our interface, as a baseline.

Lucent is loaded only when its engine is used: it takes seconds, and warns.
"""

from interp.featurevis.lucent.engine import clean_scores, render
from interp.featurevis.lucent.objectives import Lucent, from_lucent, from_string

__all__ = ["Lucent", "clean_scores", "from_lucent", "from_string", "render"]
