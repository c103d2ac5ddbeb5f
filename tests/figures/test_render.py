"""Figures as files: the same pixels in every format that has pixels, the stamp in each, the same bytes each time."""

import hashlib
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from interp.errors import BadFile, InterpError, Unsupported
from interp.figures import FORMATS, CurvePanel, EmptyPanel, Grid, ImagePanel, Kind, MapPanel, Scale, TilePanel, render, save
from interp.figures.film import FilmOptions, webp
from interp.figures.stamp import into_webp
from interp.proof.stamped import stamp_in
from interp.runs.stamp import Stamp

STAMP = Stamp("0123456789abcdef" * 4, "grid", "tour", "interp tour 'a (b) \\ c' <&>", 7, "embedded", "b" * 64, "c" * 40, True)
SIGNED = Scale(-1.0, 1.0, Kind.DIVERGING)


def sample():
    photo = np.random.default_rng(0).random((24, 24, 3))
    curve = CurvePanel((("a", np.arange(3.0)), ("b", np.ones(3))), "x", "y")
    return Grid(((ImagePanel(photo, "é"), MapPanel(np.eye(3), SIGNED), TilePanel(np.ones((9, 3, 3)) / 2, SIGNED), curve),))


@pytest.fixture(scope="module")
def drawn():
    return render(sample(), FORMATS, 100, STAMP)


def pixels(data):
    with Image.open(io.BytesIO(data)) as picture:
        return np.array(picture.convert("RGBA"))


def test_webp_loses_nothing(drawn):
    np.testing.assert_array_equal(pixels(drawn.files["webp"]), pixels(drawn.files["png"]))
    assert len(drawn.files["webp"]) < len(drawn.files["png"])


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_holds_the_stamp(drawn, name):
    assert stamp_in(drawn.files[name], "figure") == STAMP


@pytest.mark.parametrize("name", FORMATS)
def test_without_a_stamp_there_is_none(name):
    data = render(Grid(((EmptyPanel(),),)), (name,)).files[name]
    assert b"identity" not in data
    with pytest.raises(BadFile, match=r"`figure` is an? (PNG|PDF|SVG|WebP) without a stamp of interp"):
        stamp_in(data, "figure")


def test_a_stamp_changes_no_pixel(drawn):
    bare = render(sample(), ("png", "webp"), 100)
    assert bare.files["png"] != drawn.files["png"]
    for name in ("png", "webp"):
        np.testing.assert_array_equal(pixels(bare.files[name]), pixels(drawn.files[name]))


def test_bytes_repeat_in_another_process_and_say_no_time(drawn):
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]); import test_render as t; from interp.figures import FORMATS, render; "
        "print({n: hashlib.sha256(d).hexdigest() for n, d in render(t.sample(), FORMATS, 100, t.STAMP).files.items()})"
    )
    said = subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent)], capture_output=True, text=True, check=True).stdout
    assert said.strip() == str({name: hashlib.sha256(data).hexdigest() for name, data in drawn.files.items()})
    for name in ("pdf", "svg"):
        assert not re.search(rb"CreationDate|ModDate|<dc:date>", drawn.files[name])


def test_formats_come_in_the_order_asked_for_and_once():
    assert list(render(Grid(((EmptyPanel(),),)), ("svg", "png", "svg")).files) == ["svg", "png"]


def test_the_size_is_told_where_nothing_has_pixels(drawn):
    alone = render(sample(), ("svg",), 100)
    assert (alone.width, alone.height) == (drawn.width, drawn.height)
    assert (drawn.height, drawn.width) == pixels(drawn.files["png"]).shape[:2]


