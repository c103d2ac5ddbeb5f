"""Pages of the microscope as files: text stays text, links lead somewhere, the same content gives the same bytes, all or nothing."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from microscope_content import COLUMNS, HASH, Site

from interp.errors import BadFile, InterpError
from interp.site.microscope import (
    Curve,
    Example,
    Histogram,
    LayerContent,
    LayerSummary,
    Link,
    NetworkContent,
    Optimized,
    Picture,
    UnitContent,
    layer_is_written,
    write_layer,
    write_network,
)
from interp.site.microscope.address import folder_of
from interp.site.microscope.pages import POLICY
from interp.site.microscope.wording import number, pieces

HOSTILE = "</script><svg onload=alert(1)>\"'><img src=x onerror=alert(2)>&amp;{{ 7*7 }}javascript:alert(3)"
TURNED = "\u202egnp.exe\u2066\u200f"
VOID = {"meta", "link", "img", "input", "br"}


class Reader(HTMLParser):
    """Elements with their attributes, the text between them; unbalanced tags and doubled attributes fail."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


SIZES = {"stem.conv": 5, "blocks.0": 4, "fc": 6}
EDGES = [("stem.conv", "blocks.0"), ("blocks.0", "fc")]


def build(folder: Path) -> Site:
    site = Site(folder, SIZES, EDGES, rich=2)
    write_network(folder, site.network)
    for name in SIZES:
        write_layer(folder, site.network, site.layer(name))
    return site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pages")
    build(made)
    return made


def pages(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.html"))


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_addresses_are_stable(folder: Path) -> None:
    found = {path.relative_to(folder).as_posix() for path in pages(folder)}
    units = {f"{name}/{channel}/index.html" for name, channels in SIZES.items() for channel in range(channels)}
    assert found == {"index.html", *(f"{name}/index.html" for name in SIZES), *units}
    assert {path.name for path in (folder / "data").iterdir()} == {
        "README.md",
        "network.js",
        "network.json",
        *(f"{name}.json" for name in SIZES),
    }


def test_every_link_leads_to_a_file_of_the_site(folder: Path) -> None:
    for page in pages(folder):
        reader = Reader(page.read_text(encoding="utf-8"))
        ids = {str(found.get("id")) for _, found in reader.elements if "id" in found}
        targets = [found["href"] for _, found in reader.elements if "href" in found] + [
            found["src"] for _, found in reader.elements if "src" in found
        ]
        assert len(targets) > 5
        for target in targets:
            parts = urlsplit(str(target))
            assert (parts.scheme, parts.netloc, parts.query) == ("", "", "")
            if parts.path:
                reached = (page.parent / unquote(parts.path)).resolve()
                assert reached.is_file(), (page, target)
                assert reached.is_relative_to(folder.resolve())
                if parts.fragment:
                    assert f'id="{parts.fragment}"' in reached.read_text(encoding="utf-8")
            else:
                assert parts.fragment in ids


def test_pages_run_no_script_of_their_own_and_have_no_style_of_their_own(folder: Path) -> None:
    for page in pages(folder):
        html = page.read_text(encoding="utf-8")
        reader = Reader(html)
        assert html.startswith('<!doctype html>\n<html lang="en">')
        assert reader.all("meta")[1] == {"http-equiv": "Content-Security-Policy", "content": POLICY}
        assert "<style" not in html
        assert re.findall(r"<script(?! src=\"[^\"]+\"(?: defer)?></script>)", html) == []
        assert not {name for _, found in reader.elements for name in found if name.startswith("on") or name == "style"}
        assert "://" not in html
    style = (folder / "static" / "microscope.css").read_text(encoding="utf-8")
    assert "url(" not in style
    assert "@import" not in style
    assert POLICY.startswith("default-src 'none'; ")
    assert "unsafe" not in POLICY


def test_pictures_have_words_and_inputs_have_labels(folder: Path) -> None:
    for page in pages(folder):
        reader = Reader(page.read_text(encoding="utf-8"))
        labelled = {str(found["for"]) for found in reader.all("label") if "for" in found}
        for picture in reader.all("img"):
            assert "alt" in picture
        for drawn in reader.all("svg"):
            assert drawn.get("aria-hidden") == "true" or drawn.get("aria-label"), drawn
        for tag in ("input", "select"):
            for field in reader.all(tag):
                assert field.get("id") in labelled or field.get("aria-label"), field
        headings = [int(tag[1]) for tag, _ in reader.elements if re.fullmatch("h[1-6]", tag)]
        assert headings[0] == 1
        assert headings.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(headings))


