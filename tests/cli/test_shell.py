"""The command line: what is written, and every bad input as one line with exit code 2 and nothing left behind."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from interp.cli import run
from interp.runs import verify

SMALL = ["--steps", "2"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def photo(here):
    rng = np.random.default_rng(0)
    path = here / "photo.png"
    Image.fromarray(rng.integers(0, 255, (80, 100, 3), dtype=np.uint8)).save(path)
    return path


def refused(capsys, *arguments: str) -> str:
    """The one line that the command says; asserts exit code 2, one line, no traceback, no output."""
    assert run(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("interp: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


def test_report_writes_a_run_that_verifies(here, photo, capsys):
    assert run(["report", "embedded", str(photo), *SMALL, "--layers", "stem", "stage3.block2", "--out", "r"]) == 0
    assert capsys.readouterr().out.strip() == "r/index.html"
    assert verify(here / "r").ok
    arrays = load_file(here / "r" / "arrays.safetensors")
    assert arrays["kernels_shown/stem.conv"].shape == (32, 3, 7, 7)
    assert {k.split("/")[0] for k in arrays} == {"kernels_shown", "activations", "features", "gradcam"}
    metrics = json.loads((here / "r" / "metrics.json").read_text())
    assert 0 < metrics["predictions"]["photo"]["probability"] <= 1
    page = (here / "r" / "index.html").read_text()
    for stem in ("overview", "kernels", "activations-photo", "features", "gradcam"):
        assert f"figures/{stem}.png" in page
        with Image.open(here / "r" / "figures" / f"{stem}.png") as picture:
            assert picture.width > 300
        assert (here / "r" / "figures" / f"{stem}.pdf").read_bytes().startswith(b"%PDF")


def test_same_seed_same_arrays_whatever_is_drawn_in_between(here, photo):
    def arrays(out: str, seed: str) -> dict[str, np.ndarray]:
        command = ["report", "embedded", str(photo), *SMALL, "--layers", "stage2.block1", "--seed", seed, "--out", out]
        assert run(command) == 0
        return load_file(here / out / "arrays.safetensors")

    one = arrays("one", "3")
    torch.manual_seed(99)
    torch.rand(7)
    np.random.rand(7)  # noqa: NPY002 - the global generator is the point
    two, other = arrays("two", "3"), arrays("other", "4")
    assert one.keys() == two.keys() == other.keys()
    assert all(np.array_equal(one[k], two[k]) for k in one)
    assert any(not np.array_equal(one[k], other[k]) for k in one if k.startswith("features"))


def test_single_commands_write_their_figures(here, photo):
    assert run(["kernels", "embedded", "--layers", "stem.conv", "fc", "--out", "k"]) == 0
    assert run(["activations", "embedded", str(photo), "--units", "stage1.block1:3,5", "--scale", "layer", "--out", "a"]) == 0
    assert run(["visualize", "stem:0-1", "fc:3", *SMALL, "--size", "32", "--quality", "none", "--out", "v"]) == 0
    assert run(["gradcam", "embedded", str(photo), "--target", "espresso", "--scale", "shared", "--out", "g"]) == 0
    for name in "kavg":
        assert verify(here / name).ok
    assert load_file(here / "a" / "arrays.safetensors")["activations/photo/stage1.block1/channels"].tolist() == [3, 5]
    assert load_file(here / "v" / "arrays.safetensors")["features/fc:3/image"].shape == (32, 32, 3)


def test_layers_lists_shapes_fields_and_calls(here, capsys):
    assert run(["layers", "resnet18", "layer4.1*"]) == 0
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.split()[:1] == ["layer4.1.conv2"])
    assert line.split()[1:] == ["Conv2d", "512", "x", "7", "x", "7", "2,359,296", "435x435", "32", "maps", "1"]
    relu = next(line for line in out.splitlines() if line.split()[:1] == ["layer4.1.relu"])
    assert relu.split()[-1] == "2"


def test_verify_finds_a_changed_file(here, capsys):
    assert run(["kernels", "embedded", "--layers", "stem.conv", "--out", "results/k"]) == 0
    assert run(["verify", "--files-only"]) == 0
    (here / "results" / "k" / "figures" / "kernels.png").write_bytes(b"other")
    assert run(["verify", "--files-only"]) == 1
    assert "figures/kernels.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["kernel"], "no command 'kernel': did you mean 'kernels'"),
        (["report", "resnet81"], "no model 'resnet81'.*did you mean 'resnet18'"),
        (["report", "embedded", "--layers", "stage1.blok1"], "no layer 'stage1.blok1'.*did you mean 'stage1.block1'"),
        (["gradcam", "swin_t", "--random-weights", "--layers", "features.1.0.attn.qkv"], "'features.1.0.attn.qkv'.*never fires"),
        (["visualize", "stem:32"], "no unit 'stem:32'.*32 channels, 0 to 31"),
        (["visualize", "stem"], "no unit is named: 'stem' is taken for the model"),
        (["visualize"], "no unit is named"),
        (["visualize", "stem:0", "--size", "100000"], "--size 100000 is too large"),
        (["visualize", "stem:0", "--total-variation", "nan"], "--total-variation nan is no weight"),
        (["activations", "embedded", "cat", "--units", "stem:1@3,3"], "'stem:1@3,3' names one place.*write 'stem:1'"),
        (["gradcam", "embedded", "cat", "--target", "stem.conv:0"], "Grad-CAM of 'stem.conv:0' needs a layer.*fires before 'stem.conv'"),
        (["visualize", "stem:3-1"], "range '3-1'.*is empty"),
        (["kernels", "embedded", "--layers", "stem.relu"], "'stem.relu'.*stem.conv"),
        (["gradcam", "embedded", "--target", "esspresso"], "no class 'esspresso'.*did you mean 'espresso'"),
        (["gradcam", "embedded", "--target", "200"], "no class 200.*0 to 199"),
        (["report", "embedded", "--device", "cuda:9"], "cuda:9"),
        (["report", "embedded", "--device", "gpu"], "gpu"),
        (["report", "embedded", "missing.jpg"], "cannot read the picture 'missing.jpg'"),
        (["report", "--stps", "3"], "--stps.*did you mean --steps"),
        (["repot"], "repot.*report"),
        (["report", "--steps", "0"], "--steps 0 is too small"),
        (["report", "--steps", "many"], "steps"),
        (["verify", "nowhere"], "no run 'nowhere' below 'results'"),
        (["report", "embedded", "--weights", "no.pt"], "no.pt"),
    ],
)
def test_bad_input_is_one_line(here, capsys, arguments, message):
    before = files(here)
    line = refused(capsys, *arguments)
    assert re.search(message, line), line
    assert files(here) == before


def test_bad_pictures_and_folders_are_named(here, capsys):
    (here / "text.png").write_text("no picture")
    (here / "empty").mkdir()
    (here / "file").write_text("")
    assert "the picture 'text.png' is in none of the formats that are read: give PNG," in refused(capsys, "report", "embedded", "text.png")
    assert "'empty' holds no picture" in refused(capsys, "report", "embedded", "empty")
    assert "nothing is overwritten" in refused(capsys, "kernels", "--out", str(here))
    assert "is a file, not a folder" in refused(capsys, "kernels", "--out", "file/run")
    assert files(here) == {"text.png", "empty", "file"}


def test_weights_that_do_not_fit_or_hold_code_are_refused(here, capsys):
    torch.save({"conv.weight": torch.zeros(1)}, here / "other.pt")
    line = refused(capsys, "report", "embedded", "--weights", "other.pt")
    assert "stem.conv.weight" in line
    assert "conv.weight" in line

    class Evil:
        def __reduce__(self):
            return (Path.touch, (here / "owned",))

    torch.save({"a": Evil()}, here / "evil.pt")
    refused(capsys, "report", "embedded", "--weights", "evil.pt")
    (here / "short.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{}")
    refused(capsys, "report", "embedded", "--weights", "short.safetensors")
    assert not (here / "owned").exists()
    assert files(here) == {"other.pt", "evil.pt", "short.safetensors"}


def test_interrupting_leaves_nothing(here, photo, monkeypatch, capsys):
    from interp import featurevis

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(featurevis, "visualize", interrupted)
    assert run(["report", "embedded", str(photo), "--out", "deep/er/run"]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert files(here) == {"photo.png"}


def test_pictures_of_every_readable_kind_work(here):
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 255, (70, 90, 3), dtype=np.uint8)
    folder = here / "kinds"
    folder.mkdir()
    Image.fromarray(rgb).convert("RGBA").save(folder / "alpha.png")
    Image.fromarray(rgb).convert("L").save(folder / "grey.png")
    Image.fromarray((rng.random((70, 90)) * 65535).astype(np.uint16)).save(folder / "deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "jpeg", exif=exif)
    (folder / "turned.jpg").write_bytes(stream.getvalue())
    Image.fromarray(rgb[:1, :1]).save(folder / "dot.png")
    assert run(["gradcam", "embedded", str(folder), "--layers", "stage3.block1", "--out", "g"]) == 0
    assert len(json.loads((here / "g" / "metrics.json").read_text())["predictions"]) == 5
