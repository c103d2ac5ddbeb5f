"""Chains of transforms that have proved themselves, by name, their pixels scaled to the image."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from interp.errors import UnknownName, nearest
from interp.featurevis.chain import Compose, Generators, Transform
from interp.featurevis.geometry import Crop, Jitter, Pad, RandomCrop, Rotate, Scale
from interp.featurevis.pixelwise import Noise
from interp.featurevis.sampling import Images, Moved, Size

# The image sizes for which lucid's and the study's transforms are written down.
_LUCID_SIZE, _STUDY_SIZE = 128, 224


class Scaled(Transform):
    """A chain that depends on the image's size and keeps it."""

    @abstractmethod
    def chain(self, size: Size) -> Compose:
        """The transforms for images of ``size`` = (rows, cols)."""

    def steps(self, before: Size) -> tuple[Transform, ...]:
        return self.chain(before).steps(before)

    def size(self, before: Size) -> Size:
        return before

    def __call__(self, images: Images, generators: Generators) -> Moved:
        return self.chain((images.shape[2], images.shape[3]))(images, generators)


@dataclass(frozen=True)
class Lucid(Scaled):
    """Lucid's standard chain, its pixels scaled to the image: surroundings ``grey``, jitter 8, scale 0.9-1.1, rotate 10, jitter 4.

    Lucid's pixels are those of a 128 px image. Its border of 12 px is cut off again, so that the size
    stays and networks that take one size only can be used.
    """

    grey: float = 0.5

    def chain(self, size: Size) -> Compose:
        border = _scaled(12, size, _LUCID_SIZE)
        first, last = Jitter(_scaled(8, size, _LUCID_SIZE)), Jitter(_scaled(4, size, _LUCID_SIZE))
        return Compose((Pad(border, self.grey), first, Scale(0.9, 1.1), Rotate(10.0), last, Crop(border)))


@dataclass(frozen=True)
class Strong(Scaled):
    """The chain behind the images shown to people in studies of feature visualization (Zimmermann et al. 2021), pixels scaled.

    Jitter 16, scale by 0.95, 0.975, 1, 1.025 or 1.05, rotate 5, jitter 8, in pixels of a 224 px image. The study
    optimizes a border of 16 px that it cuts off; here the image's mirror image takes its place, so that no
    grey frame is seen and the size stays.
    """

    def chain(self, size: Size) -> Compose:
        first, last = Jitter(_scaled(16, size, _STUDY_SIZE)), Jitter(_scaled(8, size, _STUDY_SIZE))
        return Compose((first, Scale(values=(0.95, 0.975, 1.0, 1.025, 1.05)), Rotate(5.0), last))


NONE = Compose()
STANDARD = Lucid()

# MACO's noise, 0.08 and half of it for values from -1 to 1, in the units of [0, 1] (Fel et al. 2023).
_MACO = Compose((RandomCrop(share=0.25, sd=0.05), Noise(0.04, 0.02)))

PRESETS: dict[str, Transform] = {"none": NONE, "lucid": STANDARD, "maco": _MACO, "strong": Strong()}


def preset(name: str) -> Transform:
    """The transform of that name in `PRESETS`. Raises UnknownName, with the names there are."""
    if name not in PRESETS:
        there = f"the presets are {', '.join(PRESETS)}"
        hint = nearest(name, PRESETS)
        raise UnknownName(f"no transforms named '{name}': " + (f"{hint} ({there})" if hint else there))
    return PRESETS[name]


def _scaled(pixels: int, size: Size, written_for: int) -> int:
    """At least one, so that a small image is moved too."""
    return max(1, round(pixels * min(size) / written_for))
