"""The stamp inside a lone file, told by the file's content, not by its name. The file may come from anyone.

Nothing in it is run or followed: of a PNG or WebP the metadata is read, not a pixel; of an SVG the text of one element, and an
entity is refused; of a PDF the strings after one key. All of it is bounded.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

from PIL import Image

from interp.errors import BadFile
from interp.runs.stamp import MOST, Stamp

MOST_BYTES = 1 << 28
"""Of a file at most: figures are far smaller."""
# What Pillow and zlib raise where a file is not what it begins as.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

_CHUNK = "interp"  # the PNG's text
_DESCRIPTION = 0x010E  # the EXIF tag
_ELEMENT = "http://purl.org/dc/elements/1.1/ description"
_KEY = re.compile(rb"/Keywords\s{0,8}([(<])")
_STREAM = re.compile(rb"/ObjStm\b[^\0]{0,512}?stream\r?\n")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|\r\n|[\s\S])")
_BRACKET = re.compile(rb"\\[\s\S]|[()]")
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_MOST_KEYS, _MOST_STREAMS, _MOST_INFLATED = 8, 32, 1 << 22


def read_stamp(path: Path) -> Stamp:
    """The stamp in the PNG, WebP, SVG or PDF file at ``path``; a BadFile in one line where there is none that is sound."""
    return stamp_in(content(path), str(path))


def content(path: Path) -> bytes:
    """The bytes of a plain file that is not beyond all measure; BadFile otherwise."""
    if not path.is_file():
        raise BadFile(f"`{path}` is a folder, not a figure" if path.is_dir() else f"there is no file `{path}`")
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise BadFile(f"`{path}` has {size} bytes, more than a figure of interp: {MOST_BYTES} at most are read")
        return path.read_bytes()
    except OSError as error:
        raise BadFile(f"cannot read `{path}`: {error.strerror}") from error


def stamp_in(data: bytes, name: str) -> Stamp:
    """As `read_stamp`, of bytes; errors begin with ``name``."""
    kind = kind_of(data)
    if kind is None:
        raise BadFile(f"`{name}` is no PNG, PDF, SVG or WebP by its content")
    texts: list[str] = []
    wrong = BadFile(f"`{name}` is {_NAMES[kind]} without a stamp of interp: another program made it or saved it anew")
    try:
        texts.extend({"png": _of_raster, "webp": _of_raster, "svg": _of_svg, "pdf": _of_pdf}[kind](data))
    except UNREADABLE as error:  # what was read before the damage still tells of the run
        wrong = BadFile(f"`{name}` is {_NAMES[kind]} that is damaged: {' '.join(str(error).split()) or type(error).__name__}")
    for text in texts:
        if text.lstrip().startswith("{"):
            try:
                return Stamp.from_text(text, f"`{name}`")
            except BadFile as error:
                wrong = error
    raise wrong


_NAMES = {"png": "a PNG", "webp": "a WebP", "svg": "an SVG", "pdf": "a PDF"}


def kind_of(data: bytes) -> str | None:
    """``png``, ``webp``, ``pdf`` or ``svg`` by the first bytes; None for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    head = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"<"):
        return "svg" if b"<svg" in head else None
    return "pdf" if b"%PDF-" in head[:1024] else None


def _of_raster(data: bytes) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on metadata that is not in order, and on pictures too large to decode: none is
        with Image.open(io.BytesIO(data), formats=("PNG", "WEBP")) as picture:
            text = picture.info.get(_CHUNK)
            if isinstance(text, str):
                yield text
            described = picture.getexif().get(_DESCRIPTION)
            if isinstance(described, str):
                yield described
            if picture.format == "PNG" and picture.width * picture.height <= 1 << 26:
                picture.load()  # some programs write texts after the pixels
                late = picture.info.get(_CHUNK)
                if isinstance(late, str):
                    yield late


class _FoundError(Exception):
    """Ends the parsing: the rest of the file does not matter."""


class _Description:
    """Takes the text of the first description of an SVG."""

    def __init__(self) -> None:
        self.inside = False
        self.text = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.inside = name == _ELEMENT

    def end(self, name: str) -> None:
        if name == _ELEMENT:
            raise _FoundError

    def characters(self, piece: str) -> None:
        if self.inside and len(self.text) <= MOST:
            self.text += piece


def _of_svg(data: bytes) -> Iterator[str]:
    def refused(*_: object) -> int:
        raise ValueError("it declares entities, which no figure needs")

    parser, found = expat.ParserCreate(namespace_separator=" "), _Description()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = found.start, found.end, found.characters
    parser.EntityDeclHandler = parser.ExternalEntityRefHandler = refused
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except _FoundError:
        yield found.text
    except expat.ExpatError as error:
        raise ValueError(str(error)) from None


def _of_pdf(data: bytes) -> Iterator[str]:
    """What follows ``/Keywords``, the last first, as a file that was added to says it anew at its end; then in packed objects."""
    yield from _keywords(data)
    for place in _places(data, b"/ObjStm", _MOST_STREAMS):
        packed = _STREAM.match(data, place)
        if packed is not None:
            with contextlib.suppress(zlib.error):
                piece = data[packed.end() : packed.end() + _MOST_INFLATED]
                yield from _keywords(zlib.decompressobj().decompress(piece, _MOST_INFLATED))


def _keywords(data: bytes) -> Iterator[str]:
    for place in _places(data, b"/Keywords", _MOST_KEYS):
        match = _KEY.match(data, place)
        if match is None:
            continue
        rest = data[match.end() : match.end() + 2 * MOST]
        raw = _hexadecimal(rest) if match.group(1) == b"<" else _literal(rest)
        if raw is not None:
            yield raw.decode("utf-16", "replace") if raw[:2] in (b"\xfe\xff", b"\xff\xfe") else raw.decode("latin-1")


def _places(data: bytes, word: bytes, count: int) -> Iterator[int]:
    """Where ``word`` stands, the last first, so many times at most."""
    end = len(data)
    for _ in range(count):
        end = data.rfind(word, 0, end)
        if end < 0:
            return
        yield end


def _hexadecimal(rest: bytes) -> bytes | None:
    digits, closed, _ = rest.partition(b">")
    digits = b"".join(digits.split())
    try:
        return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii")) if closed else None
    except ValueError:
        return None


def _literal(rest: bytes) -> bytes | None:
    """A PDF string up to the bracket that closes it; brackets inside are paired or escaped."""
    depth = 1
    for match in _BRACKET.finditer(rest):
        depth += {b"(": 1, b")": -1}.get(match.group(), 0)
        if depth == 0:
            return _ESCAPE.sub(_unescaped, rest[: match.start()])
    return None


def _unescaped(match: re.Match[bytes]) -> bytes:
    letter = match.group(1)
    if letter.isdigit():
        return bytes([int(letter, 8) & 255])
    return b"" if letter in (b"\n", b"\r", b"\r\n") else _LETTERS.get(letter, letter)
