"""References: strings become values once, and what is unknown names the nearest."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from interp.errors import InterpError, UnknownName, Unsupported
from interp.zoo.reference import Embedded, Own, Reference, Timm, Torchvision


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("embedded", Embedded()),
        ("resnet50", Torchvision("resnet50")),
        ("resnet50@IMAGENET1K_V2", Torchvision("resnet50", "IMAGENET1K_V2")),
        ("timm/convnext_tiny", Timm("convnext_tiny")),
        ("timm/convnext_tiny.fb_in22k", Timm("convnext_tiny.fb_in22k")),
        ("path/to/net.py:factory", Own(Path("path/to/net.py"), "factory")),
        ("/a b/x:y/net.py:Net", Own(Path("/a b/x:y/net.py"), "Net")),
    ],
)
def test_parse_and_str_are_inverses(text: str, value: Reference) -> None:
    assert Reference.parse(text) == value
    assert str(value) == text
    assert Reference.parse(f" {text} ") == value


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("resnet51", UnknownName, r"no model 'resnet51': did you mean 'resnet50'.*timm's models are 'timm/NAME'"),
        ("embeded", UnknownName, "did you mean 'embedded'"),
        ("", UnknownName, "no model is named"),
        ("@IMAGENET1K_V1", UnknownName, "no model is named"),
        ("resnet50@IMAGENET1K_V3", UnknownName, "no weights 'IMAGENET1K_V3' for 'resnet50': did you mean 'IMAGENET1K_V2'"),
        ("resnet50@x", UnknownName, "there are 'IMAGENET1K_V1', 'IMAGENET1K_V2', 'DEFAULT'"),
        ("timm/convnext_tinny", UnknownName, r"no model 'timm/convnext_tinny': did you mean 'timm/convnext_tiny'"),
        ("timm/convnext_tiny.nowhere", UnknownName, "no weights 'nowhere' for 'timm/convnext_tiny': "),
        ("fcn_resnet5", UnknownName, "no model 'fcn_resnet5': did you mean .*'fcn_resnet50'"),
        ("quantized_resnet50", Unsupported, "torchvision's quantization models, and .* image classifiers: did you mean .*'resnet50'"),
        (
            "fasterrcnn_resnet50_fpn",
            Unsupported,
            r"detection models, .*its backbone can be given by a function of yours \('net\.py:factory'\)",
        ),
        ("raft_large", Unsupported, "optical flow models"),
        ("r3d_18", Unsupported, "video models"),
        ("net.py", InterpError, r"'net\.py' names no function in the file: write 'net\.py:factory'"),
        ("net.py:", InterpError, "names no function"),
        ("net.py:a b", InterpError, "names no function"),
        ("runs/best.pth", InterpError, r"'runs/best\.pth' is a weights file, not a model: .*`MODEL --weights runs/best\.pth`"),
    ],
)
def test_what_is_unknown(text: str, kind: type[InterpError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        Reference.parse(text)
    assert "\n" not in str(caught.value)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "timm" else found(name, *rest))
    with pytest.raises(InterpError, match=r"need the package timm, which is not installed: `pip install 'interp\[timm\]'`"):
        Reference.parse("timm/convnext_tiny")
