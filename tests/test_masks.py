"""Users' masks and boxes land on the pixels that their formats mean, and on those of the network's input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.draw import polygon as inside

from interp import images
from interp.errors import BadFile, InterpError, UnknownName
from interp.images import Photo, Preprocess
from interp.masks import from_coco, from_folder, from_voc, prepared, preprocessed
from interp.masks.matching import stem
from interp.masks.regions import decompressed, mark_polygon, run_lengths


def photo(name: str = "dog", rows: int = 6, cols: int = 8) -> Photo:
    return Photo(name, np.zeros((rows, cols, 3), dtype=np.uint8), "")


def marked(rows: slice, cols: slice, size: tuple[int, int] = (6, 8)) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    mask[rows, cols] = True
    return mask


BLOCK = marked(slice(1, 4), slice(2, 7))


def compressed(counts: list[int]) -> str:
    """COCO's text of run lengths, written from its description, as a partner for the reader."""
    text = ""
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        while True:
            low, value = value & 31, value >> 5
            more = value != (-1 if low & 16 else 0)
            text += chr(48 + low + (32 if more else 0))
            if not more:
                break
    return text


# ---- pictures


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".gif", ".webp"])
def test_whatever_is_not_zero_is_object(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(BLOCK.astype(np.uint8) * 255).save(tmp_path / f"dog{suffix}", **options)
    assert np.array_equal(from_folder([photo()], tmp_path)[0], BLOCK)


def test_label_numbers_palettes_deep_and_coloured_masks_are_read_as_they_are_stored(tmp_path: Path) -> None:
    number = BLOCK.astype(np.uint8)
    palette = Image.fromarray(number, mode=None).convert("P")
    palette.putdata(number.ravel().tolist())
    palette.putpalette([255, 255, 255, 0, 0, 0])  # index 0 is white, index 1 black: the index counts, not the colour
    deep = Image.fromarray(number.astype(np.uint16))
    colour = Image.fromarray(np.stack([number * 0, number * 0, number], axis=2))
    cut_out = Image.fromarray(np.stack([number * 0, number * 0, number * 0, number * 255], axis=2))
    opaque = Image.fromarray(np.stack([number * 9, number * 0, number * 0, number * 0 + 255], axis=2))
    for name, image in {"p": palette, "deep": deep, "colour": colour, "cut": cut_out, "opaque": opaque}.items():
        image.save(tmp_path / f"{name}.png")
        assert np.array_equal(from_folder([photo(name)], tmp_path)[0], BLOCK), name


def test_the_blur_of_jpeg_is_no_object(tmp_path: Path) -> None:
    mask = marked(slice(10, 30), slice(12, 41), (48, 64))
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "dog.jpg", quality=60)
    assert (np.asarray(Image.open(tmp_path / "dog.jpg")) != 0).sum() > mask.sum()  # it did blur
    assert np.array_equal(from_folder([photo(rows=48, cols=64)], tmp_path)[0], mask)


