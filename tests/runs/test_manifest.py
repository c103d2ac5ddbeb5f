"""Manifests: one JSON text per manifest, strict reading, hashes that see dtype, shape and bytes, no paths."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interp.errors import InterpError
from interp.runs.manifest import (
    ArrayEntry,
    CommitEntry,
    FileEntry,
    InputEntry,
    Manifest,
    ModelEntry,
    array_hash,
    file_hash,
)
from interp.runs.origin import source_commit, versions
from interp.runs.plain import portable

TEXT = st.text(max_size=12).map(portable)
HASH = st.binary(max_size=3).map(lambda data: hashlib.sha256(data).hexdigest())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
WHOLE = st.integers(min_value=0, max_value=2**60)
NAME = st.from_regex(r"[a-z0-9_]{1,8}(\.[a-z]{1,3})?", fullmatch=True).filter(lambda name: name != "manifest.json")
# As plain values: the type checker of the tests draws random numbers, which Hypothesis wants outside of strategies.
FIELDS = st.fixed_dictionaries(
    {
        "experiment": TEXT,
        "command": st.lists(TEXT, max_size=3).map(tuple),
        "config": st.dictionaries(TEXT, JSON, max_size=3),
        "seed": st.integers(),
        "versions": st.dictionaries(TEXT, TEXT, max_size=3),
        "device": TEXT,
        "threads": st.integers(min_value=1, max_value=512),
        "platform": TEXT,
        "created": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
        "seconds": st.floats(min_value=0, allow_infinity=False),
    }
)
MODELS = st.none() | st.tuples(TEXT, TEXT, HASH, WHOLE)
INPUTS = st.lists(st.tuples(NAME, HASH, WHOLE), max_size=3)
COMMITS = st.none() | st.booleans()
ARRAYS = st.dictionaries(TEXT, st.tuples(HASH, TEXT, st.lists(WHOLE, max_size=3)), max_size=2)
FILES = st.dictionaries(st.lists(NAME, min_size=1, max_size=2).map("/".join), st.tuples(HASH, WHOLE), max_size=3)

SOUND = Manifest(
    experiment="tour",
    command=("interp", "tour"),
    config={"steps": 3},
    seed=0,
    model=ModelEntry("resnet18", "torchvision", "a" * 64, 1),
    inputs=(InputEntry("cat.png", "b" * 64, 5),),
    versions={"python": "3.11"},
    device="cpu",
    threads=2,
    platform="Linux",
    commit=CommitEntry("c" * 40, dirty=False),
    created="2026-11-21T00:00:00+00:00",
    seconds=1.5,
    arrays={"maps": ArrayEntry("d" * 64, "float32", (2, 3))},
    files={"figures/grid.png": FileEntry("e" * 64, 9)},
)


@given(FIELDS, MODELS, INPUTS, COMMITS, ARRAYS, FILES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_reading_is_the_inverse_of_writing(
    fields: dict[str, Any],
    model: tuple[str, str, str, int] | None,
    inputs: list[tuple[str, str, int]],
    dirty: bool | None,
    arrays: dict[str, tuple[str, str, list[int]]],
    files: dict[str, tuple[str, int]],
) -> None:
    manifest = Manifest(
        **fields,
        model=None if model is None else ModelEntry(*model),
        inputs=tuple(InputEntry(*item) for item in inputs),
        commit=None if dirty is None else CommitEntry("0" * 40, dirty),
        arrays={name: ArrayEntry(digest, dtype, tuple(shape)) for name, (digest, dtype, shape) in arrays.items()},
        files={name: FileEntry(*item) for name, item in files.items()},
    )
    text = manifest.to_json()
    again = Manifest.from_json(text)
    assert again == manifest
    assert again.to_json() == text


def test_the_json_has_sorted_keys_and_its_own_digest() -> None:
    value = json.loads(SOUND.to_json())
    assert list(value) == sorted(value)
    digest = value.pop("digest")
    rest = json.dumps(value, sort_keys=True, indent=2) + "\n"
    assert digest == hashlib.sha256(rest.encode()).hexdigest()


def test_windows_line_ends_are_the_same_manifest() -> None:
    assert Manifest.from_json(SOUND.to_json().replace("\n", "\r\n")) == SOUND


def edited(change: Callable[[dict[str, object]], object]) -> str:
    value = json.loads(SOUND.to_json())
    change(value)
    return json.dumps(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is not JSON"),
        ("[]", "`the manifest` is a list, not an object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"seed": 1, "seed": 2}', "the key `seed` appears twice"),
        ('{"seed": NaN}', "NaN is not a JSON number"),
        (edited(lambda m: m.pop("seed")), "`seed` is missing"),
        (edited(lambda m: m.update(more=1)), "`more` is not a known key"),
        (edited(lambda m: m.update(format=2)), "`format` is 2; this interp reads format 1"),
        (edited(lambda m: m.update(seed="1")), "`seed` is a string, not a whole number"),
        (edited(lambda m: m.update(seed=True)), "`seed` is true or false, not a whole number"),
        (edited(lambda m: m.update(threads=0)), "`threads` is 0, less than 1"),
        (edited(lambda m: m.update(seconds=-1.0)), "`seconds` is -1.0, less than 0"),
        (edited(lambda m: m.update(device=None)), "`device` is null, not a string"),
        (edited(lambda m: m.update(command=[1])), r"`command\[0\]` is a number, not a string"),
        (edited(lambda m: m.update(config=[])), "`config` is a list, not an object"),
        (edited(lambda m: m.update(inputs=[{"name": "x"}])), r"`inputs\[0\].sha256` is missing"),
        (edited(lambda m: m.update(commit={"hash": "c" * 40, "dirty": 0})), "`commit.dirty` is a number, not true"),
        (edited(lambda m: m.update(commit={"hash": "HEAD", "dirty": True})), "`commit.hash` is not a git commit"),
        (edited(lambda m: m.update(created="2026-11-21T00:00:00+02:00")), "`created` is not an ISO time in UTC"),
        (edited(lambda m: m.update(created="today")), "`created` is not an ISO time in UTC"),
        (
            edited(lambda m: m.update(arrays={"a": {"sha256": "d" * 64, "dtype": "int8", "shape": [-1]}})),
            r"`arrays.a.shape` is \[-1\], not a list of sizes",
        ),
        (edited(lambda m: m.update(files={"a": {"sha256": "D" * 64, "bytes": 1}})), "`files.a` is not a SHA-256"),
        (edited(lambda m: m.update(files={"../a": {"sha256": "d" * 64, "bytes": 1}})), "leads out of the run's"),
        (edited(lambda m: m.update(files={"manifest.json": {"sha256": "d" * 64, "bytes": 1}})), "its own hash"),
        (edited(lambda m: m.update(device="/dev/dri/card0")), "`device` holds an absolute path"),
        (edited(lambda m: m.update(config={"a": {"b": ["/home/me"]}})), r"`config.a.b\[0\]` holds an absolute path"),
        (SOUND.to_json().replace("1.5", "1e400"), "1e400 is beyond the largest number"),
        (edited(lambda m: m.update(seed=1)), "does not match its own `digest`: damaged, or edited by hand"),
    ],
)
def test_reading_is_strict_and_names_the_file(text: str, message: str) -> None:
    with pytest.raises(InterpError, match=f"^runs/m.json: .*({message})") as caught:
        Manifest.from_json(text, "runs/m.json")
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_manifest_is_no_finished_run(tmp_path: Path) -> None:
    with pytest.raises(InterpError, match=r"is no finished run: it has no manifest\.json"):
        Manifest.read(tmp_path)
    (tmp_path / "manifest.json").write_bytes(b"\xff")
    with pytest.raises(InterpError, match="byte 0 is damaged"):
        Manifest.read(tmp_path)


def test_construction_refuses_what_reading_would() -> None:
    with pytest.raises(InterpError, match="inputs go by their base name"):
        replace(SOUND, inputs=(InputEntry("photos/cat.png", "b" * 64, 1),))
    with pytest.raises(InterpError, match="`seconds` is inf, not a time"):
        replace(SOUND, seconds=float("inf"))


def test_the_hash_is_of_dtype_shape_and_bytes() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    expected = hashlib.sha256(b'["int32",[2,3]]\n' + array.tobytes()).hexdigest()
    assert array_hash(array) == expected
    assert array_hash(array.reshape(3, 2)) != expected
    assert array_hash(array.view(np.uint32)) != expected
    assert array_hash(array.view(np.float32)) != expected
    changed = array.copy()
    changed.view(np.uint8)[1, 4] ^= 1
    assert array_hash(changed) != expected


def test_the_hash_ignores_how_the_elements_lie_in_memory() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    for same in (np.asfortranarray(array), array.astype(">i4"), np.repeat(array, 2, axis=1)[:, ::2]):
        assert array_hash(same) == array_hash(array)


def test_the_hash_tells_empty_shapes_and_signs_of_zero_apart() -> None:
    shapes: list[tuple[int, ...]] = [(0,), (0, 3), (3, 0)]
    assert len({array_hash(np.zeros(shape)) for shape in shapes}) == 3
    assert array_hash(np.array(1.0)) != array_hash(np.array([1.0]))
    assert array_hash(np.array(0.0)) != array_hash(np.array(-0.0))


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.array([1j]), np.array(0, dtype="M8[s]")])
def test_arrays_that_cannot_be_stored_are_refused(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    with pytest.raises(InterpError, match=re.escape(f"arrays of dtype {array.dtype} are not stored; use")):
        array_hash(array)


def test_inputs_are_hashed_and_go_by_base_name(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"cat")
    expected = InputEntry("cat.png", hashlib.sha256(b"cat").hexdigest(), 3)
    assert InputEntry.of(path) == InputEntry.of_bytes("cat.png", b"cat") == expected
    assert file_hash(path) == (expected.sha256, 3)
    with pytest.raises(InterpError, match=r"cannot read the input `.*dog\.png`: No such file"):
        InputEntry.of(tmp_path / "dog.png")


def test_versions_are_read_from_metadata() -> None:
    found = versions()
    assert found["numpy"] == np.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"interp", "torch", "torchvision", "captum", "matplotlib"} <= found.keys()


def test_the_commit_is_of_the_checkout_that_tracks_the_package(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True, capture_output=True)
        return done.stdout.decode().strip()

    package = tmp_path / "interp"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert source_commit(package) is None
    git("init", "-q")
    assert source_commit(package) is None  # inside a repository that does not track it
    git("add", ".")
    git("commit", "-q", "-m", "x", "--no-verify")
    head = git("rev-parse", "HEAD")
    assert source_commit(package) == CommitEntry(head, dirty=False)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "x").write_text("results do not make the source dirty")
    assert source_commit(package) == CommitEntry(head, dirty=False)
    (package / "new.py").write_text("")
    assert source_commit(package) == CommitEntry(head, dirty=True)


def test_torch_is_not_imported() -> None:
    script = "import sys, interp.runs, interp.site; bad = {'torch', 'matplotlib'} & set(sys.modules); assert not bad, bad"
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
