"""The only place for value domains: float [0, 1] NCHW <-> uint8 <-> PIL; files, crops, the sample photographs."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tvf

from interp.errors import BadFile, InterpError, nearest

_SAMPLE_FILES = {
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "astronaut": "astronaut.png",
    "motorcycle": "motorcycle_left.png",
    "hubble": "hubble_deep_field.jpg",
}
SAMPLES = tuple(_SAMPLE_FILES)
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".avif")
# Above this a file is refused before it is decoded: 200 million pixels are 600 MB.
MOST_PIXELS = 200_000_000


@dataclass(frozen=True, eq=False)
class Photo:
    """One picture: its name and 8-bit RGB pixels, upright, with the SHA-256 and size of the file it came from.

    ``path`` is that file, "" for a sample; ``given`` what it was asked for by: the file, its folder, or the name of a sample.
    """

    name: str
    pixels: UInt8[np.ndarray, "h w 3"]
    sha256: str
    file_bytes: int = 0
    path: str = ""
    given: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(rows, cols)."""
        return (self.pixels.shape[0], self.pixels.shape[1])


@dataclass(frozen=True)
class Preprocess:
    """From a picture to a model's input: shorter side to ``resize``, centre crop to ``size``; mean and std per channel.

    ``resize`` None leaves the shorter side at the crop's. Sizes are (rows, cols) in pixels. The
    normalization is applied by the `Model`, not here: what this gives is [0, 1] RGB.
    """

    size: tuple[int, int] = (224, 224)
    resize: int | None = 256
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        """Raises InterpError where the values cannot be a preprocessing."""
        modes = [mode.value for mode in InterpolationMode]
        if self.interpolation not in modes:
            hint = nearest(self.interpolation, modes) or "there are " + ", ".join(modes)
            raise InterpError(f"no interpolation '{self.interpolation}': {hint}")
        if len(self.size) != 2 or min(self.size) < 1 or (self.resize is not None and self.resize < 1):
            raise InterpError(f"images of size {self.size} (rows, cols), shorter side resized to {self.resize}, are not possible")
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
            raise InterpError(f"a mean of {len(self.mean)} and a std of {len(self.std)} channels: photographs have 3, or 1 as grey")
        if min(self.std) <= 0:
            raise InterpError(f"the std {self.std} of a preprocessing must be positive")

    def __call__(self, photos: Photo | Sequence[Photo]) -> Float[Tensor, "n c h w"]:
        """[0, 1] RGB (N, 3, rows, cols), resized by Pillow as torchvision's presets do; grey (N, 1, ...) if ``mean`` has one entry."""
        photos = [photos] if isinstance(photos, Photo) else list(photos)
        return torch.stack([tensor(self._cropped(photo)) for photo in photos])

    def _image(self, photo: Photo) -> Image.Image:
        image = Image.fromarray(photo.pixels)
        return image.convert("L") if len(self.mean) == 1 else image

    def _cropped(self, photo: Photo) -> Image.Image:
        image: Any = self._image(photo)
        mode = InterpolationMode(self.interpolation)
        short = self.resize if self.resize is not None else min(self.size)
        if photo.size[0] * 40 < photo.size[1] or photo.size[1] * 40 < photo.size[0]:
            size = f"{photo.size[0]} x {photo.size[1]} px (rows x cols)"
            raise InterpError(f"picture '{photo.name}' of {size} is too narrow to be resized to a shorter side of {short}")
        resized: Any = tvf.resize(image, [max(short, 1)], interpolation=mode)
        cropped: Any = tvf.center_crop(resized, list(self.size))
        return cast(Image.Image, cropped)

    def view(self, photo: Photo, rows: int) -> Float[np.ndarray, "h w 3"]:
        """The part of the picture that the model sees, ``rows`` pixels high, for display: [0, 1]."""
        height, width = photo.size
        short = self.resize if self.resize is not None else min(self.size)
        scale = min(height, width) / short
        crop = [min(round(s * scale), side) for s, side in zip(self.size, photo.size, strict=True)]
        whole: Any = self._image(photo).convert("RGB")
        image: Any = tvf.center_crop(whole, crop)
        shown = image.resize((max(1, round(rows * crop[1] / crop[0])), rows), Image.Resampling.LANCZOS)
        return np.asarray(shown, dtype=np.float32) / 255


