"""Pictures of every kind become upright 8-bit RGB, and exactly the input that a model's makers mean."""

from __future__ import annotations

import io
import struct
import subprocess
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, features
from torchvision import models

from interp import images
from interp.decoding import FORMATS
from interp.errors import BadFile, InterpError
from interp.images import Photo, Preprocess
from interp.masks import from_folder


def noise(rows: int, cols: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, cols, channels), dtype=np.uint8)


def written(image: Image.Image, path: Path, **options: object) -> Photo:
    image.save(path, **options)
    return images.read(path)


def test_rgb_comes_through_as_it_is(tmp_path: Path) -> None:
    pixels = noise(5, 7)
    photo = written(Image.fromarray(pixels), tmp_path / "a.png")
    assert np.array_equal(photo.pixels, pixels)
    assert (photo.name, photo.size, len(photo.sha256)) == ("a", (5, 7), 64)


def test_alpha_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]]], dtype=np.uint8)
    photo = written(Image.fromarray(pixels), tmp_path / "a.png")
    assert photo.pixels[0, :2].tolist() == [[200, 100, 0], [255, 255, 255]]
    # 0.2 of the colour and 0.8 of white.
    assert np.abs(photo.pixels[0, 2].astype(int) - [244, 224, 204]).max() <= 1


def test_transparent_palette_colours_are_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert written(image, tmp_path / "a.png", transparency=1).pixels.tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_grey_is_repeated(tmp_path: Path) -> None:
    grey = noise(4, 3, 1)[..., 0]
    assert np.array_equal(written(Image.fromarray(grey), tmp_path / "a.png").pixels, np.repeat(grey[..., None], 3, 2))


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    deep = np.array([[0, 257, 32896, 65535, 128]], dtype=np.uint16)
    assert written(Image.fromarray(deep), tmp_path / "a.png").pixels[0, :, 0].tolist() == [0, 1, 128, 255, 0]


@pytest.mark.parametrize(("orientation", "turned"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int, turned: int) -> None:
    pixels = noise(3, 5)
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = written(Image.fromarray(pixels), tmp_path / "a.png", exif=exif)
    assert np.array_equal(photo.pixels, np.rot90(pixels, turned))


def test_one_pixel(tmp_path: Path) -> None:
    photo = written(Image.new("RGB", (1, 1), (255, 0, 51)), tmp_path / "a.png")
    batch = Preprocess()(photo)
    assert batch.shape == (1, 3, 224, 224)
    assert torch.equal(batch, torch.tensor([1.0, 0.0, 0.2]).view(1, 3, 1, 1).expand_as(batch))


def test_a_large_picture_works_and_is_quick(tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((8000, 6000)).convert("RGB").save(tmp_path / "a.jpg", quality=50)
    start = time.process_time()
    batch = Preprocess()(images.read(tmp_path / "a.jpg"))
    assert time.process_time() - start < 5
    assert batch.shape == (1, 3, 224, 224)
    assert batch[0, 0, :, 0].diff().min() >= 0, "dark above, bright below, as the gradient"


def test_too_narrow_is_refused() -> None:
    with pytest.raises(InterpError, match=r"picture 'line' of 1 x 100 px \(rows x cols\) is too narrow"):
        Preprocess()(Photo("line", noise(1, 100), ""))


def test_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(
        BadFile, match=r"the picture '.*a\.png' is in none of the formats that are read: give PNG, JPEG, WEBP, BMP, GIF, TIFF, PPM or AVIF$"
    ):
        images.read(tmp_path / "a.png")
    (tmp_path / "b.png").touch()
    with pytest.raises(BadFile, match=r"b\.png' is in none of the formats"):
        images.read(tmp_path / "b.png")


@pytest.mark.parametrize("called", ["a.png", "a.eps", "a"])
@pytest.mark.parametrize("kind", ["EPS", "PCX", "TGA", "ICO", "SGI", "JPEG2000", "PSD", "FITS"])
def test_other_formats_reach_no_decoder(tmp_path: Path, kind: str, called: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*words: object, **options: object) -> None:
        raise AssertionError(f"started {words}")

    monkeypatch.setattr(subprocess, "Popen", started)  # Ghostscript, of EPS
    made = io.BytesIO()
    if kind == "PSD":
        made.write(b"8BPS\x00\x01" + bytes(6) + struct.pack(">HIIHH", 3, 4, 4, 8, 3) + bytes(14))
    elif kind == "FITS":
        cards = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    2"]
        cards += ["NAXIS1  =                    4", "NAXIS2  =                    4", "END"]
        made.write("".join(card.ljust(80) for card in cards).encode().ljust(2880) + bytes(2880))
    else:
        Image.fromarray(noise(32, 32)).save(made, format=kind)
    (tmp_path / called).write_bytes(made.getvalue())
    with pytest.raises(BadFile, match=rf"the picture '.*{called}' is in none of the formats that are read: give PNG, .* or AVIF$"):
        images.read(tmp_path / called)
    folder = tmp_path / "masks"
    folder.mkdir()
    (folder / "dog.png").write_bytes(made.getvalue())
    with pytest.raises(BadFile, match=r"the mask '.*dog\.png' is in none of the formats that are read: give PNG, .* or AVIF$"):
        from_folder([Photo("dog", noise(32, 32), "")], folder)


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_that_is_named_is_read(tmp_path: Path, kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("Pillow reads AVIF from 11.3 on")
    Image.fromarray(np.full((32, 32, 3), 90, dtype=np.uint8)).save(tmp_path / "a", format=kind)
    assert np.abs(images.read(tmp_path / "a").pixels.astype(int) - 90).max() <= 2


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.bmp"])
def test_truncated(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.fromarray(noise(64, 64)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadFile, match=f"the picture '.*{name}' cannot be decoded: "):
        images.read(path)


def test_missing_names_the_nearest(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "holiday.png")
    with pytest.raises(BadFile, match=r"cannot read the picture .*no such file or directory; did you mean 'holiday\.png'"):
        images.load([tmp_path / "holidy.png"])
    with pytest.raises(BadFile, match="did you mean 'coffee'"):
        images.load(["cofee"])
    with pytest.raises(BadFile, match="null"):
        images.load(["a\0b.png"])


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"the folder '.*' holds no picture: looked for \.png"):
        images.load([tmp_path])
    for name in ("b.png", "a.PNG", "notes.txt"):
        (tmp_path / name).write_text("")
        if not name.endswith("txt"):
            Image.new("RGB", (2, 2)).save(tmp_path / name)
    assert [p.name for p in images.load([tmp_path, "cat"])] == ["a", "b", "cat"]


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    path = tmp_path / "a.png"
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
    with pytest.raises(BadFile, match=r"a\.png' .*(pixels|px)"):
        images.read(path)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "swin_t", "inception_v3", "vit_b_16", "convnext_tiny"])
@pytest.mark.parametrize("size", [(300, 401), (227, 225), (90, 640)])
def test_preprocessing_is_torchvisions_own(name: str, size: tuple[int, int]) -> None:
    from interp.zoo.hub import preset

    transforms = models.get_model_weights(name)["DEFAULT"].transforms()  # type: ignore[attr-defined]
    preprocess = preset(transforms)
    photo = Photo("noise", noise(*size), "")
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (preprocess.mean, preprocess.std))
    ours = (preprocess(photo) - mean) / std
    assert torch.equal(ours[0], transforms(Image.fromarray(photo.pixels)))


