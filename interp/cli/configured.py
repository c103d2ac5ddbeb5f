"""Options from a file: ``--config FILE`` makes its values the defaults of a command line, and what is typed goes before them."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePath
from typing import Any, TypeVar

from interp.errors import BadFile, InterpError

Config = TypeVar("Config")

OPTION = "--config"
# What tyro says of values that fit none of an option's types, with the types as it writes them.
_UNFIT = re.compile(
    r"Error parsing (?P<option>--\S+): no type matching \{None\}\|\{(?P<kinds>.*?)\} could be instantiated from \[(?P<values>.*?)\]"
)
_UNKNOWN = re.compile(r"Unrecognized options: (?P<words>[^;?]*);")
HELP = f"{OPTION} FILE takes the options from a file, the config.yaml or manifest.json of a run; what is typed goes before them."


@dataclass(frozen=True)
class Given:
    """To what a command line is given: ``called`` as a user types it, and the kind and name that a manifest would have."""

    called: str
    kind: str
    name: str


def parse(config: type[Config], arguments: Sequence[str], given: Given, description: str | None, hint: str) -> Config:
    """The options that ``arguments`` say, over those of the file they name; InterpError in one line for what is mistyped.

    ``hint`` ends that line: it says where the options are listed.
    """
    import tyro

    own = OPTION[2:] in (field.name for field in fields(config))  # type: ignore[arg-type]
    refuse_repeated(arguments)
    words, path = (list(arguments), None) if own else split(arguments)
    default: Any = tyro.MISSING_NONPROP
    if path is not None:
        default = read(config, path, given)
        words = _without_set_flags(words, default)
    about = "\n\n".join(part for part in (description, "" if own else HELP) if part)

    def made(words: Sequence[str]) -> Config:
        found: Config = told(lambda: tyro.cli(config, args=words, prog=given.called, description=about, default=default), hint)
        return found

    try:
        return made(words)
    except InterpError as error:
        moved = _in_front(words, str(error))
        if moved is None:
            raise
        with contextlib.suppress(InterpError):
            return made(moved)
        raise InterpError(f"{error}; words without a name stand before the options") from None


def _in_front(words: Sequence[str], refusal: str) -> list[str] | None:
    """The words with those that were refused for standing behind an option before the first one; None where that is not why.

    tyro takes words without a name in one place only: ``MODEL --weights FILE UNIT`` would lose the unit.
    """
    found = _UNKNOWN.match(refusal)
    refused = found["words"].split(", ") if found else []
    rest = list(words)
    for word in reversed(refused):
        if word.startswith("-") or word not in rest:
            return None
        del rest[len(rest) - 1 - rest[::-1].index(word)]
    first = next((place for place, word in enumerate(rest) if word.startswith("-")), None)
    return None if not refused or first is None else [*rest[:first], *refused, *rest[first:]]


def told(parsed: Callable[[], Config], hint: str) -> Config:
    """What tyro makes of words; what it refuses is one line that ends with ``hint``, as an InterpError."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return parsed()
    except SystemExit as leaving:
        if leaving.code in (0, None):
            raise
        raise InterpError(f"{_one_line(said.getvalue())}; {hint}") from None


def refuse(arguments: Sequence[str], commands: Sequence[str]) -> None:
    """Raise InterpError where a file of options is named, but no command that makes a run; ``commands`` are those that do."""
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if not any(word == OPTION or word.startswith(f"{OPTION}=") for word in words):
        return
    before = f"{OPTION} comes behind a command" if arguments[0].startswith("-") else f"`interp {arguments[0]}` takes no {OPTION}"
    raise InterpError(f"{before}: it is for commands that make a run, such as `interp {commands[0]} {OPTION} FILE` ({', '.join(commands)})")