def tensor(image: Image.Image) -> Float[Tensor, "c h w"]:
    """8-bit picture -> [0, 1] float32 (3, rows, cols), or (1, rows, cols) where it is grey."""
    if image.mode == "L":
        return torch.from_numpy(np.array(image))[None].float() / 255
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255


def array(images: Float[Tensor, "n c h w"]) -> Float[np.ndarray, "n h w c"]:
    """[0, 1] NCHW -> numpy NHWC, float32, on the CPU."""
    result: np.ndarray = images.detach().float().cpu().permute(0, 2, 3, 1).contiguous().numpy()
    return result


def uint8(values: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """[0, 1] -> 0..255, rounded, clipped."""
    result: np.ndarray = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return result


def sample(name: str) -> Photo:
    """A photograph that ships with scikit-image, by name; no download."""
    if name not in _SAMPLE_FILES:
        raise InterpError(f"no sample photograph '{name}': {nearest(name, _SAMPLE_FILES) or 'there are ' + ', '.join(_SAMPLE_FILES)}")
    import skimage.data

    photo = read(Path(skimage.data.__file__).parent / _SAMPLE_FILES[name])
    return replace(photo, name=name, path="", given=name)


def load(references: Iterable[str | Path]) -> list[Photo]:
    """Photographs from files, folders (their pictures, sorted by name) and names of samples such as ``cat``.

    Raises BadFile where a file is missing or no picture, or a folder holds none.
    """
    photos: list[Photo] = []
    for reference in references:
        path = Path(reference)
        if not path.exists() and str(reference) in _SAMPLE_FILES:
            photos.append(sample(str(reference)))
        elif path.is_dir():
            files = sorted((p for p in path.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES), key=lambda p: p.name)
            if not files:
                raise BadFile(f"the folder '{reference}' holds no picture: looked for {', '.join(SUFFIXES)}")
            photos.extend(replace(read(p), given=str(path)) for p in files)
        else:
            photos.append(read(path))
    return photos


def read(path: Path) -> Photo:
    """A picture file as upright 8-bit RGB: EXIF rotation applied, alpha laid on white, grey repeated, 16 bit scaled to 8.

    Raises BadFile where the file is missing, no picture, truncated, or larger than ``MOST_PIXELS``.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, [*names, *_SAMPLE_FILES])
        raise BadFile(f"cannot read the picture '{path}': {reason.lower()}{'; ' + hint if hint else ''}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                width, height = opened.size
                if width * height > MOST_PIXELS:
                    most = f"{MOST_PIXELS // 1_000_000} million"
                    raise BadFile(f"the picture '{path}' has {width} x {height} px, more than {most}: make it smaller first")
                image = _rgb(ImageOps.exif_transpose(opened))
    except BadFile:
        raise
    except UnidentifiedImageError:
        raise BadFile(f"'{path}' is no picture that can be read: give a file such as {', '.join(SUFFIXES[:4])}") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, EOFError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadFile(f"the picture '{path}' cannot be decoded: {reason}") from None
    return Photo(path.stem, np.array(image), hashlib.sha256(data).hexdigest(), len(data), str(path), str(path))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):
        values = np.asarray(image, dtype=np.float64)
        return Image.fromarray(uint8(values / 65535)).convert("RGB")
    if image.mode == "F":
        return Image.fromarray(uint8(np.asarray(image, dtype=np.float64))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        with_alpha = image.convert("RGBA")
        white = Image.new("RGBA", with_alpha.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, with_alpha).convert("RGB")
    return image.convert("RGB")
