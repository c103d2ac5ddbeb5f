"""Where the stamp of a run stands in each kind of file. No times, and all in one order: bytes repeat."""

from __future__ import annotations

import struct

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from interp.errors import BadFile
from interp.runs.stamp import Stamp

SOFTWARE = "interp"
KEYWORD = "interp"
"""Of the PNG text chunk that holds the stamp."""
_DESCRIPTION, _SOFTWARE = 0x010E, 0x0131  # EXIF tags
_EXIF, _ALPHA = 0x08, 0x10  # flags of WebP's extended header


def of_png(stamp: Stamp | None) -> PngInfo:
    """Text chunks."""
    info = PngInfo()
    info.add_text("Software", SOFTWARE)
    if stamp is not None:
        info.add_text("Title", _title(stamp).encode("ascii", "replace").decode())
        info.add_text(KEYWORD, stamp.to_text())
    return info


def of_pdf(stamp: Stamp | None) -> dict[str, str | None]:
    """The document's information; None leaves out what matplotlib would write."""
    found: dict[str, str | None] = {"Creator": SOFTWARE, "CreationDate": None}
    if stamp is not None:
        found |= {"Title": _title(stamp), "Subject": f"interp run {stamp.identity}", "Keywords": stamp.to_text()}
    return found


def of_svg(stamp: Stamp | None) -> dict[str, str | None]:
    """The RDF inside ``metadata``, of which the description holds the stamp."""
    found: dict[str, str | None] = {"Creator": SOFTWARE, "Date": None}
    if stamp is not None:
        found |= {"Title": _title(stamp), "Description": stamp.to_text()}
    return found


def into_webp(data: bytes, stamp: Stamp | None) -> bytes:
    """``data``, a still or animated WebP, with the stamp as EXIF description; not a pixel is encoded anew.

    BadFile where it is no WebP, or has EXIF already.
    """
    if stamp is None:
        return data
    exif = Image.Exif()
    exif[_DESCRIPTION] = stamp.to_text()
    exif[_SOFTWARE] = SOFTWARE
    chunks = _chunks(data)
    if chunks[0][0] == b"VP8X":
        flags, rest = chunks[0][1][0], chunks[0][1][1:]
        chunks[0] = (b"VP8X", bytes([flags | _EXIF]) + rest)
    else:
        chunks.insert(0, (b"VP8X", _header(*chunks[0])))
    if any(name == b"EXIF" for name, _ in chunks):
        raise BadFile("a WebP that has EXIF already takes no stamp")
    packed: bytes = exif.tobytes()
    chunks.append((b"EXIF", packed.removeprefix(b"Exif\0\0")))
    body: bytes = b"".join(name + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2) for name, payload in chunks)
    whole: bytes = b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
    return whole


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise BadFile("only a WebP takes this stamp")
    found, at = [], 12
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        found.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    if not found:
        raise BadFile("a WebP without a picture takes no stamp")
    return found


def _header(name: bytes, payload: bytes) -> bytes:
    """The extended header for a simple picture: flags, and its sides less one in 24 bits each."""
    if name == b"VP8L":
        (bits,) = struct.unpack_from("<I", payload, 1)
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    else:
        across, down = struct.unpack_from("<HH", payload, 6)
        width, height, alpha = (across & 0x3FFF) - 1, (down & 0x3FFF) - 1, 0
    flags = _EXIF | (_ALPHA if alpha else 0)
    return bytes([flags, 0, 0, 0, *int(width).to_bytes(3, "little"), *int(height).to_bytes(3, "little")])


def _title(stamp: Stamp) -> str:
    return f"{stamp.experiment}: {stamp.figure}"
