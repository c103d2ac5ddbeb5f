"""The files of the user that a model is made from: weights and code, wherever they lie and whatever links to them."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

from interp.runs import InputEntry, Role
from interp.runs.inputs import beside, in_folder
from interp.zoo import weights
from interp.zoo.loading import load

NET = """
from torch import nn
from parts.first import conv
import parts.second
import json, colorsys  # no neighbours

preprocess = {"size": [8, 8], "resize": 8}

def factory():
    from late import pool
    return nn.Sequential(conv(), pool(), nn.Flatten())
"""
FILES = {
    "net.py": NET,
    "parts/__init__.py": "",
    "parts/first.py": "from torch import nn\ndef conv(): return nn.Conv2d(3, 2, 3)\n",
    "parts/second.py": "",
    "late.py": "from torch import nn\ndef pool(): return nn.AdaptiveAvgPool2d(1)\n",
    "unused.py": "raise RuntimeError('nobody asked for it')\n",
}
READ = ("net.py", "late.py", "parts/__init__.py", "parts/first.py", "parts/second.py")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "work" / "nets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def entry(path: Path, recorded: str, role: Role = Role.CODE) -> InputEntry:
    return InputEntry(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, recorded, role)


def of_code(folder: Path, above: str = "") -> tuple[InputEntry, ...]:
    return tuple(entry(folder / name, above + name) for name in READ)


def test_code_and_the_neighbours_it_imported(here: Path) -> None:
    assert load("nets/net.py:factory").spec.files == of_code(here / "nets", "nets/")
    assert load("nets/net.py:factory").spec.files == of_code(here / "nets", "nets/")  # the modules of the first are forgotten


@pytest.mark.parametrize("folder", ["HERE/nets", "../work/nets", "nets/../../work/nets"])
def test_code_that_is_not_below_the_current_folder_goes_by_its_name(here: Path, folder: str) -> None:
    model = load(f"{folder.replace('HERE', str(here))}/net.py:factory")
    assert model.spec.files == of_code(here / "nets")
    assert model.spec.reference == "net.py:factory"


def test_a_package_without_a_file_of_its_own(here: Path) -> None:
    (here / "nets" / "parts" / "__init__.py").unlink()
    found = load("nets/net.py:factory").spec.files
    assert [e.path for e in found] == ["nets/net.py", "nets/late.py", "nets/parts/first.py", "nets/parts/second.py"]
    assert "parts" not in sys.modules


def linked(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.symlink(source, target)


def test_code_that_is_staged_by_links(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = here.parent / "stage"
    for name in READ:
        linked(here / "nets" / name, stage / "nets" / name)
    monkeypatch.chdir(stage)
    assert load("nets/net.py:factory").spec.files == of_code(here / "nets", "nets/")


def test_a_lone_link_finds_the_neighbours_of_what_it_links_to(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linked(here / "nets" / "net.py", here.parent / "stage" / "nets" / "net.py")
    monkeypatch.chdir(here.parent / "stage")
    assert load("nets/net.py:factory").spec.files == of_code(here / "nets", "nets/")


def test_staged_neighbours_come_before_those_of_the_linked_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = here.parent / "stage"
    linked(here / "nets" / "net.py", stage / "nets" / "net.py")
    shutil.copytree(here / "nets" / "parts", stage / "nets" / "parts")
    (stage / "nets" / "parts" / "first.py").write_text(FILES["parts/first.py"].replace("3, 2, 3", "3, 7, 3"))
    monkeypatch.chdir(stage)
    model = load("nets/net.py:factory")
    assert model.classes == 7
    assert entry(stage / "nets" / "parts" / "first.py", "nets/parts/first.py") in model.spec.files


def test_weights_go_by_the_hash_of_their_file(here: Path) -> None:
    module = load("nets/net.py:factory").module
    torch.save(module.state_dict(), here / "w.pt")
    torch.save({"state_dict": module.state_dict()}, here / "wrapped.pt")
    plain, wrapped = load("nets/net.py:factory", weights="w.pt").spec, load("nets/net.py:factory", weights=here / "wrapped.pt").spec
    assert plain.files == (*of_code(here / "nets", "nets/"), entry(here / "w.pt", "w.pt", Role.WEIGHTS))
    assert wrapped.files[-1] == entry(here / "wrapped.pt", "wrapped.pt", Role.WEIGHTS)
    assert plain.sha256 == wrapped.sha256 != plain.files[-1].sha256
    assert (plain.weights, wrapped.weights) == ("w.pt", "wrapped.pt")


def test_a_weights_file_is_hashed_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(load("nets/net.py:factory").module.state_dict(), here / "w.pt")
    hashed, digest = [], hashlib.file_digest

    def counted(file: object, name: str) -> object:
        hashed.append(getattr(file, "name", ""))
        return digest(file, name)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", counted)
    load("nets/net.py:factory", weights="w.pt")
    assert [str(name) for name in hashed].count("w.pt") == 1


def test_what_ships_or_is_given_has_no_files() -> None:
    assert load("embedded").spec.files == ()
    assert load(torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())).spec.files == ()


def test_random_weights_do_not_depend_on_where_the_file_lies(here: Path) -> None:
    references = ("nets/net.py:factory", f"{here}/nets/net.py:factory", "nets/../nets/net.py:factory")
    hashes = {load(reference, random_weights=True, seed=3).spec.sha256 for reference in references}
    assert len(hashes) == 1
    assert load("nets/net.py:factory", random_weights=True, seed=4).spec.sha256 not in hashes
    assert weights.state_sha256(load("nets/net.py:factory").module) == load(f"{here}/nets/net.py:factory").spec.sha256


@pytest.mark.parametrize(
    ("folder", "path"),
    [
        ("photos", "photos/a.png"),
        ("./photos/", "photos/a.png"),
        ("/data/photos", "photos/a.png"),
        ("../photos", "photos/a.png"),
        *((folder, "a.png") for folder in (".", "..", "../..", "/")),
    ],
)
def test_where_a_file_of_a_folder_stands(folder: str, path: str) -> None:
    assert in_folder(Path(folder), Path("a.png")) == path


@pytest.mark.parametrize(
    ("file", "path"),
    [("nets/net.py", "nets/parts/a.py"), ("net.py", "parts/a.py"), ("/data/net.py", "parts/a.py"), ("../nets/net.py", "parts/a.py")],
)
def test_where_a_neighbour_of_a_file_stands(file: str, path: str) -> None:
    assert beside(Path(file), Path("parts/a.py")) == path
