"""``interp microscope``: a whole site from the command line, what a second run makes again, and every bad input in one line."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from interp.cli import run
from interp.cli.commandline import command_line
from interp.cli.microscope import Microscope, SiteOptions, said
from interp.microscope import Estimate
from interp.microscope import building as module
from interp.runs import verify

_SPEC = importlib.util.spec_from_file_location("small_site", Path(__file__).parents[1] / "microscope" / "small_site.py")
assert _SPEC is not None
assert _SPEC.loader is not None
small_site = importlib.util.module_from_spec(_SPEC)
sys.modules["small_site"] = small_site
_SPEC.loader.exec_module(small_site)

COMMON = ["--steps", "2", "--top", "3", "--bottom", "1", "--chunk", "4"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("inputs")
    small_site.write_inputs(folder)
    return folder


def microscope(inputs: Path, site: Path, *words: str) -> int:
    net = ["microscope", f"{inputs / 'net.py'}:net", "--images", str(inputs / "pictures"), "--out", str(site)]
    usual = {"--workers": ["1"], "--layers": ["one", "two", "fc"]}
    common = COMMON if not {"--chunk", "--steps=-1", "--steps=0"} & set(words) else []
    return run([*net, *common, *words, *(word for name, values in usual.items() if name not in words for word in (name, *values))])


@pytest.fixture(scope="module")
def site(inputs: Path) -> Path:
    """A site of the small network, made by the command."""
    folder = inputs / "made" / "site"
    assert microscope(inputs, folder) == 0
    return folder


def test_a_site_with_a_page_for_every_unit(site: Path) -> None:
    for layer, channels in (("one", 6), ("two", 5), ("fc", 3)):
        assert sorted(int(p.parent.name) for p in (site / layer).glob("*/index.html")) == list(range(channels))
    assert "ant" in (site / "fc" / "0" / "index.html").read_text(encoding="utf-8")
    assert "broken.png" in (site / "index.html").read_text(encoding="utf-8")


def test_it_is_a_run_that_verifies_until_a_byte_is_changed(site: Path, tmp_path: Path) -> None:
    report = verify(site)
    assert report.ok, report.problems
    assert report.manifest.experiment == "microscope"
    assert report.manifest.config["steps"] == 2
    assert report.manifest.command[:2] == ("interp", "microscope")
    assert len(report.manifest.inputs) == 1 + 13  # net.py, and all pictures, one of which cannot be read
    copy = shutil.copytree(site, tmp_path / "copy")
    page = copy / "one" / "2" / "index.html"
    page.write_bytes(page.read_bytes() + b" ")
    assert verify(copy).changed == ("one/2/index.html",)


def test_its_tables_hold_what_its_pages_show(site: Path) -> None:
    optimized = pq.read_table(site / "data" / "optimized.parquet")
    assert optimized.num_rows == small_site.UNITS
    assert set(optimized["kind"].to_pylist()) == {"channel"}
    examples = pq.read_table(site / "data" / "examples.parquet").to_pylist()
    best = next(row for row in examples if (row["layer"], row["channel"], row["side"], row["rank"]) == ("one", 2, "top", 0))
    page = (site / "one" / "2" / "index.html").read_text(encoding="utf-8")
    assert best["source"] in page
    images = pq.read_table(site / "data" / "images.parquet")
    assert images.num_rows == 13


def test_finished_work_is_told_and_not_made_again(
    inputs: Path, site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = small_site.contents(site)
    orders = counted(monkeypatch)
    assert microscope(inputs, site) == 0
    assert orders == []
    assert "14 optimized images, of which 14 are finished" in capsys.readouterr().err
    assert small_site.contents(site) == before


def test_other_options_make_only_what_is_not_there(inputs: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, work = inputs / "more" / "site", site.parent / ".site.work"
    shutil.copytree(site, copy)
    shutil.copytree(work, copy.parent / ".site.work")
    orders = counted(monkeypatch)
    assert microscope(inputs, copy, "--neuron", "--faces", "2") == 0
    # Chunks of 4: of the neurons two each of `one` and `two`, none of the layer of one place; of the faces two, two and one.
    assert sorted(orders) == sorted(["neuron"] * 4 + ["diverse"] * 5)
    kinds = set(pq.read_table(copy / "data" / "optimized.parquet")["kind"].to_pylist())
    assert kinds == {"channel", "neuron", "diverse 1", "diverse 2"}
    orders.clear()
    # One layer fewer: its pages go, and nothing is made.
    assert microscope(inputs, copy, "--layers", "one", "fc") == 0
    assert orders == []
    assert not (copy / "two").exists()
    assert not (copy / "pictures" / "two").exists()
    assert verify(copy).ok


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of images that are optimized from here on, one for each chunk."""
    kinds: list[str] = []
    from interp.microscope.optimizing import Optimize

    arrays = Optimize.arrays

    def counting(self: Optimize, model: object) -> object:
        kinds.append(self.kind.value)
        return arrays(self, model)  # type: ignore[arg-type]

    monkeypatch.setattr(Optimize, "arrays", counting)
    return kinds


