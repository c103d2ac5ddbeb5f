"""``edited``: a network whose units are ablated, scaled or replaced as long as a block lasts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor

from interp.core.layout import Maps
from interp.core.model import Model
from interp.core.randomize import randomized_weights
from interp.core.unit import Unit
from interp.editing.edits import Ablate, Edit, Fresh, Kind, Replace, Scale, checked
from interp.editing.overlay import Change, by_rows, changed, refuse_without_rows
from interp.editing.words import Wanted
from interp.errors import InterpError, a, nearest

AnyEdit = Edit | Unit | str
"""An edit; or a unit to ablate, or an edit as it is written."""


@contextmanager
def edited(model: Model, edits: AnyEdit | Iterable[AnyEdit], kind: str = Kind.ABLATE, *, seed: int = 0) -> Iterator[Model]:
    """``model`` with ``edits`` inside the block, and bit for bit as before behind it, after errors too. Gives the same model.

    ``edits`` are `Ablate`, `Scale`, `Replace`, or texts of one ``kind``: ``layer:3``, ``layer:0-7`` or ``layer:*`` to ablate to 0,
    ``layer:7=0.5`` to scale, ``layer:3=layer:5`` or ``layer:3=new`` to replace (``new`` is drawn from ``seed``).

    What an edit promises holds at the output of the named layer, at all of its places (of a transformer's tokens also the class token),
    in each of its calls: an ablated channel is exactly 0, whatever the picture; a scaled one is the channel as before times the factor,
    up to rounding. Other channels of the layer are as before. Where a convolution, a Linear or a norm holds the unit as a row of its
    weights and bias, these rows are what is changed, so that kernels, checkpoints and hooks see it (`mechanism`); elsewhere (a ReLU, a
    whole block, weights that are computed by a parametrization, a constant other than 0) the output is changed as it leaves the layer.
    A channel that is 0 in front of a BatchNorm is not 0 behind it, but a constant; name the BatchNorm's unit for that.

    Blocks may lie inside each other and end in any order; a later edit of a unit acts on what the earlier ones made of it. Parameters
    that are shared with another module change for the named one only. Inside, parameters that are edited are copies with the same
    ``requires_grad``: gradients with respect to them are lost with them, and so is what ``load_state_dict`` writes into them; so nothing
    is trained or loaded here, and the network is not moved to another device or precision.

    Raises InterpError for a network that is no `Model` (``interp.load(net)`` makes one), a text of another form, edits of one unit that
    contradict, a unit replaced by one of another layer, a factor too large for the weights' precision; UnknownName where a layer, unit or
    kind does not exist; Unsupported where a unit that has no weights is to be replaced.
    """
    if not isinstance(model, Model):
        raise InterpError(f"`model` is {a(model)}, whose layers are not known yet: give the Model that `interp.load(net)` makes of it")
    found = checked(model, _parsed(model, edits, kind, seed))
    with ExitStack() as stack:
        for layer in dict.fromkeys(edit.unit.layer for edit in found):
            own = [edit for edit in found if edit.unit.layer == layer]
            stack.enter_context(changed(model.module.get_submodule(layer), _change(model, layer, own)))
        yield model


def mechanism(model: Model, edit: Edit) -> str:
    """``weights`` where the edit changes a row of its layer's weights, ``output`` where it changes what the layer returns."""
    unit = model.unit(edit.unit)
    rows = by_rows(model.module.get_submodule(unit.layer), model.layer(unit.layer).channels)
    return "weights" if isinstance(edit, Replace) or (rows and not (isinstance(edit, Ablate) and edit.value != 0)) else "output"


def _parsed(model: Model, edits: object, kind: str, seed: int) -> list[Edit]:
    if kind not in list(Kind):
        raise InterpError(f"no kind of edit '{kind}': {nearest(kind, Kind) or 'there are ' + ', '.join(Kind)}")
    given = list(edits) if isinstance(edits, Iterable) and not isinstance(edits, (str, Unit, Ablate, Scale, Replace)) else [edits]
    found: list[Edit] = []
    for edit in given:
        if isinstance(edit, (Ablate, Scale, Replace)):
            found.append(edit)
        elif isinstance(edit, (str, Unit)):
            found += Wanted.parse(str(edit), Kind(kind)).edits(model, seed)
        else:
            raise InterpError(f"an edit is {a(edit)}: give units such as 'layer:3', or Ablate, Scale or Replace of one")
    return found


def _change(model: Model, layer: str, edits: list[Edit]) -> Change:
    """The edits of one layer, with what is to be drawn for them."""
    module, channels = model.module.get_submodule(layer), model.layer(layer).channels
    drawn: dict[int, dict[str, Tensor]] = {}
    for edit in edits:
        if isinstance(edit, Replace):
            refuse_without_rows(module, edit, channels)
            if isinstance(edit.by, Fresh):
                drawn[edit.unit.channel] = _drawn(model, edit.unit, edit.by.seed)
    return Change({edit.unit.channel: edit for edit in edits}, channels, 1 if isinstance(model.layer(layer).layout, Maps) else -1, drawn)


def _drawn(model: Model, unit: Unit, seed: int) -> dict[str, Tensor]:
    """The unit's rows as the layer's own initializer draws them."""
    with randomized_weights(model, [unit.layer], seed):
        module = model.module.get_submodule(unit.layer)
        return {name: p.detach()[unit.channel].clone() for name, p in module.named_parameters(recurse=False) if name in ("weight", "bias")}