def test_a_model_of_one_channel_sees_grey() -> None:
    photo = Photo("noise", noise(40, 50), "")
    preprocess = Preprocess(size=(40, 50), resize=40, mean=(0.5,), std=(0.5,))
    grey = np.asarray(Image.fromarray(photo.pixels).convert("L"), dtype=np.float32) / 255
    assert np.array_equal(preprocess(photo).numpy(), grey[None, None])
    shown = preprocess.view(photo, 40)
    assert np.array_equal(shown, np.repeat(grey[..., None], 3, 2))


def test_the_view_shows_what_the_crop_holds() -> None:
    pixels = np.zeros((100, 300, 3), dtype=np.uint8)
    pixels[:, 100:200] = 255
    shown = Preprocess(size=(50, 50), resize=50).view(Photo("middle", pixels, ""), 20)
    assert shown.shape == (20, 20, 3)
    assert shown.min() == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"interpolation": "bilinaer"}, "no interpolation 'bilinaer': did you mean 'bilinear'"),
        ({"size": (0, 5)}, r"images of size \(0, 5\)"),
        ({"resize": 0}, "shorter side resized to 0"),
        ({"mean": (0.5,)}, "a mean of 1 and a std of 3 channels"),
        ({"mean": (), "std": ()}, "a mean of 0 and a std of 0 channels"),
        ({"mean": (0.5, float("nan"), 0.5)}, "must be finite"),
        ({"std": (1.0, 0.0, 1.0)}, "must be positive"),
    ],
)
def test_preprocessing_that_cannot_be(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InterpError, match=message):
        Preprocess(**fields)  # type: ignore[arg-type]


def test_domains_are_inverse() -> None:
    pixels = noise(6, 4)
    values = images.tensor(Image.fromarray(pixels))
    assert values.dtype == torch.float32
    assert np.array_equal(images.uint8(images.array(values[None])[0]), pixels)
    assert images.uint8(np.array([-1.0, 0.5, 2.0])).tolist() == [0, 128, 255]


@pytest.mark.parametrize("name", images.SAMPLES)
def test_samples(name: str) -> None:
    photo = images.sample(name)
    assert photo.name == name
    assert min(photo.size) >= 300


def test_unknown_sample() -> None:
    with pytest.raises(InterpError, match="no sample photograph 'cta': did you mean 'cat'"):
        images.sample("cta")
