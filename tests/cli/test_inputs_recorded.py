"""Every file that a run reads stands in its manifest: under which path, as what, and with which hash."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from interp.cli import run
from interp.cli.compare import Compare, mask_entries
from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from interp.cli.publish import publish
from interp.core.model import Model
from interp.images import Photo, load
from interp.report.product import Product, Tick, input_entries
from interp.runs import InputEntry, Manifest, Role
from interp.runs.origin import neighbours_of

NET = """
from torch import nn
from blocks import convolution

classes = ["ant", "bee", "cat"]
preprocess = {"size": (24, 24), "resize": 24}

def net():
    return nn.Sequential(convolution(), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 3))
"""
BLOCKS = "from torch import nn\n\ndef convolution():\n    return nn.Conv2d(3, 4, 3)\n"
QUICK = ["--formats", "png", "--dpi", "40"]


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (30, 30, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, beside another one; in both a network with a neighbour, a picture, a mask, annotations, weights."""
    for name in ("here", "there"):
        folder = tmp_path / name
        (folder / "nets").mkdir(parents=True)
        (folder / "nets" / "net.py").write_text(NET)
        (folder / "nets" / "blocks.py").write_text(BLOCKS)
        picture(folder / "photos" / "dog.png")
        mask = np.zeros((30, 30), dtype=np.uint8)
        mask[5:20, 5:20] = 1
        (folder / "masks").mkdir()
        Image.fromarray(mask).save(folder / "masks" / "dog.png")
        Image.fromarray(mask).save(folder / "masks" / "unused.png")
        box = {"image_id": 1, "bbox": [5, 5, 15, 15]}
        (folder / "boxes.json").write_text(json.dumps({"images": [{"id": 1, "file_name": "dog.png"}], "annotations": [box]}))
        (folder / "boxes").mkdir()
        corners = "<xmin>5</xmin><ymin>5</ymin><xmax>20</xmax><ymax>20</ymax>"
        voc = f"<annotation><object><name>dog</name><bndbox>{corners}</bndbox></object></annotation>"
        (folder / "boxes" / "dog.xml").write_text(voc)
    monkeypatch.chdir(tmp_path / "here")
    torch.manual_seed(0)
    state = {"0.weight": torch.randn(4, 3, 3, 3), "0.bias": torch.zeros(4), "4.weight": torch.randn(3, 64), "4.bias": torch.zeros(3)}
    save_file(state, "w.safetensors")
    return tmp_path / "here"


CODE = {("nets/net.py", Role.CODE), ("nets/blocks.py", Role.CODE)}
ELSEWHERE = {("net.py", Role.CODE), ("blocks.py", Role.CODE)}


def recorded(arguments: Sequence[str], folder: Path) -> set[tuple[str, Role]]:
    """(path, role) of each input of the run that is made; each is checked to be the hash of a file below ``folder`` of its name."""
    assert run([*arguments, *QUICK, "--out", "made"]) == 0
    manifest = Manifest.read(Path("made"))
    files = {(sha256(p), p.stat().st_size, p.name) for p in folder.rglob("*") if p.is_file()}
    assert {(entry.sha256, entry.size, entry.name) for entry in manifest.inputs if entry.path} <= files
    assert str(folder.parent) not in "".join(p.read_text() for p in Path("made").rglob("*") if p.suffix in (".json", ".html", ".yaml"))
    assert len(set(manifest.inputs)) == len(manifest.inputs)
    return {(entry.path, entry.role) for entry in manifest.inputs}


def test_pictures_of_a_folder_and_alone(here: Path) -> None:
    picture(here / "cat.png", 1)
    arguments = ["activations", "nets/net.py:net", "photos", "cat.png", "--layers", "0"]
    assert recorded(arguments, here) == {*CODE, ("photos/dog.png", Role.PICTURE), ("cat.png", Role.PICTURE)}


def test_what_lies_elsewhere_goes_by_the_names_that_stand_in_the_options(here: Path) -> None:
    there = here.parent / "there"
    arguments = ["activations", str(there / "nets" / "net.py:net"), str(there / "photos"), "../there/photos/dog.png", "--layers", "0"]
    assert recorded(arguments, there) == {*ELSEWHERE, ("photos/dog.png", Role.PICTURE), ("dog.png", Role.PICTURE)}
    manifest = Manifest.read(Path("made"))
    assert (manifest.config["model"], manifest.config["images"]) == ("net.py:net", ["photos", "dog.png"])


