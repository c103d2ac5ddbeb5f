"""What is optimized: tensors from which an image is computed, always [0, 1] RGB.

Fourier coefficients scaled by 1/frequency in decorrelated colours make gradient ascent favour natural
spectra and colours (Olah, Mordvintsev & Schubert 2017, "Preconditioning and Parameterization"). Numbers
are lucid's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InterpError, Unsupported

Size = tuple[int, int]

# The square root of the covariance of ImageNet's pixel colours, divided by its largest column norm (lucid).
_COLOUR_SVD_SQRT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
# Lucid divides its image by 4 before the sigmoid, so that the start is near grey.
_CONTRAST = 0.25
# Values are kept this far from 0 and 1 where the sigmoid is inverted.
EDGE = 1e-4


class ImageParam(ABC):
    """A way to write images as free tensors.

    Every tensor has one entry per image first, so images never mix, or one per ``group`` of images in succession that
    are optimized together and share it.
    """

    @property
    def alpha(self) -> bool:
        """Whether the images have a fourth channel, opacity: 0 for see-through, 1 for opaque."""
        return False

    @property
    def earns_opacity(self) -> bool:
        """Whether a pixel's opacity is how much its gradients have come to over the run, as in MACO."""
        return False

    @abstractmethod
    def start(self, size: Size, generators: Sequence[torch.Generator], device: torch.device | str, group: int = 1) -> list[Tensor]:
        """Leaf tensors of one random near-grey image per generator; ``size`` = (rows, cols) in pixels."""

    @abstractmethod
    def image(self, tensors: Sequence[Tensor], size: Size) -> Float[Tensor, "n c h w"]:
        """The images, [0, 1] RGB, with opacity last where ``alpha``; differentiable in ``tensors``."""

    @abstractmethod
    def of(self, images: Float[Tensor, "n c h w"]) -> list[Tensor]:
        """Leaf tensors whose images are ``images`` ([0, 1]; values within 1e-4 of black or white are moved by that much).

        Raises Unsupported where this way of writing images cannot be inverted.
        """

    def check(self, size: Size) -> None:  # noqa: B027 - most take every size
        """Raise InterpError where images of ``size`` cannot be written this way."""


class Additive(ImageParam):
    """Parametrizations whose values before colours and sigmoid are linear in their tensors, so that several add up.

    The equations hold for any number of channels: the same tensors with one channel can be an opacity.
    """

    @property
    @abstractmethod
    def decorrelated(self) -> bool:
        """Whether the values are decorrelated colours, or RGB."""

    @property
    def count(self) -> int:
        """How many tensors ``start`` gives."""
        return 1

    @abstractmethod
    def draw(self, channels: int, size: Size, generators: Sequence[torch.Generator], device: torch.device | str) -> list[Tensor]:
        """Leaf tensors of one random image of ``channels`` per generator."""

    @abstractmethod
    def values(self, tensors: Sequence[Tensor], size: Size) -> Float[Tensor, "n c h w"]:
        """The images before colours and sigmoid."""

    @abstractmethod
    def tensors_of(self, values: Float[Tensor, "n c h w"]) -> list[Tensor]:
        """The inverse of ``values``."""

    def start(self, size: Size, generators: Sequence[torch.Generator], device: torch.device | str, group: int = 1) -> list[Tensor]:
        return self.draw(3, size, generators, device)

    def image(self, tensors: Sequence[Tensor], size: Size) -> Float[Tensor, "n c h w"]:
        return to_rgb(self.values(tensors, size), self.decorrelated)

    def of(self, images: Float[Tensor, "n c h w"]) -> list[Tensor]:
        return [leaf(t) for t in self.tensors_of(from_rgb(images, self.decorrelated))]


def additive(param: ImageParam, what: str) -> Additive:
    """``param`` itself; raises Unsupported, naming ``what`` it was given as, where its values do not add up."""
    if not isinstance(param, Additive):
        raise Unsupported(f"{what} cannot be {type(param).__name__}: give Pixels, Fourier or Pyramid, which can be added to")
    return param


@dataclass(frozen=True)
class Pixels(Additive):
    """Independent pixels, normal with standard deviation ``sd`` before the sigmoid; in decorrelated colours or RGB."""

    decorrelated: bool = True
    sd: float = 0.01

    def __post_init__(self) -> None:
        check_sd(self.sd)

    def draw(self, channels: int, size: Size, generators: Sequence[torch.Generator], device: torch.device | str) -> list[Tensor]:
        return [normal((channels, *size), generators, self.sd, device)]

    def values(self, tensors: Sequence[Tensor], size: Size) -> Float[Tensor, "n c h w"]:
        return tensors[0]

    def tensors_of(self, values: Float[Tensor, "n c h w"]) -> list[Tensor]:
        return [values]


