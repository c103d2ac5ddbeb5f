"""Where a run came from: package versions, the commit of the source, the program and what it imported from beside it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path, PurePath

from interp.errors import BadFile, InterpError
from interp.runs.entries import CommitEntry, InputEntry, Program, Role, file_hash, reference
from interp.runs.inputs import beside

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

_INSTALLED = frozenset(["site-packages", "dist-packages"])
_PYTHON = Path(os.__file__).parent


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


def neighbours_of(config: object, package: Path | None = None) -> tuple[InputEntry, ...]:
    """The files below the folder of the user's script that have been imported so far, as code that the run needs; by path.

    None of a command or a script in a source checkout of interp: these go with its source, whose commit is recorded.
    """
    package = package or Path(__file__).parent.parent
    file = getattr(sys.modules.get(type(config).__module__), "__file__", None)
    program = program_of(config, package)
    if program.kind != "script" or file is None or Path(file).resolve().is_relative_to(package.parent.resolve()):
        return ()
    script = Path(file)
    # A link to a script has two folders. Python imports from that of what it links to.
    folders = tuple(dict.fromkeys((script.resolve().parent, script.absolute().parent)))
    found: dict[PurePath, Path] = {}
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        if isinstance(origin, str) and name.partition(".")[0] != package.name:
            below = _below(Path(origin), folders)
            if below is not None and Path(origin).resolve() != script.resolve():
                found[below] = Path(origin)
    return tuple(replace(InputEntry.of(path, Role.CODE), path=beside(Path(program.name), below)) for below, path in sorted(found.items()))


def _below(file: Path, folders: tuple[Path, ...]) -> PurePath | None:
    """How an imported file lies below the first of ``folders`` that it lies in; None for what is installed in there, or Python's own."""
    # Some modules only say that they have a file, such as `_ops.py`.
    if not file.is_absolute() or not file.is_file() or not _INSTALLED.isdisjoint(file.parts) or file.is_relative_to(_PYTHON):
        return None
    return next((file.relative_to(folder) for folder in folders if file.is_relative_to(folder)), None)


def _git(folder: Path, *arguments: str) -> str | None:
    # A hook or an alias of the caller must not point git at another repository.
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, env=clean, capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")
