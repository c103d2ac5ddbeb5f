"""What the numbers are that a network gives: scores before a softmax, probabilities, or neither. The one place where softmax is taken."""

from __future__ import annotations

from enum import StrEnum

import torch
from jaxtyping import Float
from torch import Tensor

# How far the sum of probabilities may be from 1, by how they are rounded.
_LEEWAY = {torch.float64: 1e-4, torch.float32: 1e-4}
_COARSE = 1e-2


class Answer(StrEnum):
    """``LOGITS``: their softmax is the probabilities. ``PROBABILITIES``: it was taken already. ``NUMBERS``: no classes, such as boxes."""

    LOGITS = "logits"
    PROBABILITIES = "probabilities"
    NUMBERS = "numbers"

    @classmethod
    def of(cls, rows: Float[Tensor, "n classes"]) -> Answer:
        """``PROBABILITIES`` where there are two classes or more, nothing is below 0 and every row sums to 1; else ``LOGITS``."""
        if rows.shape[0] == 0 or rows.shape[1] < 2 or bool((rows < 0).any()):
            return cls.LOGITS
        off = (rows.double().sum(1) - 1).abs().max()
        return cls.PROBABILITIES if bool(off <= _LEEWAY.get(rows.dtype, _COARSE)) else cls.LOGITS

    def probabilities(self, rows: Float[Tensor, "n classes"]) -> Float[Tensor, "n classes"]:
        """The probability of each class. Raises ValueError for ``NUMBERS``, which have none."""
        if self is Answer.NUMBERS:
            raise ValueError("these numbers are no scores of classes, so they have no probabilities")
        return rows if self is Answer.PROBABILITIES else rows.softmax(1)

    def log_probabilities(self, rows: Float[Tensor, "n classes"]) -> Float[Tensor, "n classes"]:
        """The natural logarithm of the same: of a probability of 0 that of the smallest number that is none."""
        if self is Answer.PROBABILITIES:
            return rows.clamp_min(torch.finfo(rows.dtype).tiny).log()
        return self.probabilities(rows).log() if self is Answer.NUMBERS else rows.log_softmax(1)