def test_alt_texts_are_those_of_the_content(folder: Path) -> None:
    reader = Reader((folder / "stem.conv" / "index.html").read_text(encoding="utf-8"))
    assert [picture["alt"] for picture in reader.all("img")] == [f"stem.conv:{channel} excited" for channel in range(5)]


def test_the_same_content_gives_the_same_bytes_and_twice_is_once(folder: Path, tmp_path: Path) -> None:
    site = build(tmp_path)
    before = hashes(tmp_path)
    assert before == hashes(folder)
    for name in SIZES:
        write_layer(tmp_path, site.network, site.layer(name))
    write_network(tmp_path, site.network)
    assert hashes(tmp_path) == before
    assert list(tmp_path.rglob(".*")) == []


def test_what_the_data_say_is_what_was_given(folder: Path) -> None:
    site = Site(folder, SIZES, EDGES, rich=2)
    layer = site.layer("blocks.0")
    told = json.loads((folder / "data" / "blocks.0.json").read_text(encoding="utf-8"))
    assert {key: tuple(values) for key, values in told["values"].items()} == dict(layer.values)
    assert told["thumbnails"][3] == {
        "path": "pictures/001/channel-0.webp",
        "rows": 64,
        "cols": 64,
        "alt": "blocks.0:3 excited",
        "box": [0, 192, 64, 256],
        "sheet": [64, 256],
    }
    network = json.loads((folder / "data" / "network.json").read_text(encoding="utf-8"))
    assert network["weights_sha256"] == HASH
    assert [tuple(edge) for edge in network["edges"]] == EDGES
    shard = (folder / "blocks.0" / "units.js").read_text(encoding="utf-8")
    script = json.loads(shard.removeprefix("microscopeLoaded(").removesuffix(");\n"))
    assert script["columns"][0]["values"] == pytest.approx(layer.values["mean"], rel=1e-5)


def test_sentences_stand_beside_what_they_are_about(tmp_path: Path) -> None:
    site = Site(tmp_path, SIZES, EDGES, rich=2)
    said = {
        "weights": "Three groups hold 43 %.",
        "heat": "Maps: the unit's own.",
        "top": "The strongest is shown.",
        "bottom": "The weakest is.",
        "read": "Statistics are read behind blocks.1.",
    }
    layer = site.layer("blocks.0")
    units = [replace(unit, top_note=said["top"], bottom_note=said["bottom"]) for unit in layer.units()]
    write_network(tmp_path, site.network)
    write_layer(tmp_path, site.network, replace(layer, weights=said["weights"], heat=said["heat"], read=said["read"], units=lambda: units))
    page = (tmp_path / "blocks.0" / "1" / "index.html").read_text(encoding="utf-8")
    parts = {
        name: page.partition(f'<section aria-labelledby="{name}">')[2].partition("</section>")[0]
        for name in ("top", "bottom", "statistics")
    }
    shown = {name: " ".join(Reader(part).text) for name, part in parts.items()}
    assert said["top"] in shown["top"]
    assert said["heat"] in shown["top"]
    assert said["bottom"] in shown["bottom"]
    assert said["read"] in shown["statistics"]
    assert said["read"] in (tmp_path / "blocks.0" / "index.html").read_text(encoding="utf-8")
    assert said["weights"] in " ".join(Reader(page.partition('<figure class="kernel">')[2].partition("</figure>")[0]).text)
    # Of a unit without weights' picture, examples and curves, none of it but where its statistics are read.
    plain = (tmp_path / "blocks.0" / "3" / "index.html").read_text(encoding="utf-8")
    assert [name for name, text in said.items() if text in plain] == ["read"]


