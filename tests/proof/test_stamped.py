"""A stamp is read from a file by its content; of a damaged or hostile file one line is said."""

import io
import zlib
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from stamped_runs import grid

import interp.proof.stamped as module
from interp.errors import BadFile
from interp.figures import FORMATS, render
from interp.proof.stamped import kind_of, read_stamp, stamp_in
from interp.runs.stamp import Stamp

STAMP = Stamp("0123456789abcdef" * 4, "grid", "tour", "interp tour 'a (b) \\ c' <&> é", 7, "embedded", "b" * 64, "c" * 40, True)
PDF = b"%%PDF-1.4\n1 0 obj\n<< /Keywords %s >>\nendobj\n%%%%EOF\n"
SVG = '<?xml version="1.0"?>{}<svg xmlns="http://www.w3.org/2000/svg" xmlns:dc="http://purl.org/dc/elements/1.1/">{}</svg>'


@cache
def files():
    return dict(render(grid(1.0), FORMATS, 60, STAMP).files)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("called", ["figure.{}", "figure", "figure.txt", "a b.png", "figure.pdf"])
def test_the_content_decides_not_the_name(tmp_path, name, called):
    path = tmp_path / called.format(name)
    path.write_bytes(files()[name])
    assert kind_of(files()[name]) == name
    assert read_stamp(path) == STAMP


def png(late=False, **kinds):
    picture, info, stream = Image.new("RGB", (3, 2)), PngInfo(), io.BytesIO()
    if "international" in kinds:
        info.add_itxt("interp", STAMP.to_text(), zip=kinds["international"])
    else:
        info.add_text("interp", STAMP.to_text(), zip=kinds.get("zip", False))
    picture.save(stream, "png", pnginfo=info)
    data = stream.getvalue()
    if late:  # the text chunk after the pixels, as some programs write it
        size = int.from_bytes(data[33:37], "big") + 12
        end = len(data) - 12
        assert data[37:41] == b"tEXt"
        data = data[:33] + data[33 + size : end] + data[33 : 33 + size] + data[end:]
    return data


@pytest.mark.parametrize("kind", [{}, {"zip": True}, {"international": False}, {"international": True}, {"late": True}])
def test_a_png_may_hold_its_text_in_any_way(kind):
    assert stamp_in(png(**kind), "figure") == STAMP


def literal(text):
    return b"(" + text.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)") + b")"


@pytest.mark.parametrize(
    "string",
    [
        literal(STAMP.to_text().encode()),
        b"(" + STAMP.to_text().encode().replace(b"\\", b"\\134") + b")",  # paired brackets need no escape; octal digits
        literal(STAMP.to_text().encode()).replace(b",", b",\\\n"),  # a line that goes on
        b"<" + STAMP.to_text().encode().hex().encode() + b">",
        b" <\n" + STAMP.to_text().encode().hex().upper().encode() + b"\n>",
        b"<FEFF" + STAMP.to_text().encode("utf-16-be").hex().encode() + b">",
        literal(b"\xfe\xff" + STAMP.to_text().encode("utf-16-be")),
    ],
)
def test_a_pdf_may_write_its_strings_in_any_way(string):
    assert stamp_in(PDF % string, "figure") == STAMP


def test_the_last_words_of_a_pdf_that_was_added_to_count():
    other = Stamp("f" * 64, "grid", "tour", "interp tour", 0)
    data = PDF % literal(other.to_text().encode()) + PDF % literal(STAMP.to_text().encode())
    assert stamp_in(data, "figure") == STAMP


def test_packed_objects_of_a_pdf_are_read():
    inner = zlib.compress(b"1 0 << /Keywords %s >>" % literal(STAMP.to_text().encode()))
    data = b"%%PDF-1.5\n1 0 obj\n<< /Type /ObjStm /N 1 /Length %d >>\nstream\r\n%s\nendstream" % (len(inner), inner)
    assert stamp_in(data, "figure") == STAMP


def test_an_svg_saved_by_another_program_is_read():
    escaped = STAMP.to_text().replace("&", "&amp;").replace("<", "&#60;")
    assert stamp_in(SVG.format("", f"<g><dc:description>{escaped}</dc:description></g>").encode(), "figure") == STAMP
    assert stamp_in(SVG.format("", f"<dc:description><![CDATA[{STAMP.to_text()}]]></dc:description>").encode(), "figure") == STAMP


