"""Captum at arm's length: what it leaves on modules is taken away, what it draws globally is given back, what it warns of is known."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from interp.core.memory import ran_out
from interp.core.own_draws import started
from interp.core.rng import generator
from interp.core.written import kept
from interp.errors import Unsupported


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Attributes of every submodule as before outside; inside, gradients are recorded whatever the caller has switched off.

    DeepLift leaves ``input`` and ``output`` on modules, LRP ``activations``, and takes ``rule`` away.
    """
    before = [(m, dict(vars(m))) for m in module.modules()]
    try:
        # A caller's inference_mode would leave no graph to differentiate.
        with kept(module), torch.inference_mode(False), torch.enable_grad(), warnings.catch_warnings():
            # That hooks are set, and will be removed; that the input's requires_grad is set on a tensor nobody else has.
            warnings.filterwarnings("ignore", category=UserWarning, module=r"captum\.")
            yield
    finally:
        for m, attributes in before:
            vars(m).clear()
            vars(m).update(attributes)


def out_of_place(module: nn.Module) -> None:
    """Switch off in-place operation, within `undisturbed`, for methods that need a layer's input after it was called."""
    for m in module.modules():
        if getattr(m, "inplace", False):
            m.inplace = False  # type: ignore[assignment]


@contextmanager
def refusing(asked: str) -> Iterator[None]:
    """What Captum cannot do becomes one sentence, which begins with ``asked``."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError, AssertionError, AttributeError, IndexError) as error:
        if ran_out(error):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Unsupported(f"{asked}: {reason[:200]}; choose 'integrated-gradients', which needs no rules") from error


@contextmanager
def drawing(device: torch.device, seed: int, *names: object) -> Iterator[None]:
    """Inside, the global generators, from which Captum draws, start from ``seed`` and ``names``: the same for an image in any company.

    Outside they go on as if nothing had been drawn.
    """
    number, numpy = (generator(seed, *names, *more).initial_seed() for more in ((), ("numpy",)))
    with started(device, number, numpy):
        yield
