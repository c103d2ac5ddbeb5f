"""Valid inputs made into odd ones: letters and bytes, JSON values, the chunks of a PNG, the parts of a weights file.

Half of what comes out is broken at the surface. The rest is sound there (checksums, lengths and digests are made anew), so that what
is odd lies deeper, behind the first check.
"""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Sequence

NUMBERS = (0, -1, 1, 2, 7, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**30, 10**400, 10**4250)
FLOATS = (0.0, -0.0, 0.5, -1.5, 1e-320, 1e308, -1e308, 1e16)
TEXTS = (
    "",
    " ",
    ".",
    "..",
    "/",
    "/etc/passwd",
    "../../x",
    "a/../b",
    "C:\\x",
    "\\\\host\\x",
    "~",
    "a\0b",
    "a\nb\r",
    "\x1b[2J\x1b]0;x\x07",
    "\u202e\u2066",
    "\ud800",
    "\ufffe",
    "\u0663",
    "\u00bd",
    "<script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "{{ 7*7 }}",
    "%s%n{0}",
    "-1",
    "1e999",
    "nan",
    "None",
    "null",
    "class",
    "__class__",
    "x" * 5000,
    "9" * 5000,
    "[" * 3000,
    "a." * 2000,
)
_BYTES = (
    b"\0",
    b"\xff",
    b"\x80",
    b"\n",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
)

_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"acTL", b"fdAT")


def odd(rng: random.Random) -> object:
    """A value of JSON that nobody expects where it stands."""
    kind = rng.randrange(8)
    if kind < 2:
        return rng.choice(NUMBERS) * rng.choice((1, 1, -1))
    if kind < 3:
        return rng.choice(FLOATS)
    if kind < 6:
        return rng.choice(TEXTS)
    if kind < 7:
        return rng.choice((None, True, False, [], {}))
    return rng.choice(([0], [None] * 3, {"class": "x"}, {"": 0}, [[[[0]]]], [1.5, "x"]))


def spoiled(data: bytes, rng: random.Random, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """``data`` with a few changes of its bytes: flips, cuts, repeats, what stands in ``words``, pieces of ``others``."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(data) + 1)
        size = min(len(data) - at, rng.choice((1, 1, 2, 4, 16, 200)))
        how = rng.randrange(10)
        if how == 0 and at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        elif how == 1 and at < len(data):
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        elif how == 2:
            data = data[:at]
        elif how == 3:
            data = data[:at] + data[at + size :]
        elif how == 4:
            data = data[:at] + data[at : at + size] * rng.choice((2, 3, 50)) + data[at + size :]
        elif how == 5 and words:
            data = data[:at] + rng.choice(words) + data[at + rng.choice((0, size)) :]
        elif how == 6:
            data = data[:at] + rng.choice(_BYTES) + data[at + rng.choice((0, size)) :]
        elif how == 7:
            other = rng.choice(others)
            data = data[:at] + other[rng.randrange(len(other) + 1) :]
        elif how == 8:
            piece = rng.choice((str(rng.choice(NUMBERS)), str(odd(rng)))).encode("utf-8", "surrogatepass")
            data = data[:at] + piece + data[at + rng.choice((0, size)) :]
        else:
            data = data[:at] + rng.randbytes(rng.choice((1, 2, 8))) + data[at + size :]
    return data[: 1 << 20]


def drawn(rng: random.Random, words: Sequence[bytes]) -> bytes:
    """Nothing but chance: bytes, or some of the ``words`` one behind the other."""
    if not words or rng.random() < 0.3:
        return rng.randbytes(rng.choice((0, 1, 3, 10, 100)))
    return b"".join(rng.choice(words) for _ in range(rng.randrange(1, 9)))


def reshaped(value: object, rng: random.Random) -> object:
    """A JSON value in which a few others are replaced, left out, moved or doubled; ``value`` itself is changed."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        holders = list(_holders(value))
        if not holders:
            return odd(rng)
        holder = rng.choice(holders)
        key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
        how = rng.randrange(6)
        if how < 3:
            holder[key] = odd(rng)
        elif how == 3:
            del holder[key]
        elif how == 4 and isinstance(holder, dict):
            holder[str(rng.choice(TEXTS))] = holder.pop(key)
        elif how == 4:
            holder.insert(key, holder[key])
        else:
            other = rng.choice(holders)
            place = rng.choice(list(other)) if isinstance(other, dict) else rng.randrange(len(other))
            holder[key] = json.loads(json.dumps(other[place]))
    return value


def _holders(value: object) -> list[dict[str, object] | list[object]]:
    found, left = [], [value]
    while left:
        item = left.pop()
        if isinstance(item, dict | list) and item:
            found.append(item)
            left += item.values() if isinstance(item, dict) else item
    return found


def reshaped_json(data: bytes, rng: random.Random) -> bytes:
    """The JSON text ``data`` with other values in it; sometimes with a value nested in hundreds of lists."""
    text = json.dumps(reshaped(json.loads(data), rng))
    if rng.random() < 0.02:
        depth = rng.choice((40, 60, 900, 100_000))
        text = text.replace("0", "[" * depth + "]" * depth, 1)
    return text.encode("utf-8", "surrogatepass")


def rechecked_png(data: bytes, rng: random.Random, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """A PNG of which a chunk's content, name or place is changed, with checksums and lengths as they must be."""
    chunks, at = [], 8
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = rng.randrange(len(chunks))
        name, content = chunks[place]
        how = rng.randrange(5)
        if how == 0:
            chunks[place] = (name, spoiled(content, rng, words, others))
        elif how == 1:
            chunks[place] = (
                rng.choice((b"IHDR", b"PLTE", b"tRNS", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"acTL", b"fdAT")),
                content,
            )
        elif how == 2:
            chunks.insert(rng.randrange(len(chunks) + 1), chunks[place])
        elif how == 3 and len(chunks) > 1:
            del chunks[place]
        elif name == b"IHDR" and len(content) == 13:
            sides = [rng.choice((0, 1, 5, 100, 20_000, 2**31 - 1, 2**32 - 1)) for _ in range(2)]
            chunks[place] = (name, struct.pack(">II", *sides) + bytes([rng.choice((1, 2, 4, 8, 16, 3)), rng.randrange(8)]) + content[10:])
        else:
            packed = zlib.compress(rng.randbytes(rng.choice((0, 10, 1000))) * rng.choice((1, 100)))
            chunks[place] = (name, packed)
    body = b"".join(struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return data[:8] + body


def resized_safetensors(data: bytes, rng: random.Random) -> bytes:
    """A .safetensors file with another header of the length that it says."""
    (size,) = struct.unpack_from("<Q", data)
    header = reshaped_json(data[8 : 8 + size], rng)
    return struct.pack("<Q", len(header) + rng.choice((0, 0, 0, 1, -1))) + header + data[8 + size :]


def repacked(data: bytes, rng: random.Random, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """A zip of which one file, above all a pickle, is changed, with checksums as they must be; some packed, some under another name."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        names = old.namelist()
        chosen = rng.choice([*names, *(name for name in names if name.endswith(".pkl"))])
        for name in names:
            content = old.read(name)
            if name == chosen:
                content = spoiled(content, rng, words, others)
                name = rng.choice((name, name, name, name, "../../" + name, "/tmp/" + name, name.upper()))
            new.writestr(name, content, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    return out.getvalue()
