"""torchvision's data sets on disk, those of them that are read without unpickling anything and without opening a picture unchecked."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from interp.datasets.wrapped import Wrapped
from interp.decoding import opened
from interp.errors import BadFile, InterpError, UnknownName, nearest

# By what chooses the part of the data, and its values.
_BY_TRAIN = ("MNIST", "FashionMNIST", "KMNIST", "USPS")
_BY_SPLIT = ("STL10", "SVHN", "DTD", "Food101", "Flowers102", "FGVCAircraft", "Country211", "Imagenette")
_WHOLE = ("EuroSAT",)
NAMES = (*_BY_TRAIN, *_BY_SPLIT, *_WHOLE)
_PICKLED = ("CIFAR10", "CIFAR100", "ImageNet", "LSUN", "PhotoTour", "EMNIST", "QMNIST")


def torchvision_set(name: str, split: str, root: Path, files: Sequence[tuple[Path, str]]) -> Wrapped:
    """The data set ``name`` below ``root``; ``split`` such as ``test``, "" for torchvision's default. Nothing is downloaded.

    ``files`` are all that lie below ``root``. Raises UnknownName where torchvision has no such data set, InterpError where it can only
    be read by unpickling, BadFile where it is not there.
    """
    from torchvision import datasets

    if name in _PICKLED:
        raise InterpError(
            f"torchvision's {name} is stored as pickles, which can run code, and is not read: save its pictures to a folder first"
        )
    if name not in NAMES:
        raise UnknownName(f"no torchvision data set '{name}' that is read: {nearest(name, NAMES) or 'there are ' + ', '.join(NAMES)}")
    made: Any = getattr(datasets, name)
    options: dict[str, Any] = {"loader": _picture} if "loader" in inspect.signature(made).parameters else {}
    if split and name in _BY_TRAIN:
        if split not in ("train", "test"):
            raise InterpError(f"torchvision's {name} has no part '{split}': there are train and test")
        options["train"] = split == "train"
    elif split and name in _BY_SPLIT:
        options["split"] = split
    elif split:
        raise InterpError(f"torchvision's {name} has no parts: write torchvision:{name}:{root.name}")
    if not root.is_dir():
        raise BadFile(f"cannot read torchvision's {name}: there is no folder '{root}'")
    try:
        found = made(root=str(root), download=False, **options)
    except (RuntimeError, OSError, ValueError, EOFError, IndexError, KeyError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadFile(
            f"torchvision's {name} cannot be read in '{root}': {reason.removesuffix(' You can use download=True to download it')}"
        ) from None
    return Wrapped(found, f"{name}{' ' + split if split else ''}", origin=tuple(files))


def _picture(path: str | Path) -> Image.Image:
    """In place of torchvision's own loader, which tries every format that Pillow knows."""
    with opened(Path(path), f"the picture '{Path(path).name}'") as image:
        return image.convert("RGB")