def test_what_stands_between_backticks_is_code_and_others_stay(tmp_path: Path) -> None:
    site = Site(tmp_path, SIZES, EDGES, rich=0)
    layer = site.layer("blocks.0")
    units = [replace(unit, notes=("`interp diagnose` says <b>more</b>, `", "``")) for unit in layer.units()]
    write_network(tmp_path, site.network)
    write_layer(tmp_path, site.network, replace(layer, notes=("See `data/`.",), units=lambda: units))
    page = (tmp_path / "blocks.0" / "1" / "index.html").read_text(encoding="utf-8")
    assert "<li><code>interp diagnose</code> says &lt;b&gt;more&lt;/b&gt;, `</li>" in page
    assert "<li>``</li>" in page
    assert "<li>See <code>data/</code>.</li>" in (tmp_path / "blocks.0" / "index.html").read_text(encoding="utf-8")
    assert pieces("a `b` c") == ((False, "a "), (True, "b"), (False, " c"))


def test_the_search_promises_classes_only_where_there_are_some(tmp_path: Path) -> None:
    site = Site(tmp_path, SIZES, EDGES, rich=0)
    write_network(tmp_path, site.network)
    for layer, placeholder in (("blocks.0", "channel or 10-20"), ("fc", "channel, 10-20 or class")):
        write_layer(tmp_path, site.network, site.layer(layer))
        (field,) = (
            found
            for found in Reader((tmp_path / layer / "index.html").read_text(encoding="utf-8")).all("input")
            if found.get("type") == "search"
        )
        assert field["placeholder"] == placeholder


def test_where_only_the_first_channels_have_pages_others_are_named_without_a_link(tmp_path: Path) -> None:
    site = Site(tmp_path, SIZES, EDGES, rich=0)
    layers = tuple(replace(summary, total=summary.channels + 1000) for summary in site.network.layers)
    network = replace(site.network, layers=layers)
    layer = site.layer("blocks.0")
    links = (Link("blocks.0", 3, 0.9), Link("blocks.0", 4, 0.8), Link("fc", 700, 0.7))
    units = [replace(unit, near_by_weights=links) for unit in layer.units()]
    write_network(tmp_path, network)
    write_layer(tmp_path, network, replace(layer, total=1004, units=lambda: units))
    assert "4 of 1,004 channels" in (tmp_path / "blocks.0" / "index.html").read_text(encoding="utf-8")
    assert "5 of 1,005" in (tmp_path / "index.html").read_text(encoding="utf-8")
    told = json.loads((tmp_path / "data" / "network.json").read_text(encoding="utf-8"))
    assert [(one["channels"], one["total"]) for one in told["layers"]] == [(5, 1005), (4, 1004), (6, 1006)]
    reader = Reader((tmp_path / "blocks.0" / "0" / "index.html").read_text(encoding="utf-8"))
    hrefs = {str(found["href"]) for found in reader.all("a")}
    assert "../../blocks.0/3/index.html" in hrefs
    assert not any("/4/" in href or "700" in href for href in hrefs)
    assert {"blocks.0:4", "fc:700"} <= set(reader.text)


def test_the_network_page_of_sixty_layers_is_light(tmp_path: Path) -> None:
    """Each layer by one small file that is asked for when it is seen; no sheet of all units."""
    sizes = {f"stage.{place}.conv": 40 for place in range(60)}
    names = list(sizes)
    site = Site(tmp_path, sizes, list(pairwise(names)), rich=0)
    write_network(tmp_path, site.network)
    images = Reader((tmp_path / "index.html").read_text(encoding="utf-8")).all("img")
    assert len(images) == 2 * 60  # for desks and for phones
    assert {image["loading"] for image in images} == {"lazy"}
    sources = {str(image["src"]) for image in images}
    assert sources == {f"pictures/{place:03d}/layer.webp" for place in range(60)}
    loaded = [*sources, "index.html", "static/microscope.css", "static/microscope.js", "data/network.js"]
    assert sum((tmp_path / name).stat().st_size for name in loaded) < 1_000_000
    with pytest.raises(InterpError, match=r"^the thumbnail of the layer `a` is a tile of `pictures/000/channel-0.webp`; give it a file"):
        LayerSummary("a", "Conv2d", 40, site.tiles[names[0]][0])


