"""The microscope in a real browser, from disk: walked, filtered, sorted, searched, by mouse and by keys, at desk and phone width."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from microscope_content import HASH, Site, resnet18

from interp.site.microscope import comparison_of, write_comparison, write_layer, write_network

LAYER = "layer2.0.conv1"


def built(folder: Path, weights: str = HASH, seed: int = 0) -> Path:
    site = Site(folder, *resnet18(width=6, classes=20), rich=2, weights=weights, seed=seed)
    write_network(folder, site.network)
    for name in ("conv1", LAYER, "layer2.0.conv2", "fc"):
        write_layer(folder, site.network, site.layer(name))
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("microscope") / "a b#c")  # as users' folders are


class Tab:
    """A page with what the console said and what was asked for outside of the site's folder."""

    def __init__(self, browser: Any, site: Path, width: int = 1280, scheme: str = "light", scripts: bool = True) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts)
        self.page = self.context.new_page()
        self.site, self.problems = site, []
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("requestfailed", lambda request: self._failed(request))
        self.page.on("request", lambda request: self._asked(request.url))

    def _asked(self, url: str) -> None:
        if not url.startswith(self.site.as_uri() + "/"):
            self.problems.append(f"outside: {url}")

    def _failed(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # a page that was left while it loaded
            self.problems.append(f"failed: {request.url}, {request.failure}")

    def open(self, address: str, ready: bool = True) -> Any:
        self.page.goto(f"{self.site.as_uri()}/{address}")
        if ready:
            self.ready()
        return self.page

    def ready(self) -> None:
        self.page.wait_for_selector("html[data-ready]", state="attached")

    def arrived(self, address: str) -> None:
        """Waits until the page at that address is open."""
        self.page.wait_for_url(lambda url: url.removeprefix(self.site.as_uri() + "/").partition("#")[0] == address)

    def shown(self) -> list[int]:
        numbers = self.page.eval_on_selector_all("#units li:not([hidden]) b", "found => found.map((one) => one.textContent)")
        return [int(number) for number in numbers]

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.id"))

    def settled(self, count: str) -> None:
        self.page.get_by_text(count, exact=True).wait_for()


@pytest.fixture(params=[1280, 390])
def tab(request: pytest.FixtureRequest, browser: Any, site: Path) -> Iterator[Tab]:
    opened = Tab(browser, site, request.param)
    yield opened
    assert opened.problems == []
    opened.context.close()


def test_from_the_network_to_a_layer_a_unit_and_its_neighbour_and_back(tab: Tab) -> None:
    page = tab.open("index.html")
    page.locator(f'.graph:visible a[aria-label^="{LAYER},"]').click()
    tab.ready()
    tab.arrived(f"{LAYER}/index.html")
    assert page.locator("h1").inner_text() == LAYER
    page.locator("#units a").nth(1).click()
    tab.arrived(f"{LAYER}/1/index.html")
    for heading in ("Optimized images", "Strongest examples", "Weakest examples", "Statistics", "Tuning", "Neighbours"):
        assert page.get_by_role("heading", name=heading).is_visible()
    neighbour = page.locator(".lists a").first
    wanted = str(neighbour.get_attribute("href")).removeprefix("../../")
    neighbour.click()
    tab.arrived(wanted)
    page.go_back()
    page.go_back()
    tab.ready()
    tab.arrived(f"{LAYER}/index.html")
    page.locator("#up").click()
    tab.arrived("index.html")


def test_every_picture_is_there_and_nothing_is_wider_than_the_page(tab: Tab) -> None:
    texts = "[...document.querySelectorAll('h1,h2,h3,dt,dd,label,legend,button,.lead,.steps a,.hint-line,.help,.faces figcaption')]"
    cut = f"{texts}.filter((e) => getComputedStyle(e).display !== 'inline' && e.scrollWidth > e.clientWidth + 1)"
    for address in ("index.html", f"{LAYER}/index.html", f"{LAYER}/1/index.html", "fc/index.html", "fc/9/index.html"):
        page = tab.open(address, ready=address.count("/") < 2)
        page.evaluate("document.querySelectorAll('img').forEach((image) => { image.loading = 'eager'; })")
        page.evaluate("Promise.all([...document.images].map((image) => image.decode().catch(() => null)))")
        missing = "[...document.images].filter((image) => image.checkVisibility() && !image.naturalWidth).map((image) => image.src)"
        assert page.evaluate(missing) == [], address
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, address
        assert page.evaluate(f"{cut}.map((e) => e.textContent)") == [], address


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_below_optimized_images_are_whole_however_long(browser: Any, site: Path, scheme: str) -> None:
    """Names give way to numbers, line by line; nothing lies over something else, and no number is broken."""
    for width in (1280, 390):
        tab = Tab(browser, site, width, scheme)
        page = tab.open(f"{LAYER}/1/index.html", ready=False)
        page.evaluate(
            "document.querySelectorAll('.faces dt').forEach((one, k) => { one.textContent = k % 2 ? 'of the natural maximum' : 'kept'; });"
            "document.querySelectorAll('.faces dd').forEach((one, k) => { one.textContent = k % 3 ? '-1.235e+04' : '-12345.7'; });"
        )
        places = "[line, ...line.children].map((e) => e.getBoundingClientRect()).map((b) => [b.left, b.right, b.height])"
        boxes = page.eval_on_selector_all(".faces .numbers div", f"lines => lines.map((line) => {places})")
        assert boxes
        for line, name, number in boxes:
            assert line[0] <= name[0] < name[1] <= number[0] < number[1] <= line[1] + 0.5
            assert number[2] < 24  # one line
        assert tab.problems == []
        tab.context.close()


def test_the_network_page_asks_for_the_pictures_of_layers_alone_and_when_they_are_seen(browser: Any, tmp_path: Path) -> None:
    sizes = {f"stage.{place}.conv": 4 for place in range(60)}
    write_network(tmp_path, Site(tmp_path, sizes, list(pairwise(sizes)), rich=0).network)
    tab = Tab(browser, tmp_path, 390)
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    page = tab.open("index.html")
    loaded = "image => image.naturalWidth || new Promise((done) => image.addEventListener('load', () => done(image.naturalWidth)))"
    assert page.locator(".narrow img").first.evaluate(loaded) == 64
    pictures = {url.rpartition("/")[2] for url in asked if "/pictures/" in url}
    assert pictures == {"layer.webp"}
    last = page.locator(".narrow img").last
    assert last.evaluate("image => image.naturalWidth") == 0
    last.scroll_into_view_if_needed()
    assert last.evaluate(loaded) == 64
    assert tab.problems == []
    tab.context.close()


def test_sorting_filtering_and_searching_stand_in_the_address(tab: Tab) -> None:
    page = tab.open(f"{LAYER}/index.html")
    assert tab.shown() == list(range(12))
    page.select_option("#sort", "zeros")
    told = page.eval_on_selector_all("#units .v", "found => found.map((one) => Number(one.textContent))")
    assert len(told) == 12
    assert told == sorted(told, reverse=True)
    page.select_option("#order", "up")
    told = page.eval_on_selector_all("#units .v", "found => found.map((one) => Number(one.textContent))")
    assert told == sorted(told)
    middle = (told[5] + told[6]) / 2
    page.locator("summary").click()
    page.locator("fieldset[data-key=zeros] .from").fill(f"{middle:.4f}")
    tab.settled("6 of 12 units")
    order = tab.shown()
    address = page.url
    assert "sort=zeros" in address
    assert "order=up" in address
    # Another reader opens the address and sees the same.
    other = Tab(page.context.browser, tab.site)
    other.page.goto(address)
    other.ready()
    assert other.shown() == order
    assert other.page.locator("fieldset[data-key=zeros] .from").input_value() == f"{middle:.4f}"
    assert other.problems == []
    other.context.close()
    # Into a unit and back: as it was left.
    page.locator("#units li:not([hidden]) a").first.click()
    page.go_back()
    tab.ready()
    assert tab.shown() == order
    page.locator("#clear").click()
    tab.settled("12 units")
    assert tab.shown() == list(range(12))
    assert "#" not in page.url


def test_units_that_lack_a_number_come_last_and_pass_no_filter(tab: Tab) -> None:
    page = tab.open("fc/index.html")
    page.select_option("#sort", "selectivity")
    told = page.eval_on_selector_all("#units .v", "found => found.map((one) => one.textContent)")
    missing = told.count("none")
    assert "none" not in told[: len(told) - missing]
    page.locator("summary").click()
    page.locator("fieldset[data-key=selectivity] .from").fill("-1000")
    tab.settled("20 units" if not missing else f"{20 - missing} of 20 units")


def test_search_by_channel_and_by_class(tab: Tab) -> None:
    from playwright.sync_api import expect

    page = tab.open("fc/index.html")
    searches = {"7": [7], "3, 17": [3, 17], "5-8": [5, 6, 7, 8], "banana": [1, 11], "FRUIT drag": [3, 13], "no such": []}
    for query, expected in searches.items():
        page.locator("#find").fill(query)
        # `wait_for_url` waits for a load in older versions, `wait_for_function` evaluates, which the page's policy forbids.
        expect(page).to_have_url(re.compile(re.escape(f"#search={quote_plus(query)}") + "$"))
        assert page.locator("#count").inner_text() == f"{len(expected)} of 20 units"
        assert tab.shown() == expected
        assert page.locator("#nothing").is_visible() == (not expected)


def test_keys_lead_everywhere(tab: Tab) -> None:
    page = tab.open(f"{LAYER}/index.html")
    page.keyboard.press("ArrowRight")
    assert tab.focused() == "0/index.html"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert tab.focused() == "2/index.html"
    page.keyboard.press("ArrowLeft")
    assert tab.focused() == "1/index.html"
    tops = page.eval_on_selector_all("#units li", "found => found.map((item) => item.offsetTop)")
    across = tops.count(tops[0])
    page.keyboard.press("ArrowDown")
    assert tab.focused() == f"{min(1 + across, 11)}/index.html"
    page.keyboard.press("Home")
    assert tab.focused() == "0/index.html"
    page.keyboard.press("ArrowLeft")
    assert tab.focused() == "0/index.html"
    page.keyboard.press("End")
    assert tab.focused() == "11/index.html"
    # One stop in the order of tabs for the whole grid.
    assert page.locator('#units a[tabindex="0"]').count() == 1
    page.keyboard.press("/")
    assert tab.focused() == "find"
    page.keyboard.type("4-6")
    tab.settled("3 of 12 units")
    page.keyboard.press("Enter")
    assert tab.focused() == "4/index.html"
    page.keyboard.press("Enter")
    tab.arrived(f"{LAYER}/4/index.html")
    page.keyboard.press("ArrowRight")
    tab.arrived(f"{LAYER}/5/index.html")
    page.keyboard.press("ArrowLeft")
    tab.arrived(f"{LAYER}/4/index.html")
    page.keyboard.press("u")
    tab.ready()
    tab.arrived(f"{LAYER}/index.html")
    page.keyboard.press("]")
    tab.ready()
    tab.arrived("layer2.0.conv2/index.html")
    page.keyboard.press("[")
    tab.ready()
    tab.arrived(f"{LAYER}/index.html")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()


def test_the_focus_is_seen(tab: Tab) -> None:
    page = tab.open("index.html")
    styles = set()
    for _ in range(8):
        page.keyboard.press("Tab")
        styles.add(
            page.evaluate(
                "(() => { const e = document.activeElement; const r = e.querySelector('rect');"
                "return r ? getComputedStyle(r).strokeWidth : getComputedStyle(e).outlineStyle; })()"
            )
        )
    assert styles <= {"solid", "3.5px"}
    assert "3.5px" in styles  # a card of the graph


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_the_systems_until_one_is_chosen_and_then_kept(browser: Any, site: Path, scheme: str) -> None:
    tab = Tab(browser, site, scheme=scheme)
    page = tab.open("index.html")
    ground = "getComputedStyle(document.body).backgroundColor"
    colours = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}
    assert page.evaluate(ground) == colours[scheme]
    button = page.locator("#theme")
    assert button.inner_text() == "Theme: system"
    for wanted in ("light", "dark"):
        button.click()
        assert button.inner_text() == f"Theme: {wanted}"
        assert page.evaluate(ground) == colours[wanted]
    tab.open(f"{LAYER}/1/index.html", ready=False)
    assert page.evaluate(ground) == colours["dark"]
    page.locator("#theme").click()
    assert page.evaluate(ground) == colours[scheme]
    assert tab.problems == []
    tab.context.close()


