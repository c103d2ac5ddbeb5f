"""Digits on disk: how they are parted, IDX files as torchvision reads them, and a training that repeats bit for bit."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchvision.datasets import MNIST

from interp.errors import BadFile, InterpError
from interp.synthetic.digit_training import DigitOptions, moved, train, untrained
from interp.synthetic.digits import CLASSES, Kind, Pictures, of_folder, small

SHORT = DigitOptions(steps=3, batch=16, widths=(4, 4, 4, 4))


def idx(values: np.ndarray) -> bytes:
    """An IDX file of bytes: magic number, sizes (big-endian), values (LeCun's page of MNIST)."""
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def written(root: Path, name: str = "MNIST", training: int = 40, held_out: int = 20) -> Path:
    """A folder as torchvision's ``root``, with pictures of 28 x 28 px whose label is their grey."""
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", training), ("t10k", held_out)):
        labels = np.arange(count) % 10
        images = np.random.default_rng(count).integers(0, 20, (count, 28, 28)) + 20 * labels[:, None, None]
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return root


@pytest.mark.parametrize(("share", "seed"), [(0.25, 0), (0.25, 1), (0.5, 0)])
def test_every_small_digit_is_in_one_part_and_each_class_gives_the_same_share(share: float, seed: int) -> None:
    found, every = small(share, seed), load_digits()
    assert (len(found.training) + len(found.held_out)) == len(every.target) == 1797
    for digit in range(10):
        count = int((every.target == digit).sum())
        assert int((found.held_out.labels == digit).sum()) == round(share * count)
    both = torch.cat([found.training.images, found.held_out.images]).flatten(1)
    there = {bytes(row) for row in np.rint(every.images * 255 / 16).astype(np.uint8).reshape(1797, 64)}
    assert {bytes(row) for row in both.numpy()} == there
    assert found.training.images.shape[1:] == (1, 8, 8)


def test_the_seed_decides_what_is_held_out() -> None:
    first, again, other = small(seed=0), small(seed=0), small(seed=1)
    assert torch.equal(first.held_out.images, again.held_out.images)
    assert not torch.equal(first.held_out.images, other.held_out.images)
    assert first.inputs == other.inputs


@pytest.mark.parametrize("share", [0.0, 1.0, 0.001])
def test_a_share_that_leaves_a_part_empty_is_refused(share: float) -> None:
    with pytest.raises(InterpError, match=r"takes \d+ of the 178 pictures of class 0: leave some in both parts"):
        small(share)


def test_a_folder_is_read_as_torchvision_reads_it(tmp_path: Path) -> None:
    written(tmp_path)
    found = of_folder(tmp_path, training=40, held_out=20)
    for pictures, part in ((found.training, True), (found.held_out, False)):
        theirs = MNIST(str(tmp_path), train=part)
        assert torch.equal(pictures.images[:, 0], theirs.data)
        assert torch.equal(pictures.labels, theirs.targets)
    assert [entry.path.partition("MNIST/")[2] for entry in found.inputs] == [
        f"raw/{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    ]


def test_fewer_pictures_have_the_classes_alike(tmp_path: Path) -> None:
    found = of_folder(written(tmp_path), training=20, held_out=10)
    assert torch.bincount(found.training.labels).tolist() == [2] * 10
    assert torch.bincount(found.held_out.labels).tolist() == [1] * 10
    assert (found.training.images.flatten(1).min(dim=1).values // 20 == found.training.labels).all(), "labels stay with their pictures"


def test_which_set_is_there_is_found_out_and_two_are_asked_about(tmp_path: Path) -> None:
    written(tmp_path, "FashionMNIST")
    found = of_folder(tmp_path, training=40, held_out=20)
    assert (found.name, found.classes) == ("FashionMNIST", CLASSES[Kind.FASHION])
    written(tmp_path)
    with pytest.raises(InterpError, match=r"holds both MNIST and FashionMNIST: say which with --kind MNIST or --kind FashionMNIST"):
        of_folder(tmp_path, training=40, held_out=20)
    assert of_folder(tmp_path, Kind.MNIST, 40, 20).name == "MNIST"


def test_a_folder_without_the_files_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"there is no folder '.*absent' that MNIST or FashionMNIST could be in"):
        of_folder(tmp_path / "absent")
    with pytest.raises(BadFile, match=r"looked for MNIST/raw/train-images-idx3-ubyte or FashionMNIST/raw/train-images-idx3-ubyte; give"):
        of_folder(tmp_path)
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").write_bytes(b"")
    with pytest.raises(BadFile, match=r"it is there packed \(\.gz\): unpack it"):
        of_folder(tmp_path)


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("train-images-idx3-ubyte", b"\x00\x00\x08", r"is no file of MNIST \(IDX\), or damaged"),
        ("train-images-idx3-ubyte", idx(np.zeros((40, 28, 28)))[:-9], r"is no file of MNIST \(IDX\), or damaged"),
        ("train-labels-idx1-ubyte", idx(np.arange(39) % 10), r"has 40 pictures, which the 39 labels do not fit"),
        ("train-labels-idx1-ubyte", idx(np.full(40, 10)), r"has 40 pictures, which the 40 labels do not fit: give one of 0 to 9"),
        ("t10k-images-idx3-ubyte", None, r"holds only a part of MNIST: there is no MNIST/raw/t10k-images-idx3-ubyte"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, file: str, data: bytes | None, message: str) -> None:
    path = written(tmp_path) / "MNIST" / "raw" / file
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(BadFile, match=message):
        of_folder(tmp_path, training=40, held_out=20)


@pytest.mark.parametrize(("training", "held_out", "message"), [(41, 20, r"`training` is 41: MNIST has 40"), (40, 9, r"`held_out` is 9")])
def test_more_pictures_than_there_are_or_fewer_than_classes_are_refused(tmp_path: Path, training: int, held_out: int, message: str) -> None:
    with pytest.raises(InterpError, match=message):
        of_folder(written(tmp_path), training=training, held_out=held_out)


def weights(options: DigitOptions) -> list[torch.Tensor]:
    digits = small(0.5)
    model = untrained(digits, options)
    train(model, digits.training, options, lambda progress: None)
    return list(model.module.state_dict().values())


def test_the_same_seed_learns_the_same_bit_for_bit_and_no_global_draw_is_made() -> None:
    before = torch.get_rng_state()
    first, again, other = weights(SHORT), weights(SHORT), weights(DigitOptions(**{**vars(SHORT), "seed": 1}))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_it_learns() -> None:
    digits = small()
    options = DigitOptions(steps=60, widths=(8, 16, 16, 16))
    model = untrained(digits, options)
    losses: list[float] = []
    train(model, digits.training, options, lambda progress: losses.append(progress.loss))
    right = float((model(digits.held_out.floats).argmax(1) == digits.held_out.labels).float().mean())
    assert right > 0.75
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert not model.module.training
    assert all(parameter.grad is None for parameter in model.module.parameters())


def test_an_epoch_shows_each_picture_once() -> None:
    digits = small()
    seen: list[torch.Tensor] = []
    options = DigitOptions(steps=84, batch=16, widths=(1, 1, 1, 1), moved=0.0)
    model = untrained(digits, options)
    hook = model.module.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach().clone()))
    train(model, digits.training, options, lambda progress: None)
    hook.remove()
    # 84 whole batches of 16 in 1347 pictures.
    rows = torch.cat(seen).flatten(1)
    assert len(rows) == 84 * 16
    assert len(torch.unique(rows, dim=0)) == len(rows)


