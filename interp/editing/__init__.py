"""What a network does without chosen units, or with changed ones: ablate, scale or replace them for a while, and measure what follows.

    with interp.edited(model, ["stem.conv:3", "stem.conv:8-11"]):
        ...                                          # the units give 0; behind the block every bit is as before

An edit changes what the *named layer* gives: behind a convolution that feeds a BatchNorm, a channel of zeros becomes a constant of the
BatchNorm (its shift), so whoever wants the whole filter silent names the BatchNorm's unit.
"""

from interp.editing.controls import others
from interp.editing.editing import edited, mechanism
from interp.editing.edits import Ablate, Edit, Fresh, Kind, Replace, Scale
from interp.editing.effects import Swept, accuracy, chance, swept, wilson
from interp.editing.means import mean_ablations, unit_means
from interp.editing.words import Wanted

__all__ = [
    "Ablate",
    "Edit",
    "Fresh",
    "Kind",
    "Replace",
    "Scale",
    "Swept",
    "Wanted",
    "accuracy",
    "chance",
    "edited",
    "mean_ablations",
    "mechanism",
    "others",
    "swept",
    "unit_means",
    "wilson",
]
