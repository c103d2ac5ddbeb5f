"""Pages: everything from outside is text, nothing is loaded from elsewhere, every link stays beside the page."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.errors import InterpError
from interp.runs import About, CommitEntry, InputEntry, Machine, Manifest, ModelEntry, Program
from interp.site import Fact, Link, Page, Picture, Section, Table, manifest_facts, render, run_links

HOSTILE = "\"><script>alert(1)</script><svg onload=alert(1)>'&amp;{{ 7*7 }}{% raw %}"
MANIFEST = Manifest(
    experiment="tour",
    program=Program("command", "tour"),
    command=("interp", "tour", "cat.png"),
    config={},
    seed=7,
    model=ModelEntry("resnet18", "torchvision IMAGENET1K_V1", "a" * 64, 11_689_512),
    inputs=tuple(InputEntry(f"{number}.png", "b" * 64, 1) for number in range(6)),
    versions={"python": "3.11.7", "interp": "0.1.0"},
    machine=Machine("Linux x86_64", "a processor", threads=2),
    commit=CommitEntry("c" * 40, dirty=True),
    parent=None,
    created="2026-11-21T00:00:00+00:00",
    seconds=1.0,
    tolerances={},
    arrays={},
    figures={},
    files={},
    about=About(),
)


class Reader(HTMLParser):
    """The elements with their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs))
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(text: str = "text") -> Page:
    picture = Picture("figures/grid.png", text or "alt", text, (Link(text, "figures/grid.pdf"),), 1400, 600)
    part = Section(text, f"{text}\n\n{text}", (picture,), (Fact(text, text),))
    return Page("t" + text, text, (Fact(text, text),), (part, part, part), (Link(text, "arrays.safetensors"),), text)


def test_hostile_names_come_out_as_text() -> None:
    plain, hostile = Reader(render(page())), Reader(render(page(HOSTILE)))
    assert [tag for tag, _ in plain.elements] == [tag for tag, _ in hostile.elements]
    assert [set(attributes) for _, attributes in plain.elements] == [set(a) for _, a in hostile.elements]
    assert HOSTILE in hostile.text
    assert hostile.all("img")[0]["alt"] == HOSTILE
    assert "<script" not in render(page(HOSTILE))
    assert "49" not in "".join(hostile.text[-3:])


@given(st.text(max_size=20))
@settings(max_examples=40, deadline=None)
def test_no_text_adds_an_element_or_an_attribute(text: str) -> None:
    alt = text if text.strip() else "alt"
    reader = Reader(render(Page("t", "l", (Fact(text, text),), (Section(text, "", (Picture("a.png", alt, "c"),)),))))
    expected = Reader(render(Page("t", "l", (Fact("f", "f"),), (Section("s", "", (Picture("a.png", "b", "c"),)),))))
    assert [(tag, set(a)) for tag, a in reader.elements] == [(tag, set(a)) for tag, a in expected.elements]


def test_the_policy_forbids_scripts_and_remote_loads_and_fits_the_style() -> None:
    html = render(page())
    metas = Reader(html).all("meta")
    assert metas[1]["http-equiv"] == "Content-Security-Policy"  # before anything that could be loaded
    policy = dict(rule.strip().split(" ", 1) for rule in str(metas[1]["content"]).split(";"))
    style = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert len(style) == 1
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'",
        "img-src": "'self' file:",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_page_is_one_file_without_scripts_or_remote_addresses() -> None:
    html = render(page())
    reader = Reader(html)
    assert html.startswith("<!doctype html>")
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in reader.elements}
    assert "://" not in html
    assert "url(" not in html
    assert "@import" not in html
    attributes = {name for _, found in reader.elements for name in found}
    assert not {name for name in attributes if name.startswith("on") or name == "style"}
    assert reader.all("html")[0]["lang"] == "en"


@pytest.mark.parametrize("file", ["figures/layer1:3 a#b?c%20.png", "javascript:alert(1)", "a&b=<c>.png", "\u00e9\u2603"])
def test_links_are_relative_and_lead_to_the_file(file: str) -> None:
    html = render(Page("t", "l", (), (Section("s", "", (Picture(file, "alt", "c", (Link("x", file),)),)),)))
    reader = Reader(html)
    targets = [a["href"] for a in reader.all("a")] + [a["src"] for a in reader.all("img")]
    assert len(targets) == 3
    for target in targets:
        parts = urlsplit(str(target))
        assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
        assert unquote(parts.path) == file


@pytest.mark.parametrize("file", ["/etc/passwd", "//cdn/x.js", "../up.png", "https://example.org/x", "a\\b", ""])
def test_files_elsewhere_are_refused(file: str) -> None:
    with pytest.raises(InterpError, match=r"a page leads only to files beside it: link: the path .* is refused"):
        Link("x", file)
    with pytest.raises(InterpError, match=r"a page leads only to files beside it: picture: the path .* is refused"):
        Picture(file, "alt", "c")


def test_what_a_reader_would_miss_is_refused() -> None:
    with pytest.raises(InterpError, match=r"the picture `a\.png` has no `alt` text; say in a few words"):
        Picture("a.png", " ", "c")
    with pytest.raises(InterpError, match="has one of `width` and `height`; give both or none"):
        Picture("a.png", "alt", "c", width=3)
    with pytest.raises(InterpError, match="is 0 x 3; sizes are positive"):
        Picture("a.png", "alt", "c", width=0, height=3)
    with pytest.raises(InterpError, match="the page has no `title`"):
        Page(" ", "lead")


