"""What runs say of themselves, tables, options and stamps side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from two_runs import HERE, OTHER_SPEC, SPEC, THERE, Config, both, nothing, one, write

from interp.figures.stamp import of_pdf, of_svg
from interp.proof.arrays import array_gap
from interp.proof.blank import blanked
from interp.proof.compare import compare
from interp.proof.tables import table_gap
from interp.proof.texts import text_gap
from interp.proof.verdict import Compared, Verdict
from interp.runs import CommitEntry, Machine, Manifest, Program, Run, Tolerance
from interp.runs.entries import About, FigureEntry
from interp.runs.stamp import Stamp

IDENTICAL, WITHIN, _, DIFFERENT = Verdict


@pytest.mark.parametrize(
    ("first", "second", "holds"),
    [
        ("an AUC of 0.500 in 6 images", "an AUC of 0.509 in 6 images", True),
        ("an AUC of 0.500 in 6 images", "an AUC of 0.512 in 6 images", False),
        ("an AUC of 0.500 in 6 images", "an AUC of 0.500 in 7 images", False),
        ("0.2 of 1", "0.3 of 1", True),
        ("0.2 of 1", "0.4 of 1", False),
        ("by \u22125.00", "by \u22125.09", True),
        ("by \u22125.00", "by 5.00", False),
        ("of 12,345 pixels", "of 12,346 pixels", True),
        ("it rises by 3.00", "it falls by 3.00", False),
        ("1.5", "1.5 and 2", False),
    ],
)
def test_elsewhere_only_numbers_of_a_text_may_follow(first: str, second: str, holds: bool) -> None:
    assert text_gap(first, second).holds is holds


def test_what_differs_is_shown() -> None:
    gap = text_gap("0.500 in the mean", "0.505 in the mean")
    assert gap.share == pytest.approx(0.5)
    assert gap.detail == "'0.505 in the mean', '0.500 in the mean' was recorded"


def told(folder: Path, about: About, figure: FigureEntry, machine: Machine = HERE, tolerances: dict[str, Tolerance] | None = None) -> Path:
    with Run.create(folder, experiment="tour", program=Program("command", "tour"), config=Config(), seed=0, machine=machine) as run:
        run.tolerances(tolerances or {})
        run.arrays({})
        run.figure("grid", figure)
        run.write("figures/grid.svg", b"<svg/>")
        run.about(about)
    return folder


ABOUT, FIGURE = About("A tour", "What?", "It is 0.500."), FigureEntry(SPEC, "a grid", "Means of 0.500.", 0)


@pytest.mark.parametrize(
    ("about", "figure", "name"),
    [
        (replace(ABOUT, lead="It is 0.501."), FIGURE, "about/lead"),
        (replace(ABOUT, title="A trip"), FIGURE, "about/title"),
        (replace(ABOUT, question="Why?"), FIGURE, "about/question"),
        (ABOUT, replace(FIGURE, caption="Means of 0.501."), "figures/grid/caption"),
        (ABOUT, replace(FIGURE, alt="a plot"), "figures/grid/alt"),
    ],
)
def test_a_text_that_differs_is_named(tmp_path: Path, about: About, figure: FigureEntry, name: str) -> None:
    first, second = told(tmp_path / "a", ABOUT, FIGURE), told(tmp_path / "b", about, figure)
    assert [item.name for item in compare(first, second).of(DIFFERENT)] == [f"manifest.json/{name}"]
    there = compare(first, told(tmp_path / "c", about, figure, THERE))
    assert one(there, f"manifest.json/{name}").verdict is (WITHIN if "0.501" in about.lead + figure.caption else DIFFERENT)


def test_figures_in_another_order_are_named(tmp_path: Path) -> None:
    first, second = (nothing(figures=dict.fromkeys(order, (SPEC, {"svg": b"1"}))) for order in ("ab", "ba"))
    found = both(tmp_path, first, replace(second, machine=THERE)).of(DIFFERENT)
    assert {item.name: item.detail for item in found} == {
        "manifest.json/figures/a/place": "'1', '0' was recorded",
        "manifest.json/figures/b/place": "'0', '1' was recorded",
    }


def test_numbers_quoted_of_optimized_images_may_be_as_far_as_these(tmp_path: Path) -> None:
    further, declared = replace(FIGURE, caption="Means of 0.540."), {"figures/*": Tolerance.OPTIMIZED}
    for name, tolerances, verdict in (("a", declared, WITHIN), ("b", {}, DIFFERENT)):
        first, second = (
            told(tmp_path / name / machine.processor[:3], ABOUT, figure, machine, tolerances)
            for machine, figure in ((HERE, FIGURE), (THERE, further))
        )
        assert compare(first, second).verdict is verdict


@pytest.mark.parametrize(
    ("second", "holds"),
    [
        ("k,mean,low,high\na,0.1,-0.0029,0.2\n", True),
        ("k,mean,low,high\na,0.1,-0.0031,0.2\n", False),
        ("k,mean,low,high\nb,0.1,0.001,0.2\n", False),
        ("k,mean,low,high\n", False),
        ("k,mean,low,high\na,0.1,,0.2\n", False),
    ],
)
def test_tables_are_judged_as_metrics_are(second: str, holds: bool) -> None:
    assert table_gap("k,mean,low,high\na,0.1,0.001,0.2\n", second, Tolerance.DERIVED).holds is holds


@dataclass(frozen=True)
class More:
    steps: int = 8
    pace: str = "slow"


NEWER = {"class": "More", "steps": 8, "pace": "slow"}


def test_an_option_that_was_added_since_and_stands_at_its_default_is_no_difference(tmp_path: Path) -> None:
    old, new = nothing(), nothing(config=More())
    found = both(tmp_path / "a", old, new, NEWER)
    item = one(found, "config.yaml")
    assert (item.verdict, item.detail) == (IDENTICAL, 'options added since, at their defaults: `config.pace` "slow"')
    assert found.verdict is IDENTICAL
    assert found.largest is None


def test_an_option_that_was_added_since_and_is_set_is_a_difference(tmp_path: Path) -> None:
    item = one(both(tmp_path, nothing(), nothing(config=More(pace="quick")), NEWER), "config.yaml")
    assert (item.verdict, item.detail) == (DIFFERENT, 'other options: `config.pace` "quick" was added since, with "slow" as its default')


def test_an_option_that_was_added_since_by_a_program_that_cannot_be_asked_is_not_judged(tmp_path: Path) -> None:
    item = one(both(tmp_path, nothing(), nothing(config=More())), "config.yaml")
    assert (item.verdict, item.detail) == (WITHIN, 'options added since, not judged: their defaults are not known: `config.pace` "slow"')


def test_an_option_that_is_gone_or_other_is_a_difference_beside_added_ones_too(tmp_path: Path) -> None:
    old, new = nothing(), nothing(config=More())
    assert one(both(tmp_path / "b", new, old), "config.yaml").verdict is DIFFERENT
    item = one(both(tmp_path / "c", old, nothing(config=More(9)), NEWER), "config.yaml")
    assert (item.verdict, item.detail) == (DIFFERENT, "other options: `config.steps` 8, not 9")


def test_zeros_of_another_sign_are_said_to_be() -> None:
    gap = array_gap("a", np.array([0.0]), np.array([-0.0]), Tolerance.EXACT)
    assert gap.detail == "the same 1 value in other bits, such as -0 for 0; it is to be equal everywhere"


def page(kind: str, manifest: Manifest, text: str) -> bytes:
    """A real file of matplotlib's with the run's stamp."""
    from io import BytesIO

    from matplotlib import rc_context
    from matplotlib.figure import Figure

    stamp = Stamp.of(manifest, "grid")
    file, figure = BytesIO(), Figure((1, 1))
    figure.text(0, 0.5, text)
    with rc_context({"svg.hashsalt": "interp"}):
        figure.savefig(file, format=kind, metadata=(of_pdf if kind == "pdf" else of_svg)(stamp))
    return file.getvalue()


@pytest.mark.parametrize("kind", ["pdf", "svg"])
def test_of_a_page_all_but_the_changing_parts_of_its_stamp_is_compared(tmp_path: Path, kind: str) -> None:
    first = Manifest.read(write(tmp_path / "a", nothing(commit=CommitEntry("e" * 40, dirty=False))))
    command = ("interp", "tour", "(x) & <y> \\ é", "--longer")
    second = replace(first, commit=CommitEntry("f" * 40, dirty=True), command=command)
    recorded, repeated = page(kind, first, "0.5"), page(kind, second, "0.5")
    assert recorded != repeated
    assert blanked(recorded, first, "grid") == blanked(repeated, second, "grid")
    assert blanked(recorded, first, "grid") != blanked(page(kind, second, "0.6"), second, "grid")
    other = replace(second, seed=1)
    assert blanked(recorded, first, "grid") != blanked(page(kind, other, "0.5"), other, "grid")


def test_other_vectors_of_another_spec_differ_here(tmp_path: Path) -> None:
    first, second = (nothing(figures={"grid": (spec, {"pdf": data})}) for spec, data in ((SPEC, b"1"), (OTHER_SPEC, b"2")))
    found: Compared = both(tmp_path, first, second)
    assert one(found, "figures/grid").verdict is DIFFERENT
