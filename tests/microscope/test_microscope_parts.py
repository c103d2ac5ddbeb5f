"""The stages by themselves: scores, natural maxima and sheets against what they are made of."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from interp import kernels
from interp.activations import stream
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import AscentConfig, Precision
from interp.featurevis.quality import views
from interp.images import Photo, Preprocess
from interp.kernels import factors
from interp.kernels.factors import Factoring
from interp.microscope import Data, Options, filters, layers_of
from interp.microscope import data as opened
from interp.microscope.apart import Box, apart, overlap, within
from interp.microscope.data import Part, Samples, image_of
from interp.microscope.looking import Layout, Look, maps_at, seen
from interp.microscope.natural import Natural
from interp.microscope.optimizing import Kind, Optimize, compared
from interp.microscope.pictures import heated, sheet, tile, visible, webp
from interp.microscope.store import array_text
from interp.microscope.tables import parquet
from interp.zoo import load

CONFIG = AscentConfig(steps=3, size=(12, 12), precision=Precision.FLOAT32, batch=4)


def mean_of(model: Model, layer: str, channel: int, image: np.ndarray) -> float:
    """The mean of a channel for an 8-bit picture, by a plain forward."""
    given = torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None]
    with torch.no_grad():
        return float(model.maps(layer, model.capture([layer], given)[0][layer])[0, channel].mean())


def test_scores_are_those_of_the_8_bit_images(trap_model: Model) -> None:
    found = Optimize("conv1", 1, 4, Kind.CHANNEL, 1, CONFIG, 0, measured=True).arrays(trap_model)
    assert found["images"].shape == (3, 1, 12, 12, 3)
    for k, channel in enumerate(range(1, 4)):
        assert found["scores"][k, 0] == pytest.approx(mean_of(trap_model, "conv1", channel, found["images"][k, 0]), abs=1e-5)
    told = json.loads(array_text(found["told"]))
    assert [sorted(one) for one in told] == [["notes", "numbers"]] * 3
    assert {"above_noise", "contrast"} <= told[0]["numbers"].keys()


def test_negative_images_lower_what_the_others_raise(trap_model: Model) -> None:
    raised, lowered = (
        Optimize("conv1", 0, 6, kind, 1, CONFIG, 0, measured=False).arrays(trap_model) for kind in (Kind.CHANNEL, Kind.NEGATIVE)
    )
    assert (raised["scores"] > lowered["scores"]).all()
    # The score of either is the channel's own, not its negative.
    assert lowered["scores"][2, 0] == pytest.approx(mean_of(trap_model, "conv1", 2, lowered["images"][2, 0]), abs=1e-5)


def test_faces_are_as_many_as_asked_and_differ(trap_model: Model) -> None:
    found = Optimize("conv1", 0, 2, Kind.DIVERSE, 3, CONFIG, 0, measured=False, sizes=(1.0, 1.0)).arrays(trap_model)
    assert found["images"].shape[:2] == (2, 3)
    assert found["course"].shape == (2, 3, 3)
    assert len({found["images"][0, k].tobytes() for k in range(3)}) == 3
    # The last layer before the classes that has more than one place.
    assert compared(trap_model, "conv1") == "conv1"
    assert trap_model.layer(compared(trap_model, "fc")).map_shape[1:] != (1, 1)


def test_natural_maxima_are_the_largest_means_over_views(trap_model: Model) -> None:
    draw = np.random.default_rng(0)
    photos = tuple((f"p{k}", draw.integers(0, 256, (20, 30, 3), dtype=np.uint8)) for k in range(3))
    found = Natural(("conv1", "fc"), (12, 12), photos).arrays(trap_model)
    natural = views(trap_model, [Photo(name, pixels, "") for name, pixels in photos], (12, 12))
    with torch.no_grad():
        maps = trap_model.capture(["conv1", "fc"], torch.from_numpy(natural.images.transpose(0, 3, 1, 2).copy()))[0]
    for layer in ("conv1", "fc"):
        expected = trap_model.maps(layer, maps[layer]).mean((2, 3)).amax(0)
        np.testing.assert_allclose(found[layer], expected, atol=1e-5)


def test_the_samples_are_whole_and_in_parts() -> None:
    data = Samples()
    assert len(data) == 6 * 26
    names = [data.name(k) for k in range(len(data))]
    assert len(set(names)) == len(data)
    whole = data.photo(0)
    last = data.photo(names.index(f"{whole.name}, part 3,3 of 3 x 3"))
    side = round(min(whole.size) / 2)
    assert np.array_equal(last.pixels, whole.pixels[-side:, -side:])
    assert last.sha256 != whole.sha256


def test_sheets_hold_the_crops_the_pictures_and_the_maps(trap_model: Model, tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    for k in range(6):
        Image.fromarray(np.repeat(np.repeat(draw.integers(0, 256, (3, 3, 3), dtype=np.uint8), 4, 0), 4, 1)).save(tmp_path / f"{k}.png")
    data = Data(str(tmp_path))
    opened.provide(data, data.open())
    scan = stream.scan(trap_model, data.open(), ["conv1", "conv2"])
    tops = tuple(seen(trap_model, data, scan, "conv2", channel, stream.Side.TOP, 4) for channel in range(5))
    bottoms = tuple(seen(trap_model, data, scan, "conv2", channel, stream.Side.BOTTOM, 2) for channel in range(5))
    at = maps_at(trap_model, "conv2", (12, 12))
    assert at not in ("", "conv2")
    found = Look("conv2", 0, tops, bottoms, at, 3, (24, 24), data).arrays(trap_model)
    assert set(found) == {f"sheet/{channel}" for channel in range(5)}
    layout = Layout(4, 2, 3)
    assert layout.lines == (4, 4, 3, 2, 2)
    assert [layout.line(what) for what in range(5)] == [0, 1, 2, 3, 4]
    pixels = np.asarray(Image.open(io.BytesIO(found["sheet/2"].tobytes()))).astype(int)
    assert pixels.shape == (5 * 24, 4 * 24, 3)
    for rank, one in enumerate(tops[2]):
        picture = visible(image_of(trap_model, data, one.image))
        top, left, bottom, right = one.box
        for line, expected in ((0, tile(picture[top:bottom, left:right], 24, 24)), (1, tile(picture, 24, 24))):
            drawn = pixels[line * 24 : (line + 1) * 24, rank * 24 : (rank + 1) * 24]
            assert np.abs(drawn - expected).mean() < 20  # WebP at this quality
    assert np.abs(pixels[2 * 24 : 3 * 24, 3 * 24 :] - 128).mean() < 8  # three maps of four


def test_where_no_layer_lies_before_the_map_is_what_the_unit_answers(trap_model: Model, tmp_path: Path) -> None:
    assert maps_at(trap_model, "conv1", (12, 12)) == "conv1"
    pixels = np.random.default_rng(2).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "0.png")
    data = Data(str(tmp_path))
    opened.provide(data, data.open())
    scan = stream.scan(trap_model, data.open(), ["conv1"])
    top = seen(trap_model, data, scan, "conv1", 2, stream.Side.TOP, 1)
    found = Look("conv1", 2, (top,), ((),), "conv1", 1, (48, 48), data).arrays(trap_model)
    drawn = np.asarray(Image.open(io.BytesIO(found["sheet/2"].tobytes()))).astype(int)[2 * 48 :]
    image = image_of(trap_model, data, 0)
    with torch.no_grad():
        answers = trap_model.maps("conv1", trap_model.capture(["conv1"], image[None])[0]["conv1"])[0, 2]
    assert np.abs(drawn - tile(heated(visible(image), answers.numpy()), 48, 48)).mean() < 8  # WebP at this quality
    assert np.abs(drawn - tile(heated(visible(image), -answers.numpy()), 48, 48)).mean() > 16


def test_boxes_of_the_input_lie_where_the_network_looks() -> None:
    """A white dot in a part of a photograph, wherever preprocessing moves it, lies in the box that its place in the input maps to."""
    for size, resize in (((12, 12), None), ((12, 12), 16), ((10, 14), 12)):
        preprocess = Preprocess(size, resize, (0.5,) * 3, (0.5,) * 3)
        part = Part("photo", (30, 50, 70, 90))
        for row, col in ((18, 20), (21, 12), (14, 27)):
            pixels = np.zeros((40, 40, 3), np.uint8)
            pixels[row, col] = 255
            given = preprocess(Photo("part", pixels, ""))[0].sum(0).numpy()
            spot = np.unravel_index(given.argmax(), given.shape)
            box = within(part, preprocess, (float(spot[0]), float(spot[1]), spot[0] + 1.0, spot[1] + 1.0))
            assert box[0] - 1 <= 30 + row + 0.5 <= box[2] + 1
            assert box[1] - 1 <= 50 + col + 0.5 <= box[3] + 1


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.tuples(*[st.integers(0, 6)] * 2), st.tuples(*[st.integers(1, 6)] * 2)), max_size=12))
def test_of_crops_that_overlap_the_first_stays(drawn: list[tuple[str, tuple[int, int], tuple[int, int]]]) -> None:
    places = [(name, (float(top), float(left), float(top + rows), float(left + cols))) for name, (top, left), (rows, cols) in drawn]

    def common(one: tuple[str, Box], other: tuple[str, Box]) -> float:
        """By counting the unit squares of each."""
        squares = [{(r, c) for r in range(int(box[0]), int(box[2])) for c in range(int(box[1]), int(box[3]))} for _, box in (one, other)]
        return len(squares[0] & squares[1]) / min(map(len, squares)) if one[0] == other[0] else 0.0

    kept = list(apart(places))
    assert kept == sorted(kept)
    assert kept[:1] == ([0] if places else [])
    for index, place in enumerate(places):
        stronger = [places[k] for k in kept if k < index]
        assert (index in kept) == all(common(place, other) <= 0.5 for other in stronger)


def test_examples_of_one_picture_twice_or_of_parts_that_overlap_are_shown_once(trap_model: Model, tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    for name, values in (("a", pixels), ("b", pixels), ("c", 255 - pixels)):
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    data = Data(str(tmp_path))
    opened.provide(data, data.open())
    scan = stream.scan(trap_model, data.open(), ["conv2"])
    for channel in range(5):
        shown = seen(trap_model, data, scan, "conv2", channel, stream.Side.TOP, 3)
        assert [scan.sources[one.image].name for one in shown] in (["a.png", "c.png"], ["c.png", "a.png"])
        values = scan.layers["conv2"].top.values[channel, :3]
        assert [values[one.rank] for one in shown] == sorted(set(values.tolist()), reverse=True)
    samples = Samples()
    whole, part = samples.part(0), samples.part(6)
    assert whole.photo == part.photo
    assert overlap((0.0, 0.0, *map(float, whole.box[2:])), (0.0, 0.0, *map(float, part.box[2:]))) == 1
    assert np.array_equal(samples.photo(6).pixels, samples.photo(0).pixels[: part.box[2], : part.box[3]])


def test_filters_of_three_inputs_are_colours_of_one_grey_and_of_many_grouped() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 6, 3, groups=2), nn.Conv2d(6, 5, 2), nn.Conv2d(5, 5, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2),
    )  # fmt: skip
    model = load(network, preprocess=Preprocess((12, 12), 12, (0.5,) * 3, (0.5,) * 3))
    colour, grey, deep = (filters.of(model, name) for name in ("0", "1", "3"))
    assert colour is not None
    assert colour.pictures.shape == (4, 63, 63, 3)
    weights = network[0].weight.detach().numpy()[1]
    expected = np.rint(255 * (0.5 + 0.5 * weights / np.abs(weights).max())).astype(int)
    np.testing.assert_array_equal(colour.pictures[1, ::21, ::21].astype(int), np.moveaxis(expected, 0, 2))
    assert grey is not None
    depthwise = network[1].weight.detach().numpy()[2, 0]
    np.testing.assert_allclose(grey.pictures[2, ::21, ::21, 0], 127.5 + 127.5 * depthwise / np.abs(depthwise).max(), atol=0.51)
    assert np.ptp(grey.pictures.astype(int), axis=3).max() == 0
    # The filters of a deep layer are those of `kernels.factors`, and the text says what the colours hold.
    grouped = factors.of(kernels.of(model, "3"), Factoring.PCA)
    assert deep is not None
    np.testing.assert_array_equal(deep.pictures[:, ::32, ::32], np.rint(255 * grouped.rgb()).astype(np.uint8))
    assert f"The three hold {100 * grouped.explained:.0f} % of the layer's squared weights." in deep.text
    strongest = int(np.abs(grouped.channels[0]).argmax())
    assert f"red {'-' if grouped.channels[0, strongest] < 0 else ''}{strongest}," in deep.text
    other = filters.of(model, "3", Factoring.NMF)
    assert other is not None
    assert "non-negative matrix factorization" in other.text
    assert not np.array_equal(other.pictures, deep.pictures)
    # Two inputs of a group, one place, no kernels at all.
    assert [filters.of(model, name) for name in ("2", "4", "7", "5")] == [None] * 4


def test_tables_come_back_as_they_were_from_files_that_are_smaller() -> None:
    draw = np.random.default_rng(0)
    short = draw.normal(size=4000).astype(np.float32).astype(np.float64)
    columns = {"name": [f"n{k % 7}" for k in range(4000)], "short": [*short[:-1].tolist(), None], "long": draw.normal(size=4000).tolist()}
    table = pa.table(columns)
    data = parquet(table)
    found = pq.read_table(io.BytesIO(data))
    assert found.to_pydict() == columns
    assert [str(field.type) for field in found.schema] == ["string", "float", "double"]
    plain = io.BytesIO()
    pq.write_table(table, plain, compression="zstd")
    assert len(data) < 0.8 * len(plain.getvalue())
    assert parquet(table) == data


def test_a_line_that_is_empty_takes_no_room_in_a_sheet() -> None:
    layout = Layout(3, 1, 0)
    assert layout.lines == (3, 3, 1, 1)
    assert [layout.line(what) for what in (0, 1, 3, 4)] == [0, 1, 2, 3]
    drawn = sheet([[np.zeros((2, 3, 3), np.uint8)] * 2, [np.full((2, 3, 3), 255, np.uint8)]], 2, 2, 3)
    assert drawn.shape == (4, 6, 3)
    assert (drawn[2:, :3] == 255).all()
    assert (drawn[2:, 3:] == 128).all()
    assert webp(drawn) == webp(drawn)


def test_inputs_of_any_bands_are_seen() -> None:
    grey = torch.full((1, 2, 2), 0.2)
    assert visible(grey).tolist() == [[[51] * 3] * 2] * 2
    bands = torch.stack([torch.full((2, 2), value) for value in (0.0, 0.2, 0.4, 0.6)])
    assert visible(bands)[0, 0].tolist() == [0, 51, 102]
    assert visible(bands, (4, 2, 1))[0, 0].tolist() == [153, 51, 0]
    assert visible(bands, (4,))[0, 0].tolist() == [153] * 3


def test_a_map_that_is_nowhere_positive_leaves_the_picture_grey() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    cold = heated(picture, -np.ones((2, 2), np.float32))
    # Black of the scale over grey.
    assert np.ptp(cold.astype(int), axis=2).max() <= 4


def test_layers_are_every_convolution_and_the_classes(trap_model: Model) -> None:
    chosen = layers_of(trap_model)
    assert {"conv1", "conv2", "fc"} <= set(chosen)
    order = [layer.name for layer in trap_model.layers]
    assert list(chosen) == sorted(chosen, key=order.index)
    assert layers_of(trap_model, ["conv*"]) == ("conv1", "conv2")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"steps": -1}, r"^`steps` is -1: give at least 0$"),
        ({"faces": 1}, r"^`faces` is 1: give 2 or more images that are made to differ, or 0 for none$"),
        ({"top": 0}, r"^`top` is 0: give at least 1$"),
        ({"units": 0}, r"^`units` is 0: give at least 1 of each layer, or None for all$"),
        ({"size": (0, 4)}, r"^`size` is \(0, 4\): give \(rows, cols\) in pixels, such as \(64, 64\)$"),
    ],
)
def test_options_that_cannot_be_used_are_refused(change: dict[str, object], line: str) -> None:
    with pytest.raises(InterpError, match=line):
        replace(Options(), **change)  # type: ignore[arg-type]


def test_units_are_looked_at_in_their_own_place(trap_model: Model) -> None:
    # Grad-CAM of the example's place: what `maps_at` gives is a layer of which the unit depends.
    at = maps_at(trap_model, "fc", (12, 12))
    assert trap_model.layer(at).map_shape[1:] != (1, 1)
    assert trap_model.unit(Unit(at, 0)).layer == at
