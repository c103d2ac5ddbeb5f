"""``interp compare``, ``interp attribute`` and their lists: what is written, and every bad input as one line with nothing left."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.numpy import load_file

from interp.attribution import METHODS
from interp.cli import run
from interp.figures import Rendered
from interp.images import sample
from interp.metrics.registry import METRICS
from interp.runs import verify

NET = """
from torch import nn

classes = ["ant", "bee", "cat"]
preprocess = {"size": (24, 24), "resize": 24}


def net():
    first = [nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 5, 3, stride=2), nn.ReLU()]
    return nn.Sequential(*first, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(20, 3))
"""
CONTROLS = ["random", "input-magnitude", "sobel", "centre-gaussian"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


@pytest.fixture
def pictures(here):
    """Two sample photographs, small, and a mask for each: what is brighter than the middle in one, a box in the other."""
    (here / "photos").mkdir()
    (here / "masks").mkdir()
    for name in ("cat", "coffee"):
        with Image.fromarray(sample(name).pixels) as whole:
            small = whole.resize((60, 40))
        small.save(here / "photos" / f"{name}.png")
        marked = np.zeros((40, 60), dtype=np.uint8)
        marked[10:30, 20:40] = 255
        if name == "cat":
            marked = (np.asarray(small.convert("L")) > 128).astype(np.uint8)
        Image.fromarray(marked).save(here / "masks" / f"{name}.png")
    return here


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are not what these tests look at, and take longest."""
    monkeypatch.setattr("interp.report.product.figures.render", lambda *_: Rendered({"png": b"png", "pdf": b"pdf"}, 8, 8))


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if "__pycache__" not in str(p)}


def refused(capsys, *arguments: str) -> str:
    """The one line that the command says; asserts exit code 2, one line, no traceback, no output."""
    assert run(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if not line.startswith(("maps ", "metrics ", "drawing "))]
    assert lines[0].startswith("interp: "), err
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


def test_compare_with_masks_writes_tables_and_figures(pictures, capsys):
    words = ["--methods", "gradcam", "--layers", "1", "2", "--masks", "masks", "--seed", "3", "--out", "c"]
    metrics = ["--metrics", "relevance-mass", "pointing-game:tolerance=2"]
    assert run(["compare", "net.py:net", "photos", "--random-weights", *words, *metrics]) == 0
    assert capsys.readouterr().out.strip() == "c/index.html"
    assert verify(pictures / "c").ok
    found = json.loads((pictures / "c" / "metrics.json").read_text())
    assert list(found["metrics"]) == sorted(["gradcam@1", "gradcam@2", *CONTROLS])
    titles = {"Relevance mass accuracy", "Pointing game (tolerance 2)"}
    assert all(set(row) == titles for row in found["metrics"].values())
    arrays = load_file(pictures / "c" / "arrays.safetensors")
    assert arrays["maps/cat/gradcam@2"].shape == (11, 11)
    # 40 x 60 px come to 24 x 36, of which the middle 24 columns are seen: rows 10 to 29 to 6 to 17, columns 20 to 39 to 6 to 17.
    box = np.zeros((24, 24), dtype=bool)
    box[6:18, 6:18] = True
    assert np.array_equal(arrays["masks/coffee"], box)
    mass = arrays["metrics/Relevance mass accuracy/sobel"][1]
    sobel = arrays["maps/coffee/sobel"]
    assert mass == pytest.approx(sobel[box].sum() / sobel.sum(), rel=1e-5)
    table = pq.read_table(pictures / "c" / "metrics.parquet").to_pylist()
    (row,) = [r for r in table if (r["method"], r["metric"], r["image"]) == ("Sobel edges", "Relevance mass accuracy", "coffee")]
    assert row["value"] == mass
    page = (pictures / "c" / "index.html").read_text()
    for stem in ("methods", "layers-cat", "ranking", "agreement", "depth"):
        assert f"figures/{stem}.png" in page
        assert (pictures / "c" / "figures" / f"{stem}.pdf").read_bytes().startswith(b"%PDF")
    assert "metrics.md" in page
    assert "Random (control)" in page
    manifest = json.loads((pictures / "c" / "manifest.json").read_text())
    assert manifest["seed"] == 3
    assert manifest["config"]["metrics"][1] == "pointing-game:tolerance=2"


def test_boxes_of_one_category(pictures, undrawn):
    images = [{"id": k, "file_name": f"{name}.png", "height": 40, "width": 60} for k, name in enumerate(("cat", "coffee"))]
    boxes = [{"image_id": 0, "category_id": 7, "bbox": [20, 10, 20, 20]}, {"image_id": 1, "category_id": 8, "bbox": [0, 0, 60, 40]}]
    named = [{"id": 7, "name": "animal"}, {"id": 8, "name": "cup"}]
    (pictures / "a.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": named}))
    words = ["--methods", "sobel", "--metrics", "relevance-mass", "--boxes", "a.json", "--category", "animal", "--out", "c"]
    assert run(["compare", "net.py:net", "photos", "--random-weights", *words]) == 0
    arrays = load_file(pictures / "c" / "arrays.safetensors")
    assert arrays["masks/cat"].sum() == 144
    assert not arrays["masks/coffee"].any()
    assert "the mask of 'coffee' marks nothing" in (pictures / "c" / "index.html").read_text().replace("&#39;", "'")