@dataclass(frozen=True)
class Fourier(Additive):
    """The image's spectrum (real FFT), each coefficient scaled by 1 / frequency ** ``decay`` and drawn with ``sd``.

    A larger ``decay`` gives smoother images; 0 is white noise. Frequencies are in cycles per pixel and never
    taken as lower than one cycle per longer side.

    The scale is also that of the gradient: what reaches the tensors is the spectrum's own gradient times
    1 / frequency ** ``decay``. Feature accentuation's gradient scaled by 1 / f ** 1.5 (Hamblin et al. 2024) is
    ``decay=1.5``. Adam undoes the scale of a gradient but not that of the image, which then moves by 1 / f ** ``decay``
    a step; an optimizer that does not (SGD) moves it by both, 1 / f ** (2 * ``decay``) of the spectrum's gradient.
    """

    decorrelated: bool = True
    decay: float = 1.0
    sd: float = 0.01

    def __post_init__(self) -> None:
        check_sd(self.sd)
        if not 0 <= self.decay < 10:
            raise InterpError(f"the `decay` of Fourier is {self.decay}: give the exponent of 1/frequency, from 0 to 10, such as 1")

    def draw(self, channels: int, size: Size, generators: Sequence[torch.Generator], device: torch.device | str) -> list[Tensor]:
        return [normal((channels, size[0], size[1] // 2 + 1, 2), generators, self.sd, device)]

    def values(self, tensors: Sequence[Tensor], size: Size) -> Float[Tensor, "n c h w"]:
        spectrum = torch.view_as_complex(tensors[0]) * self._scale(size, tensors[0])
        values: Tensor = torch.fft.irfft2(spectrum, s=size, norm="ortho") * _CONTRAST
        return values

    def tensors_of(self, values: Float[Tensor, "n c h w"]) -> list[Tensor]:
        size = (values.shape[2], values.shape[3])
        spectrum = torch.fft.rfft2(values / _CONTRAST, norm="ortho") / self._scale(size, values)
        return [torch.view_as_real(spectrum).contiguous()]

    def _scale(self, size: Size, like: Tensor) -> Float[Tensor, "h half"]:
        return torch.pow(frequencies(size, like), torch.full((1,), -self.decay, device=like.device, dtype=like.dtype))


def frequencies(size: Size, like: Tensor) -> Float[Tensor, "h half"]:
    """Of a real FFT's coefficients, in cycles per pixel; never lower than one cycle per longer side."""
    rows = torch.fft.fftfreq(size[0], device=like.device, dtype=like.dtype)
    cols = torch.fft.rfftfreq(size[1], device=like.device, dtype=like.dtype)
    return torch.hypot(rows[:, None], cols[None]).clamp_min(1 / max(size))


def colour_matrix(like: Tensor) -> Float[Tensor, "3 3"]:
    """RGB = matrix @ decorrelated colour; the longest column has norm 1 (lucid's ``color_correlation_normalized``)."""
    matrix = torch.tensor(_COLOUR_SVD_SQRT, dtype=like.dtype, device=like.device)
    normed: Tensor = matrix / matrix.norm(dim=0).max()
    return normed


def to_rgb(values: Float[Tensor, "n c h w"], decorrelated: bool) -> Float[Tensor, "n c h w"]:
    """[0, 1] RGB from values before the sigmoid, in decorrelated colours or RGB."""
    return torch.sigmoid(_coloured(values, colour_matrix(values)) if decorrelated else values)


def from_rgb(images: Float[Tensor, "n c h w"], decorrelated: bool) -> Float[Tensor, "n c h w"]:
    """The inverse of ``to_rgb``; images within 1e-4 of black or white are moved by that much."""
    values = torch.logit(images, EDGE)
    return _coloured(values, torch.linalg.inv(colour_matrix(values))) if decorrelated else values


def _coloured(values: Float[Tensor, "n c h w"], matrix: Float[Tensor, "3 3"]) -> Float[Tensor, "n c h w"]:
    return (matrix @ values.flatten(2)).view_as(values)


def leaf(tensor: Tensor) -> Tensor:
    """The same numbers, to be optimized."""
    return tensor.detach().requires_grad_()


def normal(shape: tuple[int, ...], generators: Sequence[torch.Generator], sd: float, device: torch.device | str) -> Tensor:
    """A leaf tensor (images, *shape), drawn on the CPU whatever the device, one generator per image."""
    return torch.stack([torch.randn(shape, generator=g) * sd for g in generators]).to(device).requires_grad_()


def check_sd(sd: float) -> None:
    """Raise InterpError where ``sd`` is no standard deviation to draw with."""
    if not 0 < sd < 100:
        raise InterpError(f"the `sd` of an image parametrization is {sd}: give the standard deviation of the random start, such as 0.01")


FOURIER = Fourier()
