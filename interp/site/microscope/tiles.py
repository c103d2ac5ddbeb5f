"""How a picture stands in a page without any style of its own: a tile of a sheet is placed by classes."""

from __future__ import annotations

from interp.site.microscope.picture import MAX_ACROSS, Picture


def classes(picture: Picture) -> str:
    """The classes of a square tile: how many the sheet has across and down, and the tile's column and row; "" where it is none."""
    if picture.box is None or picture.sheet is None or picture.rows != picture.cols:
        return ""
    top, left = picture.box[0] // picture.rows, picture.box[1] // picture.cols
    return f"w{picture.sheet[1] // picture.cols} h{picture.sheet[0] // picture.rows} c{left} r{top}"


def rules() -> str:
    """The style of those classes: the sheet is as many times larger than the tile's frame, and moved so that the tile is in it."""
    lines = []
    for place in range(MAX_ACROSS):
        # The class stands on the picture itself: browsers find a rule by the last of its names.
        lines.append(f".s>.w{place + 1}{{width:{(place + 1) * 100}%}}.s>.h{place + 1}{{height:{(place + 1) * 100}%}}")
        lines.append(f".s>.c{place}{{left:-{place * 100}%}}.s>.r{place}{{top:-{place * 100}%}}")
    return "\n".join(lines) + "\n"