def test_masks_come_in_the_order_of_the_pictures(tmp_path: Path) -> None:
    for index, name in enumerate("abc"):
        Image.fromarray(marked(slice(index, index + 1), slice(0, 8)).astype(np.uint8)).save(tmp_path / f"{name}.png")
    masks = from_folder([photo(name) for name in "cab"], tmp_path)
    assert [int(mask.argmax()) // 8 for mask in masks] == [2, 0, 1]


def test_masks_belong_to_the_upright_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter
    Image.new("RGB", (8, 6)).save(tmp_path / "dog.jpg", exif=exif)
    turned = images.read(tmp_path / "dog.jpg")
    assert turned.size == (8, 6)
    folder = tmp_path / "masks"
    folder.mkdir()
    Image.fromarray(BLOCK.astype(np.uint8)).save(folder / "dog.png", exif=exif)
    assert np.array_equal(from_folder([turned], folder)[0], np.rot90(BLOCK, -1))
    Image.fromarray(BLOCK.astype(np.uint8)).save(folder / "dog.png")
    with pytest.raises(
        BadFile, match=r"the mask 'dog.png' is 6 x 8 px \(rows x cols\), but the picture 'dog' is 8 x 6 px: .*EXIF rotation"
    ):
        from_folder([turned], folder)


def test_bad_folders_and_masks(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    folder = tmp_path / "masks"
    with pytest.raises(BadFile, match=r"no folder '.*mask' to take masks from: did you mean 'masks'\?"):
        from_folder([photo()], tmp_path / "mask")
    with pytest.raises(BadFile, match=r"holds no mask: looked for \.png"):
        from_folder([photo()], folder)
    Image.new("L", (8, 6)).save(folder / "dogs.png")
    with pytest.raises(BadFile, match=r"no mask of the picture 'dog' in '.*masks': did you mean 'dogs'\?"):
        from_folder([photo()], folder)
    Image.new("L", (8, 5)).save(folder / "dog.png")
    with pytest.raises(
        BadFile, match=r"the mask 'dog.png' is 5 x 8 px \(rows x cols\), but the picture 'dog' is 6 x 8 px: give them the same size"
    ):
        from_folder([photo()], folder)
    (folder / "dog.bmp").write_bytes(b"no picture")
    with pytest.raises(BadFile, match=r"2 masks of 'dog' in '.*masks': 'dog.bmp' and 'dog.png'; leave one"):
        from_folder([photo()], folder)
    (folder / "dog.png").unlink()
    with pytest.raises(BadFile, match=r"the mask '.*dog.bmp' is in none of the formats that are read: give PNG, "):
        from_folder([photo()], folder)


# ---- COCO


def coco(path: Path, annotations: list[dict[str, Any]], **image: Any) -> Path:
    content = {
        "images": [{"id": 7, "file_name": "dog.jpg", "height": 6, "width": 8} | image],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3} | a for a in annotations],
        "categories": [{"id": 3, "name": "dog"}, {"id": 4, "name": "cat"}],
    }
    file = path / "annotation.json"
    file.write_text(json.dumps(content))
    return file


def runs_of(mask: np.ndarray) -> list[int]:
    """Run lengths down the columns, counted one by one."""
    counts, value = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


REGIONS = {
    "polygon": {"segmentation": [[2, 1, 7, 1, 7, 4, 2, 4]]},
    "two polygons": {"segmentation": [[2, 1, 4, 1, 4, 4, 2, 4], [4, 1, 7, 1, 7, 4, 4, 4]]},
    "run lengths": {"segmentation": {"size": [6, 8], "counts": runs_of(BLOCK)}, "iscrowd": 1},
    "compressed": {"segmentation": {"size": [6, 8], "counts": compressed(runs_of(BLOCK))}},
    "box": {"bbox": [2, 1, 5, 3]},
    "box beside an empty segmentation": {"bbox": [2, 1, 5, 3], "segmentation": []},
}


@pytest.mark.parametrize("kind", REGIONS)
def test_coco_regions_cover_exactly_their_pixels(tmp_path: Path, kind: str) -> None:
    assert np.array_equal(from_coco([photo()], coco(tmp_path, [REGIONS[kind]]))[0], BLOCK)


def test_a_slanted_polygon_holds_the_pixels_whose_middle_it_holds(tmp_path: Path) -> None:
    file = coco(tmp_path, [{"segmentation": [[0, 0, 6.2, 0, 0, 6.2]]}])
    row, col = np.mgrid[0:6, 0:8]
    assert np.array_equal(from_coco([photo()], file)[0], (row + 0.5) + (col + 0.5) < 6.2)