def test_attribute_writes_each_map_as_files(here, capsys):
    words = ["--methods", "gradcam", "occlusion:window=0.5", "--files", "npy", "png", "--target", "espresso", "--out", "a"]
    assert run(["attribute", "embedded", "cat", *words]) == 0
    assert capsys.readouterr().out.strip() == "a/index.html"
    assert verify(here / "a").ok
    arrays = load_file(here / "a" / "arrays.safetensors")
    assert {name.rsplit("@")[0] for name in arrays} == {"maps/cat/gradcam", "maps/cat/occlusion-window-0.5"}
    for name, values in arrays.items():
        assert np.array_equal(np.load(here / "a" / f"{name}.npy"), values)
        with Image.open(here / "a" / f"{name}.png") as picture:
            assert picture.width > 200
    found = json.loads((here / "a" / "metrics.json").read_text())
    assert {one["method"] for one in found["maps"].values()} == {"Grad-CAM", "Occlusion (window 0.5)"}
    assert len({one["unit"] for one in found["maps"].values()} | {found["predictions"]["cat"]["explained"]}) == 1


@pytest.mark.parametrize(("command", "kinds"), [("methods", METHODS), ("metrics", METRICS)])
def test_the_lists_name_everything_with_options(capsys, command, kinds):
    assert run([command]) == 0
    out = capsys.readouterr().out
    firsts = [line.split()[0] for line in out.splitlines() if line.strip()]
    for name, kind in kinds.items():
        assert name in firsts
        assert kind.title.split(" (")[0].split()[0] in out
    assert ("around=saliency" if command == "methods" else "perturbation=squares") in " ".join(out.split())
    assert "integrated-gradients:n_steps=64,baseline=blur" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("attribute embedded cat --methods grad-cam", "no method 'grad-cam': did you mean 'gradcam'"),
        ("compare embedded cat --methods saliencyy", "no method 'saliencyy': did you mean 'saliency'"),
        ("compare embedded cat --metrics deletions", "no metric 'deletions': did you mean 'deletion'"),
        ("compare embedded cat --metrics saliency", "no metric 'saliency'"),
        ("attribute embedded cat --methods occlusion:windw=3", "the method 'occlusion' has no option 'windw': did you mean 'window'"),
        ("attribute embedded cat --methods occlusion:window=wide", "the window of the method 'occlusion' is 'wide': give a number"),
        ("attribute embedded cat --methods rise:n_samples=0", "`n_samples` is 0"),
        ("compare embedded cat --metrics deletion:baseline=blurr", "the metric 'deletion' has no baseline 'blurr': did you mean 'blur'"),
        ("attribute embedded cat --methods attention-rollout", "'embedded' has no attention layers: choose a CAM such as 'gradcam'"),
        ("compare embedded cat --methods attention", "'embedded' has no attention layers: choose a CAM such as 'gradcam'"),
        ("compare embedded cat --methods gradcam --layers fc", "layer 'fc'.*gives a vector, which has no places: choose an earlier layer"),
        ("compare embedded cat --methods gradcam --layers stage9", "no layer 'stage9' in 'embedded': did you mean"),
        ("attribute embedded cat --methods gradcam:layer=stage9", "no layer 'stage9' in 'embedded': did you mean"),
        ("attribute embedded cat --target stem.conv:0", "the method 'gradcam' works at a layer that fires before 'stem.conv'"),
        ("compare embedded cat --methods saliency --metrics grid-pointing", "'grid-pointing' needs at least 4 images, not 1: give more"),
        ("compare embedded cat --metrics pointing-game", "needs to know where the objects are: give --masks DIR or --boxes FILE"),
        ("compare embedded cat --masks m --boxes b.json", "--masks and --boxes both say where the objects are: give one of them"),
        ("compare embedded cat --category dog", "--category dog chooses among annotations: give them with --boxes"),
        ("compare embedded cat --masks nowhere", "no folder 'nowhere' to take masks from"),
        ("compare embedded cat --boxes nowhere.json", "cannot read the annotation 'nowhere.json'"),
        ("compare embedded cat --batch-size 0", "--batch-size 0 is too small: give 1 or more"),
        ("attribute embedded cat --batch-size 0", "--batch-size 0 is too small: give 1 or more"),
        ("attribute embedded cat --files tiff", "tiff"),
        ("compare embedded missing.jpg", "cannot read the picture 'missing.jpg'"),
        ("compare embedded cat --methods rise:seed=1 rise:seed=2", "2 methods are called 'RISE': they differ in seed or batch size only"),
        ("compare embedded cat --target esspresso", "no class 'esspresso'.*did you mean 'espresso'"),
    ],
)
def test_bad_input_is_one_line(here, capsys, arguments, message):
    before = files(here)
    line = refused(capsys, *arguments.split())
    assert re.search(message, line), line
    assert files(here) == before


def test_masks_that_do_not_match_their_pictures(pictures, capsys):
    words = ["compare", "net.py:net", "photos", "--random-weights", "--methods", "saliency", "--masks", "masks"]
    Image.fromarray(np.zeros((60, 40), dtype=np.uint8)).save(pictures / "masks" / "coffee.png")
    before = files(pictures)
    line = refused(capsys, *words)
    assert "the mask 'coffee.png' is 60 x 40 px (rows x cols), but the picture 'coffee' is 40 x 60 px" in line
    (pictures / "masks" / "coffee.png").rename(pictures / "masks" / "coffees.png")
    assert "no mask of the picture 'coffee' in 'masks': did you mean 'coffees'?" in refused(capsys, *words)
    (pictures / "masks" / "coffees.png").rename(pictures / "masks" / "coffee.png")
    assert files(pictures) == before


def test_a_network_with_broken_weights_is_told(here, capsys):
    (here / "net.py").write_text(
        NET.replace("return nn", "made = nn").rstrip() + "\n    nn.init.constant_(made[-1].bias, float('nan'))\n    return made\n"
    )
    for command in ("compare", "attribute"):
        line = refused(capsys, command, "net.py:net", "cat", "--random-weights", "--methods", "gradcam")
        assert "the weights '6.bias' of 'net.py:net' hold NaN (3 of 3 numbers)" in line
    assert files(here) == {"net.py"}
