"""Names that are code somewhere, in pages, tables, figures and messages: a reader sees them, and nothing obeys them."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from fuzzing import seeds
from torch import Tensor, nn

from interp.cli import run
from interp.cli.table import layer_table
from interp.figures import Grid, ImagePanel, render
from interp.images import Preprocess
from interp.proof.stamped import stamp_in
from interp.runs import About
from interp.runs.stamp import Stamp
from interp.site import Fact, Link, Page, Picture, Section, Table
from interp.site import render as render_page
from interp.zoo.loading import load

sys.path.append(str(Path(__file__).parents[1] / "cli"))

from fake_runs import make

SCRIPT = "<script>window.ran = 1</script>"
ATTACKS = (
    SCRIPT,
    '"><svg onload=window.ran=2>',
    "' onmouseover='window.ran=3",
    "</style><script>window.ran=4</script>",
    "</title></head><body onload=window.ran=5>",
    "<img src=x onerror=window.ran=6>",
    "<iframe srcdoc='<script>parent.ran=7</script>'>",
    "[x](javascript:window.ran=8) `<b>` | <!-- ",
    "{{ 7*7 }}{% raw %}",
    "$\\frac{x$ \\href{javascript:window.ran=9}{x}",
    "[bold red]x[/bold red][/nothing][link=file:///etc/passwd]x[/link]",
)
OBEYED = "\x1b[2J\x1b]0;title\x07\x9b31m\x00\x08\r"
"""What a terminal obeys."""
TURNED = "\u202egnp.exe\u2066\u200f"
HIDDEN = {letter for letter in OBEYED + TURNED if not letter.isprintable()}
ALL = "".join(ATTACKS) + OBEYED + TURNED


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs, one of which says nothing but attacks; their folders too, as far as folders can."""
    monkeypatch.chdir(tmp_path)
    root = Path("results")
    make(root / "plain" / "one")
    words = ALL.replace("/", "\u2215").replace("\0", "")
    make(
        root / '"><img src=x onerror=window.ran=1>' / "\x1b[2J<b>",
        words,
        about=About(words, words, f"{words}\n\n{words}"),
        figures={"grid": (words, words), "more": (words, words)},
        model=words,
        command=("interp", words),
    )
    return root


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(list(words)) == 0
    out, err = capsys.readouterr()
    hidden = {letter for letter in out + err if not letter.isprintable() and letter != "\n"}
    assert hidden == set(), words
    return out


def seen(browser: Any, page: Path) -> tuple[Any, list[str], list[str]]:
    """What a script left behind, what the console said, and what was asked for elsewhere."""
    tab, said, asked = browser.new_page(), [], []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("dialog", lambda dialog: said.append(dialog.message))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page.resolve().as_uri())
    for link in tab.locator("a[href^='javascript']").all():
        link.click()
    tab.mouse.move(300, 300)
    tab.wait_for_timeout(200)  # the console hears of what was refused a little later
    ran = tab.evaluate("window.ran")
    tab.close()
    return ran, said, [url for url in asked if not url.startswith("file:")]


def test_pages_of_hostile_runs_run_nothing(results: Path, browser: Any, capsys: pytest.CaptureFixture[str]) -> None:
    beside, site = (Path(told(capsys, "gallery", *words).strip()) for words in ([], ["--out", "site"]))
    pages = [beside, site, *(path for path in site.parent.rglob("index.html") if path != site)]
    assert len(pages) == 4
    for page in pages:
        assert seen(browser, page) == (None, [], []), page
        html = page.read_text(encoding="utf-8")
        assert re.findall(r"<(?:script|svg|iframe|body onload|img src=x)", html) == []
        assert not HIDDEN & set(html)


def test_what_is_put_into_a_page_raw_does_not_run_either(browser: Any, tmp_path: Path) -> None:
    """The policy holds where the escaping would not."""
    page = Page("t", "l", (), (Section("s", "x"),))
    elsewhere = '<img src="https://example.invalid/x.png"><link rel=stylesheet href="https://example.invalid/x.css">'
    html = render_page(page).replace("</main>", f'{elsewhere}<a href="javascript:window.ran=10">x</a>{"".join(ATTACKS[:7])}</main>')
    (tmp_path / "index.html").write_text(html, encoding="utf-8")
    ran, said, _ = seen(browser, tmp_path / "index.html")
    assert ran is None
    for refused in (
        "inline script",
        "inline event handler",
        "the image 'https://example.invalid",
        "the stylesheet 'https://example.invalid",
    ):
        assert any(refused in line and "Content Security Policy" in line for line in said), (refused, said)
    # The test can fail: without the policy all of it runs.
    (tmp_path / "index.html").write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html), encoding="utf-8")
    assert seen(browser, tmp_path / "index.html")[0] is not None


