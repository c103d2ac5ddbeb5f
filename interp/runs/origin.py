"""Where a run came from: package versions, the commit of the source, the program."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from interp.errors import BadFile, InterpError
from interp.runs.entries import CommitEntry, Program, file_hash, reference

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
    "scipy",
    "scikit-learn",
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


def program_of(config: object, package: Path | None = None) -> Program:
    """What runs ``config``: the command of interp whose options it is, or the script that its class stands in.

    A script in a source checkout of interp goes by its path in there. InterpError where the class stands in no file.
    """
    package = package or Path(__file__).parent.parent
    kind = type(config)
    if kind.__module__.partition(".")[0] == package.name:
        return Program("command", kind.__name__.lower())
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if file is None:
        raise InterpError(f"the options {kind.__name__} stand in no file: a run is made by a command or by a script")
    path = Path(file)
    if path.resolve().is_relative_to(package.parent.resolve()):
        name = path.resolve().relative_to(package.parent.resolve()).as_posix()
    elif path.resolve().is_relative_to(Path.cwd()):
        name = path.resolve().relative_to(Path.cwd()).as_posix()
    else:
        name = reference(path)
    try:
        return Program("script", name, file_hash(path)[0])
    except OSError as error:
        raise BadFile(f"cannot read the script `{path}`, which a run would name: {error.strerror}") from error


def _git(folder: Path, *arguments: str) -> str | None:
    # A hook or an alias of the caller must not point git at another repository.
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, env=clean, capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")
