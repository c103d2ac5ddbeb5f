"""Whatever stands in a manifest, Markdown shows it as it is: read back by a parser, nothing but that text comes out."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from interp.site.markdown import block, code, one_line, text

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
HOSTILE = [
    "a | b",
    "`code` ``x``",
    "two\nlines\n\n# heading",
    "<script>alert(1)</script> <b>x</b> <!-- c -->",
    "[click](javascript:alert(1)) <javascript:alert(1)> ![x](y.png)",
    "[ref]: javascript:alert(1)",
    "*a* _b_ **c** __d__ ~~e~~",
    "1. one",
    "12) two",
    "- item",
    "+ item",
    "= = =",
    "===",
    "---",
    ":---",
    "> quote",
    "# title",
    "&lt;script&gt; &amp; &#60;",
    "\\* \\\\ \\",
    "a  \nb",
    "    indented",
    "```python\nx\n```",
    "~~~\nx",
    "|---|---|",
    "$x$ $$y$$",
    "\u202edesrever\u200b \x1b[31m",
]
ALPHABET = st.text(st.sampled_from("ab1 \n|`*_[]()<>!#-+=.&;:\\~$/{}\"'\u00e9\u202e\t"), max_size=30)


def words(markdown: str) -> tuple[list[str], str]:
    """The kinds of all tokens, and the text that a reader sees."""
    kinds, seen = [], []
    for token in READER.parse(markdown):
        kinds.append(token.type)
        for child in token.children or ():
            kinds.append(child.type)
            seen.append(child.content)
    return kinds, "".join(seen)


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_text_is_shown_as_it_is(value):
    kinds, seen = words(text(value))
    assert set(kinds) <= {"paragraph_open", "paragraph_close", "inline", "text", "text_special"}
    assert seen == one_line(value)


@given(ALPHABET)
@example("\\")
@example("1.")
@settings(max_examples=150, deadline=None)
def test_no_text_becomes_markup(value):
    kinds, seen = words(text(value))
    assert set(kinds) <= {"paragraph_open", "paragraph_close", "inline", "text", "text_special"}
    assert seen == one_line(value)


@given(ALPHABET)
@settings(max_examples=100, deadline=None)
def test_a_cell_of_a_table_stays_one_cell(value):
    def cells(first: str, second: str) -> list[str]:
        tokens = READER.parse(f"| a | b |\n|---|---|\n| {first} | {second} |\n")
        assert [token.type for token in tokens].count("td_open") == 2
        return ["".join(child.content for child in token.children or ()) for token in tokens if token.type == "inline"]

    assert cells(text(value), code(value))[2:] == [one_line(value), one_line(value)]


@given(ALPHABET)
@settings(max_examples=100, deadline=None)
def test_code_and_alt_texts_hold_every_character(value):
    fence = READER.parse(block(value, "console"))
    assert [(token.type, token.content) for token in fence] == [("fence", f"{one_line(value)}\n")]
    image = READER.parse(f"![{text(value)}](figures/a.png)")[1].children or []
    assert [(token.type, token.attrs.get("src"), "".join(part.content for part in token.children or ())) for token in image] == [
        ("image", "figures/a.png", one_line(value))
    ]


def test_what_cannot_be_seen_goes():
    assert one_line("a\u202eb\u200b\x1b[31m\n c\td") == "ab[31m c d"
    assert text(" \n ") == code(" \n ") == ""