def hostile(folder: Path, text: str) -> tuple[NetworkContent, LayerContent]:
    """Everything that can be text is ``text``; layers' names too."""
    site = Site(folder, {"a": 2}, [], rich=2)
    picture = replace(site.tiles["a"][0], alt=text)
    plain = Picture("pictures/000/layer.webp", 64, 64, text)
    layers = (LayerSummary(text, text, 2, plain, (picture, picture), titled=True),)
    network = NetworkContent(text, text, HASH, layers, (), ((text, text), (text, 1.5)), (text,), ((text, text),))
    columns = tuple(replace(column, label=text, help=text) for column in COLUMNS)
    example = Example(picture, text, 1.0, 2, 3, plain, plain, text, (0.0, 0.1, 0.5, 0.6))
    unit = UnitContent(
        0,
        text,
        (Optimized(picture, text, 1.0, (text,), ((text, text),)),),
        (example,),
        (example,),
        (Curve(text, text, (0.0, 1.0), (0.0, 1.0), plain),),
        Histogram((0.0, 1.0), (3,)),
        ((text, text),),
        *((Link(text, 1, 0.5),) for _ in range(4)),
        kernel=plain,
        notes=(text,),
    )
    units = (unit, replace(unit, channel=1))
    values = {column.key: (1.0, None) for column in COLUMNS}
    layer = LayerContent(text, text, 2, (3, 4), text, columns, values, (picture, picture), lambda: units, ((text, text),), (text,))
    return network, layer


def outline(folder: Path) -> list[list[tuple[str, frozenset[str]]]]:
    """The elements of all pages with the names of their attributes."""
    found = []
    for page in pages(folder):
        reader = Reader(page.read_text(encoding="utf-8"))
        found.append([(tag, frozenset(attributes)) for tag, attributes in reader.elements])
    return sorted(found, key=len)


@pytest.fixture(scope="module")
def plain_outline(tmp_path_factory: pytest.TempPathFactory) -> list[list[tuple[str, frozenset[str]]]]:
    made = tmp_path_factory.mktemp("plain")
    network, layer = hostile(made, "word")
    write_network(made, network)
    write_layer(made, network, layer)
    return outline(made)


@pytest.mark.parametrize(
    "text", [HOSTILE, "javascript:alert(1)", "'\"`<>&;#%?/\\", "{% raw %}{{ x }}", TURNED + "a", "\u2028\u2029\0\x1b[2J a"]
)
def test_hostile_words_come_out_as_text(tmp_path: Path, text: str, plain_outline) -> None:
    network, layer = hostile(tmp_path, text)
    write_network(tmp_path, network)
    write_layer(tmp_path, network, layer)
    assert outline(tmp_path) == plain_outline
    for page in pages(tmp_path):
        html = page.read_text(encoding="utf-8")
        assert not {letter for letter in TURNED + "\0\x1b" if not letter.isprintable()} & set(html)
        for found in Reader(html).elements:
            assert not str(found[1].get("href", "")).startswith("javascript:")
    for shard in (*tmp_path.rglob("*.js"), *tmp_path.rglob("*.json")):
        if shard.name != "microscope.js":
            data = shard.read_bytes()
            assert data.isascii()
            assert b"\n" not in data.rstrip(b"\n")
    if text == HOSTILE:
        unit = (tmp_path / folder_of(text) / "0" / "index.html").read_text(encoding="utf-8")
        assert "".join(Reader(unit).text).count(HOSTILE) > 10


@given(st.text(max_size=12), st.text(max_size=12))
@settings(max_examples=300, deadline=None)
def test_layers_have_folders_of_their_own_that_any_system_holds(one: str, other: str) -> None:
    name = folder_of(one)
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", name)
    assert not name.startswith(".")
    assert not name.endswith(".")
    assert name.lower() not in {"data", "static", "pictures", "con", "nul", "index.html"}
    assert (name == folder_of(other)) == (one == other) or {one, other} == {"", "~"}


