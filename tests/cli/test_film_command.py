"""`interp film` and `interp evolve` as commands: whole runs, the page with its slider, and what they refuse."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from interp import cli
from interp.runs import Manifest, verify

COURSES = Path(__file__).parent.parent / "films" / "courses.py"


def courses() -> Any:
    spec = importlib.util.spec_from_file_location("courses", COURSES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording, checkpoints of the same architecture, their code, and the film of the recording."""
    found = courses()
    folder = tmp_path_factory.mktemp("films")
    (folder / "net.py").write_text(found.SOURCE)
    network = found.trained(folder / "watched", steps=30)
    for number in (2, 10):
        state = {name: value.detach() * number for name, value in network.state_dict().items()}
        torch.save(state, folder / f"net_{number}.pt")
    (folder / "broken_3.pt").write_bytes((folder / "net_2.pt").read_bytes()[:900])
    torch.save({"conv1.weight": torch.zeros(6, 1, 5, 5)}, folder / "other.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.run(["film", "watched", "--out", "film", "--formats", "png"]) == 0
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


def test_a_film_is_a_whole_run(here: Path) -> None:
    out = here / "film"
    assert verify(out).ok
    manifest = Manifest.read(out)
    assert {item.path for item in manifest.inputs} >= {"watched/watch.json", "watched/scalars.jsonl", "watched/records/000030.safetensors"}
    assert sorted(manifest.figures, key=lambda stem: manifest.figures[stem].place) == [
        "filters-1-conv1",
        "filters-2-conv2",
        "curves",
        "moved-1-conv1",
        "moved-2-conv2",
        "photograph",
        "onset-1-conv1",
        "onset-2-conv2",
    ]
    arrays = load_file(out / "arrays.safetensors")
    kernels = np.stack([load_file(here / "watched" / "records" / f"{k:06d}.safetensors")["kernels/conv1"] for k in (0, 10, 20, 30)])
    assert (arrays["kernels_shown/conv1"] == kernels[:, :, 0]).all()
    distance = np.linalg.norm((kernels[-1] - kernels[0]).reshape(6, -1), axis=1) / np.linalg.norm(kernels[0].reshape(6, -1), axis=1)
    assert arrays["moved/conv1/distance"] == pytest.approx(distance, rel=1e-5)
    assert (arrays["curves/numbers/loss"][0] == np.arange(1, 31)).all()
    table = list(csv.DictReader((out / "filters.csv").read_text().splitlines()))
    assert [int(line["filter"]) for line in table if line["layer"] == "conv1"] == np.argsort(-distance, kind="stable").tolist()
    numbers = json.loads((out / "metrics.json").read_text())["layers"]["conv1"]
    assert numbers["jumps"] == int(arrays["identity/conv1/jumped"].sum())
    with Image.open(out / "films" / "filters-1-conv1.webp") as film:
        assert getattr(film, "n_frames", 1) == 4


def test_the_page_loads_nothing_from_elsewhere_and_stacks_its_frames(here: Path) -> None:
    page = (here / "film" / "index.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].replace("&#39;", "'").startswith("default-src 'none'; img-src 'self' file:; style-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert "http://" not in page
    assert "https://" not in page
    files = re.findall(r'<img src="(frames/[^"]*)"', page)
    assert len(files) == 3 * 4
    assert all((here / "film" / file).is_file() for file in files)


def test_the_slider_goes_through_the_moments_by_the_keyboard(here: Path, browser: Any) -> None:
    said: list[str] = []
    for width in (1280, 390):
        context = browser.new_context(viewport={"width": width, "height": 800})
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((here / "film" / "index.html").as_uri())
        assert page.inner_text("output") == "step 30"
        page.focus("#moment")
        for key, name, place in (("Home", "step 0", "000"), ("ArrowRight", "step 10", "001"), ("End", "step 30", "003")):
            page.keyboard.press(key)
            assert page.inner_text("output") == name
            assert page.get_attribute("#moment", "aria-valuetext") == name
            shown = page.eval_on_selector_all(
                ".frames li", "all => all.filter(li => li.offsetParent).map(li => li.querySelector('img').src)"
            )
            assert [Path(source).stem for source in shown] == [place] * 3
        page.click('[data-go="before"]')
        assert page.inner_text("output") == "step 20"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert said == []
        context.close()


def test_without_scripts_all_frames_are_there(here: Path, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((here / "film" / "index.html").as_uri())
    assert page.locator(".frames img:visible").count() == 12
    assert page.locator(".control:visible").count() == 0
    context.close()


def test_checkpoints_become_a_run_by_the_number_in_their_names(here: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["evolve", "net_10.pt", "net_2.pt", "--model", "net.py:factory", "--images", "cat", "--deep", "norm"]
    assert cli.run([*words, "--layers", "conv1", "conv2", "--out", str(out), "--formats", "png"]) == 0
    assert "interp: 2 checkpoints, by the number in their names: net_2.pt to net_10.pt" in capsys.readouterr().err
    assert verify(out).ok
    arrays = load_file(out / "arrays.safetensors")
    assert arrays["steps"].tolist() == [2, 10]
    # The later one is five times the earlier: nothing turns, and all that moved is four times as large as it was.
    assert arrays["moved/conv1/cosine"] == pytest.approx(np.ones(6))
    assert arrays["moved/conv1/distance"] == pytest.approx(np.full(6, 4.0), rel=1e-5)
    assert not arrays["identity/conv1/jumped"].any()
    assert {item.path for item in Manifest.read(out).inputs} >= {"net_2.pt", "net_10.pt", "net.py"}


def test_a_folder_of_checkpoints(here: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("net_2.pt", "net_10.pt"):
        shutil.copy(here / name, folder / name)
    out = tmp_path / "run"
    assert cli.run(["evolve", str(folder), "--model", "net.py:factory", "--match", "--out", str(out), "--formats", "png"]) == 0
    assert {item.path for item in Manifest.read(out).inputs} >= {"weights/net_2.pt", "weights/net_10.pt"}


def test_a_folder_without_numbers_is_taken_alphabetically_where_that_is_asked(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, source in (("b.pt", "net_10.pt"), ("a.pt", "net_2.pt")):
        shutil.copy(here / source, tmp_path / name)
    words = ["evolve", str(tmp_path), "--model", "net.py:factory", "--order", "given", "--formats", "png", "--out", str(tmp_path / "run")]
    assert cli.run(words) == 0
    assert "interp: 2 checkpoints, alphabetically: a.pt to b.pt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["film", "nowhere"], "there is no folder `nowhere` that a recording could be in"),
        (["film", "film"], "`film` is no recording of a training"),
        (["film", "watched", "--layers", "fc"], "no weights of 'fc' in `watched`"),
        (["film", "watched", "--columns", "1"], "--columns 1 is too small"),
        (["film", "watched", "--probe", "9"], "there is no probe image 9"),
        (["evolve", "net_2.pt", "--model", "net.py:factory"], "1 checkpoint: give two or more"),
        (["evolve", "nosuch", "--model", "net.py:factory"], "there is no file or folder `nosuch`"),
        (["evolve", "names", "--model", "net.py:factory"], "the checkpoints in `names`, such as `best.pt`, do not tell their order"),
        (["evolve", "net_2.pt", "nan_3.pt", "--model", "net.py:factory"], "of 'nan_3.pt' hold NaN"),
        (["evolve", "net_2.pt", "net_10.pt", "--model", "net.py:factory", "--order", "number", "--random-weights"], "--random-weights"),
        (["evolve", "net_2.pt", "broken_3.pt", "--model", "net.py:factory"], "'broken_3.pt' is no complete weights file"),
        (["evolve", "net_2.pt", "other.pt", "--model", "net.py:factory"], "'other.pt' is not of this network (Digits)"),
        (["evolve", "net_2.pt", "net_10.pt", "--model", "net.py:factory", "--layers", "conv7"], "no layer 'conv7'"),
        (["evolve", "net_2.pt", "net_10.pt", "--model", "net.py:factory", "--layers", "relu"], "layer 'relu' (ReLU) has no kernels"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    words: list[str], message: str, here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "names").mkdir(exist_ok=True)
    for name, source in (("names/last.pt", "net_10.pt"), ("names/best.pt", "net_2.pt")):
        shutil.copy(here / source, here / name)
    state = torch.load(here / "net_2.pt", weights_only=True)
    state["conv1.weight"] = state["conv1.weight"] * float("nan")
    torch.save(state, here / "nan_3.pt")
    assert cli.run([*words, "--out", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_a_film_without_an_encoder_is_webp(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.run(["film", "watched", "--mp4", "--out", str(tmp_path / "run")]) == 2
    assert "a film as MP4 needs the program 'ffmpeg'" in capsys.readouterr().err
