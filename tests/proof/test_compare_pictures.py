"""Figures of two runs: by spec, by pixels, by what stands in their files beside them."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from two_runs import MODEL, OTHER_SPEC, SPEC, THERE, Made, both, nothing, one

from interp.proof.verdict import Compared, Verdict
from interp.runs import CommitEntry, Tolerance

IDENTICAL, WITHIN, _, DIFFERENT = Verdict
PICTURE = np.random.default_rng(0).integers(30, 220, (20, 30, 3), dtype=np.uint8)
COMMIT, OTHER_COMMIT = CommitEntry("a" * 40, dirty=False), CommitEntry("b" * 40, dirty=False)


def drawn(spec: str = SPEC, picture: np.ndarray = PICTURE, **given: object) -> Made:
    """A run with one figure, whose PNG holds the identity of its run."""
    return nothing(figures={"grid": (spec, {"png": picture})}, **given)


def compared(folder: Path, first: Made, second: Made) -> tuple[Verdict, float | None, str]:
    item = one(both(folder, first, second), "figures/grid")
    return item.verdict, item.difference, item.detail


def levels(amount: int, rows: int = 20) -> np.ndarray:
    changed = PICTURE.astype(np.int16)
    changed[:rows] += amount
    return changed.astype(np.uint8)


def test_the_same_figure_of_two_runs_is_identical_though_its_stamp_differs(tmp_path: Path) -> None:
    first, second = drawn(commit=COMMIT), drawn(commit=OTHER_COMMIT)
    assert compared(tmp_path, first, second) == (IDENTICAL, None, "")
    names = [folder / "figures" / "grid.png" for folder in (tmp_path / "recorded", tmp_path / "repeated")]
    assert names[0].read_bytes() != names[1].read_bytes()


def test_one_pixel_by_one_level_differs_on_the_same_machine(tmp_path: Path) -> None:
    changed = PICTURE.copy()
    changed[3, 4, 1] += 1
    verdict, share, words = compared(tmp_path, drawn(), drawn(picture=changed))
    assert verdict is DIFFERENT
    assert share == pytest.approx(1 / (20 * 30 * 4) / 2)
    assert words == (
        "png: pixels differ by 0.000417 levels in the mean, 0.00% by more than 16, of the same spec drawn by the same versions"
    )


def test_a_painted_label_is_no_other_machine(tmp_path: Path) -> None:
    """Of the same spec nothing may differ, however much the declared tolerance allows to what was computed."""
    painted = PICTURE.copy()
    painted[:3, :8] = 0
    first = drawn(tolerances={"figures/*": Tolerance.TOLD})
    assert compared(tmp_path / "there", first, drawn(picture=painted, machine=THERE))[0] is DIFFERENT
    assert compared(tmp_path / "told", first, drawn(OTHER_SPEC, painted, machine=THERE))[0] is WITHIN


@pytest.mark.parametrize(("amount", "verdict"), [(2, WITHIN), (3, DIFFERENT)])
def test_elsewhere_pixels_may_be_faintly_different(tmp_path: Path, amount: int, verdict: Verdict) -> None:
    """Of the four colours opacity is the same, so 2 levels are 1.5 in the mean and 3 are 2.25."""
    found = compared(tmp_path, drawn(), drawn(OTHER_SPEC, levels(amount), machine=THERE))
    assert found[:2] == (verdict, pytest.approx(amount * 3 / 4 / 2))


@pytest.mark.parametrize(("amount", "rows", "verdict"), [(17, 1, WITHIN), (17, 2, DIFFERENT), (16, 2, WITHIN)])
def test_elsewhere_few_pixels_may_be_others(tmp_path: Path, amount: int, rows: int, verdict: Verdict) -> None:
    """A row is a twentieth of the pixels."""
    assert compared(tmp_path, drawn(), drawn(OTHER_SPEC, levels(amount, rows), machine=THERE))[0] is verdict


def test_a_figure_that_is_to_be_equal_everywhere_is(tmp_path: Path) -> None:
    exact = {"figures/*": Tolerance.EXACT}
    verdict, _, words = compared(tmp_path, drawn(tolerances=exact), drawn(OTHER_SPEC, levels(1), machine=THERE))
    assert verdict is DIFFERENT
    assert words.endswith("; it is to be equal everywhere")


def test_pixels_of_optimized_images_are_told_and_not_judged(tmp_path: Path) -> None:
    first = drawn(tolerances={"figures/grid": Tolerance.OPTIMIZED})
    verdict, share, words = compared(tmp_path, first, drawn(OTHER_SPEC, 255 - PICTURE, machine=THERE))
    assert (verdict, share) == (WITHIN, None)
    assert words.endswith("; not judged")


def test_another_size_is_another_figure_even_there(tmp_path: Path) -> None:
    first = drawn(tolerances={"figures/grid": Tolerance.OPTIMIZED})
    verdict, _, words = compared(tmp_path, first, drawn(OTHER_SPEC, PICTURE[:-1], machine=THERE))
    assert (verdict, words) == (DIFFERENT, "png: 19 x 30 px, 20 x 30 px was recorded")


NEW = {"torch": "2.0", "matplotlib": "3.10", "tyro": "1"}


class TestDrawing:
    def test_the_same_spec_may_be_drawn_otherwise_by_another_version(self, tmp_path: Path) -> None:
        verdict, share, words = compared(tmp_path, drawn(), drawn(picture=levels(2), versions=NEW))
        assert (verdict, share) == (WITHIN, pytest.approx(2 * 3 / 4 / 2))
        assert words == "png: pixels differ by 1.5 levels in the mean, 0.00% by more than 16; matplotlib 3.9, not 3.10"

    @pytest.mark.parametrize("tolerances", [{}, {"figures/*": Tolerance.OPTIMIZED}, {"figures/*": Tolerance.TOLD}])
    def test_another_version_passes_nothing_unmeasured(self, tmp_path: Path, tolerances: dict[str, Tolerance]) -> None:
        first = drawn(tolerances=tolerances)
        assert compared(tmp_path / "a", first, drawn(picture=255 - PICTURE, versions=NEW))[0] is DIFFERENT
        assert compared(tmp_path / "b", first, drawn(picture=PICTURE[:-1], versions=NEW))[0] is DIFFERENT

    def test_another_spec_may_not(self, tmp_path: Path) -> None:
        assert compared(tmp_path, drawn(), drawn(OTHER_SPEC, 255 - PICTURE, versions=NEW))[0] is DIFFERENT

    def test_another_commit_is_no_excuse_for_pixels(self, tmp_path: Path) -> None:
        verdict, _, words = compared(tmp_path, drawn(commit=COMMIT), drawn(picture=levels(1), commit=OTHER_COMMIT))
        assert verdict is DIFFERENT
        assert words.endswith("; commit aaaaaaa, not bbbbbbb")


class TestVectors:
    @staticmethod
    def vector(data: bytes, spec: str = SPEC, **given: object) -> Made:
        return nothing(figures={"grid": (spec, {"svg": data})}, **given)

    def test_only_the_names_of_run_and_commit_may_differ(self, tmp_path: Path) -> None:
        data = b"<svg>IDENTITY COMMIT</svg>"
        assert compared(tmp_path, self.vector(data, commit=COMMIT), self.vector(data, commit=OTHER_COMMIT))[0] is IDENTICAL

    def test_other_bytes_differ_on_the_same_machine(self, tmp_path: Path) -> None:
        verdict, _, words = compared(tmp_path, self.vector(b"<svg>1</svg>"), self.vector(b"<svg>2</svg>"))
        assert verdict is DIFFERENT
        assert words == "svg: other bytes of the same spec"

    def test_another_commit_or_version_is_no_excuse(self, tmp_path: Path) -> None:
        versions = {"torch": "2.0", "matplotlib": "3.9", "tyro": "2"}
        first, second = self.vector(b"<svg>1</svg>", commit=COMMIT), self.vector(b"<svg>2</svg>", commit=OTHER_COMMIT, versions=versions)
        assert compared(tmp_path, first, second)[0] is DIFFERENT

    def test_another_drawing_version_is_one_and_it_is_said(self, tmp_path: Path) -> None:
        found = compared(tmp_path, self.vector(b"<svg>1</svg>"), self.vector(b"<svg>2</svg>", versions=NEW))
        assert found == (WITHIN, None, "svg: not judged: other bytes of the same spec; matplotlib 3.9, not 3.10")

    @pytest.mark.parametrize("spec", [SPEC, OTHER_SPEC])
    def test_elsewhere_they_are_not_judged(self, tmp_path: Path, spec: str) -> None:
        assert compared(tmp_path, self.vector(b"1"), self.vector(b"2", spec, machine=THERE))[0] is WITHIN

    def test_unless_the_figure_is_to_be_equal(self, tmp_path: Path) -> None:
        first = self.vector(b"1", tolerances={"figures/*": Tolerance.EXACT})
        assert compared(tmp_path, first, self.vector(b"2", OTHER_SPEC, machine=THERE))[0] is DIFFERENT


def test_webp_is_judged_by_its_pixels(tmp_path: Path) -> None:
    def webp(picture: np.ndarray) -> Made:
        file = BytesIO()
        Image.fromarray(picture).save(file, "webp", lossless=True)
        return nothing(figures={"grid": (SPEC, {"webp": file.getvalue()})})

    assert compared(tmp_path, webp(PICTURE), replace(webp(levels(1)), machine=THERE))[1] == pytest.approx(3 / 4 / 2)


def test_colour_below_full_transparency_is_not_seen(tmp_path: Path) -> None:
    clear = np.zeros((4, 4, 4), dtype=np.uint8)
    other = clear.copy()
    other[..., 0] = 200
    model = replace(MODEL, weights="trained anew")  # so that the identities differ
    assert compared(tmp_path, drawn(picture=clear), drawn(picture=other, model=model))[0] is IDENTICAL


def test_a_file_that_is_missing_or_new_is_named(tmp_path: Path) -> None:
    first, second = drawn(), nothing(figures={"grid": (SPEC, {})})
    assert compared(tmp_path, first, second) == (DIFFERENT, None, "missing: grid.png was recorded")
    found: Compared = both(tmp_path / "other", second, first)
    assert one(found, "figures/grid").detail == "new: it was not recorded"


def test_a_picture_that_cannot_be_read_is_different(tmp_path: Path) -> None:
    second = nothing(figures={"grid": (SPEC, {"png": b"no picture"})}, machine=THERE)
    verdict, _, words = compared(tmp_path, drawn(), second)
    assert verdict is DIFFERENT
    assert words.startswith("png: cannot be read: ")
