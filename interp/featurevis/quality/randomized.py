"""A copy of a model with random weights: an image that looks the same for it says nothing about the trained weights."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from interp.core import trace
from interp.core.model import Model
from interp.core.randomize import permuted
from interp.errors import Unsupported


def randomized(model: Model, seed: int) -> Model:
    """A copy of ``model`` in which the entries of each parameter are permuted; the original is untouched.

    A copy, as an ascent holds its model for long and the report shows it as one of its own. A permutation keeps the scale
    that the network was trained to, so that signals still pass (see `interp.core.randomize.Redraw`). Buffers stay as they are.
    The draw of a parameter depends on ``seed`` and its name alone. Raises Unsupported for a module that cannot be copied.
    """
    try:
        module = copy.deepcopy(model.module)
    except (RuntimeError, TypeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise Unsupported(
            f"'{model.spec.reference}' cannot be copied for the randomization check: {reason}; measure without that check"
        ) from error
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(permuted(parameter, seed, name))
    spec = replace(model.spec, reference=f"{model.spec.reference} (weights permuted)", weights="permuted", sha256="")
    return trace.model(module, spec, model.preprocess)