def test_resolution_is_that_of_png_and_webp_only(drawn):
    finer = render(sample(), FORMATS, 200, STAMP)
    assert (finer.width // 2, finer.height // 2) == (drawn.width, drawn.height)
    assert [name for name in FORMATS if finer.files[name] == drawn.files[name]] == ["pdf", "svg"]


def test_an_svg_holds_one_picture_for_each_panel_not_for_each_line(drawn):
    assert drawn.files["svg"].count(b"<image ") == 3 + 1  # and the colour bar
    assert len(drawn.files["svg"]) < 150_000


def test_an_svg_of_a_photograph_is_no_larger_than_its_pixels():
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    (found,) = re.findall(rb"data:image/png;base64,([^\"]+)", render(Grid(((ImagePanel(photo),),)), ("svg",)).files["svg"])
    assert len(b"".join(found.split())) < 64 * 64 * 4 * 20  # base64 of what noise takes at 150 px per inch


def test_too_many_pixels_are_refused():
    tall = Grid(tuple((EmptyPanel(),) for _ in range(12)), panel_size=1.5)
    with pytest.raises(Unsupported, match=r"a figure is \d+ x \d+ px, WebP holds 16383 either way: choose a lower --dpi, or png"):
        render(tall, ("webp",), 1200)
    wide = Grid(tuple((EmptyPanel(),) * 3 for _ in range(4)), panel_size=10.0)
    with pytest.raises(Unsupported, match=r"at 1200 dpi is \d+ x \d+ px, more than can be drawn: choose a lower --dpi, or pdf or svg"):
        render(wide, ("png",), 1200)
    assert list(render(wide, ("svg",), 1200).files) == ["svg"]


def test_webp_loses_detail_only_where_asked_and_where_that_is_smaller():
    photo = Grid(((ImagePanel(data.chelsea()[:96, :96]),),))
    whole, asked, coarse = (render(photo, ("webp", "png"), 100, STAMP, quality).files for quality in (None, 90, 30))
    np.testing.assert_array_equal(pixels(whole["webp"]), pixels(whole["png"]))
    assert whole["png"] == asked["png"]
    assert len(coarse["webp"]) < len(asked["webp"]) < len(whole["webp"])
    away = [np.abs(pixels(files["webp"]).astype(int) - pixels(whole["png"])).mean() for files in (asked, coarse)]
    assert 0 < away[0] < away[1]
    assert stamp_in(asked["webp"], "figure") == STAMP
    lines = Grid(((CurvePanel((("a", np.arange(3.0)),), "x", "y"),),))
    drawn = render(lines, ("webp", "png"), 100, None, 90).files
    np.testing.assert_array_equal(pixels(drawn["webp"]), pixels(drawn["png"]))


def test_saving_takes_resolution_and_stamp(tmp_path):
    (path,) = save(sample(), tmp_path, "figure", ("webp",), 50, STAMP)
    assert stamp_in(path.read_bytes(), "figure") == STAMP
    assert pixels(path.read_bytes()).shape[:2] == (render(sample(), ("svg",), 50).height, render(sample(), ("svg",), 50).width)


@pytest.mark.parametrize("count", [1, 3])
def test_a_film_takes_a_stamp_without_a_new_pixel(count):
    frames = np.random.default_rng(0).integers(0, 256, (count, 10, 13, 3), np.uint8)
    film = webp(frames, FilmOptions(1.0, 0.5))
    stamped = into_webp(film, STAMP)
    assert stamp_in(stamped, "film") == STAMP
    with Image.open(io.BytesIO(film)) as before, Image.open(io.BytesIO(stamped)) as after:
        assert (before.size, before.n_frames) == (after.size, after.n_frames) == ((13, 10), count)
        for frame in range(count):
            before.seek(frame)
            after.seek(frame)
            assert before.info.get("duration") == after.info.get("duration")
            np.testing.assert_array_equal(np.array(before.convert("RGBA")), np.array(after.convert("RGBA")))


def test_a_transparent_webp_stays_so():
    stream = io.BytesIO()
    clear = Image.new("RGBA", (4, 5), (9, 8, 7, 60))
    clear.save(stream, "webp", lossless=True, exact=True)
    np.testing.assert_array_equal(pixels(into_webp(stream.getvalue(), STAMP)), pixels(stream.getvalue()))


def test_what_is_no_webp_takes_no_stamp(drawn):
    with pytest.raises(BadFile, match=r"only a WebP takes this stamp"):
        into_webp(drawn.files["png"], STAMP)
    with pytest.raises(BadFile, match=r"a WebP that has EXIF already takes no stamp"):
        into_webp(drawn.files["webp"], STAMP)


def test_an_unknown_format_is_named_before_anything_is_drawn():
    with pytest.raises(InterpError, match=r"figures are written as png, pdf, svg, webp, not 'wepb'; did you mean 'webp'"):
        render(sample(), ("png", "wepb"))
