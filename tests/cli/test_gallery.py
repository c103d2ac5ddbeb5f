"""The gallery: what stands on it of each run, that nothing in a run is more than text, and that nobody's file is overwritten."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from fake_runs import Config, make, outdated
from markdown_it import MarkdownIt

from interp.cli import run
from interp.cli.gallery import gathered, readme_of
from interp.errors import BadFile
from interp.runs import About, Manifest, verify
from interp.runs.listing import listing
from interp.runs.plain import portable, prose
from interp.runs.words import size_of

RESULTS = Path(__file__).parent.parent.parent / "results"
HOSTILE = '"><script>alert(1)</script> [x](javascript:alert(1)) ![y](z.png) `a` | b\n\n# h <img src=x onerror=alert(1)> {{ 7*7 }}'


class Reader(HTMLParser):
    """The elements with their attributes, the text between them, and of each card its own text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.cards: dict[str, str] = {}
        self._card = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "article":
            self._card = str(dict(attrs)["aria-label"])
            self.cards[self._card] = ""

    def handle_endtag(self, tag):
        if tag == "article":
            self._card = ""

    def handle_data(self, data):
        self.text.append(data)
        if self._card:
            self.cards[self._card] += f"{data.strip()}\n" if data.strip() else ""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("once") / "results"
    make(root / "tour" / "small", config=Config(steps=16))
    make(
        root / "tour" / "large", about=About("Tours", "Tours", "What is seen."), figures={"overview": ("All", "It all."), "a": ("An a", "")}
    )
    make(root / "walk" / "one", "walk", figures={}, about=About(), seconds=75.0, model=None, command=("python", "experiments/walk.py"))
    return root


@pytest.fixture
def results(made_once, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made_once, "results"))


def told(capsys, *words: str) -> str:
    assert run(list(words)) == 0
    return capsys.readouterr().out


def refused(capsys, *words: str) -> str:
    assert run(list(words)) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def verdicts(root: Path, **found: tuple[str, str, str]) -> None:
    """A record: of each run, by its folder's name, verdict, reason and largest difference."""
    runs = {}
    for one in listing((root,)).runs:
        if one.folder.name in found:
            verdict, reason, largest = found[one.folder.name]
            entry = {"verdict": verdict, "reason": reason, "difference": 0.5 if largest else None, "largest": largest}
            runs[one.manifest.seal] = entry | {"machine": "m", "torch": "2", "seconds": 1.0}
    (root / "verified.json").write_text(json.dumps({"format": 1, "runs": runs}))


def test_each_run_has_a_card_by_experiment(results, capsys):
    assert told(capsys, "gallery") == "results/index.html\n"
    page = Reader((results / "index.html").read_text(encoding="utf-8"))
    assert list(page.cards) == ["tour/large", "tour/small", "walk/one"]
    small = [line for line in page.cards["tour/small"].splitlines() if line]
    size = verify(results / "tour" / "small").manifest.files
    assert small == [
        "What is there to see?", "A tour", "What the grid means.", "not verified yet", "Model", "embedded",
        "Time", "12 s on AMD EPYC 9V74, 2 threads", "Files", f"{size_of(sum(e.bytes for e in size.values()))} in", "tour/small",
        "Command", "interp tour cat",
    ]  # fmt: skip
    assert page.cards["walk/one"].splitlines()[:2] == ["No figure", "walk"]
    assert [text for text in page.text if text in ("tour", "walk")] == ["tour", "walk", "walk"]
    assert [(image["src"], image["alt"]) for image in page.all("img")] == [
        ("tour/large/figures/overview.png", "All"),
        ("tour/small/figures/grid.png", "A grid"),
    ]
    leads = {str(link["href"]) for link in page.all("a")}
    assert leads == {"tour/large/index.html", "tour/small/index.html", "walk/one/index.html"}
    assert all((results / path).is_file() for path in leads)


