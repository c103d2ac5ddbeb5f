"""Pictures of bands: read as they are, scaled by what is stated, shown by the bands that were chosen, and never made up."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from interp import images
from interp.errors import BadFile, InterpError
from interp.images import Preprocess
from interp.masks.prepared import preprocessed


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def saved(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def plain(channels: int, size: tuple[int, int] = (6, 8)) -> Preprocess:
    return Preprocess(size, min(size), (0.0,) * channels, (1.0,) * channels)


@pytest.mark.parametrize(("dtype", "largest"), [(np.uint8, 255), (np.uint16, 65535), (">u2", 65535)])
def test_whole_numbers_are_divided_by_what_their_type_reaches(tmp_path: Path, dtype: Any, largest: int) -> None:
    values = noise(6, 8, 4, dtype=np.uint16 if largest > 255 else np.uint8).astype(dtype)
    photo = images.read(saved(tmp_path / "a.npy", values))
    assert photo.bands is not None
    assert np.allclose(photo.bands, values.astype(np.float64) / largest, atol=1e-7)
    batch = plain(4)(photo)
    assert np.array_equal(batch[0].permute(1, 2, 0).numpy(), photo.bands)
    assert (photo.name, photo.picture, photo.size, len(photo.sha256)) == ("a", False, (6, 8), 64)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_taken_as_they_are(tmp_path: Path, dtype: Any) -> None:
    values = np.linspace(0, 1, 96, dtype=dtype).reshape(6, 8, 2)
    photo = images.read(saved(tmp_path / "a.npy", values))
    assert photo.bands is not None
    assert np.array_equal(photo.bands, values.astype(np.float32))


def test_the_bands_are_the_first_or_the_last_axis(tmp_path: Path) -> None:
    values = noise(6, 8, 5)
    last = images.read(saved(tmp_path / "a.npy", values))
    first = images.read(saved(tmp_path / "b.npy", np.moveaxis(values, 2, 0)))
    assert last.bands is not None
    assert first.bands is not None
    assert np.array_equal(last.bands, first.bands)
    grey = images.read(saved(tmp_path / "c.npy", values[..., 0]))
    assert grey.bands is not None
    assert np.array_equal(grey.bands, last.bands[..., :1])


def test_one_array_of_an_archive(tmp_path: Path) -> None:
    values = noise(6, 8, 4)
    np.savez_compressed(tmp_path / "a.npz", picture=values)
    photo = images.read(tmp_path / "a.npz")
    assert photo.bands is not None
    assert np.array_equal(photo.bands * 255, values.astype(np.float32))
    np.savez(tmp_path / "b.npz", one=values, two=values)
    with pytest.raises(BadFile, match=r"holds 2 arrays \('one', 'two'\): keep the one that is the picture"):
        images.read(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 5, 2), dtype=np.int16), "holds int16 numbers, whose range is not known: give uint8, uint16, or floats"),
        (np.zeros((4, 5), dtype=complex), "holds complex128 numbers"),
        (np.full((4, 5), 300.0), r"holds floats from 300 to 300: give floats in \[0, 1\]"),
        (np.full((4, 5), -0.1), r"holds floats from -0\.1 to -0\.1"),
        (np.array([[0.5, np.nan]]), "holds NaN or infinite values"),
        (np.zeros(4), r"of shape \(4,\): give \(rows, cols\)"),
        (np.zeros((0, 4)), r"of shape \(0, 4, 1\)"),
        (np.zeros((2, 3, 4, 5)), r"of shape \(2, 3, 4, 5\)"),
        (np.zeros((5, 4, 5)), r"of shape \(5, 4, 5\), and which axis the bands are cannot be told"),
        (np.array([{"a": 1}]), "holds Python objects, not numbers; they were not loaded and nothing was run"),
    ],
)
def test_arrays_that_are_no_pictures(tmp_path: Path, array: np.ndarray, message: str) -> None:
    with pytest.raises(BadFile, match=message) as caught:
        images.read(saved(tmp_path / "a.npy", array))
    assert "\n" not in str(caught.value)


def test_damaged_arrays(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.npy", noise(6, 8, 4)).read_bytes()
    huge = whole.replace(b"(6, 8, 4)", b"(6e18, 9)"[:9]), whole.replace(b"(6, 8, 4), }     ", b"(99999, 99999), }")
    for data in (whole[:40], whole[:-5], b"", b"text", *huge):
        (tmp_path / "b.npy").write_bytes(data)
        with pytest.raises(BadFile, match=r"b\.npy' (is no complete array file of NumPy|holds)"):
            images.read(tmp_path / "b.npy")
    (tmp_path / "c.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(BadFile, match=r"c\.npz' is no complete array file of NumPy"):
        images.read(tmp_path / "c.npz")


def test_an_archive_that_unpacks_to_more_than_memory_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interp.bands.MOST_VALUES", 1000)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", b"\0" * 100_000)
    with pytest.raises(BadFile, match="unpacks to 100000 bytes, more than 8000"):
        images.read(tmp_path / "a.npz")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("axes", "options"), [("last", {"planarconfig": "contig"}), ("first", {"planarconfig": "separate"}), ("pages", {})]
)
def test_the_bands_of_a_tiff_file(tmp_path: Path, dtype: Any, axes: str, options: dict[str, str]) -> None:
    values = (noise(6, 8, 5) / 255).astype(dtype) if dtype is np.float32 else noise(6, 8, 5, dtype=dtype)
    written = values if axes == "last" else np.moveaxis(values, 2, 0)
    tifffile.imwrite(tmp_path / "a.tif", written, photometric="minisblack", **options)  # type: ignore[arg-type]
    photo = images.read(tmp_path / "a.tif")
    assert photo.bands is not None
    expected = values.astype(np.float64) / {np.uint8: 255, np.uint16: 65535, np.float32: 1}[dtype]
    assert np.allclose(photo.bands, expected, atol=1e-7)


def test_a_tiff_of_three_colours_is_a_picture_as_before(tmp_path: Path) -> None:
    pixels = noise(6, 8, 3)
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    photo = images.read(tmp_path / "a.tif")
    assert (photo.bands, photo.picture) == (None, True)
    assert np.array_equal(photo.pixels, pixels)


def test_a_tiff_with_alpha_is_a_picture_for_three_channels_and_bands_for_four(tmp_path: Path) -> None:
    pixels = noise(6, 8, 4)
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    Image.fromarray(pixels).save(tmp_path / "a.png")
    photo = images.read(tmp_path / "a.tif")
    assert np.array_equal(photo.pixels, images.read(tmp_path / "a.png").pixels), "alpha laid on white"
    assert torch.equal(plain(3)(photo), plain(3)(images.read(tmp_path / "a.png")))
    assert np.array_equal(plain(4)(photo)[0].permute(1, 2, 0).numpy(), pixels.astype(np.float32) / 255)


def test_a_damaged_tiff(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, noise(64, 64, 5), photometric="minisblack", planarconfig="contig")
    (tmp_path / "a.tif").write_bytes(buffer.getvalue()[:9000])
    (tmp_path / "b.tif").write_text("no picture")
    for name in ("a.tif", "b.tif"):
        with pytest.raises(BadFile, match=r"the bands of '.*\.tif' cannot be decoded: ") as caught:
            images.read(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_bands_are_resized_and_cropped_as_pictures_are(tmp_path: Path) -> None:
    """Three bands of 8 bits go the way of the same colours, up to the rounding of the latter to 8 bits."""
    pixels = noise(40, 60, 3)
    photo = images.read(saved(tmp_path / "a.npy", pixels))
    Image.fromarray(pixels).save(tmp_path / "a.png")
    preprocess = Preprocess(size=(20, 22), resize=24)
    assert (preprocess(photo) - preprocess(images.read(tmp_path / "a.png"))).abs().max() <= 0.5001 * 2 / 255
    bicubic = Preprocess(size=(80, 80), resize=80, interpolation="bicubic")(photo)
    assert 0 <= float(bicubic.min()) < float(bicubic.max()) <= 1


def test_only_what_has_the_channels_is_shown_to_a_network(tmp_path: Path) -> None:
    rgb, four = images.sample("cat"), images.read(saved(tmp_path / "a.npy", noise(6, 8, 4)))
    with pytest.raises(
        InterpError, match=r"picture 'cat' has red, green and blue, and the network takes 4 channels: give 4 bands, as \.npy"
    ):
        plain(4)([four, rgb])
    with pytest.raises(InterpError, match=r"'a' has 4 bands of 6 x 8 px \(rows x cols\), and the network takes 1 channel: give as many"):
        plain(1)(four)
    with pytest.raises(InterpError, match="takes 2 channels"):
        plain(2)(rgb)


def test_the_bands_that_are_shown(tmp_path: Path) -> None:
    values = noise(6, 8, 4)
    path = saved(tmp_path / "a.npy", values)
    first, chosen, grey = (images.load([path], shown)[0] for shown in ((), (4, 2, 1), (3,)))
    assert np.array_equal(plain(4).view(first, 6) * 255, values[..., :3].astype(np.float32))
    assert np.allclose(plain(4).view(chosen, 6) * 255, values[..., [3, 1, 0]], atol=1e-4)
    assert np.allclose(plain(4).view(grey, 6) * 255, np.repeat(values[..., 2:3], 3, axis=2), atol=1e-4)
    assert torch.equal(plain(4)(first), plain(4)(chosen)), "what the network sees does not depend on it"
    assert plain(4).says([chosen, chosen]) == "Pictures are shown by bands 4, 2, 1 of 4 as red, green and blue; the network sees all bands."
    assert plain(4).says([grey]) == "Pictures are shown by band 3 of 4 in grey; the network sees all bands."
    assert plain(3).says([images.sample("cat")]) == ""
    two = images.read(saved(tmp_path / "b.npy", values[..., :2]))
    assert two.shown == (1,)
    assert np.array_equal(two.pixels, np.repeat(values[..., :1], 3, axis=2))


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ((5, 1, 2), "no band 5 in 'a', which has 4, counted from 1"),
        ((0,), "no band 0 in 'a'"),
        ((1, 2), "--bands names 2 bands: give three, for red, green and blue, or one"),
    ],
)
def test_bands_that_are_not_there(tmp_path: Path, shown: tuple[int, ...], message: str) -> None:
    with pytest.raises(InterpError, match=message):
        images.load([saved(tmp_path / "a.npy", noise(6, 8, 4))], shown)
    with pytest.raises(InterpError, match=r"--bands .*'cat' has no bands but red, green and blue: leave --bands out"):
        images.load(["cat"], shown)


def test_a_folder_of_arrays_and_one_of_pictures_beside_arrays(tmp_path: Path) -> None:
    for name in ("b", "a"):
        saved(tmp_path / f"{name}.npy", noise(6, 8, 4))
    assert [photo.name for photo in images.load([tmp_path])] == ["a", "b"]
    Image.new("RGB", (2, 2)).save(tmp_path / "c.png")
    with pytest.raises(BadFile, match=r"holds pictures \('c.png'\) and 2 arrays \('a.npy'\): name those that are meant: .*\*\.npy, say"):
        images.load([tmp_path])  # the arrays may be masks, maps or what is meant
    (tmp_path / "c.png").unlink()
    tifffile.imwrite(tmp_path / "c.tif", noise(6, 8, 4), photometric="minisblack")
    assert [photo.name for photo in images.load([tmp_path])] == ["a", "b", "c"]


def test_the_crop_never_reaches_over_the_border() -> None:
    """A network of wide images, and a square picture: enlarged until it covers the crop, so that nothing black is added."""
    photo = images.Photo("white", np.full((200, 200, 3), 255, dtype=np.uint8), "")
    for size in ((20, 80), (80, 20), (20, 20)):
        preprocess = Preprocess(size=size, resize=None)
        assert float(preprocess(photo).min()) == 1.0
        rows, cols = preprocess.view(photo, 40).shape[:2]
        assert abs(cols / rows - size[1] / size[0]) < 0.1


def test_masks_of_pictures_with_bands_go_their_way(tmp_path: Path) -> None:
    photo = images.read(saved(tmp_path / "a.npy", noise(6, 8, 4)))
    mask = np.zeros((6, 8), dtype=bool)
    mask[1:3, 2:7] = True
    assert np.array_equal(preprocessed(plain(4), photo, mask), mask)
