"""Handwritten digits that are on disk already: scikit-learn's, which come with it, or MNIST and Fashion-MNIST where torchvision keeps them.

Nothing is downloaded and nothing is unpickled. What is learned from and what is tested on never share a picture, and hold the classes in
the same shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path, PurePath

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from interp.core.rng import generator
from interp.errors import BadFile, InterpError
from interp.runs.entries import InputEntry
from interp.runs.inputs import in_folder

SMALL = "scikit-learn's digits"


class Kind(StrEnum):
    """Which data set lies in a folder of torchvision's: by the name of its folder there. ``AUTO``: the one that is there."""

    AUTO = "auto"
    MNIST = "MNIST"
    FASHION = "FashionMNIST"


CLASSES = {
    Kind.MNIST: tuple("0123456789"),
    Kind.FASHION: ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
}
_PARTS = ("train", "t10k")


@dataclass(frozen=True, eq=False)
class Pictures:
    """``images`` of 0 to 255, one channel where they are grey, and the class of each."""

    images: UInt8[Tensor, "n c rows cols"]
    labels: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def floats(self) -> Float[Tensor, "n c rows cols"]:
        """In [0, 1]."""
        return self.images.float() / 255

    def __getitem__(self, chosen: Int[Tensor, " k"]) -> Pictures:
        return Pictures(self.images[chosen], self.labels[chosen])


@dataclass(frozen=True, eq=False)
class Digits:
    """Pictures to learn from and others to be tested on; ``split`` says how they were parted, ``inputs`` which files were read."""

    name: str
    classes: tuple[str, ...]
    training: Pictures
    held_out: Pictures
    split: str
    inputs: tuple[InputEntry, ...]


def small(share: float | int = 0.25, seed: int = 0) -> Digits:
    """The 1,797 digits of 8 x 8 px that come with scikit-learn, of which a ``share`` of each class is held out.

    They are the test part of "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak 1998), by 13 writers, who are not told
    apart: the same hands are in both parts. Raises InterpError where a part would have no picture of a class.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    labels = torch.from_numpy(found.target.astype(np.int64))
    grey = torch.from_numpy(np.rint(found.images * (255 / 16)).astype(np.uint8))[:, None]
    every = Pictures(grey, labels)
    kept, held_out = _parted(labels, share, seed)
    entry = InputEntry.of_bytes(SMALL, grey.numpy().tobytes() + labels.numpy().tobytes())
    split = (
        f"{len(kept)} of the {len(every)} pictures are learned from; {len(held_out)}, {share:.0%} of each digit, drawn by the seed, are "
        "held out. Both parts are of the same 13 writers, so digits of other hands may be read less well"
    )
    return Digits(SMALL, CLASSES[Kind.MNIST], every[kept], every[held_out], split, (entry,))


def of_folder(folder: Path, kind: Kind = Kind.AUTO, training: int = 4000, held_out: int = 1000, seed: int = 0) -> Digits:
    """``training`` pictures of 28 x 28 px of the training part, and ``held_out`` of the test part, alike many of each class as there are.

    ``folder`` is torchvision's ``root``, which holds ``MNIST/raw`` or ``FashionMNIST/raw``. Raises BadFile where it does not, or a
    file is damaged; InterpError where both are there and ``kind`` says not which, or there are not so many pictures.
    """
    chosen = _kind(folder, kind)
    parts: list[Pictures] = []
    inputs: list[InputEntry] = []
    for part, wanted in zip(_PARTS, (training, held_out), strict=True):
        pictures, files = _part(folder, chosen, part)
        if not len(CLASSES[chosen]) <= wanted <= len(pictures):
            name = "training" if part == "train" else "held_out"
            raise InterpError(f"`{name}` is {wanted}: {chosen} has {len(pictures)} such pictures, give {len(CLASSES[chosen])} to as many")
        some = _parted(pictures.labels, wanted / len(pictures), seed)[1] if wanted < len(pictures) else torch.arange(wanted)
        parts.append(pictures[some])
        inputs += files
    split = f"{len(parts[0])} pictures of its training part are learned from, {len(parts[1])} of its test part are held out"
    return Digits(str(chosen), CLASSES[chosen], parts[0], parts[1], split, tuple(inputs))


def _parted(labels: Int[Tensor, " n"], share: float | int, seed: int) -> tuple[Int[Tensor, " k"], Int[Tensor, " m"]]:
    """The places that stay and those that are taken out: of each class the same ``share``, drawn, each part in the order given."""
    stay, out = [], []
    for label in torch.unique(labels).tolist():
        own = torch.nonzero(labels == label)[:, 0]
        drawn = own[torch.randperm(len(own), generator=generator(seed, "held out", label))]
        count = round(share * len(own))
        if not 0 < count < len(own):
            raise InterpError(f"a share of {share:g} takes {count} of the {len(own)} pictures of class {label}: leave some in both parts")
        out.append(drawn[:count])
        stay.append(drawn[count:])
    return torch.cat(stay).sort().values, torch.cat(out).sort().values


def _files(kind: Kind, part: str) -> tuple[PurePath, PurePath]:
    """Below torchvision's root: pictures and labels."""
    raw = PurePath(str(kind), "raw")
    return raw / f"{part}-images-idx3-ubyte", raw / f"{part}-labels-idx1-ubyte"


def _kind(folder: Path, kind: Kind) -> Kind:
    asked = [Kind.MNIST, Kind.FASHION] if kind is Kind.AUTO else [kind]
    if not folder.is_dir():
        raise BadFile(f"there is no folder '{folder}' that MNIST or FashionMNIST could be in (--data)")
    there = [one for one in asked if (folder / _files(one, "train")[0]).is_file()]
    if len(there) == 2:
        raise InterpError(f"'{folder}' holds both MNIST and FashionMNIST: say which with --kind MNIST or --kind FashionMNIST")
    if there:
        return there[0]
    looked = " or ".join(str(_files(one, "train")[0]) for one in asked)
    packed = any((folder / f"{_files(one, 'train')[0]}.gz").is_file() for one in asked)
    hint = "it is there packed (.gz): unpack it" if packed else "give torchvision's root, the folder above MNIST or FashionMNIST"
    raise BadFile(f"'{folder}' holds no pictures to learn from: looked for {looked}; {hint}")


def _part(folder: Path, kind: Kind, part: str) -> tuple[Pictures, Sequence[InputEntry]]:
    from torchvision.datasets.mnist import read_image_file, read_label_file

    read, entries = [], []
    for file, reader in zip(_files(kind, part), (read_image_file, read_label_file), strict=True):
        path = folder / file
        if not path.is_file():
            raise BadFile(f"'{folder}' holds only a part of {kind}: there is no {file}")
        try:
            read.append(reader(str(path)))
        except (OSError, ValueError, TypeError, RuntimeError, AssertionError, KeyError, IndexError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise BadFile(f"'{path}' is no file of {kind} (IDX), or damaged: {reason}") from None
        entries.append(replace(InputEntry.of(path), path=in_folder(folder, file)))
    images, labels = read
    if len(images) != len(labels) or len(labels) == 0 or int(labels.max()) >= len(CLASSES[kind]):
        there = f"'{folder / _files(kind, part)[0]}' has {len(images)} pictures"
        raise BadFile(f"{there}, which the {len(labels)} labels do not fit: give one of 0 to 9 for each")
    return Pictures(images[:, None], labels.long()), entries