def test_of_each_layer_only_the_first_units(inputs: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = inputs / "few" / "site"
    shutil.copytree(site.parent / ".site.work", few.parent / ".site.work")
    orders = counted(monkeypatch)
    assert microscope(inputs, few, "--units", "4", "--weights-by", "nmf") == 0
    # The first chunk of four of each layer is there.
    assert orders == []
    for layer, channels in (("one", 4), ("two", 4), ("fc", 3)):
        assert sorted(int(p.parent.name) for p in (few / layer).glob("*/index.html")) == list(range(channels))
    assert "Only the first 4 channels of each layer have pages" in (few / "index.html").read_text(encoding="utf-8")
    assert "4 of 6 channels" in (few / "one" / "index.html").read_text(encoding="utf-8")
    page = (few / "two" / "3" / "index.html").read_text(encoding="utf-8")
    assert "two:4" in page
    assert "two/4/" not in page
    assert "non-negative matrix factorization" in page
    assert "principal component analysis" in (site / "two" / "3" / "index.html").read_text(encoding="utf-8")
    tables = {name: pq.read_table(few / "data" / f"{name}.parquet") for name in ("units", "optimized")}
    assert {name: table.num_rows for name, table in tables.items()} == {"units": small_site.UNITS, "optimized": 11}
    # What a page has in common with that of the whole site is the same: pictures, numbers, curves.
    for picture in ("one/3.webp", "one/3-seen.webp", "two/0.webp"):
        assert (few / "pictures" / picture).read_bytes() == (site / "pictures" / picture).read_bytes()
    assert verify(few).ok
    # Built again in its place with fewer, nothing stays of what was there.
    assert microscope(inputs, few, "--units", "2", "--weights-by", "nmf") == 0
    assert {p.name for p in (few / "pictures" / "one").glob("*[0-9].webp")} & {"2.webp", "3.webp"} == set()
    assert (few / "pictures" / "one" / "1.webp").is_file()
    assert verify(few).ok


def test_without_steps_there_are_no_optimized_images(inputs: Path) -> None:
    plain = inputs / "plain" / "site"
    assert microscope(inputs, plain, "--steps=0") == 0
    assert not (plain / "pictures" / "one" / "0.webp").exists()
    assert (plain / "pictures" / "one" / "0-seen.webp").is_file()
    assert (plain / "one" / "0" / "index.html").is_file()


def test_the_network_page_shows_each_layer_by_a_small_file(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'<img src="([^"]+)"', page)) == {f"pictures/{layer}/layer.webp" for layer in ("one", "two", "fc")}
    for layer, channels in (("one", 6), ("two", 5), ("fc", 3)):
        path = site / "pictures" / layer / "layer.webp"
        assert path.stat().st_size < 10_000
        units = [0, 2, 3, 5] if channels == 6 else [0, 1, 3, 4] if channels == 5 else [0]
        with Image.open(path) as opened, Image.open(site / "pictures" / layer / "units-0.webp") as sheet:
            drawn, tiles = np.asarray(opened.convert("RGB")).astype(int), np.asarray(sheet.convert("RGB")).astype(int)
        across = 2 if channels > 3 else 1
        assert drawn.shape == (18 * across, 18 * across, 3)
        for place, unit in enumerate(units):
            row, col = 18 * (place // across) + 1, 18 * (place % across) + 1
            seen = drawn[row : row + 16, col : col + 16]
            expected = tiles[:, 16 * unit : 16 * (unit + 1)][:16]
            assert np.abs(seen - expected).mean() < 24  # noise, through WebP twice


def test_what_was_chosen_of_the_network_is_told_and_stands_on_its_page(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert microscope(inputs, inputs / "chosen" / "site", "--mean", "0.4", "0.5", "0.6", "--units", "2", "--layers", "fc") == 0
    told = capsys.readouterr().err
    (line,) = (line for line in told.splitlines() if "0.4" in line)
    assert line.startswith("interp: ")
    page = (inputs / "chosen" / "site" / "index.html").read_text(encoding="utf-8")
    assert line.partition(": ")[2].partition(": ")[2] in page


def test_processes_make_the_same_site(inputs: Path, site: Path) -> None:
    other = inputs / "processes" / "site"
    assert microscope(inputs, other, "--workers", "2") == 0
    assert small_site.contents(other) == small_site.contents(site)


def refused(capsys: pytest.CaptureFixture[str], code: int = 2) -> str:
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("interp: ")
    return line.removeprefix("interp: ")


def test_a_site_of_another_network_is_refused(inputs: Path, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = small_site.contents(site)
    assert microscope(inputs, site, "--random-weights", "--seed", "5") == 2
    line = refused(capsys)
    assert "is the microscope of 'net.py:net' with weights" in line
    assert line.endswith("choose another folder (`--out`)")
    assert small_site.contents(site) == before


def test_a_folder_with_something_else_is_refused(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    assert microscope(inputs, tmp_path / "thesis") == 2
    assert refused(capsys).endswith("holds something that is no microscope: nothing is overwritten, choose another folder (`--out`)")
    assert microscope(inputs, tmp_path / "thesis" / "chapter.tex") == 2
    assert refused(capsys).endswith("is a file, not a folder: choose another folder (`--out`)")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--faces", "1"], r"--faces 1 is too small: give 2 or more images that are made to differ, or 0 for none"),
        (["--steps=-1"], r"--steps -1 is too small: give 0 or more"),
        (["--chunk", "0"], r"--chunk 0 is too small: give 1 or more"),
        (["--links=-1"], r"--links -1 is too small: give 0 or more"),
        (["--units", "0"], r"--units 0 is too small: give 1 or more"),
        (["--workers", "0"], r"--workers 0 is too small: give 1 or more"),
        (["--size", "4"], r"--size 4 is too small: give at least 8 px"),
        (["--address", "host:1"], r"--address is that of a Ray cluster: add --runner ray"),
        (["--runner", "ray", "--address", "nonsense"], r"'nonsense' is no address of a Ray cluster"),
        (["--layers", "onee"], r"no layer 'onee' in 'net.py:net': did you mean 'one'"),
        (["--labels", "nowhere.csv"], r"cannot read the labels 'nowhere.csv'"),
    ],
)
def test_bad_input_is_one_line(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], line: str) -> None:
    assert microscope(inputs, tmp_path / "site", *words) == 2
    assert line in refused(capsys)
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["resnet18"], "the model 'resnet18'"),
        (["--top", "3"], "--top"),
        (["--images", "pictures"], "--images"),
        (["--random-weights"], "--random-weights"),
        (["--workers", "2"], "--workers"),
        (["--weights-by", "nmf"], "--weights-by"),
    ],
)
def test_a_comparison_takes_no_option_of_building_one(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], named: str
) -> None:
    # A model's name stands first.
    first, last = (words, []) if not words[0].startswith("-") else ([], words)
    assert run(["microscope", *first, "--compare", str(site), str(site), "--out", str(tmp_path / "both"), *last]) == 2
    expected = f"--compare lays two finished microscopes side by side, {named} is of building one: leave one out"
    assert refused(capsys) == expected
    assert not (tmp_path / "both").exists()
    assert run(["microscope", "--compare", "nowhere", "there", "--out", str(tmp_path / "both")]) == 2
    assert refused(capsys).endswith("is no finished microscope of this kind")


