"""Two networks side by side: differences are those of the numbers, layers that do not match are refused, sites stay as they are."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from microscope_content import Site

from interp.errors import BadFile, InterpError
from interp.site.microscope import comparison_of, write_comparison, write_layer, write_network
from interp.site.microscope.comparing import DISTANCE, distance

SIZES = {"a": 5, "fc": 4}


def build(folder: Path, weights: str, seed: int, sizes: dict[str, int] | None = None) -> Path:
    site = Site(folder, sizes or SIZES, [("a", "fc")] if sizes is None else [], rich=0, weights=weights, seed=seed)
    write_network(folder, site.network)
    for name in sizes or SIZES:
        write_layer(folder, site.network, site.layer(name))
    return folder


@pytest.fixture
def sites(tmp_path: Path) -> tuple[Path, Path]:
    return build(tmp_path / "one", "1" * 64, 0), build(tmp_path / "two", "2" * 64, 1)


def test_differences_are_those_of_the_numbers(sites: tuple[Path, Path]) -> None:
    content = comparison_of(*sites)
    told = [json.loads((site / "data" / "a.json").read_text(encoding="utf-8"))["values"] for site in sites]
    first = content.layers[0]
    assert first.columns[0] == DISTANCE
    for key in told[0]:
        expected = tuple(None if a is None or b is None else abs(a - b) for a, b in zip(told[0][key], told[1][key], strict=True))
        assert first.values[f"difference-{key}"] == expected
        assert any(value for value in expected)
    scaled = []
    for key in told[0]:
        known = np.array([value for values in (told[0][key], told[1][key]) for value in values if value is not None])
        scaled.append([None if d is None else (d / known.std()) ** 2 for d in first.values[f"difference-{key}"]])
    for channel, value in enumerate(first.values["distance"]):
        there = [square[channel] for square in scaled if square[channel] is not None]
        assert value == pytest.approx(math.sqrt(sum(there) / len(there)))
    assert content.title == "resnet18 (11111111) and resnet18 (22222222)"
    assert content.layers[1].titles == ("apple", "banana", "cherry", "dragon fruit")


def test_distances_count_statistics_by_their_spread_and_leave_out_what_is_not_known() -> None:
    # Of 0, 2, 0, 2 the standard deviation is 1, of ten times as much 10: both say the same. The third says nothing, as it does not vary.
    pairs = [((0.0, 2.0), (2.0, 0.0)), ((0.0, 20.0), (20.0, 0.0)), ((7.0, 7.0), (7.0, 7.0))]
    assert distance(pairs) == (pytest.approx(2), pytest.approx(2))
    # A unit that one network alone has a number of goes by the others; one without any has no distance. 0, 2, 2, 0, 1 spread by sqrt(4/5).
    known = ((0.0, 2.0, None), (2.0, 0.0, 1.0)), ((None, 0.0, 0.0), (5.0, 0.0, None))
    assert distance(known) == (pytest.approx(math.sqrt(5)), pytest.approx(math.sqrt(2.5)), None)
    assert distance([((1.0, 1.0), (1.0, 1.0))]) == (None, None)


def test_units_can_be_sorted_by_their_distance(sites: tuple[Path, Path], tmp_path: Path) -> None:
    write_comparison(tmp_path / "both", comparison_of(*sites), *sites)
    page = (tmp_path / "both" / "a" / "index.html").read_text(encoding="utf-8")
    assert '<option value="distance">distance</option>' in page
    assert ">distance, mean</th>" in (tmp_path / "both" / "index.html").read_text(encoding="utf-8")


def test_a_network_beside_itself_differs_nowhere_and_says_so(sites: tuple[Path, Path]) -> None:
    content = comparison_of(sites[0], sites[0])
    assert content.notes == ("Both have the same weights.",)
    assert {value for layer in content.layers for values in layer.values.values() for value in values} <= {0.0, None}


def test_what_else_differs_is_said(sites: tuple[Path, Path]) -> None:
    def told(site: Path, command: str, data: str) -> None:
        path = site / "data" / "network.json"
        network = json.loads(path.read_text(encoding="utf-8"))
        network["provenance"] = [["Command", command], ["Data", data]]
        path.write_text(json.dumps(network), encoding="utf-8")

    told(sites[0], "interp microscope resnet18 --weights a.pt --steps 64", "photos, 30 pictures")
    told(sites[1], "interp microscope resnet18 --steps 64 --weights b.pt", "photos, 30 pictures")
    assert comparison_of(*sites).notes == ()
    assert comparison_of(*sites).provenance[2] == ("Second: Command", "interp microscope resnet18 --steps 64 --weights b.pt")
    told(sites[1], "interp microscope resnet18 --weights b.pt", "photos, 31 pictures")
    pictures, options = comparison_of(*sites).notes
    assert "over different pictures" in pictures
    assert "with different options" in options


def test_its_pages_lead_to_both_sites_and_show_both_pictures(sites: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "both"
    write_comparison(folder, comparison_of(*sites), *sites)
    page = (folder / "a" / "index.html").read_text(encoding="utf-8")
    for name, side in (("one", "first"), ("two", "second")):
        for channel in range(5):
            target = f"../../{name}/a/{channel}/index.html"
            assert f'href="{target}"' in page
            assert (folder / "a" / target).resolve().is_file()
        assert (folder / "pictures" / side / "pictures/000/channel-0.webp").read_bytes() == (
            tmp_path / name / "pictures/000/channel-0.webp"
        ).read_bytes()
    sources = re.findall(r'src="([^"]+\.webp)"', page)
    assert len(sources) == 10
    assert all((folder / "a" / source).is_file() for source in sources)
    table = (folder / "index.html").read_text(encoding="utf-8")
    assert table.count('href="a/index.html"') == 1
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write_comparison(folder, comparison_of(*sites), *sites)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_sites_that_do_not_match_are_refused(sites: tuple[Path, Path], tmp_path: Path) -> None:
    fewer = build(tmp_path / "fewer", "3" * 64, 0, {"a": 5})
    with pytest.raises(InterpError, match=r"one` has the layer `fc`, and `.*fewer` has not; two microscopes are compared layer by layer"):
        comparison_of(sites[0], fewer)
    other = build(tmp_path / "other", "4" * 64, 0, {"a": 6, "fc": 4})
    with pytest.raises(InterpError, match=r"`a` has 6 channels in `.*other` and 5 in `.*one`"):
        comparison_of(other, sites[0])
    with pytest.raises(BadFile, match=r"is no finished microscope"):
        comparison_of(sites[0], tmp_path / "nowhere")
    (sites[1] / "data" / "a.json").unlink()
    with pytest.raises(BadFile, match=r"a\.json` is not there"):
        comparison_of(*sites)
    (sites[1] / "data" / "a.json").write_text('{"format": "something"}')
    with pytest.raises(BadFile, match=r"is not of the format `interp microscope 1`"):
        comparison_of(*sites)


def test_another_comparison_and_other_pages_are_not_overwritten(sites: tuple[Path, Path], tmp_path: Path) -> None:
    write_comparison(tmp_path / "both", comparison_of(*sites), *sites)
    with pytest.raises(BadFile, match=r"holds the comparison `resnet18 \(11111111\) and resnet18 \(22222222\)`, not"):
        write_comparison(tmp_path / "both", comparison_of(sites[1], sites[0]), sites[1], sites[0])
    with pytest.raises(BadFile, match=r"index\.html` is there and was not written as a comparison"):
        write_comparison(sites[0], comparison_of(*sites), *sites)
    with pytest.raises(BadFile, match=r"the picture `pictures/first/pictures/000/channel-0\.webp` is not in"):
        write_comparison(tmp_path / "new", comparison_of(*sites))
