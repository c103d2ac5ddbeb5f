"""Folders of pictures, arrays in one file, labels from a table, data sets of torch."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from interp import datasets
from interp.datasets.opening import root_of
from interp.errors import BadFile, InterpError


def test_pictures_of_a_folder_and_the_folders_in_it(tree: Path) -> None:
    data = datasets.open(tree)
    assert [data.name(k) for k in range(len(data))] == ["cat/a.png", "cat/b.png", "dog/far/c.PNG"]
    assert [data.label(k) for k in range(len(data))] == ["cat", "cat", "dog"]
    assert data.labels == ("cat", "dog")
    assert data.title == "tree"
    photo = data.photo(2)
    raw = (tree / "dog/far/c.PNG").read_bytes()
    assert photo.sha256 == hashlib.sha256(raw).hexdigest()
    np.testing.assert_array_equal(photo.pixels, np.array(Image.open(io.BytesIO(raw))))
    assert data.files()[2] == (tree / "dog/far/c.PNG", "dog/far/c.PNG")
    before = data.stamp(0)
    (tree / "cat/a.png").write_bytes(b"more")
    assert data.stamp(0) != before


def test_without_labels_where_a_picture_lies_in_no_folder(tree: Path, png) -> None:  # type: ignore[no-untyped-def]
    (tree / "one.png").write_bytes(png(7))
    data = datasets.open(tree)
    assert {data.label(k) for k in range(len(data))} == {None}
    assert data.labels == ()


def test_links_to_folders_are_not_followed(tree: Path) -> None:
    (tree / "cat" / "loop").symlink_to(tree, target_is_directory=True)
    assert len(datasets.open(tree)) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: (p / "empty").mkdir(), r"the folder '.*empty' holds no picture: looked for \.png"),
        (lambda p: (p / "empty").write_bytes(b"x"), r"'.*empty' is no data set: give a folder of pictures"),
        (lambda p: (p / "emptY").mkdir(), r"there is no data set '.*empty': did you mean 'emptY'\?"),
    ],
)
def test_no_data_set(tmp_path: Path, make, message: str) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path)
    with pytest.raises(BadFile, match=message):
        datasets.open(tmp_path / "empty")


def test_numbers_as_labels_go_by_value(tmp_path: Path, png) -> None:  # type: ignore[no-untyped-def]
    for name in ("10", "9", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(png(1))
    assert datasets.open(tmp_path).labels == ("9", "10", "other")


class TestLabels:
    def table(self, tree: Path, text: str) -> Path:
        path = tree.parent / "labels.csv"
        path.write_text(text)
        return path

    @pytest.mark.parametrize("head", ["", "name,label\n", "\ufeffname,label\n"])
    def test_in_place_of_folders(self, tree: Path, head: str) -> None:
        data = datasets.with_labels(datasets.open(tree), self.table(tree, f'{head}cat/a.png,"x, y"\nb.png, z \ndog/far/c.PNG,z\n'))
        assert [data.label(k) for k in range(3)] == ["x, y", "z", "z"]
        assert data.labels == ("x, y", "z")
        assert data.photo(0).sha256 == datasets.open(tree).photo(0).sha256

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("cat/q.png,x", r"labels 'labels.csv', line 1: 'tree' has no picture 'cat/q.png'; did you mean 'cat/"),
            ("cat/a.png,x\ncat/a.png,y", r"line 2: 'cat/a.png' is labelled 'y', and 'x' before"),
            ("cat/a.png,x", r"2 of 3 pictures of 'tree' have no label, 'cat/b.png' first"),
            ("", r"hold no row"),
            ("cat/a.png", r"line 1: 1 cells, one of them empty or none"),
            ("cat/a.png,", r"line 1: 2 cells, one of them empty"),
        ],
    )
    def test_that_do_not_match(self, tree: Path, text: str, message: str) -> None:
        with pytest.raises(InterpError, match=message):
            datasets.with_labels(datasets.open(tree), self.table(tree, text))

    def test_that_are_no_text(self, tree: Path) -> None:
        path = tree.parent / "labels.csv"
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(BadFile, match="are no CSV in UTF-8"):
            datasets.with_labels(datasets.open(tree), path)
        with pytest.raises(BadFile, match=r"cannot read the labels '.*none\.csv': no such file"):
            datasets.with_labels(datasets.open(tree), tree / "none.csv")


class TestArrays:
    def test_images_and_labels(self, tmp_path: Path) -> None:
        images = np.random.default_rng(0).integers(0, 256, (4, 6, 7, 3), dtype=np.uint8)
        np.savez(tmp_path / "a.npz", images=images, labels=np.array([3, 1, 3, 10]))
        data = datasets.open(tmp_path / "a.npz")
        assert (len(data), data.labels, data.label(3), data.name(3)) == (4, ("1", "3", "10"), "10", "image 3")
        np.testing.assert_array_equal(data.photo(2).pixels, images[2])
        assert data.photo(0).sha256 != data.photo(1).sha256

    def test_grey_and_bands(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "grey.npz", images=np.full((2, 5, 5), 9, dtype=np.uint8))
        assert datasets.open(tmp_path / "grey.npz").photo(0).pixels.shape == (5, 5, 3)
        bands = np.random.default_rng(0).random((2, 5, 5, 4), dtype=np.float32)
        np.savez(tmp_path / "bands.npz", images=bands)
        np.testing.assert_array_equal(datasets.open(tmp_path / "bands.npz").photo(1).bands, bands[1])

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"pictures": np.zeros((1, 2, 2))}, r"has no array `images`: there are pictures"),
            ({"images": np.zeros((2, 2))}, r"has the shape \(2, 2\)"),
            ({"images": np.zeros((0, 2, 2))}, r"none of them 0"),
            ({"images": np.zeros((2, 2, 2)), "labels": np.zeros(3, dtype=int)}, r"give 2 whole numbers or texts"),
            ({"images": np.array([object()])}, r"cannot be read: .*pickle"),
        ],
    )
    def test_bad_files(self, tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
        np.savez(tmp_path / "a.npz", **arrays)
        with pytest.raises(BadFile, match=message):
            datasets.open(tmp_path / "a.npz")

    def test_damaged(self, tmp_path: Path) -> None:
        (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 damaged")
        with pytest.raises(BadFile, match="cannot be read"):
            datasets.open(tmp_path / "a.npz")
        np.savez(tmp_path / "b.npz", images=np.full((1, 3, 3), 7.0))
        with pytest.raises(BadFile, match=r"holds float64 from 7\.0 to 7\.0: give 8-bit values, or floats in \[0, 1\]"):
            datasets.open(tmp_path / "b.npz").photo(0)


class TestTorch:
    def test_any_data_set_of_pictures(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
        as_tensor = torch.from_numpy(pixels[1]).permute(2, 0, 1)
        data = datasets.Wrapped([(Image.fromarray(pixels[0]), 1), (as_tensor, torch.tensor(0)), (pixels[2], 7)], classes=["cat", "dog"])
        assert [data.label(k) for k in range(3)] == ["dog", "cat", "7"]
        for k in range(3):
            np.testing.assert_array_equal(data.photo(k).pixels, pixels[k])

    def test_floats_and_no_labels(self) -> None:
        image = torch.rand(3, 4, 4)
        data = datasets.Wrapped([image])
        assert data.label(0) is None
        np.testing.assert_array_equal(data.photo(0).bands, image.permute(1, 2, 0).numpy())

    def test_what_is_none(self) -> None:
        with pytest.raises(InterpError, match="is a generator without a length"):
            datasets.Wrapped(k for k in range(3))
        with pytest.raises(InterpError, match="the data set list is empty"):
            datasets.Wrapped([])
        data = datasets.Wrapped(["text", torch.zeros(4, 4), torch.full((3, 2, 2), 9.0)])
        for k, message in enumerate(("is a str: give a PIL picture", r"shape \(4, 4\)", r"holds float32 from 9\.0")):
            with pytest.raises(BadFile, match=message):
                data.photo(k)


def test_the_folder_of_a_reference() -> None:
    assert root_of("torchvision:MNIST/test:a/b") == Path("a/b")
    assert root_of("a/b") == Path("a/b")
    with pytest.raises(BadFile, match=re.escape("write torchvision:MNIST:FOLDER")):
        datasets.open("torchvision:MNIST")
