"""The script on a spurious cue: a small run, made twice; what its numbers and arrays hold; what it refuses."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy import stats

from interp.cli.options import SaveOptions
from interp.comparisons.spurious import Arm, Measure
from interp.comparisons.spurious_views import Detail
from interp.errors import InterpError
from interp.metrics.statistics import Interval
from interp.report.product import silent
from interp.report.spurious import product, said
from interp.report.spurious_training import Plan, held_out_pictures, learned, training_pictures
from interp.runs import verify
from interp.synthetic.cue import Cue, Mark

SCRIPT = Path(__file__).parents[2] / "experiments" / "spurious_feature.py"
SMALL = {"pairs": 2, "images": 64, "epochs": 2, "side": 24, "mark": 4, "every": 2, "held_out": 12, "probes": 4, "examples": 3, "steps": 2}
PLAN = Plan(pairs=2, images=80, held_out=24, probes=8, epochs=1, every=1)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("spurious_feature", SCRIPT)
    found = importlib.util.module_from_spec(spec)
    sys.modules["spurious_feature"] = found
    spec.loader.exec_module(found)
    yield found
    del sys.modules["spurious_feature"]


@pytest.fixture(scope="module")
def run(script, tmp_path_factory):
    out = tmp_path_factory.mktemp("spurious") / "run"
    script.main(script.Config(**SMALL, saving=SaveOptions(out=out, formats=("png",), dpi=50)))
    assert verify(out).ok
    return out


def test_metrics_hold_the_margins_and_what_they_are_made_of(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["pairs"] == 2
    first = metrics["measures"][metrics["primary"]]
    cue, control = (np.array(first[arm]["by_pair"]) for arm in ("cue network", "control network"))
    theirs = stats.ttest_rel(cue, control).confidence_interval(0.95)
    margin = first["margin"]
    assert margin["mean"] == pytest.approx(float((cue - control).mean()))
    assert (margin["low"], margin["high"]) == pytest.approx((theirs.low, theirs.high))
    assert margin["separated"] is bool(theirs.low > 0 or theirs.high < 0)
    assert set(metrics["accuracy"]) == {"cue network", "control network", "untrained network"}
    assert metrics["measures"]["accuracy lost where there is no mark"]["random map"]["mean"] is None


def test_the_last_moment_of_the_course_is_what_is_judged(run):
    metrics, arrays = json.loads((run / "metrics.json").read_text()), load_file(run / "arrays.safetensors")
    assert arrays["steps"].tolist() == [0, 2, 4]
    for arm in ("cue network", "control network"):
        assert arrays[f"outside/{arm}"].shape == (2, 3)
        assert arrays[f"outside/{arm}"][:, -1] == pytest.approx(metrics["measures"][metrics["primary"]][arm]["by_pair"], abs=1e-5)


def test_both_networks_of_a_pair_start_alike_and_part(run):
    arrays = load_file(run / "arrays.safetensors")
    for seed in (0, 1):
        cue, control = (arrays[f"gradcam/{seed}/{arm}"] for arm in ("cue network", "control network"))
        assert cue.shape == (3, 4, 3, 3)
        assert np.array_equal(cue[0], control[0])
        assert not np.array_equal(cue[-1], control[-1])
    assert not np.array_equal(arrays["gradcam/0/cue network"][0], arrays["gradcam/1/cue network"][0])


def test_every_number_stands_in_the_table(run):
    metrics, lines = json.loads((run / "metrics.json").read_text()), (run / "spurious.csv").read_text().splitlines()
    rows = [line.rsplit(",", 3) for line in lines[1:]]
    found = {(measure.strip('"'), arm, int(seed)): value for measure, arm, seed, value in rows}
    for measure, one in metrics["measures"].items():
        for arm in Arm:
            for seed, value in enumerate(one[arm.value]["by_pair"]):
                assert found[measure, arm.value, seed] == ("" if value is None else repr(value))
    page = (run / "index.html").read_text()
    assert "What the views do not show" in page
    assert "cue network less control" in page


def test_the_same_seed_makes_the_same_arrays(run):
    options = {name: value for name, value in SMALL.items() if name not in ("mark", "examples", "steps")}
    plan = Plan(**options, mark=Mark(SMALL["mark"]), detail=Detail(SMALL["steps"], SMALL["examples"]))
    again, first = product(learned(plan, silent), "again", "").arrays, load_file(run / "arrays.safetensors")
    assert again.keys() == first.keys()
    assert all(np.array_equal(first[key], again[key]) for key in first)


def test_both_networks_learn_from_the_same_pictures_but_for_the_marks():
    cue, control = (training_pictures(PLAN, 0)[arm] for arm in (Arm.CUE, Arm.CONTROL))
    assert np.array_equal(cue.labels, control.labels)
    assert np.array_equal(cue.images[~cue.places], control.images[~cue.places])
    assert (cue.marks == cue.labels).sum() == 76  # 95 % of 80
    table = np.array([np.bincount(control.marks[control.labels == label], minlength=4) for label in range(4)])
    assert (table == 5).all()


def test_versions_of_the_held_out_pictures_differ_at_the_mark_alone():
    pictures = held_out_pictures(PLAN, 0)
    agreeing, absent, contradicting = (pictures.versions[cue] for cue in (Cue.AGREEING, Cue.ABSENT, Cue.CONTRADICTING))
    for one in (agreeing, contradicting, pictures.untied):
        assert np.array_equal(one.images[~one.places], absent.images[~absent.places])
        assert (one.images[one.places] != absent.images[absent.places]).any()
    assert not (contradicting.marks == agreeing.marks).any()
    learned = training_pictures(PLAN, 0)[Arm.CUE].images
    assert not any(np.array_equal(one, other) for one in agreeing.images for other in learned)


def test_only_an_interval_without_zero_is_called_a_separation():
    apart, holding = Interval(0.2, 0.1, 0.3, 5, 5), Interval(0.2, -0.1, 0.5, 5, 5)
    first, others, caution = said(dict.fromkeys(Measure, apart), 5)
    assert first.startswith("Grad-CAM outside the object separates the cue network from the control: +0.200 [+0.100, +0.300]")
    assert "exclude 0: Integrated gradients outside the object" in others
    assert "not corrected" in caution
    first, others, _ = said(dict.fromkeys(Measure, holding), 5)
    assert "does not separate" in first
    assert others.startswith("Of these they do not: Integrated gradients")
    mixed = said({**dict.fromkeys(Measure, holding), Measure.HUE: Interval(-0.2, -0.3, -0.1, 5, 5)}, 5)
    assert "exclude 0: class images: cosine with the mark's hue \N{MINUS SIGN}0.200" in mixed[1]
    assert len(mixed) == 4
    less = said(dict.fromkeys(Measure, Interval(-0.2, -0.3, -0.1, 5, 5)), 5)[0]
    assert "does not separate" in less
    assert less.endswith("There is less of it in the cue network, where a cue would make it more.")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": 1}, r"`pairs` is 1: give at least 2 pairs of networks, as a single one gives no interval"),
        ({"share": 0.0}, r"`share` is 0\.0: give which share of the marks goes with the class, above 0"),
        ({"every": 3}, r"`every` is 3 and a training has 4 steps: give a number that divides them, such as 2"),
        ({"every": 0}, r"`every` is 0 and a training has 4 steps"),
        ({"probes": 3}, r"`probes` is 3: give 4 to 12, the number of held-out pictures"),
        ({"probes": 13}, r"`probes` is 13: give 4 to 12"),
        ({"examples": 13}, r"`examples` is 13: there are 12 pictures, give 1 to 12"),
        ({"mark": 0}, r"a mark of `side` 0"),
        ({"images": 16}, r"`n_images` is 16, less than a batch of 32"),
    ],
)
def test_bad_input_is_told_before_any_work(script, tmp_path, options, message):
    with pytest.raises(InterpError, match=message):
        script.main(script.Config(**{**SMALL, **options}, saving=SaveOptions(out=tmp_path / "run")))
    assert not (tmp_path / "run").exists()
