"""A changed manifest: what was written is found by its digest, and what is other now is named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from interp.runs import ChangedManifest, Manifest, verify
from interp.runs.changed import explain

Value = dict[str, object]


def edited(folder: Path, edit: Callable[[Value], object]) -> list[str]:
    """What is said of the manifest after an edit by hand."""
    path = folder / "manifest.json"
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
    return said(folder)


def said(folder: Path) -> list[str]:
    with pytest.raises(ChangedManifest) as caught:
        verify(folder)
    return [f"{problem.name} {problem.detail}" for problem in explain(folder, caught.value)]


def at(value: object, *keys: str) -> Value:
    for key in keys:
        assert isinstance(value, dict)
        value = value[key]
    assert isinstance(value, dict)
    return value


def test_an_option_is_named_by_the_options_that_lie_beside(made: Path) -> None:
    assert edited(made, lambda v: at(v, "config").update(steps=700)) == ["config.steps is 700; 256 was written"]


def test_options_that_came_or_went_are_named(made: Path) -> None:
    def edit(value: Value) -> None:
        at(value, "config").update(more=[1])
        del at(value, "config")["layer"]

    assert edited(made, edit) == ["config.more is [1]; it was not written", 'config.layer is not there; "layer4.1.conv2" was written']


def test_one_bit_is_turned_back_where_nothing_lies_beside(made: Path) -> None:
    (made / "config.yaml").unlink()
    assert edited(made, lambda v: at(v, "config").update(steps=257)) == [
        "config.steps is 257; 256 was written",
        "config.yaml listed in the manifest, not in the folder",
    ]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda v: v.update(seed=6), "seed is 6; 7 was written"),
        (lambda v: v.update(seed=1234), "seed does not match its digest; what was written is not known"),
        (lambda v: at(v, "model").update(reference="resnet19"), 'model.reference is "resnet19"; "resnet18" was written'),
        (lambda v: at(v, "machine").update(threads=3), "machine.threads is 3; 1 was written"),
        (lambda v: v["inputs"][0].update(size=2), "inputs[0].size is 2; 3 was written"),
        (lambda v: at(v, "digests").update(seed="0" + v["digests"]["seed"][1:]), None),
        (lambda v: at(v, "digests").pop("about"), "digests.about is missing"),
    ],
)
def test_any_part_is_named_as_exactly_as_can_be_known(made: Path, edit: Callable[[Value], object], expected: str | None) -> None:
    if expected is None:
        expected = "digests.seed is changed in one letter; `seed` itself is as it was written"
        assert json.loads((made / "manifest.json").read_text())["digests"]["seed"][0] != "0"
    assert edited(made, edit) == [expected]


def test_the_entry_of_a_file_is_named_not_the_file(made: Path) -> None:
    was = Manifest.read(made).files["index.html"].sha256
    expected = f"files.index.html.sha256 is {'0' * 12}...; {was[:12]}... was written"
    assert edited(made, lambda v: at(v, "files", "index.html").update(sha256="0" * 64)) == [expected]


def test_the_entry_of_an_array_is_named_not_the_array(made: Path) -> None:
    was = Manifest.read(made).arrays["maps"].sha256
    expected = f"arrays.maps.sha256 is {'0' * 12}...; {was[:12]}... was written"
    assert edited(made, lambda v: at(v, "arrays", "maps").update(sha256="0" * 64)) == [expected]


def test_an_entry_that_was_taken_out_is_named(made: Path) -> None:
    (said,) = edited(made, lambda v: at(v, "files").pop("metrics.json"))
    assert re.fullmatch(r'files\.metrics\.json is not there; \{"bytes": \d+, "sha256": "[0-9a-f]{64}"\} was written', said)


def test_what_else_was_changed_is_named_beside(made: Path) -> None:
    arrays = load_file(made / "arrays.safetensors")
    save_file(arrays | {"maps": arrays["maps"] + 1}, made / "arrays.safetensors")
    (made / "index.html").write_text("another page")
    assert edited(made, lambda v: at(v, "config").update(steps=700)) == [
        "config.steps is 700; 256 was written",
        "index.html 12 bytes, 11 were written",
        "maps other values of the same float32 [3, 4]",
    ]


def test_options_beside_it_that_do_not_fit_the_digest_are_not_believed(made: Path) -> None:
    (made / "config.yaml").write_text("layer: layer4.1.conv2\nsteps: 300\n")
    found = edited(made, lambda v: at(v, "config").update(steps=700))
    assert found[0] == "config does not match its digest; what was written is not known"
    assert found[1].startswith("config.yaml ")


@pytest.mark.parametrize("text", ["a: &a [1]\nb: *a\n", "- 1\n", "a: [\n", "!!python/object/apply:os.system [true]\n"])
def test_a_file_of_options_that_is_none_is_passed_over(made: Path, text: str) -> None:
    (made / "config.yaml").write_text(text)
    assert edited(made, lambda v: at(v, "config").update(steps=257))[0] == "config.steps is 257; 256 was written"


def test_nothing_outside_is_read_through_links(made: Path, tmp_path: Path) -> None:
    for name in ("config.yaml", "arrays.safetensors"):
        (made / name).rename(tmp_path / name)
        (made / name).symlink_to(tmp_path / name)
    found = edited(made, lambda v: (at(v, "config").update(steps=700), at(v, "arrays", "maps").update(dtype="int32")))
    assert found[:2] == [
        "arrays does not match its digest; what was written is not known",
        "config does not match its digest; what was written is not known",
    ]


def test_every_bit_of_the_options_is_found(made: Path) -> None:
    path = made / "manifest.json"
    data = path.read_bytes()
    start = data.index(b'"layer4.1.conv2"') + 1
    for position in range(start, start + len("layer4.")):
        for bit in range(7):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            letter = changed[position]
            if letter in b'"\\' or not 32 <= letter < 127:
                continue  # no JSON any more, which is told as such
            path.write_bytes(changed)
            now = changed[start : start + len("layer4.1.conv2")].decode()
            assert said(made) == [f'config.layer is {json.dumps(now)}; "layer4.1.conv2" was written']
