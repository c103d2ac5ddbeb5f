"""A lone picture finds its run, and is told from one that was changed."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from stamped_runs import stamped_run

from interp.errors import BadFile
from interp.figures import FORMATS
from interp.figures.film import webp
from interp.figures.stamp import into_webp
from interp.proof.stamped import read_stamp
from interp.proof.whence import Match, whence
from interp.runs.manifest import Manifest


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whence") / "results"
    for seed in range(3):
        stamped_run(folder / "tour" / f"run{seed}", seed)
    return folder


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("called", ["renamed", "renamed.pdf", "renamed.jpeg"])
@pytest.mark.parametrize("seed", [0, 2])
def test_after_a_copy_and_a_rename_under_any_suffix(results, tmp_path, name, called, seed):
    lone = tmp_path / called
    shutil.copyfile(results / "tour" / f"run{seed}" / "figures" / f"dog.{name}", lone)
    found = whence(lone, [results])
    assert found.run is not None
    assert (found.run.folder, found.file, found.match) == (results / "tour" / f"run{seed}", f"figures/dog.{name}", Match.BYTES)
    assert found.unchanged
    assert found.stamp == read_stamp(lone)
    assert found.stamp.identity == Manifest.read(found.run.folder).identity


def saved(path, picture, **options):
    picture.save(path, "png", **options)
    return path


def test_without_its_stamp_it_is_found_by_its_pixels(results, tmp_path):
    with Image.open(results / "tour/run1/figures/cat.png") as picture:
        lone = saved(tmp_path / "lone.png", picture.convert("RGB"))
    found = whence(lone, [results])
    assert (found.run.folder.name, found.file, found.match) == ("run1", "figures/cat.png", Match.PIXELS)
    assert not found.unchanged
    assert found.stamp is None
    assert "is a PNG without a stamp of interp" in found.why_not


def test_a_changed_pixel_is_counted(results, tmp_path):
    source = results / "tour/run1/figures/cat.png"
    with Image.open(source) as picture:
        changed = picture.copy()
    changed.putpixel((3, 2), (0, 0, 0))
    changed.putpixel((4, 2), (0, 0, 0))
    kept = PngInfo()
    kept.add_text("interp", read_stamp(source).to_text())
    found = whence(saved(tmp_path / "lone.png", changed, pnginfo=kept), [results])
    before = np.array(Image.open(source))[2, 3:5].max()
    rows, cols = changed.height, changed.width
    assert (found.run.folder.name, found.file, found.match) == ("run1", "figures/cat.png", Match.CHANGED)
    assert found.detail == f"2 of {rows * cols:,} pixels differ, by {before} of 255 at most"


def test_another_size_is_told(results, tmp_path):
    with Image.open(results / "tour/run1/figures/cat.webp") as picture:
        lone = tmp_path / "lone"
        picture.resize((7, 5)).save(lone, "webp", lossless=True, exif=picture.getexif())
        size = picture.size
    found = whence(lone, [results])
    assert (found.file, found.match) == ("figures/cat.webp", Match.CHANGED)
    assert found.detail == f"it is 7 x 5 px, {size[0]} x {size[1]} px was written"


@pytest.mark.parametrize("name", ["pdf", "svg"])
def test_a_changed_vector_picture_is_told(results, tmp_path, name):
    lone = tmp_path / "lone"
    lone.write_bytes((results / f"tour/run1/figures/cat.{name}").read_bytes() + b"\n")
    found = whence(lone, [results])
    assert (found.run.folder.name, found.file, found.match) == ("run1", f"figures/cat.{name}", Match.CHANGED)
    assert found.detail == "its bytes are other than those that were written"


def test_a_borrowed_stamp_does_not_make_a_figure(results, tmp_path):
    """The stamp of one run on the pixels of another is called changed: the hash decides, not the word."""
    stamp = read_stamp(results / "tour/run0/figures/cat.png")
    with Image.open(results / "tour/run2/figures/cat.png") as other:
        stream = io.BytesIO()
        other.convert("RGB").save(stream, "webp", lossless=True)
    lone = tmp_path / "lone.webp"
    lone.write_bytes(into_webp(stream.getvalue(), stamp))
    found = whence(lone, [results])
    assert found.run.folder.name == "run0"
    assert found.match is Match.CHANGED


def test_a_run_that_is_not_there_leaves_what_the_stamp_says(results, tmp_path):
    elsewhere = stamped_run(tmp_path / "elsewhere", 6)
    found = whence(elsewhere / "figures" / "cat.svg", [results])
    assert (found.run, found.match, found.runs, found.known) == (None, None, 3, True)
    assert found.stamp.command == "interp tour --seed 6"


def test_of_two_runs_that_are_the_same_the_one_with_the_file_is_named(tmp_path):
    first, again = stamped_run(tmp_path / "a", 1, ("png",)), stamped_run(tmp_path / "b", 1, ("svg",))
    assert Manifest.read(first).identity == Manifest.read(again).identity
    assert whence(again / "figures" / "cat.svg", [tmp_path]).run.folder == again
    assert whence(first / "figures" / "cat.png", [tmp_path]).run.folder == first


def test_a_run_whose_own_figure_was_changed_vouches_for_nothing(tmp_path):
    run = stamped_run(tmp_path / "run", 1, ("png",))
    figure = run / "figures" / "cat.png"
    lone = saved(tmp_path / "lone.png", Image.new("RGB", (9, 9)))
    shutil.copyfile(lone, figure)
    assert not whence(lone, [tmp_path]).known


def test_films_are_stamped_and_found_too(results, tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    lone = tmp_path / "film"
    lone.write_bytes(into_webp(webp(frames), read_stamp(results / "tour/run1/figures/cat.png")))
    found = whence(lone, [results])
    assert (found.run.folder.name, found.match) == ("run1", Match.CHANGED)  # no such film is in the run


def test_any_file_of_a_run_is_known_by_its_bytes(results, tmp_path):
    lone = tmp_path / "lone"
    shutil.copyfile(results / "tour/run2/arrays.safetensors", lone)
    found = whence(lone, [results])
    assert (found.run.folder.name, found.file, found.match, found.stamp) == ("run2", "arrays.safetensors", Match.BYTES, None)


def test_of_a_strange_picture_nothing_is_known(results, tmp_path):
    found = whence(saved(tmp_path / "lone.png", Image.new("RGB", (9, 9))), [results])
    assert not found.known
    assert (found.runs, found.unreadable) == (3, 0)


def test_damaged_runs_are_passed_over_and_counted(tmp_path):
    run = stamped_run(tmp_path / "results" / "run", 1, ("png",))
    (run / "manifest.json").write_text("{}")
    found = whence(run / "figures" / "cat.png", [tmp_path])
    assert (found.run, found.runs, found.unreadable) == (None, 0, 1)
    assert found.stamp is not None


def test_a_folder_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(BadFile, match=r"nowhere` is not a folder"):
        whence(tmp_path / "a.png", [Path(tmp_path / "nowhere")])
