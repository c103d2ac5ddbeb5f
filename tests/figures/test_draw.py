"""The drawn bytes: the right pixels, the same each time, without traces in matplotlib's state."""

import io
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from interp.errors import InterpError
from interp.figures import (
    CurvePanel,
    EmptyPanel,
    Grid,
    ImagePanel,
    Kind,
    MapPanel,
    Scale,
    TilePanel,
    colors,
    contact_sheet,
    pdf,
    picture,
    png,
    render,
    save,
)
from interp.figures.layout import arrange
from interp.figures.palette import NEUTRAL

SIGNED = Scale(-1.0, 1.0, Kind.DIVERGING, "weight")
VALUES = np.array([[-1.0, 0.0], [0.5, 1.0]])
PHOTO = np.random.default_rng(0).random((8, 8, 3))


def sample():
    holes = np.array([[np.nan, 1.0], [0.0, -1.0]])
    return Grid(
        rows=(
            (ImagePanel(PHOTO, "photo"), MapPanel(holes, SIGNED, PHOTO), TilePanel(np.ones((5, 3, 3)), SIGNED)),
            (MapPanel(holes, SIGNED), CurvePanel((("a", np.arange(3.0)), ("b", np.ones(3))), "x", "y"), EmptyPanel("no tokens")),
        ),
        row_headers=("a", "b"),
        title="$ no math $",
        caption="\N{SNOWMAN} \U0001f600 and 日本: what the font lacks is replaced, without a warning",
    )


def pixels(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB")) / 255


def cell_pixels(grid, row, column, fractions, dpi=150):
    """Drawn colours at (vertical, horizontal) fractions of a cell."""
    drawn, box = pixels(png(grid, dpi)), arrange(grid).cells[row][column]
    return np.array([drawn[int((box.top + v * box.height) * dpi), int((box.left + h * box.width) * dpi)] for v, h in fractions])


QUARTERS = [(0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)]


def test_a_map_has_the_colours_of_its_values():
    drawn = cell_pixels(Grid(((MapPanel(VALUES, SIGNED),),)), 0, 0, QUARTERS)
    np.testing.assert_allclose(drawn, colors(VALUES, SIGNED).reshape(4, 3), atol=1 / 255)


def test_a_zero_map_is_neutral_and_says_so():
    blank = cell_pixels(Grid(((MapPanel(np.zeros((2, 2)), SIGNED),),)), 0, 0, QUARTERS[:2])
    np.testing.assert_allclose(blank, np.tile(NEUTRAL, (2, 1)), atol=1 / 255)
    noted = pixels(picture(MapPanel(np.zeros((2, 2)), SIGNED)))
    nearly = pixels(picture(MapPanel(np.full((2, 2), 1e-9), SIGNED)))
    assert (noted != nearly).any()  # the words "zero map"


def test_an_image_is_shown_as_it_is():
    drawn = cell_pixels(Grid(((ImagePanel(PHOTO[:2, :2]),),)), 0, 0, QUARTERS)
    np.testing.assert_allclose(drawn, PHOTO[:2, :2].reshape(4, 3), atol=1 / 255)


def test_a_wide_picture_is_centred_not_stretched():
    wide, tall = np.zeros((10, 20, 3)), np.zeros((20, 20, 3))
    column = cell_pixels(Grid(((ImagePanel(wide), ImagePanel(tall)),)), 0, 0, [(0.1, 0.5), (0.3, 0.5), (0.7, 0.5), (0.9, 0.5)])
    assert column[:, 0].tolist() == [1, 0, 0, 1]


def test_nan_is_hatched():
    drawn = pixels(picture(MapPanel(np.full((2, 2), np.nan), SIGNED)))
    dark = (drawn.max(axis=-1) < 0.6).mean()
    assert 0.05 < dark < 0.5  # stripes: neither none nor all


def test_a_contact_sheet_is_exact_to_the_pixel():
    tiles = np.zeros((3, 2, 2, 3))
    tiles[:, :, :, 0] = np.array([0.0, 0.2, 0.4])[:, None, None]
    sheet = pixels(contact_sheet(tiles, columns=2, zoom=2))
    assert sheet.shape == (9, 9, 3)
    assert (sheet[4] == 1).all()
    assert (sheet[:, 4] == 1).all()  # gutters of one pixel
    np.testing.assert_allclose([sheet[0, 0, 0], sheet[3, 8, 0], sheet[8, 0, 0]], [0.0, 0.2, 0.4], atol=1e-9)
    assert (sheet[5:, 5:] == 1).all()  # no fourth tile


def test_signed_tiles_get_gutters_that_zero_is_not():
    sheet = pixels(contact_sheet(np.zeros((4, 3, 3)), SIGNED, zoom=1))
    np.testing.assert_allclose(sheet[0, 0], NEUTRAL, atol=1 / 255)
    assert (sheet[3] < 0.5).all()


def test_bytes_repeat(tmp_path):
    first, again = (save(sample(), tmp_path / name, "figure", ("png", "pdf", "svg", "webp")) for name in ("one", "two"))
    assert [path.name for path in first] == ["figure.png", "figure.pdf", "figure.svg", "figure.webp"]
    for one, two in zip(first, again, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_rendered_at_once_is_as_drawn_alone():
    drawn = render(sample(), dpi=120)
    assert drawn.files == {"png": png(sample(), 120), "pdf": pdf(sample())}
    assert (drawn.height, drawn.width) == pixels(drawn.files["png"]).shape[:2]


@pytest.mark.parametrize(
    ("panel", "pixels_in_pdf"),
    [
        (ImagePanel(np.zeros((200, 100, 3))), (100, 200)),
        (ImagePanel(np.zeros((2000, 1000, 3))), (180, 360)),
        (MapPanel(VALUES, SIGNED), (60, 60)),  # squares large enough to survive a viewer's smoothing
    ],
)
def test_a_pdf_holds_pictures_as_small_as_they_are(panel, pixels_in_pdf):
    sizes = re.findall(rb"/Subtype /Image /Width (\d+) /Height (\d+)", pdf(Grid(((panel,),), panel_size=1.0)))
    assert (b"%d" % pixels_in_pdf[0], b"%d" % pixels_in_pdf[1]) == sizes[0]


def test_the_users_settings_neither_change_a_figure_nor_are_changed():
    expected = png(sample())
    with matplotlib.rc_context({"font.size": 30, "savefig.bbox": "tight", "text.hinting": "force_autohint", "image.cmap": "gray"}):
        before = dict(matplotlib.rcParams)
        assert png(sample()) == expected
        assert dict(matplotlib.rcParams) == before


def test_neither_pyplot_nor_torch_comes_in():
    code = (
        "import sys, numpy as np, interp.figures as f; f.picture(f.ImagePanel(np.zeros((2, 2, 3)))); "
        "sys.exit(' '.join(sorted({'torch', 'matplotlib.pyplot'} & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unknown_format_writes_nothing(tmp_path):
    with pytest.raises(InterpError, match=r"png, pdf, svg, webp, not 'jpg'; did you mean 'png'"):
        save(sample(), tmp_path / "new", "figure", ("png", "jpg"))
    assert not (tmp_path / "new").exists()


def test_a_zoom_below_one():
    with pytest.raises(InterpError, match="`zoom` is 0, but a tile pixel takes at least 1"):
        contact_sheet(np.zeros((1, 2, 2, 3)), zoom=0)