def test_ordinary_layers_have_their_name_as_folder() -> None:
    assert folder_of("layer4.1.conv2") == "layer4.1.conv2"
    assert folder_of("data") == "~64ata"
    assert folder_of("a/../b") == "a~2f..~2fb"
    assert folder_of("..") != ".."
    assert folder_of("con.x").startswith("~63")


class Stopped(Exception):
    """What a test raises in the middle of the work."""


def test_a_layer_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    site = Site(tmp_path, SIZES, EDGES, rich=0)
    write_network(tmp_path, site.network)
    layer = site.layer("stem.conv")

    def stopping() -> Iterator[UnitContent]:
        for unit in layer.units():
            if unit.channel == 3:
                raise Stopped
            yield unit

    before = hashes(tmp_path)
    with pytest.raises(Stopped):
        write_layer(tmp_path, site.network, replace(layer, units=stopping))
    assert hashes(tmp_path) == before
    assert not layer_is_written(tmp_path, "stem.conv")
    write_layer(tmp_path, site.network, layer)
    assert layer_is_written(tmp_path, "stem.conv")
    written = hashes(tmp_path)
    with pytest.raises(Stopped):
        write_layer(tmp_path, site.network, replace(layer, units=stopping))
    assert hashes(tmp_path) == written
    assert list(tmp_path.rglob("*.partial")) == []


def test_units_that_do_not_fit_the_layer_are_refused(tmp_path: Path) -> None:
    site = Site(tmp_path, SIZES, EDGES, rich=0)
    layer = site.layer("fc")
    units = list(layer.units())
    with pytest.raises(InterpError, match=r"the layer `fc` has 6 channels, but 5 units were given"):
        write_layer(tmp_path, site.network, replace(layer, units=lambda: units[:5]))
    with pytest.raises(InterpError, match=r"come in the order of channels: 2 came when it was 1's turn"):
        write_layer(tmp_path, site.network, replace(layer, units=lambda: [units[0], units[2]]))
    with pytest.raises(InterpError, match=r"the layer `other` has 6 channels, but `resnet18` has none of that name"):
        write_layer(tmp_path, site.network, replace(layer, name="other"))
    with pytest.raises(InterpError, match=r"the layer `fc` has 5 values of `mean` for 6 channels"):
        replace(layer, values={**layer.values, "mean": (0.0,) * 5})
    with pytest.raises(InterpError, match=r"has 5 thumbnails for 6 channels"):
        replace(layer, thumbnails=layer.thumbnails[:5])


def test_another_networks_folder_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path, SIZES, EDGES, rich=0)
    write_network(tmp_path, site.network)
    other = replace(site.network, reference="vgg11", weights_hash="ab" * 32)
    for write in (lambda: write_network(tmp_path, other), lambda: write_layer(tmp_path, other, site.layer("fc"))):
        with pytest.raises(BadFile, match=r"is the microscope of `resnet18` with weights 5f1c7a3e5f1c, not of `vgg11` with abababababab"):
            write()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "index.html").write_text("mine")
    with pytest.raises(BadFile, match=r"index\.html` is there and was not written by interp microscope"):
        write_network(foreign, site.network)
    assert (foreign / "index.html").read_text() == "mine"
    (tmp_path / "data" / "network.json").write_text("{")
    with pytest.raises(BadFile, match=r"cannot be read as a microscope's"):
        write_network(tmp_path, site.network)


def test_pictures_that_are_not_there_are_refused(tmp_path: Path) -> None:
    site = Site(tmp_path, SIZES, EDGES, rich=1)
    layer = site.layer("stem.conv")
    gone = Picture("pictures/gone.webp", 8, 8, "gone")
    (unit, *others) = layer.units()
    changed = replace(unit, kernel=gone)
    with pytest.raises(BadFile, match=r"the picture `pictures/gone\.webp` is not in"):
        write_layer(tmp_path, site.network, replace(layer, units=lambda: [changed, *others]))
    with pytest.raises(BadFile, match=r"the picture `pictures/gone\.webp` is not in"):
        write_network(tmp_path, replace(site.network, layers=(replace(site.network.layers[0], thumbnail=gone),), edges=()))