LAUGHS = '<!DOCTYPE svg [<!ENTITY a "{&quot;"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"`figure` is no PNG, PDF, SVG or WebP by its content"),
        (b"GIF89a", r"`figure` is no PNG, PDF, SVG or WebP by its content"),
        (b"<html></html>", r"`figure` is no PNG, PDF, SVG or WebP by its content"),
        (b"\x89PNG\r\n\x1a\n", r"`figure` is a PNG that is damaged: "),
        (b"RIFF\0\0\0\0WEBPVP8 ", r"`figure` is a WebP that is damaged: "),
        (SVG.format(LAUGHS, "<dc:description>&b;</dc:description>").encode(), r"an SVG that is damaged: it declares entities"),
        (SVG.format('<!DOCTYPE svg [<!ENTITY a SYSTEM "a.txt">]>', "&a;").encode(), r"an SVG that is damaged: it declares entities"),
        (SVG.format("", "<dc:description>").encode(), r"`figure` is an SVG that is damaged: mismatched tag"),
        (SVG.format("", "").encode(), r"`figure` is an SVG without a stamp of interp"),
        (SVG.format("", "<dc:description>{}</dc:description>").encode(), r"`figure`: it holds JSON, but not a stamp"),
        (SVG.format("", f"<dc:description>{{{'x' * 70_000}</dc:description>").encode(), r"its stamp has \d+ characters, 65536 at most"),
        (PDF % b"(", r"`figure` is a PDF without a stamp of interp"),
        (b"%PDF-1.4 /Keywords <7b", r"`figure` is a PDF without a stamp of interp"),
        (PDF % b"<7g>", r"`figure` is a PDF without a stamp of interp"),
        (PDF % b"(a (b) c)", r"`figure` is a PDF without a stamp of interp"),
        (PDF % b"({a)", r"`figure`: it is not JSON"),
    ],
)
def test_what_is_not_sound_is_told_in_one_line(data, message):
    with pytest.raises(BadFile, match=message) as caught:
        stamp_in(data, "figure")
    assert "\n" not in str(caught.value)


def believed_or_refused(data):
    """A stamp, or None after a BadFile of one line; nothing else may happen."""
    try:
        return stamp_in(data, "figure")
    except BadFile as error:
        said = str(error)
    assert "\n" not in said
    return None


FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(st.sampled_from(FORMATS), st.data())
def test_a_truncated_file_is_refused_or_whole_enough(name, data):
    whole = files()[name]
    assert believed_or_refused(whole[: data.draw(st.integers(0, len(whole) - 1))]) in (None, STAMP)


@FUZZ
@given(st.sampled_from(FORMATS), st.data())
def test_random_bytes_anywhere_do_no_harm(name, data):
    broken = bytearray(files()[name])
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, min(len(broken), 2500) - 1))
        broken[place : place + 4] = data.draw(st.binary(max_size=12))
    believed_or_refused(bytes(broken))


HEADS = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"RIFF\x80\0\0\0WEBPVP8X", b"%PDF-1.4\n/Keywords (", b"<svg ", b"%PDF-1.5/ObjStm stream\n"]


@FUZZ
@given(st.sampled_from(HEADS), st.binary(max_size=200))
def test_random_bytes_after_a_sound_head_do_no_harm(head, rest):
    assert believed_or_refused(head + rest) is None


def test_brackets_without_end_take_no_time_to_speak_of():
    believed_or_refused(PDF % (b"/Keywords (" * 200_000))
    believed_or_refused(PDF % (b"(" * 2_000_000))


def test_a_bomb_in_a_packed_object_is_not_unpacked():
    bomb = zlib.compress(b"\0" * (1 << 25))
    assert believed_or_refused(b"%PDF-1.5 /ObjStm stream\n" + bomb) is None


def test_a_picture_too_large_to_decode_is_still_asked_for_its_text():
    data = png()
    header = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + data[24:29]
    huge = data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:]
    assert believed_or_refused(huge) in (None, STAMP)


def test_what_is_not_there_or_too_large_is_refused(tmp_path, monkeypatch):
    with pytest.raises(BadFile, match=r"there is no file `.*nope.png`"):
        read_stamp(tmp_path / "nope.png")
    with pytest.raises(BadFile, match=r"is a folder, not a figure"):
        read_stamp(tmp_path)
    with pytest.raises(BadFile, match=r"there is no file `/dev/zero`"):
        read_stamp(type(tmp_path)("/dev/zero"))
    (tmp_path / "a.png").write_bytes(files()["png"])
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    with pytest.raises(BadFile, match=r"has \d+ bytes, more than a figure of interp: 100 at most are read"):
        read_stamp(tmp_path / "a.png")


def test_what_stands_before_the_damage_still_tells_of_the_run():
    data = bytearray(png())
    data[len(data) - 20] ^= 1  # among the pixels, which come after the text
    assert stamp_in(bytes(data), "a.png") == STAMP
