"""The page of a report in a real browser: nothing broken, nothing cut, at desk and phone width."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interp.cli import run


@pytest.fixture(scope="module")
def page_file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(folder / "<b>odd & long name of a picture.png")
    picture = str(folder / "<b>odd & long name of a picture.png")
    command = ["report", "embedded", picture, "--steps", "1", "--layers", "stem", "stage4.block2", "--out", str(folder / "run")]
    assert run(command) == 0
    return folder / "run" / "index.html"


@pytest.mark.parametrize("width", [1400, 390])
def test_the_page_is_whole(page_file, width, browser):
    page = browser.new_page(viewport={"width": width, "height": 900})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("requestfailed", lambda request: problems.append(request.url))
    page.goto(page_file.as_uri())
    broken = page.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)")
    pictures = page.evaluate("document.images.length")
    sideways = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    cut = page.evaluate(
        "[...document.querySelectorAll('h1,h2,p,figcaption,td,th,dt,dd,li')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
    )
    bold = page.evaluate("document.querySelectorAll('b').length")
    page.close()
    assert problems == []
    assert broken == []
    assert pictures == 5
    assert sideways <= 0
    assert cut == []
    assert bold == 0