def test_an_ordinary_page_says_nothing_on_the_console(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(seeds.pictures()[0])
    parts = (
        Section(
            "One",
            "text",
            (Picture("a.png", "a", "c", (Link("x", "a.png"),), 9, 7),),
            (Fact("a", "b"),),
            (Table(("n", "v"), (("a", "1"),)),),
        ),
    )
    (tmp_path / "index.html").write_text(render_page(Page("t", "l", (), parts)), encoding="utf-8")
    assert seen(browser, tmp_path / "index.html") == (None, [], [])


def test_a_page_shows_a_sign_for_what_cannot_be_shown() -> None:
    html = render_page(Page(f"a{OBEYED}b", f"c{TURNED}d", (Fact("e\ud800f", "g\u200d\u00adh\u00e9"),)))
    assert html.encode("utf-8")
    assert "<h1>a\N{REPLACEMENT CHARACTER}[2J" in html
    assert "c\N{REPLACEMENT CHARACTER}gnp.exe\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}d" in html
    assert "<dt>e\N{REPLACEMENT CHARACTER}f</dt><dd>g\u200d\u00adh\u00e9</dd>" in html


def test_the_terminal_obeys_nothing(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "\x1b[31mbad").mkdir()
    (results / "\x1b[31mbad" / "manifest.json").write_text("{")
    hostile = next(path.parent for path in results.rglob("manifest.json") if "onerror" in str(path) and "bad" not in str(path))
    for words in (["runs"], ["runs", "--json"], ["gallery", "--readme"]):
        told(capsys, *words)
    assert run(["verify", "--files-only", str(hostile)]) == 0
    assert "\x1b" not in "".join(capsys.readouterr())
    for words in (
        ["verify", "--files-only"],
        ["whence", "no\x1b[2J.png"],
        ["kernels", "net\x1b[2J"],
        ["\x1b[2J"],
        ["runs", "--where", "\x1b=1"],
    ):
        assert run(words) != 0
        out, err = capsys.readouterr()
        assert all(letter.isprintable() or letter == "\n" for letter in out + err), words


def test_markdown_shows_attacks_as_text(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "gallery", "--readme")
    text = (results / "README.md").read_text(encoding="utf-8")
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text, flags=re.DOTALL)  # code is shown as it is
    outside = re.sub(r'<a id="[a-z0-9_-]+"></a>|\A<!--[^\n]*-->', "", outside)
    assert "<" not in outside
    assert "window.ran" in outside
    assert not re.search(r"(?<!\\)\]\(javascript", outside)
    assert not HIDDEN & set(text)


class Evil(nn.Module):
    """A network whose modules have names that are markup, or that a terminal obeys."""

    def __init__(self) -> None:
        super().__init__()
        for index, name in enumerate((*ATTACKS, OBEYED, TURNED)):
            kind = type(f"Conv{name}".replace("\0", ""), (nn.Conv2d,), {})
            self.add_module(f"{index}{name.replace('.', '')}", kind(3, 3, 1))
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        for name, module in self.named_children():
            x = module(x) if name != "head" else x
        result: Tensor = self.head(x.mean((2, 3)))
        return result


def test_layers_of_any_name_are_listed_as_they_are_called(capsys: pytest.CaptureFixture[str]) -> None:
    model = load(Evil(), preprocess=Preprocess(size=(8, 8), resize=8), classes=[SCRIPT, OBEYED])
    layer_table(model, "*")
    out = capsys.readouterr().out
    assert all(letter.isprintable() or letter == "\n" for letter in out)
    assert "[bold" in out
    assert model.class_unit(SCRIPT).channel == 0


@pytest.mark.parametrize("name", [*ATTACKS, OBEYED, TURNED, "\ud800", "x" * 3000])
def test_figures_hold_names_as_text(name: str) -> None:
    stamp = Stamp.of(replace(seeds.MANIFEST, experiment=name.replace("/", "")), name)
    files = render(Grid(((ImagePanel(np.zeros((3, 3, 3)), name),),), panel_size=0.5), ("svg", "pdf", "png", "webp"), 40, stamp).files
    for kind, data in files.items():
        assert stamp_in(data, kind) == stamp
    drawn = ElementTree.fromstring(files["svg"])
    assert not {"script", "a", "iframe", "foreignObject", "image-set"} & {element.tag.rpartition("}")[2] for element in drawn.iter()}
    assert not [key for element in drawn.iter() for key in element.attrib if key.lower().startswith("on")]
    assert not re.search(rb"/(JavaScript|JS|Launch|URI|OpenAction|AA)\b", files["pdf"].replace(stamp.to_text().encode(), b""))
