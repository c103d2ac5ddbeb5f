"""Sheets of tiles: every tile is where its box says, pixel by pixel; sizes are bounded; the same tiles give the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from interp.errors import BadFile, InterpError
from interp.site.microscope import Picture, Sheet, Tiles, pack, save
from interp.site.microscope.sprites import SIDE, tiles_of
from interp.site.microscope.tiles import classes


def tiles(count: int, rows: int, cols: int) -> np.ndarray:
    """Tiles of noise whose pixels are large where the tiles are: fine noise takes seconds to be packed."""
    noise = np.random.default_rng(count).integers(0, 255, (count, min(rows, 16), min(cols, 16), 3), dtype=np.uint8)
    return noise[:, np.arange(rows) * noise.shape[1] // rows][:, :, np.arange(cols) * noise.shape[2] // cols]


@pytest.mark.parametrize(("count", "rows", "cols"), [(1, 8, 8), (5, 8, 8), (33, 16, 16), (27, 200, 200), (3, 1500, 40), (1030, 8, 8)])
@pytest.mark.parametrize("suffix", ["webp", "png"])
def test_every_tile_is_where_its_box_says(tmp_path: Path, count: int, rows: int, cols: int, suffix: str) -> None:
    drawn = tiles(count, rows, cols)
    packed = pack(tmp_path, "pictures/unit", drawn, "a {} b", quality=100, suffix=suffix)
    assert len(packed) == count
    sheets = {sheet.path: np.asarray(Image.open(tmp_path / sheet.path).convert("RGB")) for sheet in packed.sheets}
    for index, picture in enumerate(packed):
        assert picture.box is not None
        top, left, bottom, right = picture.box
        assert np.array_equal(sheets[picture.path][top:bottom, left:right], drawn[index])
        assert sheets[picture.path].shape[:2] == picture.sheet
        assert picture.alt == f"a {index} b"
    for sheet in sheets.values():
        assert sheet.shape[0] <= max(SIDE, rows)
        assert sheet.shape[1] <= max(SIDE, cols)


@given(st.integers(1, 5000), st.integers(1, 1200), st.integers(1, 1200))
@settings(max_examples=100, deadline=None)
def test_sheets_hold_all_tiles_with_less_than_a_row_to_spare(count: int, rows: int, cols: int) -> None:
    packed = tiles_of("p/x", count, (rows, cols), "{}")
    room = [sheet.down * sheet.across for sheet in packed.sheets]
    assert sum(room) - count < packed.sheets[-1].across
    assert all(1 <= sheet.down <= 32 and 1 <= sheet.across <= 32 for sheet in packed.sheets)
    assert packed[count - 1] == packed[-1]
    with pytest.raises(IndexError):
        packed[count]


def test_the_same_tiles_give_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        pack(tmp_path / folder, "x", tiles(40, 32, 32), "{}")
    assert (tmp_path / "one" / "x-0.webp").read_bytes() == (tmp_path / "two" / "x-0.webp").read_bytes()


def test_lossy_tiles_are_close(tmp_path: Path) -> None:
    smooth = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None, None] * 3, (4, 64, 64, 3)).copy()
    pack(tmp_path, "x", smooth, "{}")
    read = np.asarray(Image.open(tmp_path / "x-0.webp").convert("RGB")).astype(int)
    assert np.abs(read[:, :64] - smooth[0].astype(int)).mean() < 3


def test_the_classes_of_a_tile_place_it() -> None:
    packed = Tiles((Sheet("a.webp", 2, 3), Sheet("b.webp", 1, 2)), 8, 16, 16, "{}")
    assert [classes(packed[index]) for index in (0, 5, 7)] == ["w3 h2 c0 r0", "w3 h2 c2 r1", "w2 h1 c1 r0"]
    assert classes(Picture("a.png", 4, 4, "a")) == ""
    assert [picture.box for picture in packed[4:6]] == [(16, 16, 32, 32), (16, 32, 32, 48)]


def test_what_cannot_be_packed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InterpError, match=r"`x` has no tile to pack"):
        pack(tmp_path, "x", tiles(0, 8, 8), "{}")
    with pytest.raises(InterpError, match=r"`a\.gif` is to be a picture, but its suffix is neither \.webp nor \.png"):
        save(tmp_path, "a.gif", tiles(1, 8, 8)[0])
    with pytest.raises(BadFile, match=r"leads only to files beside it"):
        save(tmp_path, "../a.png", tiles(1, 8, 8)[0])
    (tmp_path / "file").write_text("")
    with pytest.raises(BadFile, match=r"cannot be written"):
        save(tmp_path, "file/a.png", tiles(1, 8, 8)[0])
    with pytest.raises(InterpError, match=r"1 sheets hold fewer than the 3 tiles"):
        Tiles((Sheet("a.webp", 1, 2),), 3, 8, 8, "{}")