def test_the_page_needs_no_script_and_loads_nothing_from_elsewhere(results, capsys):
    told(capsys, "gallery")
    html = (results / "index.html").read_text(encoding="utf-8")
    page = Reader(html)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.elements}
    assert "://" not in html
    policy = next(str(meta["content"]) for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src 'self' file:; style-src 'sha256-")
    assert page.all("meta")[1]["http-equiv"] == "Content-Security-Policy"


def test_hostile_words_are_words_on_the_page_and_in_markdown(results, capsys):
    text = portable(HOSTILE.replace("\n\n", " "))  # as whoever makes a run must
    plain = make(results / "x" / "plain", "x", about=About("t", "q", "l"), figures={"f": ("a", "c")}, command=("x",), model="m")
    told(capsys, "gallery")
    before = Reader((results / "index.html").read_text(encoding="utf-8"))
    shutil.rmtree(plain)
    make(plain, text, about=About(HOSTILE, text + "?", HOSTILE), figures={"f": (HOSTILE, text)}, command=(text,), model=text)
    told(capsys, "gallery")
    html = (results / "index.html").read_text(encoding="utf-8")
    page = Reader(html)
    assert sorted(tag for tag, _ in page.elements) == sorted(tag for tag, _ in before.elements)
    assert {frozenset(found) for _, found in page.elements} == {frozenset(found) for _, found in before.elements}
    assert prose(HOSTILE) in [image["alt"] for image in page.all("img")]
    assert "<script" not in html
    assert "{{ 7*7 }}" in html
    told(capsys, "gallery", "--readme")
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse((results / "README.md").read_text(encoding="utf-8"))
    parts = [*tokens, *(child for token in tokens for child in token.children or ())]
    assert all(re.fullmatch(r'<a id="[a-z0-9_-]+">|</a>', part.content) for part in parts if part.type == "html_inline")
    assert all(part.content.startswith("<!-- Written by") for part in parts if part.type == "html_block")
    links = [str(part.attrs["href"]) for part in parts if part.type == "link_open"]
    assert all(link.startswith("#") or (results / unquote(link)).is_file() for link in links)
    assert all((results / unquote(str(part.attrs["src"]))).is_file() for part in parts if part.type == "image")
    assert sum(part.tag == "h1" for part in parts if part.type == "heading_open") == 1
    headings = [after.content for part, after in pairwise(tokens) if part.type == "heading_open"]
    assert len(headings) == 5


def test_folders_of_any_name_are_led_to(results, capsys):
    make(results / "tour" / "a#b?c%20 (d)&<e>")
    told(capsys, "gallery")
    told(capsys, "gallery", "--readme")
    sources = [str(image["src"]) for image in Reader((results / "index.html").read_text()).all("img")]
    assert "tour/a%23b%3Fc%2520%20%28d%29%26%3Ce%3E/figures/grid.png" in sources
    assert all((results / unquote(source)).is_file() for source in sources)
    assert f"]({sources[0]})" in (results / "README.md").read_text()


def test_what_was_verified_is_told(results, capsys):
    verdicts(
        results, small=("identical", "", ""), large=("within tolerance", "other threads", "maps: 3e-06"), one=("different", "maps", "")
    )
    told(capsys, "gallery")
    page = Reader((results / "index.html").read_text())
    assert "\nidentical\nModel" in page.cards["tour/small"]
    assert "\nwithin tolerance\nlargest: maps: 3e-06\nModel" in page.cards["tour/large"]
    assert "\ndifferent\nmaps\n" in page.cards["walk/one"]
    assert any("3 runs: 1 identical, 1 within tolerance, 1 different." in text for text in page.text)
    told(capsys, "gallery", "--readme")
    text = (results / "README.md").read_text()
    assert "| verified | within tolerance (largest: maps: 3e-06) |" in text
    assert "| verified | identical |" in text


def test_a_changed_file_goes_before_what_was_verified_and_is_not_shown(results, capsys):
    verdicts(results, small=("identical", "", ""))
    (results / "tour" / "small" / "figures" / "grid.png").write_bytes(b"other")
    (results / "tour" / "small" / "index.html").write_text("<script>alert(1)</script>")
    told(capsys, "gallery")
    page = Reader((results / "index.html").read_text())
    assert page.cards["tour/small"].splitlines()[0] == "No figure that is as it was written"
    assert "\nfiles changed\nfigures/grid.png and 1 more\n" in page.cards["tour/small"]
    assert not any("tour/small" in str(found.get("src", found.get("href", ""))) for _, found in page.elements)


def test_a_figure_that_is_a_link_to_elsewhere_is_not_copied(results, capsys):
    secret = results.parent / "secret.png"
    secret.write_bytes((results / "tour" / "small" / "figures" / "grid.png").read_bytes())
    (results / "tour" / "small" / "figures" / "grid.png").unlink()
    (results / "tour" / "small" / "figures" / "grid.png").symlink_to(secret)
    told(capsys, "gallery", "--out", "site")
    assert not (results.parent / "site" / "tour" / "small" / "figures").exists()


def test_a_site_of_its_own_holds_all_it_shows(results, capsys):
    assert told(capsys, "gallery", "--out", "site") == "site/index.html\n"
    shutil.rmtree(results)
    found = {path.relative_to("site").as_posix() for path in Path("site").rglob("*") if path.is_file()}
    assert found == {
        "index.html", "tour/small/index.html", "tour/small/figures/grid.png", "tour/large/index.html", "tour/large/figures/a.png",
        "tour/large/figures/overview.png", "walk/one/index.html",
    }  # fmt: skip
    for path in (Path("site") / name for name in found if name.endswith(".html")):
        page = Reader(path.read_text())
        targets = [*(found["href"] for found in page.all("a")), *(found["src"] for found in page.all("img"))]
        assert targets
        for target in targets:
            assert str(target).startswith("#") or (path.parent / unquote(str(target))).is_file()
    own = Reader(Path("site/tour/large/index.html").read_text())
    assert [image["src"] for image in own.all("img")] == ["figures/overview.png", "figures/a.png"]
    assert own.all("a")[0]["href"] == "../../index.html"


def test_a_site_leaves_finished_runs_and_foreign_files_as_they_are(results, capsys):
    told(capsys, "gallery", "--out", "site")
    told(capsys, "gallery", "--out", "site")

    def unchanged(message: str) -> None:
        before = {path: path.read_bytes() for path in Path("site").rglob("*") if path.is_file()}
        assert message in refused(capsys, "gallery", "--out", "site")
        assert {path: path.read_bytes() for path in Path("site").rglob("*") if path.is_file()} == before

    # The page of a run is not marked as a gallery's, and what lies before it must not be written either.
    Path("site/index.html").write_text(Path("site/index.html").read_text() + "<!-- older -->")
    shutil.rmtree("site/walk/one")
    shutil.copytree(results / "walk/one", "site/walk/one")
    unchanged("`site/walk/one` is in a run, which is closed (it has a manifest.json): choose another folder with --out")
    Path("site/walk/one/manifest.json").unlink()
    unchanged("`site/walk/one/index.html` is there and was not written by interp gallery; nothing is overwritten")
    shutil.rmtree("site/walk/one")
    shutil.move("site/tour/small", "elsewhere")
    Path("elsewhere/manifest.json").touch()
    Path("site/tour/small").symlink_to(Path("elsewhere").absolute())
    unchanged("`site/tour/small` is in a run, which is closed")
    Path("site/tour/small").unlink()
    told(capsys, "gallery", "--out", "site")


def test_a_picture_of_somebody_else_is_left_alone(results, capsys):
    told(capsys, "gallery", "--out", "site")
    picture = Path("site/tour/small/figures/grid.png")
    picture.write_bytes(b"an older one, which the page shows")
    told(capsys, "gallery", "--out", "site")
    assert picture.read_bytes() == (results / "tour/small/figures/grid.png").read_bytes()
    page = picture.parent.parent / "index.html"
    ours, theirs = page.read_text(), "`site/tour/small/figures/grid.png` is there and was not written by interp gallery"
    for text in (None, ours.replace("figures/grid.png", "figures/other.png")):
        page.unlink() if text is None else page.write_text(text)
        told(capsys, "gallery", "--out", "site")  # the same bytes
        page.unlink() if text is None else page.write_text(text)
        picture.write_bytes(b"mine")
        assert theirs in refused(capsys, "gallery", "--out", "site")
        assert picture.read_bytes() == b"mine"
        picture.unlink()
    picture.symlink_to(results.absolute() / "tour/large/figures/a.png")
    page.write_text(ours)
    # Where it leads to is a run.
    assert "`site/tour/small/figures/grid.png` is in a run" in refused(capsys, "gallery", "--out", "site")


def test_a_verdict_is_not_that_of_other_pictures_and_captions(results, capsys):
    verdicts(results, small=("identical", "", ""))
    other = make(results.parent / "forged", figures={"grid": ("A grid", "It proves all.")}, config=Config(steps=16))
    assert Manifest.read(other).identity == Manifest.read(results / "tour/small").identity
    shutil.rmtree(results / "tour/small")
    shutil.move(other, results / "tour/small")
    assert verify(results / "tour/small").ok
    told(capsys, "gallery")
    assert "\nnot verified yet\n" in Reader((results / "index.html").read_text()).cards["tour/small"]


def test_a_verdict_holds_though_it_took_another_time(results, capsys):
    verdicts(results, small=("identical", "", ""))
    shutil.rmtree(results / "tour/small")
    make(results / "tour/small", config=Config(steps=16), created="2027-01-01T00:00:00+00:00", seconds=99.0)
    told(capsys, "gallery")
    assert "\nidentical\n" in Reader((results / "index.html").read_text()).cards["tour/small"]


def test_of_several_formats_the_one_that_the_page_of_the_run_shows_is_shown(results):
    from interp.report.formats import SHOWN
    from interp.runs.entries import FileEntry
    from interp.runs.listing import Listed
    from interp.site.cards import Proved, Status, card

    folder = results / "tour/small"
    manifest = Manifest.read(folder)
    for given in (SHOWN, SHOWN[1:], SHOWN[2:]):
        files = {f"figures/grid.{suffix}": FileEntry("0" * 64, 1) for suffix in (*reversed(given), "pdf")}
        made = card(Listed(folder, replace(manifest, files=files)), results, Status(Proved.UNKNOWN))
        assert [shown.file for shown in made.figures] == [f"tour/small/figures/grid.{given[0]}"]


README = """\
<!-- Written by `interp gallery --readme` from the manifests below this folder: do not edit. -->

# Results

Each run answers one question. Its folder holds figures, the arrays behind them, a page (`index.html`) and a manifest that names all \
that went in and the SHA-256 of all that came out. One command makes every run again from its manifest and compares:

```console
uv run interp verify results
```

*Identical*: every array, number and file came out the same, bit for bit. *Within tolerance*: on another machine, no further off than \
the run declares. `interp whence FIGURE` finds the run of a lone figure.

1 run: 1 not verified yet. {size} in all.

| run | question | time | verified |
|---|---|--:|---|
| [tour/small](#tour-small) | What is there to see? | 12 s | not verified yet |

<a id="tour-small"></a>

## What is there to see?

**A tour**

![A grid](tour/small/figures/grid.png)

What the grid means.

First this.

Then that.

```console
uv run interp tour cat
```

| | |
|---|---|
| verified | not verified yet |
| model | `embedded` |
| time | 12 s on AMD EPYC 9V74, 2 threads |
| files | {size} in 5 files: `tour/small` |
| identity | `{identity}` |

## Left out

- tour/old: \\`format\\` is 1, of an older interp; this one reads format 2: make the run again
"""


def test_the_readme_word_for_word(results, capsys):
    shutil.rmtree(results / "walk")
    shutil.rmtree(results / "tour" / "large")
    outdated(results / "tour" / "old")
    assert told(capsys, "gallery", "--readme") == "results/README.md\n"
    manifest = Manifest.read(results / "tour" / "small")
    size = size_of(sum(entry.bytes for entry in manifest.files.values()))
    assert (results / "README.md").read_text() == README.format(size=size, identity=manifest.identity)


def test_the_same_manifests_give_the_same_bytes_wherever_they_lie(results, capsys, monkeypatch):
    for words in (["gallery"], ["gallery", "--readme"]):
        told(capsys, *words)
    first = {name: (results / name).read_bytes() for name in ("index.html", "README.md")}
    moved = results.absolute().parent / "elsewhere" / "results"
    shutil.copytree(results, moved)
    monkeypatch.chdir(moved)
    for name, words in (("index.html", ["gallery", "."]), ("README.md", ["gallery", ".", "--readme"])):
        told(capsys, *words)
        assert (moved / name).read_bytes() == first[name]


def test_runs_that_ask_the_same_are_told_apart(results, capsys):
    make(results / "tour" / "other", config=Config(steps=3))
    told(capsys, "gallery", "--readme")
    text = (results / "README.md").read_text()
    assert "## What is there to see? (tour/small)" in text
    assert "## What is there to see? (tour/other)" in text
    assert "- [a](tour/large/figures/a.png): An a" in text


def test_only_what_the_gallery_wrote_is_replaced(results, capsys):
    told(capsys, "gallery")
    told(capsys, "gallery")
    for name, words in (("index.html", ["gallery"]), ("README.md", ["gallery", "--readme"])):
        (results / name).write_text("mine")
        assert f"`results/{name}` is there and was not written by interp gallery; nothing is overwritten" in refused(capsys, *words)
        assert (results / name).read_text() == "mine"
    assert sorted(path.name for path in results.iterdir()) == ["README.md", "index.html", "tour", "walk"]


def test_a_folder_of_somebody_else_is_left_alone(results, capsys):
    Path("notes").mkdir()
    Path("notes/a.txt").write_text("mine")
    assert "`notes` is not empty, and holds no gallery" in refused(capsys, "gallery", "--out", "notes")
    Path("notes/index.html").write_text("mine")
    assert "`notes/index.html` is there and was not written by interp gallery" in refused(capsys, "gallery", "--out", "notes")
    assert sorted(path.name for path in Path("notes").iterdir()) == ["a.txt", "index.html"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "there is no folder 'nowhere' to make a gallery of"),
        (["results/tour/small"], "'results/tour/small' is a run, which has a page of its own: name the folder above it"),
        (["results", "--out", "results"], "--out 'results' is the folder of the runs: leave it out"),
        (["results", "--out", "results/tour/small/site"], "--out 'results/tour/small/site' is inside a run, which is closed"),
        (["results", "--readme", "--out", "x"], "--readme writes README.md beside the runs: leave out --out"),
        (["empty"], "there is no run below 'empty' that can be shown with a manifest.json"),
        (["olds"], "there is no run below 'olds' that can be shown: a: `format` is 1, of an older interp; this one reads format 2"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(results, capsys, words, message):
    Path("empty").mkdir()
    outdated(Path("olds/a"))
    before = sorted(Path().rglob("*"))
    assert message in refused(capsys, "gallery", *words)
    assert sorted(Path().rglob("*")) == before


def test_a_record_that_cannot_be_read_is_said_so(results, capsys):
    (results / "verified.json").write_text("{}")
    assert "results/verified.json: it is not a record of what was verified" in refused(capsys, "gallery")


def test_what_is_left_out_is_said(results, capsys):
    outdated(results / "tour" / "old")
    assert run(["gallery"]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (
        "results/index.html\n",
        "interp: left out: tour/old: `format` is 1, of an older interp; this one reads format 2: make the run again\n",
    )
    assert "tour/old: `format` is 1" in (results / "index.html").read_text()


def test_the_committed_readme_is_that_of_the_committed_runs():
    if not listing((RESULTS,)).runs:
        with pytest.raises(BadFile, match=r"there is no run below '.*results' that can be shown: .*`format` is 1, of an older interp"):
            gathered(RESULTS)
        return
    assert (RESULTS / "README.md").read_text(encoding="utf-8") == readme_of(gathered(RESULTS), RESULTS)


def test_the_pages_are_whole_in_a_browser_at_desk_and_phone_width(results, capsys, browser):
    long = "a_name_without_any_place_to_break_it_" * 6
    about = About(long, HOSTILE, "lead")
    make(results / "x" / "plain", "experiment_" + long[:60], about=about, figures={"f": ("a", long)}, command=(long,), model=long)
    verdicts(results, small=("within tolerance", "", long), large=("identical", "", ""))
    own, alone = (Path(told(capsys, "gallery", *words).strip()).resolve() for words in ([], ["--out", "site"]))
    pictures = {own: 3, alone: 3, alone.parent / "tour" / "large" / "index.html": 2, alone.parent / "x" / "plain" / "index.html": 1}
    cut = "[...document.querySelectorAll('h1,h2,h3,p,li,dt,dd,figcaption')].filter(e => e.scrollWidth > e.clientWidth + 1)"
    problems: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: problems.append(message.text))
    page.on("requestfailed", lambda request: problems.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    for path, count in pictures.items():
        page.goto(path.as_uri())
        page.evaluate("for (const image of document.images) { image.loading = 'eager' }")
        page.wait_for_function("[...document.images].every(image => image.complete)")
        assert page.evaluate("[...document.images].map(image => image.naturalWidth)") == [30] * count
        for width in (1400, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, (path, width)
            assert page.evaluate(f"{cut}.map(e => e.textContent)") == [], (path, width)
    page.close()
    assert problems == []
