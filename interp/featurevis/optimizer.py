"""How tensors move along their gradients. Each image's numbers move by themselves, so that images never mix."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from interp.errors import InterpError, Unsupported, nearest

Step = Callable[[Sequence[Tensor], float], None]
"""Moves the tensors it was made for, in place: ``(gradients, rate)``, upwards."""

# Adam divides each gradient by its own size. What is below this share of the image's largest is rounding, which
# would be made as large as the rest and differ with the batch: it is divided by this share instead.
_FLOOR, _TINY = 1e-3, 1e-30
# torch's optimizers that need more than a gradient per number: a closure, sparse gradients, or whole matrices.
_REFUSED = ("LBFGS", "SparseAdam", "Muon", "Adafactor", "Optimizer")


class Optimizer(ABC):
    """Options of a method; ``begin`` gives its state for some tensors."""

    @abstractmethod
    def begin(self, tensors: Sequence[Tensor]) -> Step: ...


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015), with a floor under each number's spread: a share of the largest spread in its image."""

    beta1: float = 0.9
    beta2: float = 0.999

    def __post_init__(self) -> None:
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise InterpError(f"`{name}` of Adam is {getattr(self, name)}: give a decay from 0 to below 1, such as 0.9")

    def begin(self, tensors: Sequence[Tensor]) -> Step:
        moments = [(torch.zeros_like(t), torch.zeros_like(t)) for t in tensors]
        count = 0

        @torch.no_grad()
        def step(gradients: Sequence[Tensor], rate: float) -> None:
            nonlocal count
            count += 1
            for tensor, (first, second), gradient in zip(tensors, moments, gradients, strict=True):
                first.lerp_(gradient, 1 - self.beta1)
                second.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
                spread = (second / (1 - self.beta2**count)).sqrt_()
                largest = spread.flatten(1).amax(1).view(-1, *[1] * (spread.ndim - 1))
                spread.add_(largest, alpha=_FLOOR).add_(_TINY)
                tensor.addcdiv_(first, spread, value=rate / (1 - self.beta1**count))

        return step


@dataclass(frozen=True)
class Torch(Optimizer):
    """An optimizer of ``torch.optim`` by its class name, with ``options`` such as ``(("momentum", 0.9),)``."""

    name: str
    options: tuple[tuple[str, float | bool | tuple[float, ...]], ...] = ()

    def __post_init__(self) -> None:
        known = [n for n in dir(torch.optim) if n[0].isupper() and n not in _REFUSED]
        if self.name in _REFUSED:
            raise Unsupported(f"torch.optim.{self.name} needs more than the gradient of each number: use one of {', '.join(known)}")
        if self.name not in known:
            raise InterpError(f"no optimizer '{self.name}' in torch.optim: {nearest(self.name, known) or 'there are ' + ', '.join(known)}")
        try:
            self._made([torch.zeros(1, requires_grad=True)])
        except (TypeError, ValueError) as error:
            raise InterpError(f"torch.optim.{self.name} does not take {dict(self.options)}: {error}") from None

    def begin(self, tensors: Sequence[Tensor]) -> Step:
        # One parameter per image: an optimizer that looks at a whole tensor then looks at one image.
        parts = [[t.detach()[i].requires_grad_() for i in range(len(t))] for t in tensors]
        made = self._made([part for whole in parts for part in whole])

        def step(gradients: Sequence[Tensor], rate: float) -> None:
            for whole, gradient in zip(parts, gradients, strict=True):
                for part, of_part in zip(whole, gradient, strict=True):
                    part.grad = of_part
            for group in made.param_groups:
                group["lr"] = torch.as_tensor(rate) if isinstance(group["lr"], Tensor) else rate
            made.step()

        return step

    def _made(self, parts: list[Tensor]) -> torch.optim.Optimizer:
        made: torch.optim.Optimizer = getattr(torch.optim, self.name)(parts, lr=1.0, maximize=True, **dict(self.options))
        return made


# A short memory: measured, a given score is reached in a third of the steps that Adam's usual numbers take.
BRISK = Adam(0.5, 0.99)
