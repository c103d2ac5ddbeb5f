"""MACO's images have the magnitudes of photographs at any size; only phases move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from interp import images
from interp.core.rng import generator
from interp.errors import InterpError, Unsupported
from interp.featurevis import magnitude as module
from interp.featurevis.fixed import Fixed
from interp.featurevis.maco import Maco
from interp.featurevis.magnitude import Magnitude, cache_folder, magnitude_of, sample_magnitude
from interp.featurevis.param import from_rgb, to_rgb
from interp.images import Photo

SIDE = (48, 48)
SIZES = [(64, 64), (33, 33), (33, 48), (48, 33), (40, 24), (4, 4), (5, 4), (96, 7), (224, 224)]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERP_CACHE", str(folder))
        sample_magnitude.cache_clear()
        yield folder
    sample_magnitude.cache_clear()


def photo(seed: int, rows: int = 20, cols: int = 24) -> Photo:
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, cols, 3), dtype=np.uint8)
    return Photo(f"noise{seed}", pixels, "")


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_magnitude_is_the_templates_and_symmetric(size: tuple[int, int]) -> None:
    param = Maco(contrast=0.8)
    tensors = param.start(size, [generator(0), generator(1)], "cpu")
    values = param.values([t.double() for t in tensors], size).detach()
    found = torch.fft.rfft2(values).abs()
    template = param.magnitude.at(size, values)
    assert (found[:, :, 0, 0] < 1e-9).all(), "the mean colour is left out"
    ratio = (found / template).flatten(2)[..., 1:]
    torch.testing.assert_close(ratio, torch.full_like(ratio, 0.8), rtol=1e-3, atol=0)
    for array in (found, template):
        torch.testing.assert_close(array, array.flip(-2).roll(1, -2), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(values.std((1, 2, 3), correction=0), torch.full((2,), 0.8, dtype=torch.float64), rtol=1e-6, atol=0)
    torch.testing.assert_close(values.mean((1, 2, 3)), torch.zeros(2, dtype=torch.float64))


def test_phases_move_the_image_and_only_their_pattern_counts() -> None:
    param = Maco()
    (phases,) = param.start((32, 24), [generator(0)], "cpu")
    weights = torch.randn(1, 3, 32, 24, generator=generator(1))
    (gradient,) = torch.autograd.grad((param.image([phases], (32, 24)) * weights).sum(), phases)
    # All but the real coefficients (row and column frequency 0 or 1/2) and the mirrored halves of the outer columns.
    assert (gradient[..., 1:-1] != 0).all()
    assert (gradient[..., 1:16, [0, -1]] != 0).all()
    torch.testing.assert_close(param.image([3 * phases + 2], (32, 24)), param.image([phases], (32, 24)), rtol=0, atol=1e-4)


def test_spread_is_the_deviation_of_the_phases() -> None:
    """Phases of deviation s have mean cosine exp(-s^2 / 2), which is the share of the template that stands at the corner."""
    magnitude = Magnitude(Fixed.of(torch.ones(3, 8, 5), "flat"))
    for spread in (0.5, 1.0, 2.0):
        param = Maco(magnitude, spread=spread)
        (phases,) = param.start((128, 128), [generator(0)], "cpu")
        spectrum = torch.fft.rfft2(param.values([phases], (128, 128)))[..., 1:64]
        assert abs(float((spectrum / spectrum.abs()).real.mean().detach()) - np.exp(-(spread**2) / 2)) < 0.02


def test_phases_alone_bring_a_photograph_nearer() -> None:
    """Amplitudes and mean colour stay those of other photographs: the error falls to 3/4 and no further than 1/2."""
    first, last = _fitted(_cat())
    assert first / 2 < last < 0.75 * first


def test_phases_alone_find_a_photograph_that_has_the_templates_magnitudes() -> None:
    """The same photograph with its magnitudes exchanged is within reach: the error falls to a tenth, below .02."""
    phases = torch.fft.rfft2(from_rgb(_cat(), True)).angle()
    magnitudes = sample_magnitude().at(SIDE, phases).expand_as(phases)
    first, last = _fitted(to_rgb(torch.fft.irfft2(torch.polar(magnitudes, phases), s=SIDE), True))
    assert last < first / 10


def _cat() -> torch.Tensor:
    cat = images.tensor(images.Image.fromarray(images.sample("cat").pixels))[None, :, :, 75:375]
    return F.interpolate(cat, size=SIDE, mode="bilinear", align_corners=False, antialias=True).clamp(0.02, 0.98)


def _fitted(target: torch.Tensor) -> tuple[float, float]:
    """Mean |difference| before and after 300 steps of Adam."""
    param = Maco()
    (phases,) = param.start(SIDE, [generator(0)], "cpu")
    optimizer = torch.optim.Adam([phases], lr=0.05)
    errors = []
    for _ in range(300):
        image = param.image([phases], SIDE)
        errors.append(float((image - target).abs().mean().detach()))
        optimizer.zero_grad()
        (image - target).square().mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return errors[0], errors[-1]


def test_has_no_inverse_and_names_the_smallest_size() -> None:
    with pytest.raises(Unsupported, match=r"Maco cannot write a given image: .* use Fourier, Pixels or Pyramid"):
        Maco().of(torch.rand(1, 3, 8, 8))
    Maco().check((4, 4))
    with pytest.raises(InterpError, match=r"Maco cannot write images of 3 x 90 px .* the smallest are 4 x 4 px"):
        Maco().check((3, 90))


def test_refuses_spread_and_contrast() -> None:
    with pytest.raises(InterpError, match=r"the `spread` of Maco is 0\.0"):
        Maco(spread=0.0)
    with pytest.raises(InterpError, match=r"the `contrast` of Maco is -1\.0"):
        Maco(contrast=-1.0)


def test_magnitudes_are_the_mean_over_crops_and_mirror_images() -> None:
    """A photograph of the crop's own size has one crop: |rfft2| of its decorrelated colours and of its mirror image's."""
    one = photo(0, 16, 16)
    pixels = torch.from_numpy(one.pixels).permute(2, 0, 1)[None].double() / 255
    both = torch.cat([pixels, pixels.flip(3)]).clamp(0.02, 0.98)
    expected = torch.fft.rfft2(from_rgb(both, True)).abs().mean(0)
    expected[:, 0, 0] = 0
    found = magnitude_of([one], 16).spectrum.values
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-4)
    two = magnitude_of([one, photo(1, 16, 16)], 16).spectrum.values
    torch.testing.assert_close(two, (found + magnitude_of([photo(1, 16, 16)], 16).spectrum.values) / 2, rtol=1e-4, atol=1e-4)


def test_at_its_own_size_nothing_is_resampled() -> None:
    magnitude = magnitude_of([photo(0, 16, 16)], 16)
    values = magnitude.spectrum.values
    found = magnitude.at((16, 16), values)
    ratio = (found / values).flatten(1)[:, 1:]
    torch.testing.assert_close(ratio, ratio[:1, :1].expand_as(ratio), rtol=1e-4, atol=0)


@pytest.mark.parametrize("size", [(64, 64), (31, 50), (7, 90)], ids=str)
def test_a_power_law_stays_one_at_any_size(size: tuple[int, int]) -> None:
    """1/f at the same cycles per pixel, above and below the lowest frequency of the crops: never lower than 1 / longer side."""
    law = 1 / torch.hypot(torch.fft.fftfreq(32)[:, None], torch.fft.rfftfreq(32)[None])
    law[0, 0] = 0
    found = Magnitude(Fixed.of(law.expand(3, -1, -1), "law")).at(size, torch.zeros((), dtype=torch.float64))
    frequency = torch.hypot(torch.fft.fftfreq(size[0])[:, None], torch.fft.rfftfreq(size[1])[None])
    flat = (found * frequency).flatten(1)[:, 1:]
    torch.testing.assert_close(flat, flat[:1, :1].expand_as(flat), rtol=1e-5, atol=0)
    assert not found[:, 0, 0].any()


def test_rows_and_columns_keep_their_own_magnitudes() -> None:
    """Photographs of stripes along one axis give stripes along that axis."""
    ramp = (np.arange(32) % 4 * 60).astype(np.uint8)
    for pixels, row_like in ((ramp[:, None, None], True), (ramp[None, :, None], False)):
        stripes = Photo("stripes", np.ascontiguousarray(np.broadcast_to(pixels, (32, 32, 3))), "")
        found = magnitude_of([stripes], 32).at((20, 40), torch.zeros(()))[0]
        along_rows, along_cols = float(found[1:, 0].sum()), float(found[0, 1:].sum())
        assert (along_rows > 10 * along_cols) == row_like
        assert (along_cols > 10 * along_rows) == (not row_like)


def test_samples_fall_faster_than_lucids_and_look_the_same_at_every_size() -> None:
    magnitude = sample_magnitude()
    assert magnitude == sample_magnitude()
    assert magnitude.spectrum.name == "6 photographs at 192 px"
    slopes = []
    for side in (96, 192, 256):
        found = magnitude.at((side, side), torch.zeros(()))[0]
        frequency = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None])
        bands = [found[(frequency > low) & (frequency < 1.3 * low)].mean() for low in (0.05, 0.3)]
        slopes.append(float(torch.log(bands[1] / bands[0]) / np.log(6)))
    assert all(-2 < slope < -1.2 for slope in slopes)
    assert max(slopes) - min(slopes) < 0.03


def test_kept_in_the_cache_under_photographs_and_side(cache: Path) -> None:
    def files() -> set[Path]:
        return set(cache.iterdir())

    before = files()
    first = magnitude_of([photo(7)], 16)
    (file,) = files() - before
    assert load_file(file)["magnitude"].shape == (3, 16, 9)
    assert torch.equal(load_file(file)["magnitude"], first.spectrum.values)
    for other, side in (([photo(7)], 18), ([photo(8)], 16), ([photo(7), photo(8)], 16)):
        assert magnitude_of(other, side) != first
    assert len(files() - before) == 4, "no temporary file is left"


def test_a_whole_cache_file_is_used_and_not_made_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = magnitude_of([photo(9)], 16)
    monkeypatch.setattr(module, "_mean", lambda *_: pytest.fail("made again"))
    assert magnitude_of([photo(9)], 16) == first


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "shape", "bit", "keys", "folder"])
def test_a_damaged_cache_file_is_made_again(damage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path))
    first = magnitude_of([photo(3)], 16)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    values = first.spectrum.values
    if damage == "folder":
        file.unlink()
        file.mkdir()
    elif damage == "shape":
        save_file({"magnitude": values[:, :4].contiguous()}, file, {"sha256": Fixed.of(values[:, :4], "").sha256})
    elif damage == "keys":
        save_file({"other": values}, file, {"sha256": first.spectrum.sha256})
    else:
        damaged = {"cut": content[:-40], "empty": b"", "text": b"not a safetensors file", "bit": content[:-1] + bytes([content[-1] ^ 1])}
        file.write_bytes(damaged[damage])
    assert magnitude_of([photo(3)], 16) == first
    if damage != "folder":
        assert file.read_bytes() == content, "what is whole again is kept"
    assert list(tmp_path.iterdir()) == [file]


def test_without_a_writable_cache_nothing_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "file" / "below"))
    assert magnitude_of([photo(3)], 16).side == 16
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("INTERP_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("INTERP_CACHE")
    assert cache_folder() == tmp_path / "xdg" / "interp"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_folder() == tmp_path / ".cache" / "interp"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "interp"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "interp" / "Cache"


def test_templates_first_made_in_inference_mode_serve_gradients_later() -> None:
    param = Maco(magnitude_of([photo(11)], 16))
    (phases,) = param.start((12, 10), [generator(0)], "cpu")
    with torch.inference_mode():
        param.image([phases], (12, 10))
    (gradient,) = torch.autograd.grad(param.image([phases], (12, 10))[0, 0, 3].sum(), phases)
    assert gradient.any()


def test_refuses_photographs_and_sides() -> None:
    with pytest.raises(InterpError, match="magnitudes of no photographs were asked for"):
        magnitude_of([])
    with pytest.raises(InterpError, match="the `side` of magnitude_of is 15: give an even number of pixels"):
        magnitude_of([photo(0)], 15)
    with pytest.raises(InterpError, match=r"'noise1' of 13 x 24 px .* smaller than `side` 16: .* give a `side` of at most 12"):
        magnitude_of([photo(0), photo(1, 13)], 16)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 5), (3, 7, 4), (8, 5), (3, 2, 2)], ids=str)
def test_refuses_arrays_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(InterpError, match=f"magnitudes 'bad' have shape {'x'.join(map(str, shape))}: give"):
        Magnitude(Fixed.of(torch.ones(shape), "bad"))


@pytest.mark.parametrize("value", [-1.0, 0.0, float("nan"), float("inf")])
def test_refuses_what_is_no_magnitude(value: float) -> None:
    with pytest.raises(InterpError, match="magnitudes 'bad' hold negative or infinite numbers, or a channel of zeros"):
        Magnitude(Fixed.of(torch.full((3, 8, 5), value), "bad"))
