"""Manifests: one JSON text per manifest, strict reading, hashes that see dtype, shape and bytes, no paths."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interp.errors import InterpError
from interp.runs.entries import About, ArrayEntry, CommitEntry, FigureEntry, FileEntry, InputEntry, ModelEntry, Program, Role
from interp.runs.machine import Machine
from interp.runs.manifest import ChangedManifest, Manifest
from interp.runs.plain import portable, prose
from interp.runs.tolerance import Tolerance

TEXT = st.text(max_size=12).map(portable)
SAID = st.text(max_size=12).map(prose)
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
        "parent": st.none() | HASH,
        "created": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
        "seconds": st.floats(min_value=0, allow_infinity=False),
    }
)
MODELS = st.none() | st.tuples(TEXT, TEXT, HASH, WHOLE)
PATHS = st.lists(NAME, min_size=1, max_size=2).map("/".join)
INPUTS = st.lists(st.tuples(NAME, HASH, WHOLE, st.just("") | PATHS, st.sampled_from(Role)), max_size=3)
MACHINES = st.tuples(TEXT, TEXT, TEXT, TEXT, TEXT, st.integers(1, 512), TEXT, st.lists(TEXT, max_size=2).map(tuple))
PROGRAMS = st.tuples(st.just("script"), NAME, HASH) | st.just(("command", "tour", ""))
SAYINGS = st.tuples(
    st.tuples(SAID, SAID, SAID),
    st.dictionaries(NAME, st.tuples(HASH, SAID, SAID), max_size=2),
    st.dictionaries(TEXT, st.sampled_from(Tolerance)),
)
COMMITS = st.none() | st.booleans()
ARRAYS = st.dictionaries(TEXT, st.tuples(HASH, TEXT, st.lists(WHOLE, max_size=3)), max_size=2)
FILES = st.dictionaries(PATHS, st.tuples(HASH, WHOLE), max_size=3)

SOUND = Manifest(
    experiment="tour",
    program=Program("command", "tour"),
    command=("interp", "tour"),
    config={"steps": 3},
    seed=0,
    model=ModelEntry("resnet18", "torchvision", "a" * 64, 1),
    inputs=(InputEntry("cat.png", "b" * 64, 5, "photos/cat.png", Role.MASK),),
    versions={"python": "3.11"},
    machine=Machine("Linux x86_64", "a processor", "AVX2", "cuda:0", "an accelerator", 2, "float32", ("sums in any order",)),
    commit=CommitEntry("c" * 40, dirty=False),
    parent="f" * 64,
    created="2026-11-21T00:00:00+00:00",
    seconds=1.5,
    tolerances={"maps": Tolerance.EXACT},
    arrays={"maps": ArrayEntry("d" * 64, "float32", (2, 3))},
    figures={"grid": FigureEntry("9" * 64, "a grid", "what it means")},
    files={"figures/grid.png": FileEntry("e" * 64, 9)},
    about=About("A tour", "What is there?", "This is."),
)


@given(FIELDS, MODELS, INPUTS, COMMITS, ARRAYS, FILES, MACHINES, PROGRAMS, SAYINGS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_reading_is_the_inverse_of_writing(
    fields: dict[str, Any],
    model: tuple[str, str, str, int] | None,
    inputs: list[tuple[str, str, int, str, Role]],
    dirty: bool | None,
    arrays: dict[str, tuple[str, str, list[int]]],
    files: dict[str, tuple[str, int]],
    machine: tuple[Any, ...],
    program: tuple[str, str, str],
    sayings: tuple[tuple[str, ...], dict[str, tuple[str, ...]], dict[str, Tolerance]],
) -> None:
    manifest = Manifest(
        **fields,
        machine=Machine(*machine),
        program=Program(*program),
        about=About(*sayings[0]),
        figures={stem: FigureEntry(*entry) for stem, entry in sayings[1].items()},
        tolerances=sayings[2],
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


def test_the_json_has_sorted_keys_and_a_digest_of_every_part() -> None:
    value = json.loads(SOUND.to_json())
    assert list(value) == sorted(value)
    digests, identity = value.pop("digests"), value.pop("identity")
    assert identity == SOUND.identity
    assert digests.keys() == value.keys() - {"created", "seconds"}
    for key, digest in digests.items():
        assert digest == hashlib.sha256((json.dumps(value[key], sort_keys=True, indent=2) + "\n").encode()).hexdigest()


def test_windows_line_ends_are_the_same_manifest() -> None:
    assert Manifest.from_json(SOUND.to_json().replace("\n", "\r\n")) == SOUND


def edited(change: Callable[[dict[str, Any]], object]) -> str:
    value = json.loads(SOUND.to_json())
    change(value)
    return json.dumps(value)


def nested(depth: int) -> str:
    return SOUND.to_json().replace('"steps": 3', '"steps": ' + "[" * depth + "]" * depth)


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
        (edited(lambda m: m.update(format=3)), "`format` is 3, of a newer interp; this one reads format 2: upgrade interp"),
        (edited(lambda m: m.update(format=1)), "`format` is 1, of an older interp; this one reads format 2: make the run again"),
        ('{"name": "interp", "version": 2}', "it is not a manifest of interp: it has no `format` and `experiment`"),
        (edited(lambda m: m.update(seed="1")), "`seed` is a string, not a whole number"),
        (edited(lambda m: m.update(seed=True)), "`seed` is true or false, not a whole number"),
        (edited(lambda m: m["machine"].update(threads=0)), "`machine.threads` is 0, less than 1"),
        (edited(lambda m: m["machine"].update(unrepeatable="x")), "`machine.unrepeatable` is a string, not a list"),
        (edited(lambda m: m["machine"].update(host="x")), "`machine.host` is not a known key"),
        (edited(lambda m: m["program"].update(kind="shell")), "`program.kind` is 'shell'; it is 'command' or 'script'"),
        (edited(lambda m: m["program"].update(name="--help")), "a command goes by its name, in lower case"),
        (edited(lambda m: m["program"].update(kind="script")), "`program.sha256` is not a SHA-256"),
        (
            edited(lambda m: m.update(program={"kind": "script", "name": "a\\b.py", "sha256": "d" * 64})),
            "`program`: the path .* is refused",
        ),
        (edited(lambda m: m.update(parent="x")), "`parent` is not a SHA-256"),
        (edited(lambda m: m.update(parent=1)), "`parent` is a number, not a string"),
        (edited(lambda m: m.update(tolerances={"maps": "loose"})), "`tolerances.maps` is 'loose', which this interp does not know"),
        (edited(lambda m: m["inputs"][0].update(role="film")), "`inputs` has the role 'film', which this interp does not know"),
        (edited(lambda m: m["inputs"][0].update(path="a//b")), "`inputs`: the path 'a//b' is refused"),
        (
            edited(lambda m: m["inputs"][0].update(path="../cat.png")),
            r"`inputs\[0\].path` holds an absolute path, or one that leads upwards",
        ),
        (edited(lambda m: m["inputs"][0].update(name="a/b")), "`inputs` names 'a/b'; inputs go by their base name"),
        (edited(lambda m: m["inputs"][0].update(name="..")), r"`inputs\[0\].name` holds an absolute path, or one that leads upwards"),
        (edited(lambda m: m.update(figures={"..": m["figures"]["grid"]})), "`figures`: the path 'figures/..' is refused"),
        (edited(lambda m: m["program"].update(name="../tour")), "`program.name` holds an absolute path, or one that leads upwards"),
        (edited(lambda m: m["about"].update(lead="of /home/me/x")), "`about.lead` holds an absolute path"),
        (edited(lambda m: m["figures"]["grid"].update(caption="of /home/me/x")), "`figures.grid.caption` holds an absolute path"),
        (edited(lambda m: m.update(experiment="a/../../b")), "`experiment` holds an absolute path, or one that leads upwards"),
        (nested(60), "nested too deeply"),
        (SOUND.to_json().replace('"seed": 0', '"seed": ' + "9" * 5000), "the limit"),
        (edited(lambda m: m.update(seconds=-1.0)), "`seconds` is -1.0, less than 0"),
        (edited(lambda m: m["machine"].update(device=None)), "`machine.device` is null, not a string"),
        (edited(lambda m: m.update(command=[1])), r"`command\[0\]` is a number, not a string"),
        (edited(lambda m: m.update(config=[])), "`config` is a list, not an object"),
        (edited(lambda m: m.update(inputs=[{"name": "x"}])), r"`inputs\[0\].role` is missing"),
        (edited(lambda m: m.update(commit={"hash": "c" * 40, "dirty": 0})), "`commit.dirty` is a number, not true"),
        (edited(lambda m: m.update(commit={"hash": "HEAD", "dirty": True})), "`commit.hash` is not a git commit"),
        (edited(lambda m: m.update(created="2026-11-21T00:00:00+02:00")), "`created` is not an ISO time in UTC"),
        (edited(lambda m: m.update(created="today")), "`created` is not an ISO time in UTC"),
        (
            edited(lambda m: m.update(arrays={"a": {"sha256": "d" * 64, "dtype": "int8", "shape": [-1]}})),
            r"`arrays.a.shape` is \[-1\], not a list of sizes",
        ),
        (edited(lambda m: m.update(files={"a": {"sha256": "D" * 64, "bytes": 1}})), "`files.a` is not a SHA-256"),
        (edited(lambda m: m.update(files={"../a": {"sha256": "d" * 64, "bytes": 1}})), "one that leads upwards, '../a'"),
        (edited(lambda m: m.update(files={"a\\b": {"sha256": "d" * 64, "bytes": 1}})), "`files`: the path .* is refused: backslashes"),
        (edited(lambda m: m.update(files={"manifest.json": {"sha256": "d" * 64, "bytes": 1}})), "its own hash"),
        (edited(lambda m: m["machine"].update(device="/dev/dri/card0")), "`machine.device` holds an absolute path"),
        (edited(lambda m: m.update(config={"a": {"b": ["/home/me"]}})), r"`config.a.b\[0\]` holds an absolute path"),
        (SOUND.to_json().replace("1.5", "1e400"), "1e400 is beyond the largest number"),
        (edited(lambda m: m.update(seed=1)), "`seed` does not match its digest: damaged, or edited by hand"),
        (edited(lambda m: m.update(seed=1, parent=None)), "`parent`, `seed` do not match their digests: damaged, or edited by hand"),
        (edited(lambda m: m["digests"].pop("seed")), "`seed` does not match its digest"),
        (edited(lambda m: m["digests"].update(more="x")), "it is not as it was written"),
        (edited(lambda m: m.update(identity="f" * 64)), "it is not as it was written"),
        (SOUND.to_json() + " ", "it is not as it was written"),
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


def test_a_changed_manifest_says_which_parts_and_what_they_are_now() -> None:
    with pytest.raises(ChangedManifest) as caught:
        Manifest.from_json(edited(lambda m: m.update(seed=1, config={"steps": 4})))
    assert caught.value.parts == ("config", "seed")
    assert caught.value.manifest == replace(SOUND, seed=1, config={"steps": 4})


def test_as_deep_as_is_read_is_not_too_deep() -> None:
    with pytest.raises(ChangedManifest, match="`config` does not match"):
        Manifest.from_json(nested(48))


def test_construction_refuses_what_reading_would() -> None:
    with pytest.raises(InterpError, match="inputs go by their base name"):
        replace(SOUND, inputs=(InputEntry("photos/cat.png", "b" * 64, 1),))
    with pytest.raises(InterpError, match=r"`files\.\.\./x` holds an absolute path, or one that leads upwards"):
        replace(SOUND, files={"../x": FileEntry("b" * 64, 1)})
    with pytest.raises(InterpError, match="`seconds` is inf, not a time"):
        replace(SOUND, seconds=float("inf"))


def test_torch_is_not_imported() -> None:
    script = "import sys, interp.runs, interp.site; bad = {'torch', 'matplotlib'} & set(sys.modules); assert not bad, bad"
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
