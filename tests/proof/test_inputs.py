"""What a run was made of is found by its hash, laid out by its name, and nothing of a run's folder is ever run."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proving import FILES, MACHINE, Config, entries, hashed, lay_files, make

from interp.proof import inputs
from interp.proof.inputs import Search, Staged, Unrepeatable, stage
from interp.runs import InputEntry, Manifest, Program, Role

Stage = Callable[..., Staged]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    lay_files(tmp_path / "here")
    return make(tmp_path / "run", tmp_path / "here")


@pytest.fixture
def staged(tmp_path: Path, run: Path) -> Stage:
    """Stage the run, or one that names other things."""

    def begin(*folders: Path, **changes: object) -> Staged:
        (tmp_path / "work").mkdir()
        manifest = replace(Manifest.read(run), **changes)  # type: ignore[arg-type]
        return stage(manifest, run, tmp_path / "work", Search(tmp_path / "here", folders))

    return begin


def laid(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def entry(path: str, data: bytes, role: Role = Role.PICTURE) -> InputEntry:
    return InputEntry(Path(path).name, hashlib.sha256(data).hexdigest(), len(data), path, role)


def test_each_input_lies_under_its_recorded_path_and_samples_are_left_to_the_package(tmp_path: Path, staged: Stage) -> None:
    found = staged()
    assert laid(tmp_path / "work") == {path: data for path, (data, _) in FILES.items()}
    assert found == Staged(tmp_path / "work", None, None, ())
    assert (tmp_path / "work" / "pics" / "cat.png").readlink() == tmp_path / "here" / "pics" / "cat.png"
    # Of a link the neighbours that were not recorded could be imported.
    assert not (tmp_path / "work" / "net.py").is_symlink()


def test_inputs_are_copied_where_links_cannot_be_made(tmp_path: Path, staged: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    staged()
    assert laid(tmp_path / "work") == {path: data for path, (data, _) in FILES.items()}
    assert not (tmp_path / "work" / "pics" / "cat.png").is_symlink()


def test_inputs_elsewhere_are_found_by_path_and_by_name(tmp_path: Path, staged: Stage) -> None:
    here, other = tmp_path / "here", tmp_path / "other"
    (other / "weights").mkdir(parents=True)
    (other / "deep" / "er").mkdir(parents=True)
    (here / "weights" / "net.safetensors").rename(other / "weights" / "net.safetensors")
    (here / "pics" / "cat.png").rename(other / "deep" / "er" / "cat.png")
    staged(other)
    assert (tmp_path / "work" / "weights" / "net.safetensors").readlink() == other / "weights" / "net.safetensors"
    assert (tmp_path / "work" / "pics" / "cat.png").readlink() == other / "deep" / "er" / "cat.png"


def test_a_changed_file_here_does_not_hide_the_right_one_elsewhere(tmp_path: Path, staged: Stage) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cat.png").write_bytes(FILES["pics/cat.png"][0])
    (tmp_path / "here" / "pics" / "cat.png").write_bytes(b"A picture of a cat")
    staged(tmp_path / "other")
    assert laid(tmp_path / "work")["pics/cat.png"] == b"a picture of a cat"


def test_only_files_of_the_recorded_size_are_hashed(tmp_path: Path, staged: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "pics" / "cat.png").unlink()
    for name, data in {"a": b"another picture of another cat", "b": b"A picture of a cat", "c": FILES["pics/cat.png"][0]}.items():
        (tmp_path / "other" / name).mkdir(parents=True)
        (tmp_path / "other" / name / "cat.png").write_bytes(data)
    asked = []

    def counting(path: Path) -> tuple[str, int]:
        asked.append(path)
        return hashed(path)

    monkeypatch.setattr(inputs, "file_hash", counting)
    staged(tmp_path / "other")
    assert [path.parent.name for path in asked if path.name == "cat.png"] == ["b", "c"]


def test_what_is_missing_and_what_has_changed_is_all_named(tmp_path: Path, staged: Stage) -> None:
    here = tmp_path / "here"
    (here / "pics" / "cat.png").unlink()
    (here / "net.py").unlink()
    (here / "weights" / "net.safetensors").write_bytes(b"Weights of the net")
    with pytest.raises(Unrepeatable) as caught:
        staged()
    was, now = (hashlib.sha256(data).hexdigest()[:12] for data in (b"weights of the net", b"Weights of the net"))
    assert str(caught.value) == (
        "the input `pics/cat.png` is not there: it was looked for in the current folder; name others with --inputs; "
        "the code `net.py` is not there: it was looked for in the current folder; name others with --inputs; "
        f"the input `weights/net.safetensors` has changed: SHA-256 {now}..., {was}... was used"
    )
    assert not laid(tmp_path / "work")


def test_code_that_has_changed_is_refused_even_by_its_size(tmp_path: Path, staged: Stage) -> None:
    (tmp_path / "here" / "net.py").write_bytes(b"def make():\n    return 2\n# more\n")
    with pytest.raises(Unrepeatable, match=r"^the code `net.py` has changed: SHA-256 [0-9a-f]{12}\.\.\., [0-9a-f]{12}\.\.\. was used$"):
        staged()


def test_one_of_many_of_the_same_name_is_missing_not_changed(tmp_path: Path, staged: Stage) -> None:
    (tmp_path / "here" / "pics" / "cat.png").unlink()
    for name in ("a", "b"):
        (tmp_path / "other" / name).mkdir(parents=True)
        (tmp_path / "other" / name / "cat.png").write_bytes(name.encode())
    with pytest.raises(Unrepeatable, match=r"`pics/cat.png` is not there: it was looked for in the current folder and in `.*other`$"):
        staged(tmp_path / "other")
    (tmp_path / "other" / "b" / "cat.png").unlink()
    (tmp_path / "work").rmdir()
    with pytest.raises(Unrepeatable, match=r"`pics/cat.png` has changed"):
        staged(tmp_path / "other")


@pytest.mark.parametrize(("role", "word"), [(Role.CODE, "run"), (Role.PICTURE, "run"), (Role.WEIGHTS, "run")])
def test_code_in_the_folder_of_a_run_is_never_run_whatever_it_calls_itself(
    tmp_path: Path, staged: Stage, run: Path, role: Role, word: str
) -> None:
    evil = b"raise SystemExit('run')"
    other = make(tmp_path / "here" / "results" / "other", tmp_path / "here")
    (other / "evil.py").write_bytes(evil)
    with pytest.raises(Unrepeatable, match=rf"^the code `results/other/evil.py` lies in the folder of a run: nothing in there is {word}$"):
        staged(inputs=(entry("results/other/evil.py", evil, role),))


def test_nothing_is_taken_from_the_run_itself_even_through_a_link(tmp_path: Path, staged: Stage, run: Path) -> None:
    (run / "cat.png").write_bytes(b"cat")
    (tmp_path / "here" / "linked").symlink_to(run)
    with pytest.raises(
        Unrepeatable, match=r"^the input `linked/cat.png` lies in the folder of a run: nothing in there is taken for an input"
    ):
        staged(inputs=(entry("linked/cat.png", b"cat"),))


def test_weights_that_another_run_left_are_an_input_like_any(tmp_path: Path, staged: Stage) -> None:
    other = make(tmp_path / "here" / "results" / "training", tmp_path / "here")
    (other / "net.safetensors").write_bytes(b"trained")
    staged(inputs=(entry("results/training/net.safetensors", b"trained", Role.WEIGHTS),))
    assert laid(tmp_path / "work") == {"results/training/net.safetensors": b"trained"}


def test_inputs_that_cannot_lie_in_one_folder_are_refused(tmp_path: Path, staged: Stage) -> None:
    one, other = entry("cat.png", b"one"), entry("cat.png", b"other")
    (tmp_path / "here" / "cat.png").write_bytes(b"one")
    with pytest.raises(Unrepeatable, match=r"^two inputs were recorded by the path `cat.png`"):
        staged(inputs=(one, other))
    (tmp_path / "work").rmdir()
    with pytest.raises(Unrepeatable, match=r"^the inputs `cat.png` and `cat.png/deep` cannot lie in one folder$"):
        staged(inputs=(one, entry("cat.png/deep", b"x")))
    (tmp_path / "work").rmdir()
    staged(inputs=(one, replace(one, role=Role.MASK)))
    assert laid(tmp_path / "work") == {"cat.png": b"one"}


def test_a_script_of_ones_own_is_copied_and_must_be_the_recorded_one(tmp_path: Path, staged: Stage) -> None:
    script = tmp_path / "here" / "sub" / "mine.py"
    script.parent.mkdir()
    script.write_text("print(1)\n")
    program = Program("script", "sub/mine.py", hashed(script)[0])
    found = staged(program=program, inputs=())
    assert found == Staged(tmp_path / "work", tmp_path / "work" / "sub" / "mine.py", tmp_path / "work" / "sub", ())
    assert laid(tmp_path / "work") == {"sub/mine.py": b"print(1)\n"}
    for path in (tmp_path / "work" / "sub" / "mine.py", tmp_path / "work" / "sub", tmp_path / "work"):
        path.rmdir() if path.is_dir() else path.unlink()
    script.write_text("print(2)\n")
    with pytest.raises(Unrepeatable, match=r"^the code `sub/mine.py` has changed"):
        staged(program=program, inputs=())


def test_what_a_script_of_ones_own_imports_is_copied_beside_it_and_must_be_the_recorded_one(tmp_path: Path, staged: Stage) -> None:
    folder = tmp_path / "here" / "sub"
    (folder / "lib").mkdir(parents=True)
    texts = {"sub/mine.py": b"import helper\n", "sub/helper.py": b"import lib.more\n", "sub/lib/more.py": b"pass\n"}
    for path, data in texts.items():
        (tmp_path / "here" / path).write_bytes(data)
    (folder / "torch.py").write_text("raise SystemExit(9)\n")
    program = Program("script", "sub/mine.py", hashed(folder / "mine.py")[0])
    imported = tuple(entry(path, data, Role.CODE) for path, data in texts.items() if path != "sub/mine.py")
    assert staged(program=program, inputs=imported).imports == tmp_path / "work" / "sub"
    assert laid(tmp_path / "work") == texts
    shutil.rmtree(tmp_path / "work")
    (folder / "helper.py").write_text("import lib.less\n")
    with pytest.raises(Unrepeatable, match=r"^the code `sub/helper.py` has changed: SHA-256"):
        staged(program=program, inputs=imported)


def test_a_script_of_the_source_may_have_changed_which_is_said(tmp_path: Path, staged: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "source" / "experiments" / "ask.py"
    script.parent.mkdir(parents=True)
    script.write_text("print(1)\n")
    (tmp_path / "source" / "pyproject.toml").write_text("")
    monkeypatch.setattr(inputs, "checkout", lambda: tmp_path / "source")
    program = Program("script", "experiments/ask.py", hashed(script)[0])
    assert staged(program=program, inputs=()) == Staged(tmp_path / "work", script, script.parent, ())
    (tmp_path / "work").rmdir()
    script.write_text("print(2)\n")
    assert staged(program=program, inputs=()).notes == ("`experiments/ask.py` has changed since",)
    (tmp_path / "work").rmdir()
    script.unlink()
    with pytest.raises(Unrepeatable, match=r"^the code `experiments/ask.py` is not there"):
        staged(program=program, inputs=())


NAMES = st.text("abcxyz._- ", min_size=1, max_size=6).filter(lambda name: name.strip(". ") == name and not name.endswith(".py"))
TREES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=20), max_size=5)


@given(tree=TREES, moved=st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_is_laid_out_as_it_was(tmp_path_factory: pytest.TempPathFactory, run: Path, tree: dict[str, bytes], moved: bool) -> None:
    tree = {path: data for path, data in tree.items() if not any(f"{path}/" in f"{other}/" for other in tree if other != path)}
    base = tmp_path_factory.mktemp("tree")
    for path, data in tree.items():
        (base / "there" / path).parent.mkdir(parents=True, exist_ok=True)
        (base / "there" / path).write_bytes(data)
    (base / "work").mkdir()
    manifest = replace(Manifest.read(run), inputs=tuple(entry(path, data) for path, data in tree.items()))
    search = Search(base / "nowhere", [base / "there"]) if moved else Search(base / "there")
    stage(manifest, run, base / "work", search)
    assert laid(base / "work") == tree


def test_the_run_in_these_tests_names_all_it_reads(tmp_path: Path, run: Path) -> None:
    manifest = Manifest.read(run)
    assert manifest.inputs[:3] == tuple(entries(tmp_path / "here"))
    assert manifest.inputs[3].path == ""
    assert (manifest.machine, manifest.config["steps"]) == (MACHINE, Config().steps)
