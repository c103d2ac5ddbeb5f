"""A run's options as a file that is read, edited and given back with ``--config``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from interp.errors import BadFile
from interp.runs.entries import Program
from interp.runs.manifest import MANIFEST, Manifest

LARGEST = 1 << 20
LARGEST_MANIFEST = 1 << 26


@dataclass(frozen=True)
class ConfigFile:
    """Options as a file says them, what the program calls itself that they are of, and of a manifest the program."""

    options: dict[str, object]
    program: Program | None = None
    experiment: str | None = None


def to_yaml(experiment: str, config: Mapping[str, object]) -> bytes:
    """The options as YAML, in the order of their declaration, below a comment that says what they are of."""
    text = yaml.dump(dict(config), Dumper=_Writer, sort_keys=False, default_flow_style=None, allow_unicode=False, width=120)
    # A script may be called anything: what would end the comment, or what no YAML may hold, is left out of it.
    name = "".join(letter if letter.isprintable() else "?" for letter in experiment)
    return f"# Options of `{name}`: edit them, and give this file with --config.\n{text}".encode()


def read_config(path: Path) -> ConfigFile:
    """The options in the YAML file at ``path``, or those that a manifest records; BadFile in one line where there are none."""
    text = _text(path)
    if path.name == MANIFEST or (text.lstrip().startswith("{") and '"digests"' in text and '"identity"' in text):
        manifest = Manifest.from_json(text, str(path))
        return ConfigFile(manifest.config, manifest.program, manifest.experiment)
    if len(text) > LARGEST:
        raise BadFile(f"`{path}` is too large for options: {len(text) >> 20} MiB, at most {LARGEST >> 20}")
    found = from_yaml(text, f"`{path}`")
    if found is None:
        found = {}
    if not isinstance(found, dict):
        raise BadFile(f"`{path}` holds no options: write one `name: value` in each line, as in the config.yaml of a run")
    said = re.match(r"# Options of `([^`\n]+)`", text)
    return ConfigFile(found, None, said[1] if said else None)


def from_yaml(text: str, what: str) -> object:
    """The plain value that ``text`` says in YAML; BadFile where it is not YAML, or names a key twice. ``what`` names it in errors.

    Words are as YAML 1.2 has them: `no`, `1:20` and `2024-01-01` are texts, and `1e-3` is a number.
    """
    try:
        return yaml.load(text, Loader=_Reader)  # a SafeLoader: plain values only
    except yaml.MarkedYAMLError as error:
        place = f" in line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise BadFile(f"{what} is not YAML{place}: {' '.join(str(error.problem or error.context).split())}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise BadFile(f"{what} is not YAML: {' '.join(str(error).split())}") from None
    except (LookupError, AttributeError, TypeError, OverflowError):  # how PyYAML takes `!!bool maybe`, or `!!timestamp never`
        raise BadFile(f"{what} is not YAML: a value is not what the tag (`!!`) before it says; leave the tag out") from None
    except RecursionError:
        raise BadFile(f"{what} is nested too deeply for options") from None


def _text(path: Path) -> str:
    try:
        if path.is_dir():
            raise BadFile(f"`{path}` is a folder, where a file of options is wanted: give `{path / 'config.yaml'}`, or a {MANIFEST}")
        with path.open("rb") as file:
            data = file.read(LARGEST_MANIFEST + 1)
    except OSError as error:
        raise BadFile(f"cannot read the options in `{path}`: {error.strerror}") from None
    if len(data) > LARGEST_MANIFEST:
        raise BadFile(f"`{path}` is too large for options: over {LARGEST_MANIFEST >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile(f"`{path}` holds no options: it is not text at byte {error.start}") from None


_FLOAT = "tag:yaml.org,2002:float"
_WORDS: dict[str, tuple[str, str]] = {
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", "~nN\0"),
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "tag:yaml.org,2002:int": (r"[-+]?[0-9]+", "-+0123456789"),
    _FLOAT: (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+0123456789."),
}


class _Reader(yaml.SafeLoader):
    """Plain values only, by the words of YAML 1.2; a key twice in a mapping is an error, and so is an alias."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML reads it from the class

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        made = super().construct_mapping(node, deep)
        if len(made) != len(node.value):
            keys = [str(key.value) for key, _ in node.value]
            count = Counter(keys)
            twice = next((key for key in keys if count[key] > 1), keys[-1] if keys else "")
            raise yaml.MarkedYAMLError(problem=f"the key `{twice}` stands twice", problem_mark=node.start_mark)
        return made

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="`*` refers to another place; write names with a `*` in quotes", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node: Any) -> int:
        return int(self.construct_scalar(node))


class _Writer(yaml.SafeDumper):
    """Quotes what this reader, or any other, would take for something else than text."""


for _tag, (_pattern, _first) in _WORDS.items():
    _Reader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), list(_first.replace("\0", "")) + ([""] if "\0" in _first else []))
_Reader.add_constructor("tag:yaml.org,2002:int", _Reader.construct_yaml_int)
_Writer.add_implicit_resolver(_FLOAT, re.compile(rf"(?:{_WORDS[_FLOAT][0]})\Z"), list(_WORDS[_FLOAT][1]))