def outlined(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    mark_polygon(mask, corners.ravel().tolist())
    return mask


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_polygons_are_those_of_scikit_image_where_they_do_not_touch_themselves(rows: int, cols: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = random.uniform(-4, 16, (random.integers(3, 9), 2))
    expected = np.zeros((rows, cols), dtype=bool)
    expected[inside(corners[:, 1] - 0.5, corners[:, 0] - 0.5, (rows, cols))] = True
    assert np.array_equal(outlined(corners, (rows, cols)), expected)


def test_an_outline_through_the_middles_of_pixels_is_inside() -> None:
    # Corners (x, y) on middles: the square from pixel (1, 2) to pixel (3, 5), and the diagonal of a triangle.
    square = np.array([[2.5, 1.5], [5.5, 1.5], [5.5, 3.5], [2.5, 3.5]])
    assert np.array_equal(outlined(square, (6, 8)), marked(slice(1, 4), slice(2, 6)))
    assert np.array_equal(outlined(square[::-1], (6, 8)), marked(slice(1, 4), slice(2, 6)))
    row, col = np.mgrid[0:6, 0:8]
    assert np.array_equal(outlined(np.array([[0.5, 0.5], [5.5, 0.5], [0.5, 5.5]]), (6, 8)), row + col <= 5)


def test_a_polygon_far_outside_marks_nothing_and_one_that_holds_all_marks_all() -> None:
    assert not outlined(np.array([[20.0, 20], [30, 20], [30, 30]]), (6, 8)).any()
    assert not outlined(np.array([[-20.0, 1], [-3, 1], [-3, 30]]), (6, 8)).any()
    assert outlined(np.array([[-1e8, -1e8], [1e8, -1e8], [1e8, 1e8], [-1e8, 1e8]]), (6, 8)).all()


def test_a_polygon_of_very_many_corners_is_drawn_by_what_it_crosses(tmp_path: Path) -> None:
    # A star of 200,000 corners, a million pixels: each pixel against each corner would take hours.
    turn = np.linspace(0, 2 * np.pi, 200_000, endpoint=False)
    radius = 300 + 100 * np.cos(5 * turn)
    star = np.stack([500 + radius * np.cos(turn), 500 + radius * np.sin(turn)], axis=1)
    mask = outlined(star, (1000, 1000))
    row, col = np.mgrid[0:1000, 0:1000] - 499.5
    away = np.hypot(row, col) - (300 + 100 * np.cos(5 * np.arctan2(row, col)))
    assert np.array_equal(mask[np.abs(away) > 0.01], away[np.abs(away) > 0.01] < 0)
    # As many that run from top to bottom each are more than is drawn.
    comb = np.stack([np.arange(200_000) / 200, np.arange(200_000) % 2 * 1000.0], axis=1)
    file = coco(tmp_path, [{"segmentation": [comb.ravel().tolist()]}], height=1000, width=1000)
    with pytest.raises(BadFile, match=r"a polygon of 200000 corners crosses rows \d+ times, more than 20000000: simplify it"):
        from_coco([photo(rows=1000, cols=1000)], file)


def test_annotations_are_looked_up_by_their_picture_not_gone_through_for_each(tmp_path: Path) -> None:
    many = 3000
    content = {
        "images": [{"id": str(k) if k % 2 else k, "file_name": f"p{k}.jpg"} for k in range(many)],
        "annotations": [{"image_id": str(k) if k % 2 else k, "bbox": [k % 8, 0, 1, 1]} for k in range(many)],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    masks = from_coco([photo(f"p{k}") for k in range(many)], tmp_path / "coco.json")
    assert all(np.array_equal(mask, marked(slice(0, 1), slice(k % 8, k % 8 + 1))) for k, mask in enumerate(masks))


def test_run_lengths_by_hand() -> None:
    # 2 x 3: columns (0, 1), (1, 1), (0, 0).
    assert run_lengths([1, 3, 2], (2, 3)).tolist() == [[False, True, False], [True, True, False]]
    # A 9 x 10 picture with rows 2 to 5 and columns 3 to 7 set. 29 is 01 101 in groups of five with a sign bit to come: "m0";
    # from the fourth on differences: seven zeros, then 21 - 5 = 16, which needs a second character too: "`0".
    counts = [29, 4, 5, 4, 5, 4, 5, 4, 5, 4, 21]
    assert compressed(counts) == "m0450000000`0"
    assert np.array_equal(run_lengths(decompressed("m0450000000`0"), (9, 10)), marked(slice(2, 6), slice(3, 8), (9, 10)))


def test_compressed_run_lengths_of_others() -> None:
    """Texts that pycocotools wrote, as published with the masks they stand for."""
    quarter = marked(slice(0, 50), slice(50, 100), (100, 100))
    assert np.array_equal(run_lengths(decompressed("Xl4b1b1" + "0" * 98), (100, 100)), quarter)
    person = run_lengths(decompressed("nYW31n>2N2FNbA48Kf=?XBDe=m0OM3M4YOPB8_>L4JXao5"), (480, 640))
    rows, cols = np.nonzero(person)
    # Its box is published as x 219.9, y 176.12, width 11.14, height 34.23.
    assert np.abs(np.array([cols.min(), cols.max() + 1, rows.min(), rows.max() + 1]) - [219.9, 231.04, 176.12, 210.35]).max() < 1


@given(st.lists(st.integers(0, 2**30), min_size=1, max_size=12))
def test_compressed_run_lengths_come_back(counts: list[int]) -> None:
    assert decompressed(compressed(counts)) == counts


def test_categories_are_kept_apart_and_regions_joined(tmp_path: Path) -> None:
    boxes = [
        {"bbox": [0, 0, 1, 1]},
        {"bbox": [7, 5, 1, 1], "category_id": 4},
        {"bbox": [3, 3, 1, 1]},
        {"bbox": [0, 0, 8, 6], "image_id": 9},
    ]
    file = coco(tmp_path, boxes)
    assert np.argwhere(from_coco([photo()], file)[0]).tolist() == [[0, 0], [3, 3], [5, 7]]
    assert np.argwhere(from_coco([photo()], file, "dog")[0]).tolist() == [[0, 0], [3, 3]]
    with pytest.raises(UnknownName, match=r"no category 'dogs' in '.*annotation.json': did you mean 'dog'\?"):
        from_coco([photo()], file, "dogs")


@pytest.mark.parametrize("name", ["train/dog.jpg", "../../../etc/dog.jpg", "C:\\pictures\\dog.jpg", "dog"])
def test_folders_in_file_names_are_ignored(tmp_path: Path, name: str) -> None:
    assert from_coco([photo()], coco(tmp_path, [REGIONS["box"]], file_name=name))[0].sum() == 15


def test_stems() -> None:
    assert [stem(name) for name in ("a.b.jpg", "x/.hidden", "x\\y.png", "plain")] == ["a.b", ".hidden", "y", "plain"]


BROKEN = {
    "polygon of two corners": (
        {"segmentation": [[0, 0, 1, 1]]},
        r"annotation 1 of '.*': a polygon has 4 numbers: x and y of at least 3 corners",
    ),
    "polygon of words": ({"segmentation": [["a"]]}, r"a polygon is no list of numbers"),
    "polygon not finite": ({"segmentation": [[0, 0, 1, 1, float("nan"), 1]]}, r"a polygon has a corner that is not a finite number"),
    "runs too short": ({"segmentation": {"size": [6, 8], "counts": [40, 7]}}, r"the run lengths add up to 47 pixels, not to 6 x 8 = 48"),
    "runs negative": ({"segmentation": {"size": [6, 8], "counts": [50, -2]}}, r"a run length is negative"),
    "runs of words": ({"segmentation": {"size": [6, 8], "counts": ["a"]}}, r"neither a list of whole numbers nor compressed text"),
    "runs of another size": (
        {"segmentation": {"size": [8, 6], "counts": [48]}},
        r"annotation 1 of '.*' is 8 x 6 px .* 'dog' is 6 x 8 px: .*EXIF",
    ),
    "runs without size": ({"segmentation": {"counts": [48]}}, r"run lengths are of size None: \[rows, cols\] is needed"),
    "text cut off": ({"segmentation": {"size": [6, 8], "counts": "Q"}}, r"the compressed run lengths are cut off"),
    "text with a space": ({"segmentation": {"size": [6, 8], "counts": "1 2"}}, r"a compressed run length holds the character ' '"),
    "text without an end": ({"segmentation": {"size": [6, 8], "counts": "o" * 40}}, r"a compressed run length does not end"),
    "box of three": ({"bbox": [1, 2, 3]}, r"a box has 3 numbers: x, y, width and height"),
    "box of no size": ({"bbox": [1, 2, 0, 3]}, r"a box from column 1 to 1 and row 2 to 5 is empty"),
    "nothing": ({}, r"a box is no list of numbers"),
    "segmentation of words": ({"segmentation": "all"}, r"a segmentation is a str: polygons or run lengths"),
    "polygon too far away": ({"segmentation": [[0, 0, 1e12, 0, 0, 1e12]]}, r"a polygon has a corner further away than 1e\+09 pixels"),
    "outside": ({"bbox": [100, 100, 5, 5]}, r"nothing in the 1 pictures is annotated"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_regions_are_refused(tmp_path: Path, kind: str) -> None:
    region, message = BROKEN[kind]
    file = coco(tmp_path, [region])
    with pytest.raises(BadFile, match=message):
        from_coco([photo()], file)


def test_bad_annotation_files(tmp_path: Path) -> None:
    file = coco(tmp_path, [REGIONS["box"]])
    with pytest.raises(
        BadFile, match=r"cannot read the annotation '.*anotation.json': no such file or directory; did you mean 'annotation.json'\?"
    ):
        from_coco([photo()], tmp_path / "anotation.json")
    with pytest.raises(BadFile, match=r"no entry of the picture 'dig' in '.*': did you mean 'dog'\?"):
        from_coco([photo("dig")], file)
    with pytest.raises(BadFile, match=r"the entry 'dog.jpg' of '.*' is 6 x 8 px \(rows x cols\), but the picture 'dog' is 5 x 8 px"):
        from_coco([photo(rows=5)], file)
    with pytest.raises(BadFile, match=r"nothing in the 1 pictures is a 'cat'"):
        from_coco([photo()], file, "cat")
    contents = {
        "{": r"is no JSON: ",
        "[" * 100_000: r"is no JSON: ",
        "[]": r"is no COCO annotation: it has no list 'images'",
        '{"images": [{"id": 1}]}': r"entry 0 of 'images' has no 'file_name'",
        '{"images": [], "annotations": [3]}': r"entry 0 of 'annotations' has no 'image_id'",
    }
    for content, message in contents.items():
        file.write_text(content)
        with pytest.raises(BadFile, match=message):
            from_coco([photo()], file)


# ---- VOC


def voc(path: Path, objects: str, size: str = "<size><width>8</width><height>6</height></size>", start: str = "") -> Path:
    path.write_text(f"{start}<annotation><filename>dog.jpg</filename>{size}{objects}</annotation>")
    return path


def thing(name: str, *sides: object) -> str:
    xmin, ymin, xmax, ymax = sides
    frame = f"<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox>"
    return f"<object><name>{name}</name>{frame}</object>"


def test_voc_boxes_count_from_one_and_include_their_last_pixel(tmp_path: Path) -> None:
    voc(tmp_path / "dog.xml", thing("dog", 3, 2, 7, 4))
    assert np.array_equal(from_voc([photo()], tmp_path)[0], BLOCK)
    voc(tmp_path / "dog.xml", thing("dog", 1, 1, 8, 6))
    assert from_voc([photo()], tmp_path)[0].all()
    voc(tmp_path / "dog.xml", thing("dog", 8, 6, 8, 6))
    assert np.argwhere(from_voc([photo()], tmp_path)[0]).tolist() == [[5, 7]]


def test_one_voc_file_is_found_by_its_own_name_or_by_that_in_it(tmp_path: Path) -> None:
    file = voc(tmp_path / "000123.xml", thing("dog", 3, 2, 7, 4))
    assert np.array_equal(from_voc([photo()], file)[0], BLOCK)
    assert np.array_equal(from_voc([photo("000123")], file)[0], BLOCK)


def test_voc_categories_and_parts(tmp_path: Path) -> None:
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>8</xmax><ymax>6</ymax></bndbox></part></object>"
    voc(tmp_path / "dog.xml", thing("dog", 3, 2, 7, 4).replace("</object>", part) + thing("cat", 1, 1, 1, 1))
    assert from_voc([photo()], tmp_path)[0].sum() == 16
    assert np.array_equal(from_voc([photo()], tmp_path, "dog")[0], BLOCK)
    with pytest.raises(UnknownName, match=r"no category 'dgo' in the 1 annotations of '.*': did you mean 'dog'\?"):
        from_voc([photo()], tmp_path, "dgo")


BOMB = '<?xml version="1.0"?><!DOCTYPE annotation [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'

BAD_VOC = {
    "bomb": ({"objects": "<object><name>&b;</name></object>", "start": BOMB}, r"declares a document type \(DOCTYPE\), which is not read"),
    "not closed": ({"objects": "<object>"}, r"is no XML: mismatched tag: line 1"),
    "no box": ({"objects": "<object><name>dog</name></object>"}, r"'dog' in '.*dog.xml' has no 'bndbox'"),
    "word": ({"objects": thing("dog", "one", 1, 2, 2)}, r"'dog' in '.*': 'xmin' is 'one', not a number"),
    "infinite": ({"objects": thing("dog", 1, 1, "inf", 2)}, r"'xmax' is 'inf', not a finite number"),
    "inside out": ({"objects": thing("dog", 5, 1, 3, 2)}, r"'dog' in '.*': a box from column 4 to 3 and row 0 to 2 is empty"),
    "size": ({"objects": thing("dog", 1, 1, 2, 2), "size": "<size><width>6</width><height>8</height></size>"}, r"8 x 6 px .* is 6 x 8 px"),
    "nothing": ({"objects": ""}, r"nothing in the 1 pictures is annotated"),
}


@pytest.mark.parametrize("kind", BAD_VOC)
def test_bad_voc_files(tmp_path: Path, kind: str) -> None:
    content, message = BAD_VOC[kind]
    voc(tmp_path / "dog.xml", **content)
    with pytest.raises(BadFile, match=message):
        from_voc([photo()], tmp_path)


def test_missing_voc_files(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"the folder '.*' holds no annotation: looked for \.xml"):
        from_voc([photo()], tmp_path)
    voc(tmp_path / "dogs.xml", thing("dog", 1, 1, 2, 2))
    with pytest.raises(BadFile, match=r"no annotation of the picture 'dog' in '.*': did you mean 'dogs'\?"):
        from_voc([photo()], tmp_path)
    with pytest.raises(BadFile, match=r"cannot read the annotation '.*dog.xml': no such file or directory; did you mean 'dogs.xml'\?"):
        from_voc([photo()], tmp_path / "dog.xml")
    (tmp_path / "dog.xml").write_text("<svg/>")
    with pytest.raises(BadFile, match=r"its outermost element is 'svg', not 'annotation'"):
        from_voc([photo()], tmp_path)


# ---- the network's input


def thresholded(rows: int, cols: int) -> tuple[Photo, np.ndarray]:
    """A photograph in black and white, and where it is white: a disc away from the middle."""
    row, col = np.mgrid[0:rows, 0:cols]
    mask = np.hypot(row - 0.45 * rows, col - 0.55 * cols) < 0.28 * min(rows, cols)
    return Photo("disc", np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255, ""), mask


@pytest.mark.parametrize(("rows", "cols"), [(300, 400), (413, 287), (90, 131), (64, 64)])
@pytest.mark.parametrize("preprocess", [Preprocess((64, 64), 73), Preprocess((48, 80), None), Preprocess((97, 97), 64)])
def test_a_mask_lies_on_the_networks_input_as_the_photograph_does(rows: int, cols: int, preprocess: Preprocess) -> None:
    picture, mask = thresholded(rows, cols)
    shown = preprocess(picture)[0, 0].numpy()
    found = preprocessed(preprocess, picture, mask)
    assert found.shape == preprocess.size

    def wrong(moved: np.ndarray) -> int:
        return int((moved != (shown > 0.5)).sum())

    # Only pixels that the border crosses may differ, and no other place fits better.
    assert not (found != (shown > 0.5))[(shown < 0.02) | (shown > 0.98)].any()
    assert wrong(found) < min(wrong(np.roll(found, step, axis)) for step in (-1, 1) for axis in (0, 1))


def test_without_resizing_the_mask_is_cut_exactly() -> None:
    picture, mask = thresholded(40, 50)
    found = preprocessed(Preprocess((40, 40), None), picture, mask)
    assert np.array_equal(found, mask[:, 5:45])


def test_empty_masks_are_told_in_words() -> None:
    photos = [photo("left", 20, 60), photo("none", 20, 60), photo("middle", 20, 60)]
    masks = [marked(slice(0, 20), slice(0, 10), (20, 60)), np.zeros((20, 60), dtype=bool), marked(slice(0, 20), slice(25, 35), (20, 60))]
    result = prepared(Preprocess((20, 20), None), photos, masks)
    assert result.values.any(axis=(1, 2)).tolist() == [False, False, True]
    assert result.notes == (
        "the object in 'left' is lost in the crop of 20 x 20 px: localization is not defined for it",
        "the mask of 'none' marks nothing: localization is not defined for it",
    )


def test_masks_that_do_not_match_their_pictures_are_refused() -> None:
    with pytest.raises(InterpError, match=r"1 masks for 2 pictures: give one for each"):
        prepared(Preprocess(), [photo(), photo()], [BLOCK])
    with pytest.raises(BadFile, match=r"the mask is 6 x 8 px \(rows x cols\), but the picture 'dog' is 7 x 8 px"):
        preprocessed(Preprocess(), photo(rows=7), BLOCK)
