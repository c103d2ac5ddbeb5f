"""Names with options: every kind of value that can be written, and each mistake in its own words."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.core.choices import Choice, choice, refuse_same, titled
from interp.errors import InterpError, UnknownName


class Kind(Protocol):
    """What an option such as ``around`` is annotated with."""


class Colour(StrEnum):
    MEAN = "mean"
    LIGHT_BLUE = "light-blue"


@dataclass(frozen=True)
class Squares:
    share: float = 0.25


@dataclass(frozen=True)
class Noise:
    spread: float = 0.5


@dataclass(frozen=True)
class Plain:
    name: ClassVar[str] = "plain"
    title: ClassVar[str] = "Plain"


@dataclass(frozen=True)
class Layered:
    layer: str
    name: ClassVar[str] = "layered"
    title: ClassVar[str] = "Layered"


@dataclass(frozen=True)
class Full:
    name: ClassVar[str] = "full"
    title: ClassVar[str] = "Full"

    steps: int = 4
    size: float | int = 0.5
    share: float = 0.5
    colour: Colour = Colour.MEAN
    heads: int | None = None
    signed: bool = False
    levels: tuple[float | int, ...] = (1, 2)
    colours: tuple[Colour, ...] = (Colour.MEAN,)
    around: Kind = Plain()
    part: Squares | Noise = Squares()
    seed: int = 0
    batch_size: int = 8


KINDS: dict[str, type] = {"full": Full, "plain": Plain, "layered": Layered}


def parsed(text: str) -> Choice:
    return choice(text, KINDS, "method")


@pytest.mark.parametrize(
    ("written", "field", "value"),
    [
        ("steps=12", "steps", 12),
        ("steps=-3", "steps", -3),
        ("size=16", "size", 16),
        ("size=0.25", "size", 0.25),
        ("size=1e-3", "size", 0.001),
        ("share=1", "share", 1.0),
        ("colour=light-blue", "colour", Colour.LIGHT_BLUE),
        ("colour=Light-Blue", "colour", Colour.LIGHT_BLUE),
        ("heads=3", "heads", 3),
        ("heads=None", "heads", None),
        ("signed=true", "signed", True),
        ("signed=False", "signed", False),
        ("levels=20+40.5+60", "levels", (20, 40.5, 60)),
        ("levels=7", "levels", (7,)),
        ("colours=mean + light-blue", "colours", (Colour.MEAN, Colour.LIGHT_BLUE)),
        ("around=plain", "around", Plain()),
        ("around=full", "around", Full()),
        ("part=noise", "part", Noise()),
        ("part=Squares", "part", Squares()),
    ],
)
def test_every_kind_of_value(written, field, value):
    found = parsed(f"full:{written}")
    assert found == Choice(Full, ((field, value),))
    made = getattr(found.make(), field)
    assert made == value
    assert type(made) is type(value), "a whole number stays one where both are allowed, and becomes a float where only that is"


def test_several_options_and_spaces():
    assert parsed(" full:steps = 2 ,, colour=light-blue, ").make() == Full(steps=2, colour=Colour.LIGHT_BLUE)
    assert parsed("full:") == parsed("full") == Choice(Full)


def test_a_layer_may_hold_dots():
    assert parsed("layered:layer=layer4.1.conv2").make() == Layered("layer4.1.conv2")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("fulll", UnknownName, r"no method 'fulll': did you mean 'full'\?"),
        ("zzz", UnknownName, r"no method 'zzz': there are full, plain, layered"),
        ("", UnknownName, r"no method '': there are full, plain, layered"),
        ("full:stepps=3", UnknownName, r"the method 'full' has no option 'stepps': did you mean 'steps'"),
        ("layered:qq=3", UnknownName, r"the method 'layered' has no option 'qq': its options are layer$"),
        ("plain:steps=3", UnknownName, r"the method 'plain' has no option 'steps': it has no options$"),
        ("full:steps", InterpError, r"the option 'steps' of the method 'full' has no value: write full:steps=VALUE"),
        ("full:steps=", InterpError, r"the option 'steps' of the method 'full' has no value"),
        ("full:steps=2,steps=3", InterpError, r"the option 'steps' of the method 'full' is given twice: write it once"),
        ("full:steps=1.5", InterpError, r"the steps of the method 'full' is '1.5': give a whole number$"),
        ("full:steps=many", InterpError, r"the steps of the method 'full' is 'many': give a whole number$"),
        ("full:heads=x", InterpError, r"the heads of the method 'full' is 'x': give a whole number or none$"),
        ("full:size=wide", InterpError, r"the size of the method 'full' is 'wide': give a number$"),
        ("full:size=nan", InterpError, r"the size of the method 'full' is 'nan': give a number$"),
        ("full:share=inf", InterpError, r"the share of the method 'full' is 'inf': give a number$"),
        ("full:share=1e999", InterpError, r"the share of the method 'full' is '1e999': give a number$"),
        ("full:signed=maybe", InterpError, r"the signed of the method 'full' is 'maybe': give true or false$"),
        ("full:colour=light_blue", InterpError, r"the method 'full' has no colour 'light_blue': did you mean 'light-blue'"),
        ("full:colour=xyz", InterpError, r"the method 'full' has no colour 'xyz': there are mean, light-blue$"),
        ("full:levels=20++40", InterpError, r"the levels of the method 'full' is '': give a number$"),
        ("full:colours=mean+zzz", InterpError, r"the method 'full' has no colours 'zzz': there are mean, light-blue$"),
        ("full:part=square", InterpError, r"the method 'full' has no part 'square': did you mean 'squares'"),
        ("full:part=zzz", InterpError, r"the method 'full' has no part 'zzz': there are squares, noise$"),
        ("full:around=plane", UnknownName, r"the method 'full' cannot have the around 'plane': did you mean 'plain'"),
        ("full:around=zzz", UnknownName, r"the method 'full' cannot have the around 'zzz': give the name of a method$"),
        ("full:around=layered", InterpError, r"cannot have the around 'layered', which needs a layer: that is possible in Python only"),
    ],
)
def test_each_mistake_in_its_own_words(text, kind, message):
    with pytest.raises(kind, match=message) as caught:
        parsed(text)
    assert "\n" not in str(caught.value)


def test_what_was_named_goes_before_defaults_and_unknown_defaults_are_left_out():
    found = parsed("full:seed=7")
    assert found.make(seed=1, batch_size=2, layer="conv") == Full(seed=7, batch_size=2)
    assert parsed("layered").make(layer="conv", seed=1) == Layered("conv")
    assert parsed("layered:layer=named").make(layer="conv") == Layered("named")


def test_a_title_says_what_differs_from_the_defaults():
    assert titled(Full()) == titled(Full(seed=3, batch_size=1)) == "Full"
    assert titled(Layered("conv")) == "Layered", "the layer is said elsewhere"
    other = Full(steps=2, colour=Colour.LIGHT_BLUE, colours=(Colour.MEAN, Colour.LIGHT_BLUE), around=Full(), part=Noise(2.0))
    assert titled(other) == "Full (steps 2, colour light-blue, colours mean+light-blue, around Full, part noise)"
    assert titled(Full(batch_size=1, levels=(3,), heads=2)) == "Full (heads 2, levels 3)"


def test_two_of_one_title_are_refused():
    refuse_same(["a", "b"], "method")
    refuse_same([], "method")
    with pytest.raises(InterpError, match=r"2 methods are called 'a': they differ in seed or batch size only, so give one of them"):
        refuse_same(["b", "a", "a"], "method")


@given(
    steps=st.integers(),
    share=st.floats(allow_nan=False, allow_infinity=False),
    levels=st.lists(st.integers() | st.floats(min_value=0, allow_infinity=False).map(lambda x: round(x, 3)), min_size=1, max_size=4),
    colours=st.lists(st.sampled_from(Colour), min_size=1, max_size=3),
    heads=st.none() | st.integers(),
    signed=st.booleans(),
)
def test_what_is_written_out_is_read_back(steps, share, levels, colours, heads, signed):
    # "1e+16" would be taken apart at its plus.
    levels = [value for value in levels if "+" not in repr(value)] or [1]
    many = "+".join(map(repr, levels))
    text = f"full:steps={steps},share={share!r},levels={many},colours={'+'.join(colours)},heads={heads},signed={signed}"
    assert parsed(text).make() == Full(steps, 0.5, share, Colour.MEAN, heads, signed, tuple(levels), tuple(colours))


@given(st.text())
def test_any_text_is_a_choice_or_an_error_of_ours(text):
    for written in (text, f"full:{text}", f"full:steps={text}", f"full:size={text}"):
        with contextlib.suppress(InterpError):
            assert parsed(written).kind in KINDS.values()