def test_samples_have_a_name_and_no_path_and_doubles_keep_their_names(here: Path) -> None:
    picture(here / "cat.png", 1)
    entries = input_entries(load(["cat.png", "coffee"]))
    assert [(entry.name, entry.path) for entry in entries] == [("cat.png", "cat.png"), ("coffee", "")]
    picture(here / "other" / "cat.png", 2)
    assert recorded(["activations", "nets/net.py:net", "cat.png", "other/cat.png", "--layers", "0"], here) == {
        *CODE,
        ("cat.png", Role.PICTURE),
        ("other/cat.png", Role.PICTURE),
    }
    assert {entry.name for entry in Manifest.read(Path("made")).inputs if entry.role is Role.PICTURE} == {"cat.png"}


def test_a_sample_beside_a_file_of_its_name_is_still_that_sample(here: Path) -> None:
    picture(here / "own" / "coffee.png", 1)
    assert run(["activations", "nets/net.py:net", "own/coffee.png", "coffee", "--layers", "0", *QUICK, "--out", "made"]) == 0
    names = [(entry.name, entry.path) for entry in Manifest.read(Path("made")).inputs if entry.role is Role.PICTURE]
    assert names == [("coffee.png", "own/coffee.png"), ("coffee", "")]


@pytest.mark.parametrize("path", ["w.safetensors", "HERE/w.safetensors"])
def test_weights(here: Path, path: str) -> None:
    weights = path.replace("HERE", str(here))
    assert recorded(["kernels", "nets/net.py:net", "--weights", weights], here) == {*CODE, ("w.safetensors", Role.WEIGHTS)}
    manifest = Manifest.read(Path("made"))
    assert manifest.model is not None
    assert manifest.model.weights == "w.safetensors"
    found = [entry for entry in manifest.inputs if entry.role is Role.WEIGHTS]
    file = here / "w.safetensors"
    assert found == [InputEntry(file.name, sha256(file), file.stat().st_size, file.name, Role.WEIGHTS)]


@pytest.mark.parametrize(
    ("option", "given", "path"),
    [
        ("masks", "masks", "masks/dog.png"),
        ("masks", "THERE/masks", "masks/dog.png"),
        ("boxes", "boxes.json", "boxes.json"),
        ("boxes", "THERE/boxes.json", "boxes.json"),
        ("boxes", "boxes", "boxes/dog.xml"),
        ("boxes", "../there/boxes", "boxes/dog.xml"),
        ("boxes", "boxes/dog.xml", "boxes/dog.xml"),
    ],
)
def test_masks_and_annotations_of_the_pictures_and_no_others(here: Path, option: str, given: str, path: str) -> None:
    where = Path(given.replace("THERE", str(here.parent / "there")))
    entries = mask_entries(Compare(**{option: where}), load(["photos"]))
    file = where if where.is_file() else where / Path(path).name
    assert entries == (InputEntry(file.name, sha256(file), file.stat().st_size, path, Role.MASK),)


def test_masks_of_a_comparison(here: Path) -> None:
    arguments = ["compare", "nets/net.py:net", "photos", "--methods", "saliency", "--metrics", "pointing-game", "--masks", "masks"]
    assert recorded(arguments, here) == {*CODE, ("photos/dog.png", Role.PICTURE), ("masks/dog.png", Role.MASK)}


VISUALIZE, SMALL = ["visualize", "nets/net.py:net"], ["--steps", "1", "--size", "24", "--quality", "none"]


def test_the_photograph_that_is_started_from_and_the_one_it_is_about(here: Path) -> None:
    picture(here / "start.png", 1)
    picture(here / "about.png", 2)
    arguments = [*VISUALIZE, "0", "--objective", "caricature", "--photo", "about.png", "--from", "start.png", *SMALL]
    assert recorded(arguments, here) == {*CODE, ("start.png", Role.PICTURE), ("about.png", Role.PICTURE)}


def test_pictures_of_one_content_are_all_there_as_they_will_be_looked_for(here: Path) -> None:
    picture(here / "again.png")
    arguments = [*VISUALIZE, "0:0", "--images", "photos", "again.png", *SMALL]
    assert recorded(arguments, here) == {*CODE, ("photos/dog.png", Role.PICTURE), ("again.png", Role.PICTURE)}


