"""A product written into a run: figures in the formats asked for, each knowing its run, on a page that shows one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interp.errors import InterpError
from interp.figures import EmptyPanel, Grid, ImagePanel, film, render, spec_hash
from interp.proof.stamped import read_stamp
from interp.report.formats import check
from interp.report.product import Figure, Film, Product, write
from interp.runs import Machine, Manifest, Program, Run, verify


@dataclass(frozen=True)
class Config:
    steps: int = 8


GRID = Grid(((ImagePanel(np.linspace(0, 1, 27).reshape(3, 3, 3)), EmptyPanel("none")),), title="One")
FRAMES = np.random.default_rng(0).integers(0, 256, (3, 8, 10, 3), np.uint8)
PRODUCT = Product(
    "Title",
    "Lead.",
    (Figure("one", GRID, "Seen.", "Meant.", "Pictures"), Figure("two", Grid(((EmptyPanel("a"),),)), "Alt.", "Caption.", "Pictures")),
    {"a": np.zeros(3)},
    films=(Film("move", film.webp(FRAMES), None, (8, 10), "Moves.", "It moves.", "Films"),),
)


def written(folder: Path, *options: object) -> Manifest:
    run = Run.create(
        folder,
        experiment="tour",
        program=Program("command", "tour"),
        config=Config(),
        seed=3,
        machine=Machine("Linux x86_64", "a processor"),
    )
    with run:
        write(PRODUCT, run, *options)  # type: ignore[arg-type]
    assert verify(folder).ok
    return Manifest.read(folder)


def silent(stage: str, done: int, total: int) -> None: ...


def test_every_figure_knows_its_run(tmp_path: Path) -> None:
    manifest = written(tmp_path / "run", silent, "", ("png", "pdf", "svg", "webp"), 60)
    for stem in ("one", "two"):
        for suffix in ("png", "pdf", "svg", "webp"):
            stamp = read_stamp(tmp_path / "run" / "figures" / f"{stem}.{suffix}")
            assert (stamp.identity, stamp.figure, stamp.experiment, stamp.seed) == (manifest.identity, stem, "tour", 3)
    assert read_stamp(tmp_path / "run" / "films" / "move.webp").figure == "move"
    assert {stem: (entry.spec, entry.alt, entry.caption) for stem, entry in manifest.figures.items()} == {
        figure.stem: (spec_hash(figure.grid), figure.alt, figure.caption) for figure in PRODUCT.figures
    }


def test_two_runs_have_the_same_files(tmp_path: Path) -> None:
    one, two = (written(tmp_path / name, silent, "", ("png", "pdf", "svg", "webp"), 60) for name in ("one", "two"))
    assert one.identity == two.identity
    assert one.files == two.files


@pytest.mark.parametrize(
    ("formats", "shown", "linked"),
    [
        (("png", "pdf"), "png", ["PDF"]),
        (("pdf", "svg"), "svg", ["PDF"]),
        (("svg",), "svg", []),
        (("svg", "png", "pdf", "webp"), "webp", ["SVG", "PNG", "PDF"]),
    ],
)
def test_the_page_shows_one_and_links_the_others(tmp_path: Path, formats: tuple[str, ...], shown: str, linked: list[str]) -> None:
    manifest = written(tmp_path / "run", silent, "", formats, 60)
    assert {name for name in manifest.files if name.startswith("figures/one")} == {f"figures/one.{name}" for name in formats}
    page = (tmp_path / "run" / "index.html").read_text()
    assert re.findall(r'<img[^>]*src="(figures/one[^"]*)"', page) == [f"figures/one.{shown}"]
    links = re.findall(r'<a [^>]*href="figures/one\.(\w+)"[^>]*>([^<]+)</a>', page)
    named = [(name.lower(), name) for name in linked] + [(shown, "full size")]
    assert [link for link in links if link[1].strip()] == named


def test_resolution_decides_pixels_not_the_size_on_the_page(tmp_path: Path) -> None:
    sizes = {}
    for dpi in (60, 120):
        written(tmp_path / str(dpi), silent, "", ("png", "svg"), dpi)
        with Image.open(tmp_path / str(dpi) / "figures" / "one.png") as picture:
            assert picture.size == (render(GRID, ("svg",), dpi).width, render(GRID, ("svg",), dpi).height)
        page = (tmp_path / str(dpi) / "index.html").read_text()
        sizes[dpi] = [int(number) for number in re.findall(r'figures/one.png"[^>]*?width="(\d+)"[^>]*?height="(\d+)"', page)[0]]
    assert np.abs(np.subtract(sizes[60], sizes[120])).max() <= 2


@pytest.mark.parametrize(
    ("formats", "dpi", "message"),
    [
        (("pdf",), 120, r"--formats is pdf, which a page cannot show: add webp, png or svg"),
        ((), 120, r"--formats is nothing, which a page cannot show"),
        (("png", "pdf", "png"), 120, r"--formats names png twice: name each once"),
        (("png",), 29, r"--dpi is 29, but runs from 30 to 1200"),
        (("svg",), 1201, r"--dpi is 1201, but runs from 30 to 1200"),
    ],
)
def test_what_no_page_can_show_is_refused_before_any_work(tmp_path: Path, formats: tuple[str, ...], dpi: int, message: str) -> None:
    with pytest.raises(InterpError, match=message):
        check(formats, dpi)
    with pytest.raises(InterpError, match=message):
        written(tmp_path / "run", silent, "", formats, dpi)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("formats", "quality", "message"),
    [
        (("webp",), 0, r"^--webp-quality is 0, but runs from 1 to 100$"),
        (("webp",), 101, r"^--webp-quality is 101, but runs from 1 to 100$"),
        (("png", "svg"), 90, r"^--webp-quality is given, but figures are written as png, svg: add webp to --formats$"),
    ],
)
def test_a_quality_that_means_nothing_is_refused(formats: tuple[str, ...], quality: int, message: str) -> None:
    with pytest.raises(InterpError, match=message):
        check(formats, 120, quality)


def test_the_ends_of_the_range_are_in_it() -> None:
    check(("png",), 30)
    check(("webp", "pdf"), 1200, 1)
    check(("webp",), 1200, 100)