def refuse_repeated(arguments: Sequence[str], several: Sequence[str] = (OPTION,)) -> None:
    """Raise InterpError where an option is given twice, of which the last would win without a word; ``several`` may be, or say so."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    given: dict[str, str] = {}
    for place, word in enumerate(arguments[:end]):
        name, equals, value = word.partition("=")
        if re.fullmatch(r"--[A-Za-z].*", name) is None:
            continue
        name = name.replace("_", "-")
        behind = list(itertools.takewhile(lambda other: not other.startswith("--"), arguments[place + 1 : end]))
        said = f"{name} {value if equals else ' '.join(behind)}".strip()
        if name in given and name not in several:
            raise InterpError(f"{name} is given twice, as `{given[name]}` and `{said}`: give it once, several values one after the other")
        given[name] = said


def read(config: type[Config], path: Path, given: Given) -> Config:
    """The options in the file at ``path``; InterpError where they are those of another program."""
    from interp.runs.configfile import read_config
    from interp.runs.decode import decode

    file = read_config(path)
    if file.program is not None:
        made = (file.program.kind, PurePath(file.program.name).name)
        if made != (given.kind, given.name):
            raise BadFile(f"`{path}` is of a run of `{file.program.name}`, and cannot be given to `{given.called}`")
    try:
        return decode(config, file.options)
    except InterpError as error:
        if file.program is None and file.experiment and file.experiment not in (given.name, PurePath(given.name).stem):
            first = f"whose first line says that it is of `{file.experiment}`"
            raise BadFile(f"`{path}`, {first}, cannot be given to `{given.called}`: {error}") from None
        raise InterpError(f"`{path}`: {error}") from None


def split(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """The words without ``--config FILE``, and that file; InterpError where it is given twice, or without a file."""
    rest: list[str] = []
    found: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == OPTION or word.startswith(f"{OPTION}="):
            value = next(words, "") if word == OPTION else word.partition("=")[2]
            if not value or (word == OPTION and value.startswith("-")):
                raise InterpError(f"{OPTION} names no file: write {OPTION} FILE, such as the config.yaml of a run")
            found.append(value)
        else:
            rest.append(word)
    if len(found) > 1:
        raise InterpError(f"{OPTION} is given twice, {' and '.join(found)}: the options come from one file")
    return rest, Path(found[0]) if found else None


def _without_set_flags(words: Sequence[str], default: object) -> list[str]:
    """The words without flags that the file has already set: tyro knows for these only the word that takes them back."""
    from tyro.conf import FlagCreatePairsOff

    from interp.cli.commandline import negated, options

    single = [option for option in options(default) if option.flag and FlagCreatePairsOff in option.marks]
    already = {f"--{option.name if option.value else negated(option.name)}" for option in single}
    end = words.index("--") if "--" in words else len(words)
    return [word for index, word in enumerate(words) if index >= end or word.replace("_", "-") not in already]


def _one_line(text: str) -> str:
    """tyro's boxed message as one sentence: what it says, and the options it found nearest."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)  # a terminal's colours
    lines = [re.sub(r"[\u2500-\u257f]+|-{8,}", " ", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("For full helptext")]
    body = [re.sub(r"\[/?[a-z]+\]", "", line) for line in (lines[1:] if len(lines) > 1 else lines)]  # tyro's own markup
    said = list(itertools.takewhile(lambda line: not line.startswith(("Perhaps you meant", "Similar arguments")), body))
    near = [line.split()[0] for line in body[len(said) :] if line.startswith("--")]
    message = " ".join(" ".join(said).split()).rstrip(".")
    if (refused := _UNFIT.match(message)) is not None:  # a union, as --input-size is
        values = " ".join(re.findall(r"'([^']*)'", refused["values"]))
        kinds = refused["kinds"].removeprefix("[").removesuffix("]")
        message = f"{refused['option']} takes {kinds}, not '{values}'; words without a name stand before the options"
    if near:
        message += f": did you mean {' or '.join(dict.fromkeys(near[:3]))}?"
    return message
