"""What a second forward tells of a network: whether it repeats, and what the numbers are that it gives."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.answers import Answer
from interp.core.capture import record, tensor_of
from interp.core.model import Model
from interp.core.own_draws import drawing
from interp.errors import InterpError, Unsupported

DRAWS, PROBABILITIES = "Random draws", "Probabilities"
"""Names of notes of a `ModelSpec` that a reader has to see below every figure."""
TELLING = (DRAWS, PROBABILITIES)

_DRAWN = "the network draws random numbers in its forward; results are those of one seeded draw, the same for each batch"
_UNSTEADY = "the network gives other numbers for the same picture each time, from no generator that could be seeded; results do not repeat"
_TAKEN = "the network returns probabilities, which are shown as they are"
_FLAT = (
    "; the gradient of a probability vanishes where that is close to 0 or 1: explain the scores before the softmax "
    "(one of several outputs with --output, or a unit of an earlier layer with --target)"
)
# Of the largest magnitude: what rounding may change from one forward to the next.
_ROUNDING = 1e-3


@torch.no_grad()
def looked_again(model: Model, images: Float[Tensor, "n c h w"], first: Tensor, seed: int) -> Model:
    """``model`` with what a second forward of ``images``, with other draws, tells beside the ``first`` result (n, ...), and its notes.

    ``seed`` is where the network's own draws start from now on, if it makes any. Raises Unsupported where it gives NaN.
    """
    if bool(torch.isnan(first).any()):
        raise Unsupported(
            f"'{model.spec.reference}' gives NaN for images of noise, though its weights are finite: check what it divides by, "
            "takes the root or the logarithm of, and its --mean and --std"
        )

    def forward() -> Tensor:
        found = tensor_of(model.module(images.clone()))
        assert found is not None
        return found

    def again() -> tuple[dict[str, Tensor], Tensor]:
        outputs, found = record(model.module, forward, {model.output: model.layer(model.output).calls})
        assert found is not None
        return outputs, found

    try:
        with drawing(seed + 1, images.device) as draws:
            outputs, second = again()
    except InterpError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise Unsupported(f"'{model.spec.reference}' runs once, and not a second time: {type(error).__name__}: {reason}") from error
    notes, draws_itself = dict(model.spec.notes), draws.moved
    if not draws_itself and not _alike(first, second):
        # By Python's generator, or by nothing that a seed reaches.
        with drawing(seed + 1, images.device):
            _, third = again()
        draws_itself = _alike(second, third)
        notes[DRAWS] = _DRAWN if draws_itself else _UNSTEADY
    elif draws_itself and not torch.equal(first, second):
        notes[DRAWS] = _DRAWN
    rows = model.maps(model.output, outputs[model.output]).mean((2, 3))
    unit_answer, answer = Answer.of(rows), Answer.of(second.flatten(2).mean(2) if second.ndim > 2 else second)
    if answer is Answer.PROBABILITIES:
        notes[PROBABILITIES] = _TAKEN + (_FLAT if unit_answer is Answer.PROBABILITIES else "")
    spec = replace(model.spec, notes=tuple(notes.items()))
    return replace(model, spec=spec, answer=answer, draws=seed if draws_itself else None)


def _alike(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and torch.allclose(first, second, rtol=_ROUNDING, atol=_ROUNDING * float(first.abs().max()))
