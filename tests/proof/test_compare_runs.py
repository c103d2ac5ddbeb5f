"""Two makings of one run: what is said of each array, number and file, and of the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from two_runs import HERE, MODEL, SPEC, THERE, Config, Made, both, nothing, one, write

from interp.errors import BadFile
from interp.proof.compare import SCORES, compare
from interp.proof.verdict import Verdict
from interp.runs import CommitEntry, InputEntry, Tolerance

IDENTICAL, WITHIN, _, DIFFERENT = Verdict
GENERATOR = np.random.default_rng(0)
COURSE = np.linspace(1, 5, 64) + GENERATOR.normal(0, 0.3, 64)
OPTIMIZED = {"features/*": Tolerance.OPTIMIZED}
REPEAT = "within the tolerance of another machine, but this one should repeat it"


def whole(**given: object) -> Made:
    """A run with one of each kind of thing."""
    made = Made(
        arrays={"maps": np.arange(12, dtype=np.float32).reshape(3, 4), "channels": np.array([3, 1]), "on": np.array([True])},
        metrics={"auc": {"mean": 0.5, "low": 0.4, "high": 0.6, "total": 6}, "names": ["cat", None], "last": True},
        figures={"grid": (SPEC, {"png": np.full((8, 8, 3), 90, dtype=np.uint8), "pdf": b"%PDF IDENTITY COMMIT"})},
        files={"index.html": b"<p>COMMIT</p>", "metrics.csv": b"a,b\n"},
    )
    return replace(made, **given)  # type: ignore[arg-type]


def shares(factor: float, count: int = 1) -> dict[str, np.ndarray]:
    return {f"features/u{k}/scores": (COURSE * factor).astype(np.float32) for k in range(count)}


@pytest.mark.parametrize("machine", [HERE, THERE])
def test_a_run_compared_with_its_repetition_is_identical(tmp_path: Path, machine: object) -> None:
    found = both(tmp_path, whole(), whole(machine=machine))
    assert found.verdict is IDENTICAL
    assert found.largest is None
    names = [item.name for item in found.items]
    assert names == sorted(set(names), key=names.index)
    assert {"maps", "metrics/auc/low", "metrics/names/1", "figures/grid", "index.html", "metrics.csv", "config.yaml"} <= set(names)


def test_a_run_compared_with_itself_is_identical(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", whole())
    assert compare(folder, folder).verdict is IDENTICAL


def test_why_is_what_differs_of_the_machines(tmp_path: Path) -> None:
    found = both(tmp_path, whole(), whole(machine=replace(THERE, threads=2)))
    assert found.why == ("processor a processor (6/85/4), not another processor", "threads 1, not 2")


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 11), st.sampled_from([HERE, THERE]))
def test_one_changed_element_is_named(tmp_path_factory: pytest.TempPathFactory, place: int, machine: object) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    values.flat[place] += 0.01
    found = both(tmp_path_factory.mktemp("runs"), whole(), whole(arrays=whole().arrays | {"maps": values}, machine=machine))
    assert [item.name for item in found.of(DIFFERENT)] == ["maps"]
    assert f"1 of 12 values differ, by at most 0.01 at {[place // 4, place % 4]}" in found.of(DIFFERENT)[0].detail


def test_what_another_machine_may_do_this_one_may_not(tmp_path: Path) -> None:
    arrays = whole().arrays | {"maps": whole().arrays["maps"] + np.float32(1e-4)}
    there = one(both(tmp_path / "there", whole(), whole(arrays=arrays, machine=THERE)), "maps")
    here = one(both(tmp_path / "here", whole(), whole(arrays=arrays)), "maps")
    assert (there.verdict, here.verdict) == (WITHIN, DIFFERENT)
    assert there.difference == here.difference == pytest.approx(1e-4 / 11 / 1e-4, rel=1e-2)
    assert here.detail == f"{there.detail}; {REPEAT}"


def test_the_stricter_of_what_both_declare_holds(tmp_path: Path) -> None:
    """So that no run passes by its own word, such as everything is told."""
    arrays, lax, metrics = {"maps": np.array([1.0])}, {"maps": np.array([1.01])}, {"n": 3}
    forged, told = {"*": Tolerance.TOLD}, {"maps": Tolerance.DERIVED}
    for number, (former, later) in enumerate([(forged, {}), ({}, forged), (told, {}), ({}, told)]):
        first = nothing(arrays=arrays, metrics=metrics, tolerances=former)
        found = both(tmp_path / f"{number}", first, nothing(arrays=lax, metrics={"n": 4}, machine=THERE, tolerances=later))
        assert {item.name for item in found.of(DIFFERENT)} == {"maps", "metrics/n"}
    words = "1 of 1 values differ, by at most 0.01 at [0], 0.01 of the largest magnitude; 0.0001 allowed"
    assert one_of(tmp_path / "said", forged) == f"{words}; told was declared, computed is now: the stricter holds"
    first = nothing(arrays=arrays, tolerances=forged)
    assert both(tmp_path / "both", first, nothing(arrays=lax, machine=THERE, tolerances=told)).verdict is WITHIN


def one_of(folder: Path, declared: dict[str, Tolerance]) -> str:
    first, second = nothing(arrays={"maps": np.array([1.0])}, tolerances=declared), nothing(arrays={"maps": np.array([1.01])})
    return one(both(folder, first, replace(second, machine=THERE, tolerances={})), "maps").detail


def test_arrays_that_are_missing_or_new_are_named(tmp_path: Path) -> None:
    found = both(tmp_path, nothing(arrays={"old": np.zeros(2)}), nothing(arrays={"new": np.zeros(2)}, machine=THERE))
    assert {item.name: item.detail for item in found.of(DIFFERENT)} == {
        "old": "missing: float64 [2] was recorded",
        "new": "new: it was not recorded",
    }


def test_numbers_go_by_their_names_and_tolerances(tmp_path: Path) -> None:
    declared = {"metrics/*": Tolerance.DERIVED, "metrics/sum": Tolerance.EXACT}
    first = nothing(metrics={"auc": [0.5, 0.5], "sum": 1.0, "gone": 1}, tolerances=declared)
    second = nothing(metrics={"auc": [0.509, 0.511], "sum": 1.001, "more": None}, machine=THERE)
    found = both(tmp_path, first, second)
    assert one(found, "metrics/auc/0").verdict is WITHIN
    assert {item.name: item.detail for item in found.of(DIFFERENT)} == {
        "metrics/auc/1": "0.511, 0.5 was recorded",
        "metrics/sum": "1.001, 1 was recorded",
        "metrics/gone": "missing: 1 was recorded",
        "metrics/more": "new: it was not recorded",
    }


def test_flags_that_are_told_may_come_and_go_elsewhere(tmp_path: Path) -> None:
    first = nothing(metrics={"flags": ["fragile"]}, tolerances={"metrics/flags*": Tolerance.TOLD})
    second = nothing(metrics={"flags": []})
    there = both(tmp_path / "there", first, replace(second, machine=THERE))
    assert {item.name: item.detail for item in there.of(WITHIN)} == {
        "metrics/flags/0": "missing: 'fragile' was recorded; not judged",
        "metrics/flags/length": "0, 1 was recorded; not judged",
    }
    assert both(tmp_path / "here", first, second).verdict is DIFFERENT


class TestScoresOfManyImages:
    """Each within 10 %; in the mean of n within 10 % / sqrt(n), and of many within 3 %."""

    @pytest.mark.parametrize(
        ("count", "factor", "verdict"),
        [(1, 1.09, WITHIN), (1, 1.11, DIFFERENT), (4, 1.049, WITHIN), (4, 1.051, DIFFERENT), (25, 1.029, WITHIN), (25, 1.031, DIFFERENT)],
    )
    def test_the_mean_has_its_own_bound(self, tmp_path: Path, count: int, factor: float, verdict: Verdict) -> None:
        first = nothing(arrays=shares(1, count), tolerances=OPTIMIZED)
        found = both(tmp_path, first, nothing(arrays=shares(factor, count), machine=THERE))
        assert one(found, SCORES).verdict is verdict
        assert found.verdict is verdict

    def test_chance_cancels_and_images_that_repeat_count(self, tmp_path: Path) -> None:
        up, down = shares(1.06, 1)["features/u0/scores"], shares(0.94, 1)["features/u0/scores"]
        arrays = shares(1, 4)
        changed = arrays | {"features/u0/scores": up, "features/u1/scores": down}
        found = one(both(tmp_path, nothing(arrays=arrays, tolerances=OPTIMIZED), nothing(arrays=changed, machine=THERE)), SCORES)
        assert found.verdict is WITHIN
        assert found.detail.endswith("in the mean of 4, 5.00% allowed, +6.00% at most; pixels not judged")
        assert found.difference == pytest.approx(0, abs=1e-6)

    def test_the_worst_picture_is_told_beside_them(self, tmp_path: Path) -> None:
        pictures = {f"features/u{k}/image": GENERATOR.integers(0, 256, (16, 16, 3), dtype=np.uint8) for k in range(2)}
        changed = pictures | {"features/u1/image": 255 - pictures["features/u1/image"]}
        first = nothing(arrays=shares(1, 2) | pictures, tolerances=OPTIMIZED)
        found = both(tmp_path, first, nothing(arrays=shares(1.01, 2) | changed, machine=THERE))
        similar = float(one(found, "features/u1/image").detail.split()[2].rstrip(";"))
        assert similar < 0
        assert one(found, SCORES).detail.endswith(f"+1.00% at most; pixels not judged, structural similarity {similar:.2f} at least")

    def test_other_arrays_have_no_score(self, tmp_path: Path) -> None:
        found = both(tmp_path, nothing(arrays=shares(1)), nothing(arrays=shares(1.00001), machine=THERE))
        assert SCORES not in [item.name for item in found.items]


class TestGiven:
    """Two runs are makings of one only where the same went in."""

    @pytest.mark.parametrize("machine", [HERE, THERE])
    @pytest.mark.parametrize(
        ("change", "name", "words"),
        [
            ({"seed": 1}, "manifest.json/seed", "1, 0 was recorded"),
            (
                {"model": replace(MODEL, weights_sha256="b" * 64)},
                "manifest.json/weights",
                "SHA-256 bbbbbbbbbbbb..., SHA-256 aaaaaaaaaaaa... was recorded",
            ),
            (
                {"inputs": (InputEntry("cat.png", "d" * 64, 3),)},
                "manifest.json/inputs/cat.png",
                "SHA-256 dddddddddddd..., SHA-256 cccccccccccc... was recorded",
            ),
            ({"inputs": ()}, "manifest.json/inputs/cat.png", "nothing, SHA-256 cccccccccccc... was recorded"),
        ],
    )
    def test_what_went_in_is_named(self, tmp_path: Path, machine: object, change: dict[str, object], name: str, words: str) -> None:
        found = both(tmp_path, whole(), whole(machine=machine, **change))
        assert {item.name: item.detail for item in found.of(DIFFERENT)} == {name: words}

    def test_other_options_are_another_run(self, tmp_path: Path) -> None:
        found = both(tmp_path, whole(), whole(config=Config(9), machine=THERE))
        assert [item.name for item in found.of(DIFFERENT)] == ["config.yaml"]

    def test_weights_that_were_trained_within_may_be_told(self, tmp_path: Path) -> None:
        first = whole(tolerances={"manifest.json/weights": Tolerance.TOLD})
        found = both(tmp_path, first, whole(model=replace(MODEL, weights_sha256="b" * 64), machine=THERE))
        assert one(found, "manifest.json/weights").verdict is WITHIN


class TestFiles:
    CHANGED = whole().files | {"metrics.csv": b"a,c\n"}

    def test_other_bytes_differ_on_the_same_machine(self, tmp_path: Path) -> None:
        item = one(both(tmp_path, whole(), whole(files=self.CHANGED | {"metrics.csv": b"a,bc\n"})), "metrics.csv")
        assert (item.verdict, item.detail) == (DIFFERENT, "other bytes (5, 4 were recorded)")

    def test_what_is_derived_is_not_judged_elsewhere(self, tmp_path: Path) -> None:
        item = one(both(tmp_path, nothing(files={"a.md": b"1"}), nothing(files={"a.md": b"2"}, machine=THERE)), "a.md")
        assert item.verdict is WITHIN
        assert item.detail == "not judged: derived, and made with processor a processor (6/85/4), not another processor"

    @pytest.mark.parametrize("name", ["metrics.csv", "a.md", "a.parquet", "a.npy", "a.json", "film.webp", "index.html"])
    def test_another_version_or_commit_excuses_the_page_alone(self, tmp_path: Path, name: str) -> None:
        versions = {"torch": "2.0", "matplotlib": "3.9", "tyro": "2"}
        first, second = (nothing(files={name: data}, commit=CommitEntry("a" * 40, dirty=False)) for data in (b"1", b"2"))
        found = one(both(tmp_path / "a", first, replace(second, versions=versions)), name)
        dirty = one(both(tmp_path / "b", first, replace(second, commit=CommitEntry("a" * 40, dirty=True))), name)
        if name == "index.html":
            assert (found.verdict, found.detail) == (WITHIN, "not judged: derived, and made with tyro 1, not 2")
            assert dirty.detail == "not judged: derived, and made with commit aaaaaaa, not aaaaaaa with changes"
        else:
            assert found.verdict is dirty.verdict is DIFFERENT

    @pytest.mark.parametrize(("value", "verdict"), [(b"0.509", WITHIN), (b"0.511", DIFFERENT), (b"few", DIFFERENT)])
    def test_elsewhere_tables_are_judged_by_their_numbers(self, tmp_path: Path, value: bytes, verdict: Verdict) -> None:
        first, second = (nothing(files={"t.csv": b"name,mean,n\na,%s,3\n" % cell}) for cell in (b"0.5", value))
        assert one(both(tmp_path, first, replace(second, machine=THERE)), "t.csv").verdict is verdict

    def test_a_file_that_is_missing_or_new_is_named(self, tmp_path: Path) -> None:
        first, second = nothing(files={"a.md": b"1"}), nothing(files={"b.md": b"1"}, machine=THERE)
        assert {item.name: item.detail for item in both(tmp_path, first, second).of(DIFFERENT)} == {
            "a.md": "missing: a file of 1 bytes was recorded",
            "b.md": "new: it was not recorded",
        }


def test_another_commit_is_said_and_excuses_no_array(tmp_path: Path) -> None:
    arrays = whole().arrays | {"channels": np.array([3, 2])}
    first, second = whole(commit=CommitEntry("a" * 40, dirty=False)), whole(arrays=arrays, commit=CommitEntry("b" * 40, dirty=False))
    found = both(tmp_path, first, second)
    assert [item.name for item in found.of(DIFFERENT)] == ["channels"]
    words = "1 of 2 values differ, by at most 1 at [1]; it is to be equal everywhere; commit aaaaaaa, not bbbbbbb"
    assert one(found, "channels").detail == words
    assert one(found, "figures/grid").verdict is IDENTICAL
    assert one(found, "index.html").verdict is IDENTICAL


def test_arrays_and_metrics_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", whole()), write(tmp_path / "b", whole(arrays={"maps": np.zeros((3, 4), dtype=np.float32)}))
    (second / "arrays.safetensors").write_bytes(b"damaged")
    with pytest.raises(BadFile, match=r"^the array `maps` of `.*b/arrays.safetensors` cannot be read"):
        compare(first, second)
    (first / "metrics.json").write_bytes(b"{")
    with pytest.raises(BadFile, match=r"a/metrics.json` cannot be read"):
        compare(first, first)


def test_options_that_were_to_differ_are_a_reason_for_other_bits(tmp_path: Path) -> None:
    arrays = whole().arrays | {"maps": whole().arrays["maps"] + np.float32(1e-4)}
    first, second = write(tmp_path / "a", whole()), write(tmp_path / "b", whole(arrays=arrays))
    assert compare(first, second).verdict is DIFFERENT
    found = compare(first, second, ("`config.precision` float32, not bfloat16",))
    assert found.verdict is WITHIN
    assert found.why == ("`config.precision` float32, not bfloat16",)