def test_the_kinds_of_data_are_all_named_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("microscope", "scan"):
        assert run([command, "--help"]) == 0
        told = " ".join(capsys.readouterr().out.replace("│", " ").split())
        for kind in ("folder", ".tar", "WebDataset", "Hugging Face data set on disk", ".parquet", ".npz", "torchvision:"):
            assert kind in told, (command, kind)


def test_other_numbers_of_examples_and_links_are_had_without_another_pass(
    inputs: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from interp.activations.stream import passing

    copy, whole = inputs / "reused" / "site", inputs / "alone" / "site"
    shutil.copytree(site, copy)
    for one in (copy, whole):
        shutil.copytree(site.parent / ".site.work", one.parent / ".site.work")
    shutil.rmtree(whole.parent / ".site.work" / "scans")
    forwards: list[int] = []
    real = passing.forward

    def counting(*given: object) -> None:
        forwards.append(1)
        real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(passing, "forward", counting)
    words = ["--steps", "2", "--chunk", "4", "--top", "7", "--bottom", "4", "--links", "16"]
    assert microscope(inputs, copy, *words) == 0
    assert forwards == []
    examples = pq.read_table(copy / "data" / "examples.parquet").to_pylist()
    assert sum(one["shown"] and (one["layer"], one["channel"], one["side"]) == ("one", 2, "top") for one in examples) == 7
    page = (copy / "one" / "2" / "index.html").read_text(encoding="utf-8")
    assert page.partition('<h2 id="top">')[2].partition("</section>")[0].count("<figure>") == 7
    assert microscope(inputs, whole, *words) == 0
    assert forwards != []
    found, expected = small_site.contents(copy), small_site.contents(whole)
    # Commits made beside are none of its files.
    assert {name: data for name, data in found.items() if name != "manifest.json"} == {
        name: data for name, data in expected.items() if name != "manifest.json"
    }


def test_labels_without_pictures_of_ones_own_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["microscope", "--labels", "x.csv", "--out", str(tmp_path / "site")]) == 2
    assert refused(capsys) == "--labels 'x.csv' is of pictures of your own: name these with --images"