def test_pictures_that_do_not_move_stay_as_they_are_and_others_stay_inside() -> None:
    images = torch.rand(6, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(moved(images, 0.0, torch.Generator()), images, atol=1e-6)
    shifted = moved(torch.ones(50, 1, 9, 9), 0.1, torch.Generator().manual_seed(0))
    assert float(shifted[:, :, 3:6, 3:6].min()) == pytest.approx(1, abs=1e-5), "the middle is covered whatever the shift"
    assert float(shifted.min()) < 0.5, "beyond the edge there is nothing"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, r"`steps` is 0: give at least 1"),
        ({"batch": 1}, r"`batch` is 1: give at least 2"),
        ({"rate": 0.0}, r"`rate` is 0.0 and `moved` 0.06"),
        ({"moved": 0.5}, r"`moved` 0.5: give a positive rate, and a share of 0 to 0.3"),
        ({"widths": (1, 0, 1, 1)}, r"`widths` is \(1, 0, 1, 1\): give at least one filter"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(InterpError, match=message):
        DigitOptions(**options)  # type: ignore[arg-type]


def test_a_batch_larger_than_all_pictures_is_refused() -> None:
    digits = small()
    few = Pictures(digits.training.images[:8], digits.training.labels[:8])
    with pytest.raises(InterpError, match=r"`batch` is 16, more than the 8 pictures there are: give fewer"):
        train(untrained(digits, SHORT), few, SHORT, lambda progress: None)
