"""The only place for value domains: float [0, 1] NCHW <-> uint8 <-> PIL; files, crops, the sample photographs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tvf

from interp import bands
from interp.decoding import MOST_PIXELS, SUFFIXES, opened
from interp.errors import BadFile, InterpError, a, nearest

_SAMPLE_FILES = {
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "astronaut": "astronaut.png",
    "motorcycle": "motorcycle_left.png",
    "hubble": "hubble_deep_field.jpg",
}
SAMPLES = tuple(_SAMPLE_FILES)
__all__ = [
    "MOST_PIXELS",
    "SAMPLES",
    "SUFFIXES",
    "Photo",
    "Preprocess",
    "array",
    "load",
    "of_bytes",
    "read",
    "sample",
    "tensor",
    "uint8",
]


@dataclass(frozen=True, eq=False)
class Photo:
    """One picture: its name and 8-bit RGB pixels, upright, with the SHA-256 and size of the file it came from.

    ``path`` is that file, "" for a sample; ``given`` what it was asked for by: the file, its folder, or the name of a sample.

    ``bands`` are the values in [0, 1] of an array or a TIFF file of another number of bands, None for others. ``shown`` are those
    that stand for red, green and blue where they are looked at, or the one in grey, counted from 1. Where the file is no
    ``picture`` by itself, ``pixels`` are these.
    """

    name: str
    pixels: UInt8[np.ndarray, "h w 3"]
    sha256: str
    file_bytes: int = 0
    path: str = ""
    given: str = ""
    bands: Float32[np.ndarray, "h w b"] | None = None
    shown: tuple[int, ...] = ()
    picture: bool = True

    @property
    def size(self) -> tuple[int, int]:
        """(rows, cols)."""
        return (self.pixels.shape[0], self.pixels.shape[1])

    @property
    def visible(self) -> UInt8[np.ndarray, "h w 3"]:
        """The bands that are ``shown``, as 8-bit RGB; the pixels where there are no bands."""
        if self.bands is None:
            return self.pixels
        chosen = self.bands[..., [band - 1 for band in self.shown]]
        return uint8(np.repeat(chosen, 3, axis=2) if len(self.shown) == 1 else chosen)


AnyPhoto = Photo | Image.Image | UInt8[np.ndarray, "_ _ 3"]
"""A photograph, or what stands for one in Python: a picture of Pillow, or 8-bit RGB pixels."""


def _as_photo(given: object) -> Photo:
    """Raises InterpError for what is no `AnyPhoto`."""
    if isinstance(given, Photo):
        return given
    if isinstance(given, Image.Image):
        pixels = np.array(_rgb(ImageOps.exif_transpose(given)))
    elif isinstance(given, np.ndarray):
        if given.dtype != np.uint8 or given.ndim != 3 or given.shape[2] != 3 or 0 in given.shape:
            said = f"an array of {given.dtype} of shape {given.shape} is no picture"
            raise InterpError(f"{said}: give uint8 (rows, cols, 3), or the mission itself a tensor (n, channels, rows, cols) in [0, 1]")
        pixels = given
    else:
        named = isinstance(given, (str, Path))
        what = f"'{given}' is the name of a picture" if named else f"{a(given)} is no picture"
        example = f"model.preprocess(interp.photos('{given if named else 'cat'}'))"
        raise InterpError(f"{what}: load pictures with interp.photos, as in `{example}`")
    return Photo("picture", pixels, hashlib.sha256(pixels.tobytes()).hexdigest())


# Pictures in [0, 1] deviate by half of that at most; more is made up, which a little of is let through.
_MOST_STD = 2.0


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
            resized = "" if self.resize is None else f", shorter side resized to {self.resize},"
            raise InterpError(f"images of size {self.size} (rows, cols){resized} are not possible: give 1 px or more")
        if len(self.mean) != len(self.std) or not self.mean:
            raise InterpError(f"a mean of {len(self.mean)} and a std of {len(self.std)} channels: give as many of one as of the other")
        if not all(map(math.isfinite, (*self.mean, *self.std))):
            raise InterpError(f"the mean {self.mean} and std {self.std} of a preprocessing must be finite")
        if min(self.std) <= 0:
            raise InterpError(f"the std {self.std} of a preprocessing must be positive")
        if not 0 <= min(self.mean) <= max(self.mean) <= 1 or max(self.std) > _MOST_STD:
            values = f"the mean {self.mean} and std {self.std} of a preprocessing"
            raise InterpError(f"{values} are no numbers of pictures in [0, 1]: divide both by 255 if they are of 0 to 255")

    def __call__(self, photos: AnyPhoto | Sequence[AnyPhoto]) -> Float[Tensor, "n c h w"]:
        """[0, 1] (N, channels, rows, cols), resized by Pillow as torchvision's presets do.

        There are as many channels as ``mean`` has entries: the bands of a photo that has as many; else 3 are RGB and 1 is grey. A photo may
        be a picture of Pillow, or 8-bit pixels (rows, cols, 3). Raises InterpError for one that is none of these, or has other channels.
        """
        several = isinstance(photos, Iterable) and not isinstance(photos, (Image.Image, np.ndarray, str, Path))
        given = cast("Iterable[object]", photos) if several else [photos]
        inputs = [self._input(_as_photo(photo)) for photo in given]
        if not inputs:
            raise InterpError("no picture was given: give at least one")
        return torch.stack(inputs)

    def uses_bands(self, photo: Photo) -> bool:
        """Whether the network sees the photo's bands, rather than its colours; raises InterpError where it can see neither."""
        channels = len(self.mean)
        if photo.bands is not None and photo.bands.shape[2] == channels:
            return True
        if photo.picture and channels in (1, 3):
            return False
        takes = f"the network takes {channels} channel{'s' * (channels != 1)}"
        if photo.bands is None:
            raise InterpError(f"picture '{photo.name}' has red, green and blue, and {takes}: give {channels} bands, as .npy or .tif")
        rows, cols, count = photo.bands.shape
        raise InterpError(f"'{photo.name}' has {count} bands of {rows} x {cols} px (rows x cols), and {takes}: give as many bands")

    def _input(self, photo: Photo) -> Float[Tensor, "c h w"]:
        if not self.uses_bands(photo):
            return tensor(self._cropped(photo, self._image(photo)))
        assert photo.bands is not None
        # One by one, as Pillow has no pictures of many bands; by the same filters, in floats.
        planes = [self._cropped(photo, Image.fromarray(np.ascontiguousarray(photo.bands[..., k]))) for k in range(photo.bands.shape[2])]
        return torch.from_numpy(np.stack([np.asarray(plane, dtype=np.float32) for plane in planes])).clamp(0, 1)

    def _image(self, photo: Photo) -> Image.Image:
        image = Image.fromarray(photo.pixels)
        return image.convert("L") if len(self.mean) == 1 else image

    def shorter_side(self, size: tuple[int, int]) -> int:
        """What the shorter side of a picture of that ``size`` (rows, cols) is resized to: ``resize``, or more where the crop would
        reach over the border."""
        covering = max(-(-crop * min(size) // side) for crop, side in zip(self.size, size, strict=True))
        return max(covering, self.resize if self.resize is not None else min(self.size))

    def _cropped(self, photo: Photo, whole: Image.Image) -> Image.Image:
        image: Any = whole
        mode = InterpolationMode(self.interpolation)
        short = self.shorter_side(photo.size)
        if photo.size[0] * 40 < photo.size[1] or photo.size[1] * 40 < photo.size[0]:
            size = f"{photo.size[0]} x {photo.size[1]} px (rows x cols)"
            raise InterpError(f"picture '{photo.name}' of {size} is too narrow to be resized to a shorter side of {short}")
        resized: Any = tvf.resize(image, [short], interpolation=mode)
        cropped: Any = tvf.center_crop(resized, list(self.size))
        return cast(Image.Image, cropped)

    def view(self, photo: Photo, rows: int) -> Float[np.ndarray, "h w 3"]:
        """The part of the picture that the model sees, ``rows`` pixels high, for display: [0, 1]; of bands those that are shown."""
        height, width = photo.size
        scale = min(height, width) / self.shorter_side(photo.size)
        crop = [min(round(s * scale), side) for s, side in zip(self.size, photo.size, strict=True)]
        whole: Any = Image.fromarray(photo.visible) if self.uses_bands(photo) else self._image(photo).convert("RGB")
        image: Any = tvf.center_crop(whole, crop)
        shown = image.resize((max(1, round(rows * self.size[1] / self.size[0])), rows), Image.Resampling.LANCZOS)
        return np.asarray(shown, dtype=np.float32) / 255

    def says(self, photos: Sequence[Photo]) -> str:
        """A sentence on the bands in which ``photos`` are shown; "" where none is seen by its bands."""
        kinds = dict.fromkeys((photo.shown, photo.bands.shape[2]) for photo in photos if photo.bands is not None and self.uses_bands(photo))
        told = []
        for shown, count in kinds:
            numbers = ", ".join(map(str, shown))
            as_ = "as red, green and blue" if len(shown) == 3 else "in grey"
            told.append(f"band{'s' * (len(shown) > 1)} {numbers} of {count} {as_}")
        return f"Pictures are shown by {'; '.join(told)}; the network sees all bands." if told else ""


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


def load(references: str | Path | Iterable[str | Path], bands_shown: Sequence[int] = ()) -> list[Photo]:
    """Photographs from files, folders (their pictures, sorted by name) and names of samples such as ``cat``; several, or one.

    A folder holds what Pillow reads, or else arrays (``.npy``, ``.npz``) and TIFF files. ``bands_shown`` are those of pictures with bands
    that are looked at: three, as red, green and blue, or one, counted from 1; the first ones where none are named.

    Raises BadFile where a file is missing or no picture, or a folder holds none, or arrays beside pictures that have no bands;
    InterpError where there are no such bands.
    """
    photos: list[Photo] = []
    for reference in [references] if isinstance(references, (str, Path)) else references:
        path = Path(reference)
        if not path.exists() and str(reference) in _SAMPLE_FILES:
            photos.append(sample(str(reference)))
        elif path.is_dir():
            photos.extend(replace(read(p), given=str(path)) for p in _pictures(path))
        else:
            photos.append(read(path))
    return [_shown(photo, tuple(bands_shown)) for photo in photos]


def _pictures(folder: Path) -> list[Path]:
    files = sorted((p for p in folder.iterdir() if p.is_file()), key=lambda p: p.name)
    found = [p for p in files if p.suffix.lower() in (*SUFFIXES, *bands.ARRAYS)]
    arrays = [p for p in found if p.suffix.lower() in bands.ARRAYS]
    plain = [p for p in found if p.suffix.lower() not in (*bands.ARRAYS, *bands.TIFF)]
    if arrays and plain:
        # Which are meant cannot be told, and what is left out silently is missed by nobody.
        both = f"pictures ('{plain[0].name}') and {len(arrays)} array{'s' * (len(arrays) > 1)} ('{arrays[0].name}')"
        raise BadFile(f"the folder '{folder}' holds {both}: name those that are meant: {folder}/*{arrays[0].suffix}, say")
    if found:
        return found
    raise BadFile(f"the folder '{folder}' holds no picture: looked for {', '.join((*SUFFIXES, *bands.ARRAYS))}")


def _shown(photo: Photo, chosen: tuple[int, ...]) -> Photo:
    """With the bands that are looked at; raises InterpError where it has none of these."""
    if not chosen:
        return photo
    if photo.bands is None:
        raise InterpError(f"--bands {' '.join(map(str, chosen))}: '{photo.name}' has no bands but red, green and blue: leave --bands out")
    count = photo.bands.shape[2]
    if len(chosen) not in (1, 3):
        raise InterpError(f"--bands names {len(chosen)} bands: give three, for red, green and blue, or one, for grey")
    wrong = next((band for band in chosen if not 1 <= band <= count), None)
    if wrong is not None:
        raise InterpError(f"no band {wrong} in '{photo.name}', which has {count}, counted from 1")
    photo = replace(photo, shown=chosen)
    return photo if photo.picture else replace(photo, pixels=photo.visible)


def read(path: Path) -> Photo:
    """A picture file as upright 8-bit RGB: EXIF rotation applied, alpha laid on white, grey repeated, 16 bit scaled to 8.

    An array of NumPy, and a TIFF file of 2 or of 4 and more bands, come with their bands (see `interp.bands`).

    Raises BadFile where the file is missing, no picture, truncated, or larger than ``MOST_PIXELS``.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, [*names, *_SAMPLE_FILES])
        raise BadFile(f"cannot read the picture '{path}': {reason.lower()}{'; ' + hint if hint else ''}") from None
    if path.suffix.lower() in bands.ARRAYS:
        return _banded(path, data, bands.of_array_file(path, data))
    if path.suffix.lower() in bands.TIFF and (found := _of_tiff(path, data)) is not None:
        return found
    return Photo(path.stem, _decoded(path), hashlib.sha256(data).hexdigest(), len(data), str(path), str(path))


def of_bytes(name: str, data: bytes) -> Photo:
    """A picture from the bytes of its file, where that is a part of another: a shard, a table. As `read` gives it; BadFile likewise."""
    with opened(BytesIO(data), f"the picture '{name}'") as image:
        pixels = np.array(_rgb(ImageOps.exif_transpose(image)))
    return Photo(Path(name).stem, pixels, hashlib.sha256(data).hexdigest(), len(data), given=name)


def _banded(path: Path, data: bytes, values: Float32[np.ndarray, "h w b"]) -> Photo:
    """A photo of bands, the first of which stand for its pixels."""
    shown = (1, 2, 3) if values.shape[2] >= 3 else (1,)
    blank = np.zeros((*values.shape[:2], 3), dtype=np.uint8)
    sha256 = hashlib.sha256(data).hexdigest()
    photo = Photo(path.stem, blank, sha256, len(data), str(path), str(path), values, shown, picture=False)
    return replace(photo, pixels=photo.visible)


def _of_tiff(path: Path, data: bytes) -> Photo | None:
    """A TIFF file with its bands; None where it has none, or only Pillow can read it. Where it is a picture too, its pixels are that."""
    try:
        values = bands.of_tiff(path, data)
    except BadFile as refused:
        try:
            _decoded(path)
        except BadFile:
            raise refused from None
        return None
    if values is None:
        return None
    photo = _banded(path, data, values)
    try:
        pixels = _decoded(path)
    except BadFile:
        return photo
    return replace(photo, pixels=pixels, picture=True) if pixels.shape == photo.pixels.shape else photo


def _decoded(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """The pixels that Pillow reads; raises BadFile in one line."""
    with opened(path, f"the picture '{path}'") as image:
        return np.array(_rgb(ImageOps.exif_transpose(image)))


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
