"""The microscope: every unit of a network as a page of a static site, from one command.

`build` makes it: a plan of tasks with stable names, whose results are kept by the content of all they depend on (`store`), and pages
that join them. Killed at any point, the same call goes on from what is finished.
"""

from interp.microscope.building import Building, Built, build, expected
from interp.microscope.data import Data
from interp.microscope.ending import About
from interp.microscope.estimate import Estimate
from interp.microscope.options import Options
from interp.microscope.plan import layers_of
from interp.microscope.recipe import Recipe

__all__ = ["About", "Building", "Built", "Data", "Estimate", "Options", "Recipe", "build", "expected", "layers_of"]