def test_pictures_have_alt_caption_size_and_a_link_to_the_full_one() -> None:
    sized = Picture("a.png", "a cat", "Grad-CAM, 0.61", (Link("PDF", "a.pdf"),), 1400, 600)
    free = Picture("b.png", "a dog", "caption")
    reader = Reader(render(Page("t", "l", (), (Section("s", "", (sized, free)),))))
    assert reader.all("img") == [
        {"src": "a.png", "alt": "a cat", "width": "1400", "height": "600"},
        {"src": "b.png", "alt": "a dog"},
    ]
    assert [a["href"] for a in reader.all("a")] == ["a.png", "a.pdf", "b.png"]
    assert [figure["class"] for figure in reader.all("figure")] == ["wide", "full"]
    assert "Grad-CAM, 0.61" in "".join(reader.text)
    assert Picture("c.png", "c", "c", (), 320, 320).span == "part"


def test_paragraphs_contents_and_the_record_are_there() -> None:
    parts = tuple(Section(f"Part {number}", "one\n\ntwo\n\n") for number in range(3))
    reader = Reader(render(Page("Title", "lead", (Fact("Seed", "7"),), parts, run_links(), "end")))
    assert reader.text.count("one") == reader.text.count("two") == 3
    ids = {str(a.get("id")) for _, a in reader.elements if "id" in a}
    anchors = [str(a["href"]) for a in reader.all("a") if str(a["href"]).startswith("#")]
    assert [anchor[1:] for anchor in anchors] == ["section-1", "section-2", "section-3"]
    assert {anchor[1:] for anchor in anchors} <= ids
    files = [a["href"] for a in reader.all("a") if not str(a["href"]).startswith("#")]
    assert files == ["arrays.safetensors", "metrics.json", "manifest.json"]
    assert "How this was made" in reader.text


def test_the_style_knows_small_screens_dark_rooms_and_long_words() -> None:
    style = re.findall(r"<style>(.*?)</style>", render(page()), re.DOTALL)[0]
    for needed in ("prefers-color-scheme: dark", "max-width: 46rem", "overflow-x: auto", "overflow-wrap: anywhere"):
        assert needed in style


def test_the_facts_of_a_manifest() -> None:
    facts = manifest_facts(MANIFEST)
    found = {fact.name: fact.value for fact in facts}
    assert found["Model"] == "resnet18, 11,689,512 parameters"
    assert found["Weights"] == f"torchvision IMAGENET1K_V1, SHA-256 {'a' * 64}"
    assert [fact.value for fact in facts if fact.name == "Input"] == [
        *(f"{number}.png, SHA-256 {'b' * 64}" for number in range(4)),
        "and 2 more, listed in manifest.json",
    ]
    assert found["Commit"] == f"{'c' * 40}, with uncommitted changes"
    assert found["Command"] == "interp tour cat.png"
    assert found["Machine"] == "cpu, 2 threads, float32, a processor, Linux x86_64"
    assert "Derived from" not in found
    derived = {fact.name: fact.value for fact in manifest_facts(replace(MANIFEST, parent="d" * 64))}
    assert derived["Derived from"] == f"the run {'d' * 64}"


def test_the_same_page_gives_the_same_bytes(tmp_path: Path) -> None:
    assert render(page()).encode() == render(page()).encode()


def table_page(text: str) -> str:
    table = Table((text, text), ((text, "1"), ("b", text)), text, (Link(text, "a.csv"),), strong=frozenset({(0, 1)}), quiet=frozenset({1}))
    return render(Page("t", "l", (), (Section("s", tables=(table,)),)))


def test_a_table_is_text_with_numbers_at_the_right() -> None:
    plain, hostile = Reader(table_page("x")), Reader(table_page(HOSTILE))
    assert [(tag, set(a)) for tag, a in plain.elements] == [(tag, set(a)) for tag, a in hostile.elements]
    assert sum(HOSTILE in text for text in hostile.text) == 6
    assert [cell.get("class") for cell in plain.all("td")] == ["number", "number"]
    assert [cell.get("scope") for cell in plain.all("th")] == ["col", "col", "row", "row"]
    assert [row.get("class") for row in plain.all("tr")] == [None, None, "quiet"]
    assert "<strong>1</strong>" in table_page("x")
    assert {"href": "a.csv"} in plain.all("a")


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: Table((), ()), "`headers` is empty"),
        (lambda: Table(("a", "b"), (("1",),)), "row 0 of a table has 1 cells for 2 headers"),
        (lambda: Table(("a",), (), names=2), "`names` is 2, but the table has 1 columns"),
        (lambda: Table(("a",), (("1",),), strong=frozenset({(1, 0)})), "names a cell outside the 1 rows and 1 columns"),
        (lambda: Table(("a",), (("1",),), quiet=frozenset({3})), "names a cell outside"),
    ],
)
def test_a_table_whose_parts_do_not_fit_is_refused(build, match) -> None:
    with pytest.raises(InterpError, match=match):
        build()
