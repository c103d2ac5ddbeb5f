"""The house: lazy imports, and nothing that the floors forbid but the linter cannot see."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def loaded(code: str) -> set[str]:
    listing = "import sys; print(chr(10).join(sys.modules))"
    out = subprocess.run([sys.executable, "-c", f"{code}; {listing}"], capture_output=True, text=True, check=True)
    return set(out.stdout.split())


def test_importing_interp_loads_no_torch():
    assert not {"torch", "numpy", "matplotlib"} & loaded("import interp")


def test_the_command_lines_help_loads_no_torch():
    code = "import contextlib, io, interp.cli\nwith contextlib.redirect_stdout(io.StringIO()):\n    interp.cli.run(['report', '--help'])"
    assert not {"torch", "matplotlib", "captum"} & loaded(f"exec({code!r})")


def test_public_names_are_all_there():
    import interp

    assert [name for name in interp.__all__ if not hasattr(interp, name)] == []


def test_an_unknown_public_name_is_an_attribute_error():
    import pytest

    import interp

    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        _ = interp.lod


def test_no_source_seeds_the_global_generator_outside_a_fork():
    """Seeding inside `fork_rng` is undone; anywhere else it changes the user's draws."""
    for path in [*(ROOT / "interp").rglob("*.py"), *(ROOT / "experiments").glob("*.py")]:
        text = path.read_text(encoding="utf-8")
        if "torch.manual_seed(" in text or "random.seed(" in text:
            assert "fork_rng" in text, path
        assert not re.search(r"torch\.load\((?![^)]*weights_only=True)", text), path


def test_experiments_stay_articles():
    for path in (ROOT / "experiments").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith('"""'), path
        assert "?" in text.split('"""')[1].split("\n\n")[0], f"{path} asks no question"
        assert len(text.splitlines()) <= 100, path


def test_pages_lead_to_files_that_exist():
    for page in (ROOT / "README.md", ROOT / "benchmarks" / "README.md", ROOT / "docs" / "method-support.md", ROOT / "CHANGELOG.md"):
        for link in re.findall(r"\]\(([^)\s#]+)\)", page.read_text(encoding="utf-8")):
            assert link.startswith("http") or (page.parent / link).exists(), f"{page.name} leads to {link}"
