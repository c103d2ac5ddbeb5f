"""One small test of each mission, for ``interp doctor``: the embedded network on this machine's device, and an equation each."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.errors import InterpError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from interp.core.model import Model

# Of the largest magnitude: what float32 sums in another order may differ by.
CLOSE = 1e-4
_LAYER, _STEM = "stage2.block1", "stem.conv"


class Wrong(InterpError):
    """An equation that does not hold on this machine."""


@dataclass(frozen=True)
class Outcome:
    """One test: what was tested by which equation, "" or why it fails in one line, and how long it took."""

    name: str
    equation: str
    reason: str
    seconds: float

    @property
    def passed(self) -> bool:
        return not self.reason


def self_tests(device: str) -> Iterator[Outcome]:
    """Each test's outcome as soon as it is known; whatever goes wrong becomes its reason."""
    from interp.core.repeatable import Repeatable

    model: Model | None = None
    with Repeatable() as repeatable:
        for name, (equation, test) in TESTS.items():
            started = time.monotonic()
            try:
                if model is None:
                    model = _network(device)
                    repeatable.on(model.device)
                test(model)
                reason = ""
            except Exception as error:
                said = " ".join(str(error).split()) or "no word"
                reason = said if isinstance(error, InterpError) else f"{type(error).__name__}: {said}"
            yield Outcome(name, equation, reason, time.monotonic() - started)


def _network(device: str) -> Model:
    from interp.zoo.loading import load

    return load("embedded", device=device)


def _kernels(model: Model) -> None:
    from interp import activations, kernels

    images = _images(model)
    weights = kernels.of(model, _STEM).weights[0]
    convolution: Any = model.module.get_submodule(_STEM)
    rows, cols = weights.shape[-2:]
    (down, across), (top, left) = convolution.stride, convolution.padding
    # A place whose patch lies inside the image, so that padding has no part in it.
    row, col = -(-top // down) + 1, -(-left // across) + 1
    corner = row * down - top, col * across - left
    patch = model.normalized(images)[0, :, corner[0] : corner[0] + rows, corner[1] : corner[1] + cols].double().cpu().numpy()
    by_hand = float((weights.astype("float64") * patch).sum()) + (0.0 if convolution.bias is None else float(convolution.bias[0]))
    found = activations.of(model, images, [_STEM])[_STEM].maps[0]
    _near(float(found[0, row, col]), by_hand, float(abs(found).max()))


def _activations(model: Model) -> None:
    import torch

    from interp import activations

    images, seen = _images(model), []
    hook = model.module.get_submodule(_LAYER).register_forward_hook(lambda _module, _given, out: seen.append(out.detach().clone()))
    try:
        with torch.no_grad():
            model(images)
    finally:
        hook.remove()
    found = torch.from_numpy(activations.of(model, images, [_LAYER])[_LAYER].maps.copy())
    _near_all(found, seen[0].float().cpu())


def _visualize(model: Model) -> None:
    import torch

    from interp.core.score import evaluate
    from interp.core.unit import Unit
    from interp.featurevis import AscentConfig, visualize
    from interp.featurevis.config import Precision

    unit = Unit(_LAYER, 3)
    (feature,) = visualize(model, [unit], AscentConfig(steps=16, size=(64, 64), precision=Precision.FLOAT32), seed=0)
    if not feature.final > float(feature.scores[0]):
        raise Wrong(f"the score of '{unit}' fell from {float(feature.scores[0]):.3g} to {feature.final:.3g} in 16 steps of ascent")
    image = torch.from_numpy(feature.image.copy()).permute(2, 0, 1)[None].to(model.device)
    again = float(evaluate(model, (image * 255).round() / 255, [unit])[0])
    _near(feature.final, again, max(abs(again), 1e-6))


def _gradcam(model: Model) -> None:
    import torch

    from interp.attribution import gradcam
    from interp.core.unit import Unit

    images, seen, unit = _images(model), [], Unit(model.output, 7)

    def keep(_module: torch.nn.Module, _given: object, out: Tensor) -> None:
        out.requires_grad_()
        seen.append(out)

    hook = model.module.get_submodule(_LAYER).register_forward_hook(keep)
    try:
        with torch.enable_grad():
            score = model(images)[0, unit.channel]
            (gradient,) = torch.autograd.grad(score, seen)
    finally:
        hook.remove()
    by_hand = (gradient.mean((2, 3), keepdim=True) * seen[0].detach()).sum(1)[0]
    found = torch.from_numpy(gradcam.of(model, images, [unit], [_LAYER])[0][_LAYER].values.copy())
    _near_all(found, by_hand.float().cpu())


def _verify(model: Model) -> None:
    from interp.cli.commands import Kernels
    from interp.cli.options import ModelOptions, SaveOptions
    from interp.proof import proof
    from interp.proof.verdict import Verdict

    with tempfile.TemporaryDirectory(prefix="interp-doctor-", ignore_cleanup_errors=True) as name:
        runs = [Path(name) / "one", Path(name) / "two"]
        for folder in runs:
            saving = SaveOptions(folder, formats=("png",), dpi=40)
            command = Kernels(layers=(_STEM,), count=4, loading=ModelOptions(device=str(model.device)), saving=saving)
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                command.run()
        found = proof.against(*runs)
        if found.verdict is not Verdict.IDENTICAL:
            raise Wrong(f"a run that was made twice is {found.verdict.value}: {found.reason}")
        figure = runs[0] / "figures" / "kernels.png"
        data = bytearray(figure.read_bytes())
        data[len(data) // 2] ^= 1
        figure.write_bytes(bytes(data))
        found = proof.check(runs[0])
        if found.verdict is not Verdict.DIFFERENT or figure.name not in found.reason:
            raise Wrong(f"one changed bit of a figure was not found: {found.verdict.value}, {found.reason}")


def _images(model: Model) -> Tensor:
    import torch

    return torch.rand(1, 3, *model.preprocess.size, generator=torch.Generator().manual_seed(0)).to(model.device)


def _near_all(found: Tensor, expected: Tensor) -> None:
    if found.shape != expected.shape:
        raise Wrong(f"the shape is {tuple(found.shape)}, not {tuple(expected.shape)}")
    place = int((found - expected).abs().argmax())
    _near(float(found.flatten()[place]), float(expected.flatten()[place]), float(expected.abs().max()))


def _near(found: float, expected: float, largest: float) -> None:
    """Raise `Wrong` where two numbers differ by more than `CLOSE` of the ``largest`` magnitude around them, or are none."""
    if not abs(found - expected) <= CLOSE * largest:
        raise Wrong(f"the two sides are {found:.6g} and {expected:.6g}")


TESTS: dict[str, tuple[str, Callable[[Model], None]]] = {
    "kernels": ("a filter times a patch is the layer's output there", _kernels),
    "activations": ("what is captured is what a hook sees", _activations),
    "visualize": ("the score rises, and the finished image has it", _visualize),
    "gradcam": ("the map is the sum of mean gradients times maps", _gradcam),
    "verify": ("a run made twice is identical, and one changed bit is found", _verify),
}
