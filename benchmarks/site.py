"""How soon is a microscope's page usable from disk? Chromium's own clock, from the start of the navigation.

Builds a made-up network of 50,000 units in 26 layers, of which one with 2048 units is written in full, and opens its pages from disk, each
time in a new browser context. Usable: painted, and the script sorts, filters and hears keys. Also: how long a sort, a filter and a
search take until the next frame is drawn, how large the pages are, how fast they are written.
Target: a layer page of 2048 units is usable within 1 s. Run: python benchmarks/site.py [--units 2048] [--rounds 7]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from interp.site.microscope import (
    Column,
    LayerContent,
    LayerSummary,
    Link,
    NetworkContent,
    Optimized,
    Picture,
    Tiles,
    UnitContent,
    pack,
    save,
    write_layer,
    write_network,
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
TOTAL, LAYERS, TILE = 50_000, 26, 64
COLUMNS = tuple(Column(f"statistic{number}", f"statistic {number}", "Made up.") for number in range(12))

TIMING = """() => {
  const at = (name) => performance.getEntriesByName(name)[0]?.startTime ?? NaN;
  const page = performance.getEntriesByType('navigation')[0];
  return {parsed: page.domInteractive, painted: at('first-contentful-paint'), ready: at('interp-ready'), loaded: page.loadEventEnd};
}"""
ACTION = """async ([selector, value, event]) => {
  const target = document.querySelector(selector);
  target.value = value;
  const start = performance.now();
  target.dispatchEvent(new Event(event, {bubbles: true}));
  if (event === 'input') await new Promise((done) => setTimeout(done, 60));
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - start;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=2048, help="of the layer that is opened")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        written = build(Path(folder), options.units)
        print(f"| {'':44} | {'':>9} |\n|{'-' * 46}|{'-' * 10}:|")
        for name, value in {**written, **measure(Path(folder), options.rounds)}.items():
            print(f"| {name:44} | {value:>9} |")


def build(folder: Path, units: int) -> dict[str, str]:
    """The site; how fast it is written, and how large its pages are."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (256, 8, 8, 3), dtype=np.uint8)
    pictures = np.kron(noise[rng.integers(0, 256, units)], np.ones((1, TILE // 8, TILE // 8, 1), np.uint8))
    tiles = pack(folder, "pictures/wide/channel", pictures, "wide:{} excited")
    rest = (TOTAL - units) // (LAYERS - 1)
    others = [LayerSummary(f"stage{number // 5}.{number % 5}.conv", "Conv2d", rest) for number in range(LAYERS - 1)]
    save(folder, "pictures/wide/layer.webp", pictures[0])
    own = Picture("pictures/wide/layer.webp", TILE, TILE, "wide")
    layers = (*others, LayerSummary("wide", "Conv2d", units, own, tiles, titled=True))
    edges = tuple((one.name, other.name) for one, other in pairwise(layers))
    network = NetworkContent("made up", "made up", "0" * 64, layers, edges)
    values = {column.key: tuple(float(value) for value in rng.normal(size=units)) for column in COLUMNS}
    content = LayerContent("wide", "Conv2d", units, (7, 7), "all", COLUMNS, values, tiles, lambda: unit_pages(tiles, units))
    write_network(folder, network)
    start = time.perf_counter()
    write_layer(folder, network, content)
    seconds = time.perf_counter() - start
    return {
        "unit pages written per second": f"{units / seconds:.0f}",
        f"layer page of {units} units": kilobytes(folder / "wide" / "index.html"),
        "its data": kilobytes(folder / "wide" / "units.js"),
        "its sprite sheets": f"{sum(path.stat().st_size for path in (folder / 'pictures' / 'wide').iterdir()) / 1e3:.0f} kB",
        "a unit page with 24 links": kilobytes(folder / "wide" / "7" / "index.html"),
        "network page": kilobytes(folder / "index.html"),
    }


def unit_pages(tiles: Tiles, units: int) -> Iterator[UnitContent]:
    for channel in range(units):
        links = tuple(Link("wide", (channel * 7 + step * 31) % units, 0.9 - 0.1 * step) for step in range(6))
        image = Optimized(tiles[channel], "channel", 1.0)
        yield UnitContent(
            channel, f"class {channel}", (image,), near_by_weights=links, near_by_activations=links, incoming=links, outgoing=links
        )


def measure(folder: Path, rounds: int) -> dict[str, str]:
    """Medians over ``rounds`` of what Chromium says, in ms."""
    from playwright.sync_api import sync_playwright

    found: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for _ in range(rounds):
            for name, value in one_round(browser, folder).items():
                found.setdefault(name, []).append(value)
        browser.close()
    return {name: f"{statistics.median(values):.0f} ms" for name, values in found.items()}


def one_round(browser: Any, folder: Path) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    told: dict[str, float] = {}
    for name, file in (("layer page", "wide/index.html"), ("network page", "index.html"), ("unit page", "wide/7/index.html")):
        page.goto((folder / file).as_uri(), wait_until="load")
        if name != "unit page":
            page.wait_for_selector("html[data-ready]", state="attached")
        while not page.evaluate("performance.getEntriesByName('first-contentful-paint').length"):
            page.wait_for_timeout(50)
        times = page.evaluate(TIMING)
        told[f"{name}: painted"] = times["painted"]
        told[f"{name}: all loaded"] = times["loaded"]
        if name != "unit page":
            told[f"{name}: **usable**"] = max(times["painted"], times["ready"])
        if name == "layer page":
            told["sort by a statistic, to the next frame"] = page.evaluate(ACTION, ["#sort", "statistic3", "change"])
            told["filter, with 60 ms of waiting for more keys"] = page.evaluate(
                ACTION, ["fieldset[data-key=statistic5] .from", "1", "input"]
            )
            told["search a class, with the same 60 ms"] = page.evaluate(ACTION, ["#find", "class 77", "input"])
        if name == "network page":
            told["find a unit of 50,000 by name"] = page.evaluate(ACTION, ["#find", "stage2.3.conv:1500", "input"]) - 60
    context.close()
    return told


def kilobytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e3:.1f} kB"


if __name__ == "__main__":
    main()
