"""Where a run came from: package versions, the platform, the commit of the source."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from interp.runs.manifest import CommitEntry

PACKAGES = (
    "interp",
    "torch",
    "torchvision",
    "captum",
    "torch-lucent",
    "timm",
    "numpy",
    "scikit-image",
    "pillow",
    "matplotlib",
    "safetensors",
)


def versions() -> dict[str, str]:
    """Version of Python and of each installed package of `PACKAGES`, read from metadata: nothing is imported."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def platform_name() -> str:
    """Operating system, its release and the processor family, without the name of the host."""
    return f"{platform.system()} {platform.release()} {platform.machine()}".strip()


def source_commit(package: Path | None = None) -> CommitEntry | None:
    """The commit of the checkout that tracks the folder `package` (default: interp's own), or None.

    None for an installed copy, even inside someone else's repository: the folder itself must be tracked.
    `dirty` looks at the package, `experiments/` and `pyproject.toml`; results do not make a source dirty.
    """
    package = package or Path(__file__).parent.parent
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git(package, "rev-parse", "--verify", "HEAD")
    sources = (".", ":(top)experiments", ":(top)pyproject.toml")
    status = _git(package, "status", "--porcelain", "--untracked-files=all", "--", *sources)
    if commit is None or status is None:
        return None
    return CommitEntry(commit.strip(), dirty=bool(status.strip()))


def _git(folder: Path, *arguments: str) -> str | None:
    # A hook or an alias of the caller must not point git at another repository.
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, env=clean, capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")