def test_layers_that_differ_in_capitals_alone_are_refused(tmp_path: Path) -> None:
    layers = (LayerSummary("Conv", "Conv2d", 1), LayerSummary("conv", "Conv2d", 1))
    with pytest.raises(InterpError, match=r"the layers `Conv` and `conv` differ in capitals alone"):
        write_network(tmp_path, NetworkContent("t", "r", HASH, layers, ()))


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    site = Site(tmp_path, SIZES, EDGES, rich=0)
    (tmp_path / "data").write_text("a file")
    with pytest.raises(BadFile, match=r"cannot be written"):
        write_network(tmp_path, site.network)


@pytest.mark.parametrize(
    ("build_one", "match"),
    [
        (lambda: Picture("a.png", 3, 3, " "), r"the picture `a\.png` has no `alt` text"),
        (lambda: Picture("../a.png", 3, 3, "a"), r"a page leads only to files beside it"),
        (lambda: Picture("a.png", 0, 3, "a"), r"is 0 x 3; sizes are positive"),
        (lambda: Picture("a.png", 8, 8, "a", (0, 0, 8, 8)), r"has one of `box` and `sheet`"),
        (lambda: Picture("a.png", 8, 8, "a", (0, 4, 8, 12), (8, 16)), r"the box \(0, 4, 8, 12\) of `a\.png` is no tile of 8 x 8"),
        (lambda: Picture("a.png", 8, 8, "a", (0, 16, 8, 24), (8, 16)), r"is no tile of 8 x 8 in a sheet of 8 x 16"),
        (lambda: Picture("a.png", 8, 8, "a", (0, 0, 8, 8), (8, 8 * 33)), r"at most 32 each way"),
        (lambda: Curve("hue", "degrees", (0.0,), (1.0,)), r"1 positions and 1 values; it has as many of both, two or more"),
        (lambda: Histogram((0.0, 1.0), (1, 2)), r"a histogram of 2 counts has 3 edges, not 2"),
        (lambda: Example(Picture("a.png", 3, 3, "a"), "s", 1.0, 0, 0, crop=(0.5, 0.0, 0.5, 1.0)), r"is no box in fractions of a picture"),
    ],
)
def test_content_that_cannot_be_shown_is_refused(build_one, match: str) -> None:
    with pytest.raises(InterpError, match=match):
        build_one()


def test_numbers_are_shown_as_people_write_them() -> None:
    values = (0.0, 12.0, 11689512.0, 0.123456, 1234.5678, 123456.78, 1e-7, -2.5, float("nan"), float("inf"), None, "word", 3)
    assert [number(value) for value in values] == [
        "0", "12", "11,689,512", "0.1235", "1235", "123456.8", "1e-07", "-2.5", "none", "infinite", "none", "word", "3",
    ]  # fmt: skip
    assert number(0.5, 3) == "0.500"


def luminance(colour: str) -> float:
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_and_frames_stand_out_in_both_themes(folder: Path, theme: str) -> None:
    """WCAG 2.2 AA: 4.5 to 1 for text, 3 to 1 for what one operates and for lines of charts."""
    style = (folder / "static" / "microscope.css").read_text(encoding="utf-8")
    block = re.search(rf':root\[data-theme="{theme}"\] \{{(.*?)\}}', style, re.DOTALL)
    assert block is not None
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block.group(1)))

    def contrast(one: str, other: str) -> float:
        high, low = sorted((luminance(colours[one]), luminance(colours[other])), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for text in ("ink", "quiet", "link", "warn"):
        for ground in ("ground", "card"):
            assert contrast(text, ground) >= 4.5, (text, ground)
    for line in ("strong", "link", "quiet"):
        assert contrast(line, "ground") >= 3
    # The switch and the system's wish give the same colours.
    wished = "".join(re.findall(r"@media \(prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}", style, re.DOTALL))
    chosen = wished if theme == "dark" else "".join(re.findall(r"^:root \{(.*?)\}", style, re.DOTALL | re.MULTILINE))
    assert {name: value for name, value in re.findall(r"--(\w+): (#[0-9a-f]{6})", chosen) if name in colours} == colours