def test_the_code_of_a_judge(here: Path) -> None:
    (here / "judge.py").write_text(NET.replace("from blocks", "from other_blocks"))
    (here / "other_blocks.py").write_text(BLOCKS)
    arguments = [*VISUALIZE, "ant", "--objective", "logit", "--images", "photos", "--judge", "judge.py:net", *SMALL[:4]]
    paths = recorded(arguments, here)
    assert paths == {*CODE, ("judge.py", Role.CODE), ("other_blocks.py", Role.CODE), ("photos/dog.png", Role.PICTURE)}


@dataclass(frozen=True)
class Config:
    """A question."""

    model: str = "nets/net.py:net"
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)


def test_a_script_records_the_files_of_its_model_by_doing_nothing(here: Path) -> None:
    config = Config(loading=ModelOptions(weights=Path("w.safetensors")), saving=SaveOptions(out=Path("made")))

    def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
        return Product("A title", "", [], {"kernel": model.module[0].weight.detach().numpy()})  # type: ignore[index,union-attr]

    publish("x", config, lambda: config.loading.load(config.model), make, reference=config.model, seed=0, saving=config.saving)
    assert {(entry.path, entry.role) for entry in Manifest.read(Path("made")).inputs} == {*CODE, ("w.safetensors", Role.WEIGHTS)}


@pytest.mark.parametrize("given", ["..", "../here/photos/..", "."])
def test_folders_that_lead_upwards_are_no_hindrance(here: Path, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(here.parent / "up.png", 1)
    picture(here / "up.png", 1)
    photo = load([given])[0]
    assert (photo.name, input_entries([photo])[0].path) in {("up", "up.png"), ("up", "photos/up.png")}


SCRIPT = """
from dataclasses import dataclass, field

from interp.cli.options import ModelOptions, OneModel, SaveOptions, Saving
from ask_helper import TITLE


@dataclass(frozen=True)
class Config:
    loading: OneModel = field(default_factory=ModelOptions)
    saving: Saving = field(default_factory=SaveOptions)
"""


def test_what_a_script_of_ones_own_imports_from_beside_it_is_code(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "ask_own.py": SCRIPT,
        "ask_helper.py": "from ask_lib.words import TITLE\nimport ask_installed\n",
        "ask_lib/words.py": "TITLE = 'A title'\n",
        "ask_unused.py": "raise SystemExit(9)\n",
        "venv/site-packages/ask_installed.py": "",
    }
    for path, text in texts.items():
        (here / "own" / path).parent.mkdir(parents=True, exist_ok=True)
        (here / "own" / path).write_text(text)
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [str(here / "own"), str(here / "own" / "venv" / "site-packages"), *sys.path])
    try:
        config = importlib.import_module("ask_own").Config(saving=SaveOptions(out=Path("made")))
        files = [here / "own" / path for path in ("ask_helper.py", "ask_lib/words.py")]
        expected = tuple(
            InputEntry(file.name, sha256(file), file.stat().st_size, file.relative_to(here).as_posix(), Role.CODE) for file in files
        )
        assert neighbours_of(config) == expected

        def make(model: Model, photos: list[Photo], tick: Tick) -> Product:
            return Product("A title", "", [], {"kernel": model.module[0].weight.detach().numpy()})  # type: ignore[index,union-attr]

        publish("x", config, lambda: config.loading.load("nets/net.py:net"), make, reference="net", seed=0, saving=config.saving)
        manifest = Manifest.read(Path("made"))
        assert manifest.program.name == "own/ask_own.py"
        assert set(manifest.inputs) >= set(expected)
        assert {(entry.path, entry.role) for entry in manifest.inputs} == {*CODE, *((entry.path, Role.CODE) for entry in expected)}
        monkeypatch.chdir(here.parent / "there")
        assert [entry.path for entry in neighbours_of(config)] == ["ask_helper.py", "ask_lib/words.py"]
        # Of a script in a checkout of interp the commit is recorded.
        (here / "interp").mkdir()
        assert neighbours_of(config, here / "interp") == ()
    finally:
        for name in set(sys.modules) - before:
            if name.startswith("ask_"):
                del sys.modules[name]