def test_a_unit_is_found_from_the_network(tab: Tab) -> None:
    page = tab.open("index.html")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#find").fill(f"{LAYER}:7")
    page.keyboard.press("Enter")
    tab.arrived(f"{LAYER}/7/index.html")
    tab.open("index.html")
    page.locator("#find").fill("honey")
    page.locator("#found li:nth-child(2):last-child").wait_for()
    # Of all layers' data, only that of the layer with class names was loaded.
    assert {url.split("/")[-2] for url in asked if url.endswith("units.js")} == {"fc"}
    assert page.locator("#found li").first.inner_text() == "honeydew fc:7"
    page.keyboard.press("Enter")
    tab.arrived("fc/7/index.html")


def test_without_scripts_all_can_be_read(browser: Any, site: Path) -> None:
    tab = Tab(browser, site, scripts=False)
    page = tab.open("index.html", ready=False)
    assert not page.locator("form").first.is_visible()
    page.locator(f'.graph:visible a[aria-label^="{LAYER},"]').click()
    assert page.locator("#units a").count() == 12
    page.locator("#units a").nth(1).click()
    page.locator('a[rel="next"]').click()
    tab.arrived(f"{LAYER}/2/index.html")
    assert tab.problems == []
    tab.context.close()


def test_the_policy_holds_where_the_escaping_would_not(browser: Any, site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(site, folder)
    attack = (
        '<script>window.ran=1</script><svg onload="window.ran=2"></svg><img src=x onerror="window.ran=3">'
        '<img src="https://example.invalid/x.png"><link rel=stylesheet href="https://example.invalid/x.css">'
        '<script src="https://example.invalid/x.js"></script><p style="color:red">x</p><iframe src="data:text/html,x"></iframe>'
    )
    for place in ("index.html", f"{LAYER}/1/index.html"):
        text = (folder / place).read_text(encoding="utf-8")
        for policy in (True, False):
            changed = text.replace("</main>", attack + "</main>")
            if not policy:
                changed = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", changed)
            (folder / place).write_text(changed, encoding="utf-8")
            tab = Tab(browser, folder)
            page = tab.open(place, ready=False)
            page.wait_for_timeout(200)
            assert (page.evaluate("window.ran") is None) == policy
            if policy:
                for word in ("inline script", "inline event handler", "x.png", "x.css", "x.js", "inline style"):
                    assert any(word in line and "Content Security Policy" in line for line in tab.problems), (word, tab.problems)
            tab.context.close()


def test_two_networks_side_by_side(browser: Any, tmp_path: Path) -> None:
    small = [{"a": 5, "fc": 4}, [("a", "fc")]]
    for place, (name, weights) in enumerate((("one", "1" * 64), ("two", "2" * 64))):
        made = Site(tmp_path / name, small[0], small[1], rich=1, weights=weights, seed=place)  # type: ignore[arg-type]
        write_network(tmp_path / name, made.network)
        for layer in small[0]:
            write_layer(tmp_path / name, made.network, made.layer(layer))  # type: ignore[arg-type]
    write_comparison(tmp_path / "both", comparison_of(tmp_path / "one", tmp_path / "two"), tmp_path / "one", tmp_path / "two")
    tab = Tab(browser, tmp_path / "both")
    page = tab.open("index.html", ready=False)
    page.get_by_role("link", name="a", exact=True).click()
    tab.ready()
    page.select_option("#sort", "difference-mean")
    told = page.eval_on_selector_all("#units .v", "found => found.map((one) => Number(one.textContent))")
    assert len(told) == 5
    assert told == sorted(told, reverse=True)
    first = tab.shown()[0]
    page.keyboard.press("ArrowRight")
    assert tab.focused() == f"../../one/a/{first}/index.html"
    page.keyboard.press("Tab")
    assert tab.focused() == f"../../two/a/{first}/index.html"
    assert tab.problems == []
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/two/a/{first}/index.html")
    tab.context.close()