def test_an_interrupt_says_how_to_go_on(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_layer", stop)
        assert microscope(inputs, tmp_path / "site") == 130
    assert refused(capsys) == "interrupted; finished work is kept, the same command goes on from there"
    orders = counted(monkeypatch)
    assert microscope(inputs, tmp_path / "site") == 0
    assert orders == []
    assert verify(tmp_path / "site").ok


def test_two_sites_side_by_side(inputs: Path, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert microscope(inputs, tmp_path / "other", "--random-weights", "--seed", "5") == 0
    assert run(["microscope", "--compare", str(site), str(tmp_path / "other"), "--out", str(tmp_path / "both")]) == 0
    assert capsys.readouterr().out.strip().endswith("index.html")
    assert (tmp_path / "both" / "one" / "index.html").is_file()
    assert run(["microscope", "--compare", str(site), str(site)]) == 2
    assert refused(capsys) == "--compare needs a folder for its pages: name one with --out"


def test_a_network_of_one_channel_has_no_optimized_images(tmp_path: Path) -> None:
    code = small_site.NET.replace("(0.5, 0.5, 0.5)", "(0.5,)").replace("(0.25, 0.25, 0.25)", "(0.25,)").replace("Conv2d(3,", "Conv2d(1,")
    (tmp_path / "grey.py").write_text(code)
    (tmp_path / "pictures").mkdir()
    draw = np.random.default_rng(0)
    for k in range(5):
        Image.fromarray(draw.integers(0, 256, (20, 20), dtype=np.uint8)).save(tmp_path / "pictures" / f"{k}.png")
    words = ["microscope", f"{tmp_path / 'grey.py'}:net", "--images", str(tmp_path / "pictures"), "--out", str(tmp_path / "site")]
    assert run([*words, *COMMON, "--workers", "1", "--layers", "one", "fc"]) == 0
    assert verify(tmp_path / "site").ok
    assert (tmp_path / "site" / "pictures" / "one" / "units-0.webp").is_file()
    assert not (tmp_path / "site" / "data" / "optimized.parquet").exists()


def test_where_the_site_is_and_who_builds_it_is_not_recorded() -> None:
    command = Microscope(saving=SiteOptions(Path("/home/me/site"), "ray", "host:6379", 8))
    from interp.runs import config_entry

    assert config_entry(command) == config_entry(replace(command, saving=SiteOptions()))
    assert command_line(command)[:2] == command_line(Microscope())[:2]


def test_the_estimate_in_words() -> None:
    assert said(Estimate(3, 14, 12, 90.0, 4, 14, 2_500_000), 2).startswith(
        "14 units in 3 layers, 12 pictures, 14 optimized images, of which 4 are"
    )
    assert said(Estimate(1, 6, 12, 1.0, 0, 0, 2_500_000_000), 1).endswith("on 1 worker, and 2.50 GB on disk")
